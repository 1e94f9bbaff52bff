package httpapi

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// A page is as long as its limit, and no longer: what does not fit comes with
// the next one. One item comes whatever its length.
func TestPagesAreBounded(t *testing.T) {
	type page struct {
		Items []string `json:"items"`
		Next  int      `json:"next"`
	}
	// {"items":["…"],"next":1} and the line's end.
	const around = len(`{"items":[""],"next":1}`) + 1
	for name, tt := range map[string]struct {
		items []string
		want  int
	}{
		"none":                      {[]string{}, 0},
		"a few":                     {[]string{"a", "b"}, 2},
		"at the bound":              {[]string{strings.Repeat("x", maxAnswer-around)}, 1},
		"two at the bound":          {[]string{strings.Repeat("x", maxAnswer-around-4), "y"}, 2},
		"two beyond the bound":      {[]string{strings.Repeat("x", maxAnswer-around-3), "y"}, 1},
		"one beyond the bound":      {[]string{strings.Repeat("x", 2*maxAnswer), "y", "z"}, 1},
		"a long one at the end":     {[]string{"x", "y", strings.Repeat("z", maxAnswer)}, 2},
		"a long one at the start":   {[]string{strings.Repeat("x", maxAnswer/2), strings.Repeat("y", maxAnswer/2), "z"}, 1},
		"what grows when it's JSON": {[]string{strings.Repeat("\x01", maxAnswer/12), strings.Repeat("\x01", maxAnswer/12), "z"}, 1},
	} {
		w := httptest.NewRecorder()
		err := sendPage(w, len(tt.items), func(n int) any { return page{tt.items[:n], n} })
		var got page
		if err != nil || json.Unmarshal(w.Body.Bytes(), &got) != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(got.Items) != tt.want || got.Next != tt.want || w.Body.Len() > maxAnswer && tt.want > 1 {
			t.Errorf("%s: %d items in %d bytes, next %d; want %d", name, len(got.Items), w.Body.Len(), got.Next, tt.want)
		}
	}
}
