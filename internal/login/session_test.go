package login

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

var keys = [2][]byte{bytes.Repeat([]byte("h"), 64), bytes.Repeat([]byte("b"), 32)}

// A value that the codec did not write holds no token, whoever made it.
func FuzzCookie(f *testing.F) {
	codec := newCodec(keys[0], keys[1])
	f.Add("token", "MTc2NDAwMDAwMHx4", uint16(3), byte(1))
	f.Add("", "", uint16(0), byte(0))
	f.Add(strings.Repeat("x", 4000), "MTc", uint16(9), byte(0x80))
	f.Fuzz(func(t *testing.T, token, forged string, at uint16, flip byte) {
		if got, ok := codec.decode("audit-session", forged); ok {
			t.Errorf("a value from elsewhere holds %q", got)
		}
		value, err := codec.encode("audit-session", token)
		if err != nil || !utf8.ValidString(token) {
			return // too long, or nothing that JSON keeps
		}
		if got, ok := codec.decode("audit-session", value); !ok || got != token {
			t.Errorf("%q came back as %q, %t", token, got, ok)
		}
		if _, ok := codec.decode("another-name", value); ok {
			t.Error("a cookie of another name is accepted")
		}
		if flip&0x7f != 0 {
			changed := []byte(value)
			changed[int(at)%len(changed)] ^= flip & 0x7f
			if got, ok := codec.decode("audit-session", string(changed)); ok && got != token {
				t.Errorf("a changed value holds %q", got)
			}
		}
	})
}

// Wherever log-in leads, it is this site: by Go's rules and by those of
// browsers, which take a backslash for a slash and drop tabs and newlines.
func FuzzLocal(f *testing.F) {
	for _, address := range []string{"/", "/security/audit-logs?actor=a", "//evil.example", `/\evil.example`, "/\t/evil.example", "/security/../login", "https://evil.example/security/", "/security/%2e%2e//evil", "/security/audit-logs#x", "javascript:alert(1)"} {
		f.Add(address)
	}
	here, err := url.Parse("https://audit.example.com/login")
	if err != nil {
		f.Fatal(err)
	}
	browser := strings.NewReplacer("\\", "/", "\t", "", "\n", "", "\r", "")
	f.Fuzz(func(t *testing.T, address string) {
		if !Local(address) {
			return
		}
		if strings.HasPrefix(strings.TrimSpace(browser.Replace(address)), "//") {
			t.Errorf("a browser reads %q as another site's", address)
		}
		to, err := here.Parse(address)
		if err != nil || to.Scheme != "https" || to.Host != here.Host || to.User != nil || to.Path != "/" && !strings.HasPrefix(to.Path, "/security/") {
			t.Errorf("%q leads to %v, %v", address, to, err)
		}
	})
}
