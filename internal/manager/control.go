package manager

import (
	"context"
	"encoding/json"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/maintenance"
	"github.com/porter-dev/audit-operator/internal/quarantine"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/retention"
	"github.com/porter-dev/audit-operator/internal/storecopy"
)

// serveControl answers commands such as backup until ctx ends. The operator
// does its work without them.
func serveControl(ctx context.Context, dataDir string, store *embedded.Store, keeper *retention.Keeper, log logr.Logger) {
	err := maintenance.Serve(ctx, dataDir, maintenance.Commands{
		Backup:     func(ctx context.Context) (maintenance.Copy, error) { return store.Backup(ctx) },
		Copy:       storecopy.Handler(store, log),
		Retain:     func(ctx context.Context, yes bool) (retention.Plan, error) { return keeper.Retain(ctx, yes) },
		Quarantine: answerQuarantine(store),
	}, log)
	if err != nil {
		log.Error(err, "Commands such as backup can't reach this manager")
	}
}

// answerQuarantine answers the command quarantine.
func answerQuarantine(s quarantine.Store) maintenance.Answer {
	return func(ctx context.Context, question json.RawMessage) (any, error) {
		var req quarantine.Request
		if err := json.Unmarshal(question, &req); err != nil {
			return nil, err
		}
		return quarantine.List(ctx, s, req)
	}
}
