package position

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/store"
)

func FuzzOpen(f *testing.F) {
	c := New([]byte("secret"))
	f.Add(c.Seal(nil))
	f.Add(c.Seal([]byte("a position")))
	f.Add("")
	f.Add("\n")
	f.Fuzz(func(t *testing.T, s string) {
		plain, err := c.Open(s)
		if err != nil {
			if !errors.Is(err, store.ErrPosition) {
				t.Errorf("Open(%q) = %v, want ErrPosition", s, err)
			}
			return
		}
		if again := c.Seal(plain); len(again) != len(s) {
			t.Errorf("%q opens to what is sealed as %q", s, again)
		}
	})
}

func FuzzSeal(f *testing.F) {
	c, other := New([]byte("secret")), New([]byte("another"))
	f.Add([]byte("a position"))
	f.Fuzz(func(t *testing.T, plain []byte) {
		if len(plain) > MaxPlain {
			return
		}
		s := c.Seal(plain)
		if again := c.Seal(plain); again == s || len(s) > MaxLength {
			t.Errorf("%q is sealed as %q, and then as %q", plain, s, again)
		}
		if got, err := c.Open(s); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%q comes back as %q, %v", plain, got, err)
		}
		if short := c.Seal(plain[:len(plain)/step*step]); len(s)-len(short) > encoding.EncodedLen(step) {
			t.Errorf("%d bytes are sealed as %d", len(plain), len(s))
		}
		if len(plain) > 8 && bytes.Contains([]byte(s), plain) {
			t.Errorf("%q shows what it holds", s)
		}
		if _, err := other.Open(s); !errors.Is(err, store.ErrPosition) {
			t.Errorf("another store opens it: %v", err)
		}
	})
}

func TestOpenIsStrict(t *testing.T) {
	c := New([]byte("secret"))
	s := c.Seal([]byte("a position"))
	last := "A"
	if strings.HasSuffix(s, last) {
		last = "B"
	}
	for name, altered := range map[string]string{
		"empty": "", "cut off": s[:len(s)-1], "longer": s + "A", "changed": s[:len(s)-1] + last,
		"a line break": s[:4] + "\n" + s[4:], "padded": s + "=", "too long": strings.Repeat("A", MaxLength+1),
	} {
		if _, err := c.Open(altered); !errors.Is(err, store.ErrPosition) {
			t.Errorf("%s: Open = %v, want ErrPosition", name, err)
		}
	}
}

// Positions of a kind are of one length, whatever they say.
func TestLengthSaysNothing(t *testing.T) {
	c := New([]byte("secret"))
	for _, of := range [][]int{{0, 17, 41, 126}, {127, 200, 254}, {MaxPlain - 1, MaxPlain}} {
		for _, n := range of {
			if got, want := len(c.Seal(make([]byte, n))), len(c.Seal(make([]byte, of[0]))); got != want {
				t.Errorf("%d bytes are sealed as %d characters, %d as %d", n, got, of[0], want)
			}
		}
	}
	if MaxLength > 6<<10 { // proxies take addresses of 8 KiB
		t.Errorf("a position may have %d characters", MaxLength)
	}
}
