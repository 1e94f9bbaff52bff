package httpapi_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// failing is a store whose pages can't be read.
type failing struct {
	store.Store
	view func(context.Context) error
}

func (f failing) View(ctx context.Context, _ query.Scope, _ store.ViewRequest) (store.View, error) {
	return store.View{}, f.view(ctx)
}

func programsAt(t *testing.T, s store.Store) programs {
	t.Helper()
	server := httptest.NewServer(world.Handler(t, s, false))
	t.Cleanup(server.Close)
	return programs{&webtest.Browser{Client: server.Client(), Base: server.URL}}
}

// What goes wrong inside is a problem too, which tells nothing of it.
func TestFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		view   func(context.Context) error
		status int
		kind   string
	}{
		"an error of the driver": {func(context.Context) error { return errors.New("driver: password=hunter2") }, 500, "internal"},
		"a panic":                {func(context.Context) error { panic("hunter2") }, 500, "internal"},
		"a store that is away":   {func(context.Context) error { return fmt.Errorf("hunter2: %w", store.ErrUnavailable) }, 503, "unavailable"},
		"a statement's timeout":  {func(context.Context) error { return fmt.Errorf("hunter2: %w", context.DeadlineExceeded) }, 503, "unavailable"},
	} {
		p := programsAt(t, failing{world.Store, tt.view})
		for _, path := range []string{list, list + "/histogram"} {
			answer := p.get(t, everywhere, path)
			wantProblem(t, answer, tt.status, tt.kind)
			if strings.Contains(answer.Body, "hunter2") || (answer.Header.Get("Retry-After") != "") != (tt.status == 503) {
				t.Errorf("%s: Retry-After %q, %s", name, answer.Header.Get("Retry-After"), answer.Body)
			}
		}
		answer := p.query(t, everywhere, "-", `{}`)
		wantProblem(t, answer, tt.status, tt.kind)
	}
}

// A question ends when nobody waits for its answer.
func TestCancel(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan struct{})
	p := programsAt(t, failing{world.Store, func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Base+list, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+world.Tokens[everywhere])
	gone := make(chan error, 1)
	go func() {
		_, err := p.Client.Do(r)
		gone <- err
	}()
	for _, step := range []struct {
		name string
		done chan struct{}
	}{{"begin", asked}, {"end", ended}} {
		select {
		case <-step.done:
		case <-time.After(30 * time.Second):
			t.Fatalf("the question does not %s", step.name)
		}
		cancel()
	}
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the client is told %v", err)
	}
}

// A raw event is sent as it was kept, whatever its sender wrote.
func TestHostileRawEvent(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	e := audit.Event{
		Source: "s", Cluster: webtest.OwnCluster, Stage: audit.StageResponseComplete, OccurredAt: at, StageAt: at, Method: "GET",
		ResourceType: "application", Actor: webtest.Hostile, Raw: []byte(`{"a":1,"a":"<script>&\u2028","b":1e400,"c":12345678901234567890}`),
	}
	e.RawSHA256 = sha256.Sum256(e.Raw)
	_, _ = rand.Read(e.ID[:])
	if _, err := s.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: time.Now(), Events: []audit.Event{e}}); err != nil {
		t.Fatal(err)
	}
	// No validator of the document can read such a number.
	answer := programsAt(t, s).Do(t, http.MethodGet, list+"/"+e.ID.String()+"?raw=true", nil, http.Header{"Authorization": {"Bearer " + world.Tokens[everywhere]}})
	if answer.Status != http.StatusOK || !strings.HasSuffix(answer.Body, `,"raw":`+string(e.Raw)+"}\n") {
		t.Errorf("status %d: %s", answer.Status, answer.Body)
	}
}
