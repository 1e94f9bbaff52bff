package web

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// bodyTimeout bounds how long a request's body may take to arrive.
const bodyTimeout = 30 * time.Second

// bodies bounds the reading of a request's body, and no more: a deadline that
// went on would end the request's context, and so what is done to answer it.
func bodies(next http.Handler, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != http.NoBody {
			control := http.NewResponseController(w)
			// What can't be set isn't there: a server of HTTP/1 and 2 has it.
			_ = control.SetReadDeadline(time.Now().Add(timeout))
			r.Body = &body{r.Body, control}
		}
		next.ServeHTTP(w, r)
	})
}

type body struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read implements io.Reader. The deadline of a body that breaks off stays: the
// server waits for the rest before it answers.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
