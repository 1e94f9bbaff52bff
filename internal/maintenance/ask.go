package maintenance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Answer answers a command's question, which is JSON, with what becomes JSON.
type Answer func(ctx context.Context, question json.RawMessage) (any, error)

// QuarantinePath is where a manager is asked what it has in quarantine.
const QuarantinePath = "/quarantine"

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// serveAnswer answers questions by HTTP. An error's text goes to the command:
// who reads it could read the store's log as well.
func serveAnswer(answer Answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if answer == nil {
			http.Error(w, "this manager has no answer to that", http.StatusNotFound)
			return
		}
		question, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOrder))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answered, err := answer(r.Context(), question)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answered) // the command is gone
	}
}

// Ask asks the manager of a data directory and reads its answer. The error is
// ErrNoManager where none runs.
func Ask(ctx context.Context, dataDir, path string, question, answer any) error {
	asked, err := json.Marshal(question)
	if err != nil {
		return err
	}
	got, err := request(ctx, dataDir, http.MethodPost, path, bytes.NewReader(asked))
	if err != nil {
		return err
	}
	err = json.NewDecoder(io.LimitReader(got.Body, maxAnswer)).Decode(answer)
	if err = errors.Join(err, got.Body.Close()); err != nil {
		return fmt.Errorf("read the manager's answer: %w", err)
	}
	return nil
}
