// Package session keeps a browser's token in a cookie that only the dashboard
// can read, and says where log-in may lead.
package session

import (
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
)

const (
	// Lasts is how long a cookie is accepted.
	Lasts = 8 * time.Hour
	// valueMost leaves room for the name and attributes within the 4,096 bytes
	// that browsers keep of a cookie.
	valueMost = 3900
)

// Codec writes and reads the values of cookies.
type Codec struct{ cookies *securecookie.SecureCookie }

// content is what a cookie holds, encrypted. Each request asks the API server
// about the token anew, so a session ends with its token.
type content struct {
	Token string `json:"token"`
}

// NewCodec returns a codec. Sessions end when the keys change.
func NewCodec(hash, block []byte) Codec {
	cookies := securecookie.New(hash, block)
	return Codec{cookies.MaxAge(int(Lasts / time.Second)).MaxLength(valueMost).SetSerializer(securecookie.JSONEncoder{})}
}

// Encode returns the value of a cookie of that name. Of the errors only the
// length depends on the token.
func (c Codec) Encode(name, token string) (string, error) {
	return c.cookies.Encode(name, content{Token: token})
}

// Decode returns the token, and false for a value that is forged, too old or of
// other keys.
func (c Codec) Decode(name, value string) (token string, ok bool) {
	var s content
	if err := c.cookies.Decode(name, value, &s); err != nil {
		return "", false
	}
	return s.Token, true
}

// Local reports whether an address is that of a page here. Everything that a
// browser could read as another site's is not.
func Local(address string) bool {
	for _, c := range address {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Path == "" {
		return false
	}
	if !strings.HasPrefix(address, "/") || strings.ContainsRune(u.Path, '\\') || path.Clean(u.Path) != u.Path {
		return false
	}
	return u.Path == "/" || strings.HasPrefix(u.Path, "/security/")
}
