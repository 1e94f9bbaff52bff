// Package storecopy opens the stores that a copy is between. The command and the
// manager that runs do the same.
package storecopy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/maintenance"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/retention"
	"github.com/porter-dev/audit-operator/internal/storeurl"
	"github.com/porter-dev/audit-operator/internal/transfer"
	"github.com/porter-dev/audit-operator/internal/version"
)

// Request says what to copy. A manager that runs gets it from the command.
type Request struct {
	From, To       string // storeurl.Embedded, or the URL of a database
	Retention      time.Duration
	VerifyOnly     bool
	DropDamagedRaw bool
}

// Complete reads a URL that is to come from standard input, and checks the request.
func (r *Request) Complete(in io.Reader) error {
	if r.From == "-" && r.To == "-" {
		return errors.New("--from, --to: only one URL can come from standard input")
	}
	for _, flag := range []struct {
		name  string
		store *string
	}{{"from", &r.From}, {"to", &r.To}} {
		if *flag.store == "-" {
			line, err := io.ReadAll(io.LimitReader(in, 4<<10))
			if err != nil {
				return fmt.Errorf("--%s: read standard input: %w", flag.name, err)
			}
			*flag.store = strings.TrimSpace(string(line))
		}
		if err := storeurl.Validate(*flag.store); err != nil {
			return fmt.Errorf("--%s: %w", flag.name, err)
		}
	}
	if r.From == r.To {
		return errors.New("--from, --to: give two stores")
	}
	if err := retention.Validate(r.Retention); err != nil {
		return fmt.Errorf("--event-retention: %w", err)
	}
	return nil
}

// Run carries out the request. The embedded store of it, if any, is own.
func (r *Request) Run(ctx context.Context, own *embedded.Store, log logr.Logger, progress func(done, total int64)) (summary transfer.Summary, err error) {
	var stores [2]store.Holdings
	for i, name := range []string{r.From, r.To} {
		if name == storeurl.Embedded {
			stores[i] = own
			continue
		}
		database, err := OpenDatabase(ctx, name, r.Retention, log)
		if err != nil {
			return summary, err
		}
		defer func() { err = errors.Join(err, database.Close()) }()
		stores[i] = database
	}
	return transfer.Copy(ctx, stores[0], stores[1], transfer.Options{VerifyOnly: r.VerifyOnly, DropDamagedRaw: r.DropDamagedRaw, Progress: progress})
}

// schemaTimeout is how long it waits for a schema that is being migrated.
const schemaTimeout = 10 * time.Second

// OpenDatabase opens a database whose schema is there, or comes while it waits.
func OpenDatabase(ctx context.Context, url string, keep time.Duration, log logr.Logger) (*postgres.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, schemaTimeout)
	defer cancel()
	return postgres.Open(ctx, postgres.Options{URL: url, Version: version.Version, Retention: keep, Log: log})
}

// Handler carries out the requests that the manager of an embedded store gets.
func Handler(own *embedded.Store, log logr.Logger) maintenance.CopyStore {
	return func(ctx context.Context, message json.RawMessage, progress func(done, total int64)) (any, error) {
		var r Request
		if err := json.Unmarshal(message, &r); err != nil {
			return nil, errors.New("the request can't be read; is the command of another version?")
		}
		if err := r.Complete(strings.NewReader("")); err != nil {
			return nil, err
		}
		return r.Run(ctx, own, log, progress)
	}
}
