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
		if again := c.Seal(plain); again != s {
			t.Errorf("%q opens to what is sealed as %q", s, again)
		}
	})
}

func FuzzSeal(f *testing.F) {
	c, other := New([]byte("secret")), New([]byte("another"))
	f.Add([]byte("a position"))
	f.Fuzz(func(t *testing.T, plain []byte) {
		s := c.Seal(plain)
		if got, err := c.Open(s); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%q comes back as %q, %v", plain, got, err)
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
		"a line break": s[:4] + "\n" + s[4:], "padded": s + "=", "too long": strings.Repeat("A", maxLength+1),
	} {
		if _, err := c.Open(altered); !errors.Is(err, store.ErrPosition) {
			t.Errorf("%s: Open = %v, want ErrPosition", name, err)
		}
	}
}
