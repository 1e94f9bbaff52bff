package collector_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

var record = flag.Bool("record", false, "write internal/audit/testdata/recorded.ndjson anew (make golden)")

const (
	sourceName = "control-plane-1"
	bearer     = "a-token-that-only-this-test-knows"
)

// The same policy as credentials recommends.
const policy = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[
	{"level":"Request","verbs":["delete","deletecollection"]},
	{"level":"Request","verbs":["create"],"resources":[{"group":"","resources":["pods/eviction"]}]},
	{"level":"Metadata"}]}`

// A real API server writes its events to a file and posts them to the
// collector. Both must be the same events, each once.
func TestRealAPIServer(t *testing.T) {
	events := embeddedtest.Open(t, embedded.Options{})
	logPath, config := startAPIServer(t, events, policy)
	act(t, config)

	// What the log holds now must be in the store soon.
	want := readLog(t, events.Key(), logPath)
	if *record {
		recordEvents(t, events.Key(), logPath)
	}
	missing := len(want)
	var stored map[audit.ID]int
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(50 * time.Millisecond); missing > 0; <-tick.C {
		stored = storedEvents(t, events)
		missing = 0
		for id := range want {
			if stored[id] == 0 {
				missing++
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of the log's %d events are not in the store", missing, len(want))
		}
	}
	for id, n := range stored {
		if n != 1 {
			t.Errorf("%s is stored %d times", id, n)
		}
	}
	// The log has gone on; what is stored must be in it by now, by the same id.
	log := readLog(t, events.Key(), logPath)
	for id := range stored {
		if !log[id] {
			t.Errorf("%s came by webhook and is not in the log", id)
		}
	}
	t.Logf("the log held %d events, all were stored; the store holds %d", len(want), len(stored))

	// Reading the log as well changes nothing: its events are known.
	for id := range appendLog(t, events, logPath, stored) {
		t.Errorf("%s from the log was stored beside the webhook's", id)
	}
}

func startAPIServer(t *testing.T, events store.Store, policy string) (logPath string, config *rest.Config) {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	registry := webhook.NewRegistry()
	registry.Set(webhook.Source{
		Source: collector.Source{Name: sourceName, Cluster: "dev"}, TokenSHA256: [][32]byte{sha256.Sum256([]byte(bearer))},
	})
	taker := collector.New(collector.Options{Writer: events, Key: events.Key(), Classifier: classifier(t)})
	server := httptest.NewTLSServer(webhook.NewHandler(registry, taker, logr.Discard()))
	t.Cleanup(server.Close)

	dir := t.TempDir()
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"c": {
			Server:                   server.URL + webhook.PathPrefix + sourceName,
			CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: bearer}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	logPath = filepath.Join(dir, "audit.log")
	for name, data := range map[string][]byte{"kubeconfig": kubeconfig, "policy.yaml": []byte(policy)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := &envtest.Environment{}
	env.ControlPlane.GetAPIServer().Configure().
		Append("audit-policy-file", filepath.Join(dir, "policy.yaml")).
		Append("audit-log-path", logPath).
		Append("audit-webhook-config-file", filepath.Join(dir, "kubeconfig")).
		Append("audit-webhook-mode", "batch").
		Append("audit-webhook-batch-max-wait", "200ms").
		Append("shutdown-watch-termination-grace-period", "1s")
	config, err = env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	return logPath, config
}

// act does what people and programs do: well, as others, and without rights.
func act(t *testing.T, config *rest.Config) {
	t.Helper()
	ctx := t.Context()
	as := func(user string) *kubernetes.Clientset {
		c := rest.CopyConfig(config)
		c.UserAgent = "kubectl/v1.37.2 (linux/amd64) kubernetes/0000000"
		if user != "" {
			c.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
		}
		return kubernetes.NewForConfigOrDie(c)
	}
	stranger := rest.AnonymousClientConfig(config)
	stranger.BearerToken = "nobody"
	admin, alice := as(""), as("alice@example.com")
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(_ any, err error) {
		t.Helper()
		if err == nil {
			t.Fatal("what should have been refused was done")
		}
	}
	create := metav1.CreateOptions{}
	do(admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, create))
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}}
	do(admin.CoreV1().ConfigMaps("shop").Create(ctx, settings, create))
	do(admin.CoreV1().ConfigMaps("shop").Update(ctx, settings, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}}))
	do(admin.CoreV1().Secrets("shop").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "key"}, StringData: map[string]string{"key": "hunter2"}}, create))
	do(admin.CoreV1().Secrets("shop").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "sh.helm.release.v1.web.v1"}}, create))
	labels := map[string]string{"app": "web"}
	do(admin.AppsV1().Deployments("shop").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
		}},
	}, create))
	do(admin.AppsV1().Deployments("shop").UpdateScale(ctx, "web", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"}, Spec: autoscalingv1.ScaleSpec{Replicas: 2},
	}, metav1.UpdateOptions{}))
	do(admin.CoreV1().ServiceAccounts("shop").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "ci"}}, create))
	do(admin.CoreV1().ServiceAccounts("shop").CreateToken(ctx, "ci", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(600))}}, create))
	do(alice.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "billing", Verb: "get", Resource: "secrets"}},
	}, create))
	refused(alice.CoreV1().Secrets("shop").Get(ctx, "key", metav1.GetOptions{}))
	refused(kubernetes.NewForConfigOrDie(stranger).CoreV1().Pods("shop").List(ctx, metav1.ListOptions{}))
	do(admin.Discovery().ServerVersion())
	do(admin.RESTClient().Get().AbsPath("/healthz").DoRaw(ctx))
	do(nil, admin.CoreV1().ConfigMaps("shop").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=none"}))
	do(nil, admin.CoreV1().ConfigMaps("shop").Delete(ctx, "settings", metav1.DeleteOptions{}))
	watch(t, admin)
}

// watch watches until the API server ends it: a request of two stages.
func watch(t *testing.T, admin kubernetes.Interface) {
	t.Helper()
	watch, err := admin.CoreV1().Pods("shop").Watch(t.Context(), metav1.ListOptions{TimeoutSeconds: ptr.To(int64(1))})
	if err != nil {
		t.Fatal(err)
	}
	for range watch.ResultChan() {
	}
}

func classifier(t *testing.T) *audit.Classifier {
	t.Helper()
	c, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// decodeLog reads the whole lines of the log; the last one may be in the writing.
func decodeLog(t *testing.T, key audit.Key, path string, emit func(*audit.Event)) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := audit.Decoder{Source: sourceName, Cluster: "dev", Key: key, Classifier: classifier(t), MaxItemBytes: 16 << 20}
	err = decoder.Decode(bytes.NewReader(data[:bytes.LastIndexByte(data, '\n')+1]), func(item audit.Item) error {
		if item.Event == nil {
			return fmt.Errorf("quarantined: %s", item.Quarantined.Reason)
		}
		emit(item.Event)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readLog(t *testing.T, key audit.Key, path string) map[audit.ID]bool {
	t.Helper()
	ids := map[audit.ID]bool{}
	decodeLog(t, key, path, func(e *audit.Event) { ids[e.ID] = true })
	return ids
}

func storedEvents(t *testing.T, s store.Store) map[audit.ID]int {
	t.Helper()
	request := store.CaptureRequest{
		Filter: query.Filter{Terms: query.Terms{Stages: audit.Stages}},
		Window: query.Window{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}, Limit: 50000,
	}
	stored := map[audit.ID]int{}
	if _, err := s.Capture(t.Context(), query.ClusterWide(), request, func(e *audit.Event) error { stored[e.ID]++; return nil }); err != nil {
		t.Fatal(err)
	}
	return stored
}

// appendLog appends the log's events of the given ids again and returns what
// was new to the store.
func appendLog(t *testing.T, s store.Store, path string, known map[audit.ID]int) map[audit.ID]int {
	t.Helper()
	batch := store.Batch{Source: sourceName, ReceivedAt: time.Now()}
	decodeLog(t, s.Key(), path, func(e *audit.Event) {
		if known[e.ID] > 0 {
			batch.Events = append(batch.Events, *e)
		}
	})
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	added := map[audit.ID]int{}
	for id, n := range storedEvents(t, s) {
		if known[id] > 0 && n != known[id] {
			added[id] = n
		}
	}
	return added
}

// recordEvents keeps one line of the log for each kind of request.
func recordEvents(t *testing.T, key audit.Key, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(data[:bytes.LastIndexByte(data, '\n')+1], []byte("\n"))
	kept := map[string]string{}
	i := 0
	decodeLog(t, key, path, func(e *audit.Event) {
		line := string(lines[i])
		i++
		people := e.Client == audit.ClientCLI || e.StatusCode == 401
		key := fmt.Sprintf("%t %s %s %d %s %s %s", !people, e.Action, e.Resource, e.StatusCode, e.Stage, e.ActorKind, e.DryRun)
		if _, ok := kept[key]; !ok {
			kept[key] = line
		}
	})
	// What the test did comes first; of what the API server did by itself, some.
	keys := make([]string, 0, len(kept))
	for key := range kept {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var out strings.Builder
	for _, key := range keys[:min(len(keys), 60)] {
		out.WriteString(kept[key])
	}
	target := filepath.Join("..", "audit", "testdata", "recorded.ndjson")
	if err := os.WriteFile(target, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("recorded %d events; now run go test ./internal/audit -update and look at the difference", strings.Count(out.String(), "\n"))
}
