package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/porter-dev/audit-operator/internal/problem"
)

func TestFitting(t *testing.T) {
	for _, tt := range []struct{ rows, size, want int }{
		{0, 0, 0}, {50, 100, 50}, {50, maxPage / 50, 50}, {50, maxPage/50 + 1, 49}, {50, maxPage / 3, 3}, {50, maxPage, 1}, {50, 2 * maxPage, 1},
	} {
		got := 0
		body, err := fitting(tt.rows, func(n int) ([]byte, error) {
			got = n
			return make([]byte, n*tt.size), nil
		})
		if err != nil || got != tt.want || len(body) != got*tt.size {
			t.Errorf("of %d rows of %d bytes %d are drawn, want %d: %v", tt.rows, tt.size, got, tt.want, err)
		}
	}
	broken := errors.New("broken")
	if _, err := fitting(5, func(int) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestLongAddress(t *testing.T) {
	for length, refused := range map[int]bool{0: false, maxAddress: false, maxAddress + 1: true} {
		r := &http.Request{URL: &url.URL{RawQuery: strings.Repeat("x", length)}}
		_, err := readValues(r)
		var p problem.Problem
		tooLong := errors.As(err, &p) && p.Status == http.StatusRequestURITooLong
		if tooLong != refused || !refused && err != nil {
			t.Errorf("an address of %d bytes: %v", length, err)
		}
	}
}

func TestShorten(t *testing.T) {
	for text, want := range map[string]string{"": "", "four": "four", "fives": "fiv…", "äöüß": "äöüß", "äöüßx": "äöü…"} {
		if got := shorten(text, 4); got != want || utf8.RuneCountInString(got) > 4 {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// An event's nesting does not decide how much is held to show it.
func TestDeepSource(t *testing.T) {
	deep := strings.Repeat("[", 9000) + strings.Repeat("1,", 200_000) + "1" + strings.Repeat("]", 9000)
	begun := time.Now()
	got := newSource([]byte(deep), "/raw")
	var shown strings.Builder
	for _, token := range got.Tokens {
		shown.WriteString(token.Text)
	}
	if !got.Cut || shown.Len() > shownSource || !strings.HasPrefix(shown.String(), "[[[") || time.Since(begun) > 10*time.Second {
		t.Errorf("%d bytes are shown, cut: %t, after %s", shown.Len(), got.Cut, time.Since(begun))
	}
	if n := indents([]byte(`{"a":["x,[",2],"b":{}}`)); n < 12 || n > 40 {
		t.Errorf("laying out adds about %d bytes", n)
	}
}
