package export

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
)

// Snapshot answers a request with a snapshot's bytes as they are, so that their
// SHA-256 is the digest. It takes one of the places for exports, and as long as
// one at most. An error means that nothing was sent: one of those of Serve, or
// ErrNotFound. What goes wrong later breaks the connection by a panic with
// http.ErrAbortHandler. An answer to HEAD is not recorded.
func (x *Exporter) Snapshot(w http.ResponseWriter, r *http.Request, user auth.User, scope query.Scope, id string) error {
	ctx, release, err := x.enter(r, user)
	if err != nil {
		return err
	}
	defer release()
	m, err := x.Store.Snapshot(ctx, scope, id)
	if err != nil {
		return err
	}
	body, err := x.Store.OpenSnapshot(ctx, scope, m.ID)
	if err != nil {
		return err
	}
	defer body.Close()
	h := http.Header{}
	h.Set("Content-Type", "application/x-ndjson")
	// Stored IDs are hexadecimal, so the name needs no quoting.
	h.Set("Content-Disposition", `attachment; filename="audit-snapshot-`+m.ID+`.ndjson"`)
	if sum, err := hex.DecodeString(strings.TrimPrefix(m.Digest, "sha256:")); err == nil && len(sum) == 32 {
		h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	}
	if r.Method == http.MethodHead {
		begin200(w, h)
		return nil
	}
	act := selfaudit.Act{
		Action: selfaudit.Download, User: user, Request: r, Name: m.ID,
		Detail: map[string]string{"digest": m.Digest, "rows": strconv.FormatInt(m.Stored, 10)},
	}
	if !scope.IsClusterWide() {
		act.Namespaces = []string{m.Namespace} // that of one namespace, since it is covered
	}
	end, err := x.Records.Begin(ctx, act)
	if err != nil {
		return err
	}
	begin200(w, h)
	out := newPatient(w, x.StallTimeout)
	watched, stop := x.watchRights(ctx, r, user, scope, out)
	sent, err := io.Copy(out, untilDone{watched, body})
	stop()
	end(ctx, http.StatusOK, map[string]string{"bytes": strconv.FormatInt(sent, 10), "outcome": outcome(watched, r, err)})
	if err != nil {
		if r.Context().Err() == nil {
			x.Log.Error(err, "Could not send a snapshot", "id", m.ID, "user", user.Name)
		}
		panic(http.ErrAbortHandler) // a shorter file must not look whole
	}
	out.release()
	return nil
}

// untilDone reads until a context ends: stores give bytes as long as they are
// asked for.
type untilDone struct {
	ctx context.Context
	io.Reader
}

// Read implements io.Reader.
func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(p)
}

// begin200 sends headers.
func begin200(w http.ResponseWriter, h http.Header) {
	for name, values := range h {
		w.Header()[name] = values
	}
	w.WriteHeader(http.StatusOK)
}
