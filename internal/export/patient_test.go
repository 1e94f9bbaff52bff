package export

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// steps is a connection that notes what is done to it.
type steps struct {
	bytes.Buffer
	done []any // a size that was written, or what else was done
}

func (s *steps) Header() http.Header { return http.Header{} }
func (s *steps) WriteHeader(int)     {}

func (s *steps) Write(p []byte) (int, error) {
	s.done = append(s.done, len(p))
	return s.Buffer.Write(p)
}

func (s *steps) FlushError() error {
	s.done = append(s.done, "flush")
	return nil
}

func (s *steps) SetReadDeadline(time.Time) error { return nil }

func (s *steps) SetWriteDeadline(time.Time) error {
	s.done = append(s.done, "deadline")
	return nil
}

// What is written at once may be as long as an event is; a client is given its
// time for each piece of it.
func TestPatient(t *testing.T) {
	for size, want := range map[int][]any{
		0:              nil,
		10:             {"deadline", 10, "flush"},
		writeBytes:     {"deadline", writeBytes, "flush"},
		writeBytes + 1: {"deadline", writeBytes, "flush", "deadline", 1, "flush"},
		2 * writeBytes: {"deadline", writeBytes, "flush", "deadline", writeBytes, "flush"},
	} {
		connection := &steps{}
		sent := bytes.Repeat([]byte("x"), size)
		n, err := newPatient(connection, time.Minute).Write(sent)
		if err != nil || n != size || !bytes.Equal(connection.Bytes(), sent) {
			t.Errorf("%d bytes: %d written, %v", size, n, err)
		}
		if diff := cmp.Diff(want, connection.done); diff != "" {
			t.Errorf("%d bytes: %s", size, diff)
		}
	}
}
