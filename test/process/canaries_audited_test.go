package process

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/porter-dev/audit-operator/internal/canarytest"
	"github.com/porter-dev/audit-operator/internal/credentials"
)

// audited is an API server that sends the whole of what it does to a manager, and
// writes it into its log file.
type audited struct {
	env           *envtest.Environment
	host, log     string
	client, plain *http.Client // of an administrator, and of a user without rights
	ended         bool
}

// wholePolicy keeps bodies of everything but of what the server does by itself.
const wholePolicy = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","rules":[{"level":"None","users":["system:apiserver"]},{"level":"RequestResponse"}]}`

// startAudited starts one with the files of a source, as an administrator does.
func startAudited(t *testing.T, files map[string][]byte) *audited {
	t.Helper()
	dir := t.TempDir()
	a := &audited{env: &envtest.Environment{}, log: filepath.Join(dir, "audit.log")}
	files["policy.yaml"] = []byte(wholePolicy)
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.env.ControlPlane.GetAPIServer().Configure().
		Append("audit-policy-file", filepath.Join(dir, "policy.yaml")).
		Append("audit-log-path", a.log).
		Append("audit-webhook-config-file", filepath.Join(dir, credentials.KubeconfigKey)).
		Append("audit-webhook-batch-max-wait", "200ms").
		Append("shutdown-watch-termination-grace-period", "1s")
	config, err := a.env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.end(t) })
	a.host = strings.TrimSuffix(config.Host, "/")
	user, err := a.env.AddUser(envtest.User{Name: "bob"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for c, config := range map[**http.Client]*rest.Config{&a.client: config, &a.plain: user.Config()} {
		if *c, err = rest.HTTPClientFor(config); err != nil {
			t.Fatal(err)
		}
	}
	a.do(t, canarytest.Request{Method: http.MethodPost, Path: "/api/v1/namespaces", Body: `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"` + canarytest.Namespace + `"}}`})
	return a
}

// do sends a request and returns the answer, whatever it is. What was defined
// before may take a moment to be there.
func (a *audited) do(t *testing.T, r canarytest.Request) (answer []byte) {
	t.Helper()
	c := a.client
	if r.Plain {
		c = a.plain
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		request, err := http.NewRequestWithContext(t.Context(), r.Method, a.host+r.Path, strings.NewReader(r.Body))
		if err != nil {
			t.Fatalf("%s: %v", r.Place, err)
		}
		if request.Header = r.Header.Clone(); request.Header == nil {
			request.Header = http.Header{}
		}
		if r.Type != "" {
			request.Header.Set("Content-Type", r.Type)
		}
		response, err := c.Do(request)
		if err != nil {
			t.Fatalf("%s: %v", r.Place, err)
		}
		answer, err = io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatalf("%s: %v", r.Place, err)
		}
		if response.StatusCode == http.StatusNotFound && bytes.Contains(answer, []byte("page not found")) && strings.Contains(r.Path, "/canary.example.com/") && time.Now().Before(deadline) {
			continue
		}
		if strings.HasSuffix(r.Place, ", defined") && response.StatusCode != http.StatusCreated {
			t.Fatalf("%s: status %d: %s", r.Place, response.StatusCode, answer)
		}
		return answer
	}
}

// stop ends the server, which sends what it still has, and returns its log.
func (a *audited) stop(t *testing.T) []byte {
	t.Helper()
	a.end(t)
	log, err := os.ReadFile(a.log)
	if err != nil {
		t.Fatal(err)
	}
	return log[:bytes.LastIndexByte(log, '\n')+1]
}

func (a *audited) end(t *testing.T) {
	t.Helper()
	if a.ended {
		return
	}
	a.ended = true
	if err := a.env.Stop(); err != nil {
		t.Error(err)
	}
}

// partsOfToken returns the claims and the signature of the token in an answer.
func partsOfToken(t *testing.T, answer []byte) []string {
	t.Helper()
	var got struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(got.Status.Token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token is in %s", answer)
	}
	return parts[1:]
}
