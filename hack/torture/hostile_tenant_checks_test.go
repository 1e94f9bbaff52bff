package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/hack/devenv/cluster"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/snapshot"
)

// probe delivers what an honest source does, 2,000 events a second, and
// returns what tells of the slowest, and how many were not acknowledged.
func (s *tenantEnv) probe(t *testing.T, ctx context.Context) (end func() (slowest time.Duration, refused int)) {
	t.Helper()
	source, address := s.connect(t, "probe")
	events := audittest.New(audittest.Options{Seed: 99, Start: time.Now()})
	client := source.client()
	var slowest time.Duration
	var refused int
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer client.CloseIdleConnections()
		for ctx.Err() == nil {
			began := time.Now()
			status, _, err := source.post(context.WithoutCancel(ctx), client, address, bytes.NewReader(events.Batch(200)))
			slowest = max(slowest, time.Since(began))
			if err != nil || status != http.StatusOK {
				refused++
			}
			pause(ctx, 100*time.Millisecond)
		}
	}()
	return func() (time.Duration, int) { <-done; return slowest, refused }
}

// watchPages asks for what an auditor looks at, and returns what tells of the
// slowest answer and of those that were none.
func (s *tenantEnv) watchPages(ctx context.Context) (end func() (slowest time.Duration, failures []string)) {
	paths := []string{"/security/audit-logs", "/api/v1/audit-logs?count=true&limit=1000", "/security/audit-logs?namespace=" + victimNamespace}
	var mu sync.Mutex
	var slowest time.Duration
	var failures []string
	var readers sync.WaitGroup
	for _, path := range paths {
		readers.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				request, err := s.ask(context.WithoutCancel(ctx), cluster.AuditorName, path)
				outcome := ""
				if err == nil {
					outcome = outcomeOf(http.DefaultClient, request)
				}
				mu.Lock()
				slowest = max(slowest, time.Since(began))
				if outcome != "200" {
					failures = append(failures, path+": "+outcome)
				}
				mu.Unlock()
				pause(ctx, 500*time.Millisecond)
			}
		})
	}
	return func() (time.Duration, []string) { readers.Wait(); return slowest, failures }
}

// connect makes an AuditSource, and returns its credentials and where it
// delivers to.
func (s *tenantEnv) connect(t *testing.T, name string) (*source, string) {
	t.Helper()
	made := auditSource(name)
	if err := s.admin.Create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		err := s.admin.Get(t.Context(), client.ObjectKeyFromObject(made), made)
		return err == nil && made.Status.SecretRef != nil && meta.IsStatusConditionTrue(made.Status.Conditions, v1alpha1.ReadyCondition)
	})
	var secret corev1.Secret
	if err := s.admin.Get(t.Context(), client.ObjectKey{Namespace: made.Status.SecretRef.Namespace, Name: made.Status.SecretRef.Name}, &secret); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.Load(secret.Data["kubeconfig"])
	if err != nil {
		t.Fatal(err)
	}
	var address string
	for _, one := range config.Clusters {
		address = one.Server
	}
	return &source{name: name, token: string(secret.Data["token"]), authority: secret.Data["ca.crt"]}, address
}

// awaitRequests waits until each of somebody's requests is found by a reader of
// the namespace, and checks that each is found once. It returns how long that took.
func (s *tenantEnv) awaitRequests(t *testing.T, who, namespace string, want []request) time.Duration {
	t.Helper()
	began := time.Now()
	var found map[request]int
	if err := poll(t.Context(), settleAtMost, func() (err error) {
		if found, err = s.find(t.Context(), who, namespace); err != nil {
			return err
		}
		for _, one := range want {
			if found[one] == 0 {
				return fmt.Errorf("%s: %s %s is not found, of %d requests", who, one.method, one.name, len(want))
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	for _, one := range want {
		if n := found[one]; n != 1 {
			t.Errorf("%s: %s %s is found %d times, want once", who, one.method, one.name, n)
		}
	}
	return time.Since(began)
}

// find counts somebody's requests of a namespace, as its own reader sees them.
func (s *tenantEnv) find(ctx context.Context, who, namespace string) (map[request]int, error) {
	found := map[request]int{}
	for cursor := ""; ; {
		asked, err := s.ask(ctx, who, "/api/v1/audit-logs?"+url.Values{
			"namespace": {namespace}, "actor": {who}, "limit": {"1000"}, "cursor": {cursor},
		}.Encode())
		if err != nil {
			return nil, err
		}
		var page struct {
			Items []snapshot.Record `json:"items"`
			Next  string            `json:"next"`
		}
		if err := decodeAnswer(asked, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			found[request{r.Method, r.ResourceName}]++
		}
		if cursor = page.Next; cursor == "" {
			return found, nil
		}
	}
}

func decodeAnswer(request *http.Request, into any) error {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answers %s", response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}
