package maintenance

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/go-logr/logr"
)

// Copy is a copy of a store, to be sent.
type Copy interface {
	Size() int64 // of what Stream writes
	Stream(ctx context.Context, w io.Writer) error
	Close() error
}

// stalled is how long a receiver may take nothing: a connection to a container
// can end without its process being told, and a copy takes space.
const stalled = 10 * time.Minute

// Commands are what a manager can be told to do.
type Commands struct {
	Backup func(context.Context) (Copy, error)
	Copy   CopyStore
	Retain Retain
	// Quarantine answers what is in quarantine.
	Quarantine Answer
}

// Serve answers commands until ctx ends, which cuts off those that run.
func Serve(ctx context.Context, dataDir string, commands Commands, log logr.Logger) error {
	listener, err := listen(ctx, dataDir)
	if err != nil {
		return err
	}
	defer os.Remove(SocketOf(dataDir))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /backup", func(w http.ResponseWriter, r *http.Request) { sendBackup(w, r, commands.Backup, log) })
	retain := func(w http.ResponseWriter, r *http.Request) { serveRetain(w, r, commands.Retain, log) }
	mux.HandleFunc("GET /retain", retain)
	mux.HandleFunc("POST /retain", retain)
	mux.HandleFunc("POST "+QuarantinePath, serveAnswer(commands.Quarantine))
	copies := &copyServer{run: commands.Copy, log: log}
	mux.Handle("POST /copy", copies)
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func sendBackup(w http.ResponseWriter, r *http.Request, backup func(context.Context) (Copy, error), log logr.Logger) {
	began := time.Now()
	log.Info("A backup begins")
	b, err := backup(r.Context())
	if err != nil {
		log.Error(err, "No backup was made")
		// Who reads this could read the store's log as well.
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	copied := time.Since(began)
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Length", strconv.FormatInt(b.Size(), 10))
	err = errors.Join(b.Stream(r.Context(), &patient{w, http.NewResponseController(w)}), b.Close())
	if err != nil {
		log.Error(err, "A backup was cut off")
		panic(http.ErrAbortHandler) // so that the receiver knows
	}
	log.Info("A backup was sent", "bytes", b.Size(), "copied", copied.String(), "took", time.Since(began).String())
}

// patient waits for a receiver that takes something now and then.
type patient struct {
	io.Writer
	control *http.ResponseController
}

func (p *patient) Write(data []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(stalled)); err != nil {
		return 0, err
	}
	return p.Writer.Write(data)
}
