package login

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/store"
)

var keys = [2][]byte{bytes.Repeat([]byte("h"), 64), bytes.Repeat([]byte("b"), 32)}

// A value that the codec did not write holds no session, whoever made it.
func FuzzCookie(f *testing.F) {
	codec := newCodec(keys[0], keys[1])
	now := time.Unix(1_700_000_000, 0)
	f.Add("token", "", "MTc2NDAwMDAwMHx4", uint16(3), byte(1))
	f.Add("", "alice\x00admins\x00devs", "", uint16(0), byte(0))
	f.Add(strings.Repeat("x", 4000), "", "MTc", uint16(9), byte(0x80))
	f.Fuzz(func(t *testing.T, token, who, forged string, at uint16, flip byte) {
		var got session
		if codec.decode("audit-session", forged, &got) {
			t.Errorf("a value from elsewhere holds %+v", got)
		}
		names := strings.Split(who, "\x00")
		want := ofToken(token, now, Lifetime)
		if token == "" {
			want = ofIdentity(auth.User{Name: names[0], Groups: names[1:]}, "by", now, Lifetime)
		}
		value, err := codec.encode("audit-session", want)
		if err != nil {
			return // too long, or nothing that JSON keeps
		}
		if !codec.decode("audit-session", value, &got) || cmp.Diff(want, got, cmpopts.EquateEmpty()) != "" {
			t.Errorf("%+v came back as %+v", want, got)
		}
		if codec.decode("another-name", value, &got) {
			t.Error("a cookie of another name is accepted")
		}
		if flip&0x7f != 0 {
			changed := []byte(value)
			changed[int(at)%len(changed)] ^= flip & 0x7f
			got = session{}
			if codec.decode("audit-session", string(changed), &got) && cmp.Diff(want, got, cmpopts.EquateEmpty()) != "" {
				t.Errorf("a changed value holds %+v", got)
			}
		}
	})
}

// What unfolds to a session is what is made of it: nothing is guessed or left
// out, and no input takes more than its bound of memory.
func FuzzContent(f *testing.F) {
	made, err := strict{}.Serialize(ofToken("t", time.Unix(1, 0), Lifetime))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(made)
	f.Add(append(bytes.Clone(made), 0))
	f.Fuzz(func(t *testing.T, value []byte) {
		var s session
		if (strict{}).Deserialize(value, &s) != nil {
			return
		}
		again, err := strict{}.Serialize(s)
		if err != nil {
			t.Fatal(err)
		}
		var same session
		if err := (strict{}).Deserialize(again, &same); err != nil || cmp.Diff(s, same, cmpopts.EquateEmpty()) != "" {
			t.Errorf("%+v came back as %+v, %v", s, same, err)
		}
	})
}

func TestStrictContent(t *testing.T) {
	fold := func(plain string) []byte {
		var out bytes.Buffer
		w, _ := flate.NewWriter(&out, flate.BestCompression)
		_, _ = w.Write([]byte(plain))
		_ = w.Close()
		return out.Bytes()
	}
	good := `{"v":1,"means":"token","began":1,"expires":2,"token":"t"}`
	for name, tt := range map[string]struct {
		value []byte
		taken bool
	}{
		"as it is made":       {fold(good), true},
		"of an older version": {fold(`{"token":"t"}`), true}, // which valid refuses
		"an unknown member":   {fold(`{"v":1,"admin":true}`), false},
		"a member twice":      {fold(`{"v":1,"token":"a","token":"b"}`), false},
		"another case":        {fold(`{"V":1}`), false},
		"two values":          {fold(good + good), false},
		"something after it":  {append(fold(good), 'x'), false},
		"cut off":             {fold(good)[:20], false},
		"not folded":          {[]byte(good), false},
		"a bomb":              {fold(`{"token":"` + strings.Repeat("x", 10<<20) + `"}`), false},
		"not UTF-8":           {fold("{\"token\":\"\xff\"}"), false},
		"nothing":             {nil, false},
	} {
		var s session
		if err := (strict{}).Deserialize(tt.value, &s); (err == nil) != tt.taken {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func TestSessionIsValid(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	alice := auth.User{Name: "alice"}
	changed := func(s session, change func(*session)) session { change(&s); return s }
	for name, tt := range map[string]struct {
		session session
		want    bool
	}{
		"token":                    {ofToken("t", now, Lifetime), true},
		"identity":                 {ofIdentity(alice, "by", now, Lifetime), true},
		"at its last second":       {ofToken("t", now.Add(-Lifetime+time.Second), Lifetime), true},
		"over":                     {ofToken("t", now.Add(-Lifetime), Lifetime), false},
		"of longer sessions":       {ofToken("t", now.Add(-Lifetime), MaxLifetime), false},
		"of shorter sessions":      {ofToken("t", now.Add(-2*time.Hour), time.Hour), false},
		"of a clock a bit ahead":   {ofToken("t", now.Add(time.Minute), Lifetime), true},
		"of a clock far ahead":     {ofToken("t", now.Add(time.Hour), Lifetime), false},
		"of another version":       {changed(ofToken("t", now, Lifetime), func(s *session) { s.Version++ }), false},
		"of an older version":      {session{Token: "t"}, false},
		"without an ID":            {changed(ofToken("t", now, Lifetime), func(s *session) { s.ID = store.SessionID{} }), false},
		"no token":                 {ofToken("", now, Lifetime), false},
		"nobody":                   {ofIdentity(auth.User{}, "by", now, Lifetime), false},
		"of no configuration":      {ofIdentity(alice, "", now, Lifetime), false},
		"a token and a name":       {changed(ofToken("t", now, Lifetime), func(s *session) { s.Name = "alice" }), false},
		"a token and groups":       {changed(ofToken("t", now, Lifetime), func(s *session) { s.Groups = []string{"g"} }), false},
		"an identity and a token":  {changed(ofIdentity(alice, "by", now, Lifetime), func(s *session) { s.Token = "t" }), false},
		"by means that begin none": {changed(ofToken("t", now, Lifetime), func(s *session) { s.Means = Bearer }), false},
	} {
		if got := tt.session.valid(now, Lifetime); got != tt.want {
			t.Errorf("%s: valid %t", name, got)
		}
	}
}

// A session holds a good number of groups, and of a token's bytes.
func TestWhatFits(t *testing.T) {
	codec := newCodec(keys[0], keys[1])
	var groups []string
	for range 80 {
		id := sha256.Sum256(fmt.Append(nil, len(groups)))
		groups = append(groups, fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16]))
	}
	if _, err := codec.encode("__Host-audit-session", ofIdentity(auth.User{Name: "alice@example.com", Groups: groups}, "by", time.Now(), Lifetime)); err != nil {
		t.Errorf("80 groups that are UUIDs: %v", err)
	}
	random := make([]byte, 1900)
	_, _ = rand.Read(random)
	if _, err := codec.encode("__Host-audit-session", ofToken(base64.RawURLEncoding.EncodeToString(random), time.Now(), Lifetime)); err != nil {
		t.Errorf("a token of 2,500 bytes: %v", err)
	}
	random = make([]byte, 5000)
	_, _ = rand.Read(random)
	if _, err := codec.encode("x", ofToken(base64.RawURLEncoding.EncodeToString(random), time.Now(), Lifetime)); !errors.Is(err, ErrTooLong) {
		t.Errorf("a token of 6,700 bytes: %v", err)
	}
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
