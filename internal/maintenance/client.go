package maintenance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Download is what a manager sends.
type Download struct {
	Size int64
	Body io.ReadCloser // ends with an error where it was cut off
}

// RequestBackup asks the manager of a data directory for a backup.
func RequestBackup(ctx context.Context, dataDir string) (*Download, error) {
	return request(ctx, dataDir, http.MethodGet, "/backup", nil)
}

// request returns an answer that is not an error.
func request(ctx context.Context, dataDir, method, path string, body io.Reader) (*Download, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://manager"+path, body)
	if err != nil {
		return nil, err
	}
	// It serves one request, whose connection goes with its body.
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dataDir) },
	}}
	response, err := client.Do(r)
	if err != nil {
		return nil, withoutURL(err)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		message, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
		return nil, errors.Join(fmt.Errorf("the manager answers: %s", strings.TrimSpace(string(message))), err)
	}
	return &Download{Size: response.ContentLength, Body: response.Body}, nil
}

// withoutURL leaves out an address that tells a user nothing.
func withoutURL(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
