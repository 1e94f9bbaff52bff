package maintenance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/store/retention"
)

// Retain returns the days that are past the retention, and drops them if it is
// told to.
type Retain func(ctx context.Context, yes bool) (retention.Plan, error)

// RequestRetain asks the manager of a data directory for the days that are past
// its retention, and has it drop them.
func RequestRetain(ctx context.Context, dataDir string, yes bool) (p retention.Plan, err error) {
	method := http.MethodGet
	if yes {
		method = http.MethodPost
	}
	answer, err := request(ctx, dataDir, method, "/retain", nil)
	if err != nil {
		return p, err
	}
	err = json.NewDecoder(answer.Body).Decode(&p)
	if err != nil {
		err = fmt.Errorf("the manager's answer can't be read: %w", err)
	}
	return p, errors.Join(err, answer.Body.Close())
}

func serveRetain(w http.ResponseWriter, r *http.Request, retain Retain, log logr.Logger) {
	p, err := retain(r.Context(), r.Method == http.MethodPost)
	if err != nil {
		log.Error(err, "Could not drop days as told")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(p); err != nil {
		log.Error(err, "Nobody heard which days are past the retention")
	}
}
