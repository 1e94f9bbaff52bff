package web_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/porter-dev/audit-operator/internal/dashboard"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// endless is a store whose answers never end by themselves.
type endless struct{ dashboard.Store }

func (e endless) View(ctx context.Context, scope query.Scope, req store.ViewRequest) (store.View, error) {
	if req.After != nil {
		<-ctx.Done()
		return store.View{}, ctx.Err()
	}
	view, err := e.Store.View(ctx, scope, req)
	if len(view.Events) > 0 {
		next := query.PositionOf(&view.Events[len(view.Events)-1])
		view.Next, view.Matched = &next, view.Matched+1
	}
	return view, err
}

func (e endless) OpenSnapshot(ctx context.Context, _ query.Scope, _ string) (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			<-tick.C
			if _, err := w.Write([]byte("{}\n")); err != nil || ctx.Err() != nil {
				return
			}
		}
	}()
	return r, nil
}

// Every answer that streams ends within 30 seconds of the API server's change of
// mind, and says that it is not whole.
func TestRightsEndWhileStreaming(t *testing.T) {
	t.Parallel()
	const name = "streaming"
	meta := metav1.ObjectMeta{Name: name}
	accounts := world.Kube.CoreV1().ServiceAccounts("default")
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	granted, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "audit-reader"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: name}},
	}
	if _, err := world.Kube.RbacV1().RoleBindings("shop").Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(world.Handler(t, endless{world.Store}, false))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	open := func(method, path, body string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+granted.Status.Token)
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	answers := map[string]*http.Response{}
	for path, method := range map[string]string{
		"/security/audit-logs/csv?namespace=shop":                       http.MethodGet,
		"/security/snapshots/" + world.Snapshots["shop"].ID + "/ndjson": http.MethodGet,
	} {
		resp := open(method, path, "")
		for deadline := time.Now().Add(30 * time.Second); resp.StatusCode == http.StatusForbidden && time.Now().Before(deadline); resp = open(method, path, "") {
			resp.Body.Close() // the authorizer has not learnt of the binding yet
		}
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s answers %d", path, resp.StatusCode)
		}
		defer resp.Body.Close()
		if _, err := bufio.NewReader(io.LimitReader(resp.Body, 1)).ReadByte(); err != nil {
			t.Fatalf("%s sends nothing: %v", path, err)
		}
		answers[path] = resp
	}
	if err := world.Kube.RbacV1().RoleBindings("shop").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	taken := time.Now()
	var all sync.WaitGroup
	for path, resp := range answers {
		all.Go(func() {
			rest, err := io.ReadAll(resp.Body)
			took := time.Since(taken)
			t.Logf("%s ended after %s", path, took.Round(100*time.Millisecond))
			// The authorizer itself takes a moment to learn of it.
			if err == nil || took > 32*time.Second {
				t.Errorf("%s ended after %s, %v; want it broken off within 30s", path, took, err)
			}
			if marked := strings.Contains(string(rest), export.Failed); marked == strings.Contains(path, "/snapshots/") {
				t.Errorf("%s ends with the mark: %t", path, marked)
			}
		})
	}
	all.Wait()
}
