package login

import (
	"time"

	"github.com/gorilla/securecookie"
)

const (
	// lasts is how long a cookie is accepted.
	lasts = 8 * time.Hour
	// valueMost leaves room for the name and attributes within the 4,096 bytes
	// that browsers keep of a cookie.
	valueMost = 3900
)

// codec writes and reads the values of cookies, which only the operator can read.
type codec struct{ cookies *securecookie.SecureCookie }

// content is what a cookie holds, encrypted. Each request asks the API server
// about the token anew, so a session ends with its token.
type content struct {
	Token string `json:"token"`
}

// newCodec returns a codec. Sessions end when the keys change.
func newCodec(hash, block []byte) codec {
	cookies := securecookie.New(hash, block)
	return codec{cookies.MaxAge(int(lasts / time.Second)).MaxLength(valueMost).SetSerializer(securecookie.JSONEncoder{})}
}

// encode returns the value of a cookie of that name. Of the errors only the
// length depends on the token.
func (c codec) encode(name, token string) (string, error) {
	return c.cookies.Encode(name, content{Token: token})
}

// decode returns the token, and false for a value that is forged, too old or of
// other keys.
func (c codec) decode(name, value string) (token string, ok bool) {
	var s content
	if err := c.cookies.Decode(name, value, &s); err != nil {
		return "", false
	}
	return s.Token, true
}
