package manager

import (
	"context"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// A request that does not end in time loses its connection, whatever else the
// process still does.
func TestServeCutsOff(t *testing.T) {
	listener, err := listen(t.Context(), "127.0.0.1:0", "--test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	cut := make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		end()
		<-r.Context().Done()
		close(cut)
	})}
	defer server.Close()
	served := make(chan error, 1)
	go func() {
		served <- serve(ctx, server, 10*time.Millisecond, logr.Discard(), func() error { return server.Serve(listener) })
	}()
	answered := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String(), nil)
		if err != nil {
			t.Error(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			err = answer.Body.Close()
		}
		answered <- err
	}()
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	select {
	case <-cut:
	case <-time.After(5 * time.Second):
		t.Error("the request goes on")
		server.Close()
	}
	if err := <-answered; err == nil {
		t.Error("the request was answered")
	}
}

// The end comes before a Pod is killed.
func TestEndIsInTime(t *testing.T) {
	o, err := parse([]string{"--cluster-name=own", "--ingest-url=https://10.0.0.5"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	most := o.drainTimeout + gracefulShutdown
	if grace := gracePeriod(t, "../../config/manager/statefulset.yaml"); most > grace-10*time.Second {
		t.Errorf("ending takes up to %s before the store closes, and a Pod is killed after %s", most, grace)
	}
	// Beside it the leader ends and gives the lease back.
	most = max(most, gracefulShutdown+renewDeadline)
	if grace := gracePeriod(t, "../../config/overlays/postgres/deployment.yaml"); most > grace-10*time.Second {
		t.Errorf("over PostgreSQL ending takes up to %s before the store closes, and a Pod is killed after %s", most, grace)
	}
}

// gracePeriod is what a workload leaves its Pods after SIGTERM.
func gracePeriod(t *testing.T, path string) time.Duration {
	t.Helper()
	var workload struct {
		Spec struct{ Template corev1.PodTemplateSpec }
	}
	if err := yaml.Unmarshal([]byte(readText(t, path)), &workload); err != nil {
		t.Fatal(err)
	}
	spec := workload.Spec.Template.Spec
	grace := *spec.TerminationGracePeriodSeconds
	if hook := spec.Containers[0].Lifecycle; hook != nil {
		grace -= hook.PreStop.Sleep.Seconds // which comes first
	}
	return time.Duration(grace) * time.Second
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
