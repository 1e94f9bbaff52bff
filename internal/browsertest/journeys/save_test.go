package journeys

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// shell returns what runs commands as an administrator does who has kubectl and
// access to the API server, in a folder of its own.
func shell(t *testing.T) (dir string, run func(command string) string) {
	t.Helper()
	dir = t.TempDir()
	encode := base64.StdEncoding.EncodeToString
	kubeconfig := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c",
"contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
"clusters": [{"name": "c", "cluster": {"server": %q, "certificate-authority-data": %q}}],
"users": [{"name": "u", "user": {"client-certificate-data": %q, "client-key-data": %q}}]}`,
		world.Config.Host, encode(world.Config.CAData), encode(world.Config.CertData), encode(world.Config.KeyData))
	path := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, func(command string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), "bash", "-e")
		c.Dir, c.Stdin = dir, strings.NewReader(command)
		c.Env = append(os.Environ(), "KUBECONFIG="+path, "PATH="+os.Getenv("KUBEBUILDER_ASSETS")+":"+os.Getenv("PATH"))
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%v: %s", command, err, out)
		}
		return string(out)
	}
}

// A view becomes a query of the cluster: what the page shows, copies and
// downloads is the same, the API server takes it, and it asks for what the view
// shows.
func TestSaveAsQuery(t *testing.T) {
	w := newWeek(t)
	dir, run := shell(t)
	bases, err := filepath.Abs("../../../config/crd/bases")
	if err != nil {
		t.Fatal(err)
	}
	run("kubectl apply -f " + bases + "; kubectl wait --for=condition=Established --all crd")

	// Of one namespace, with a name: by the YAML.
	const view = list + "?resource_type=application&resource_type=environment_group&method_exclude=GET&status_code=2xx&namespace=shop&search=thing-&range=last_24_hours"
	tab := at(t, w, webtest.Everywhere, view, browsertest.Look{})
	tab.AllowClipboard()
	tab.Click("#toolbar a[href*='/query?']")
	tab.Visible("#manifest")
	tab.Fill("#name", "checkout-changes\r")
	tab.Await("the name in the YAML", `document.querySelector("#manifest").textContent.includes("name: checkout-changes")`)
	shown := browsertest.Eval[string](tab, `document.querySelector("#manifest").textContent`)
	tab.Click("[data-copy-from=manifest]")
	tab.Await("the YAML is copied", `document.querySelector("#toast").textContent == "YAML copied"`)
	if diff := cmp.Diff(shown, tab.Clipboard()); diff != "" {
		t.Errorf("what is copied is not what is shown: %s", diff)
	}
	name, file := tab.Download(func() { tab.Click(".actions a[href*='/yaml']") })
	if diff := cmp.Diff(shown, string(file)); diff != "" || name != "checkout-changes.yaml" {
		t.Errorf("%s is not what is shown: %s", name, diff)
	}
	if err := os.WriteFile(filepath.Join(dir, name), file, 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, "kubectl", run("kubectl apply -f "+name), "auditlogquery.audit.porter.run/checkout-changes created")
	var one v1alpha1.AuditLogQuery
	if err := yaml.UnmarshalStrict([]byte(run("kubectl get auditlogquery checkout-changes -n shop -o yaml")), &one); err != nil {
		t.Fatal(err)
	}
	asks, err := crdconv.Filter(&one)
	if err != nil {
		t.Fatal(err)
	}
	if got := list + "?" + asks.Encode(); got != view {
		t.Errorf("the query asks for %s, the view is %s", got, view)
	}

	// Of everything: by the command, as it is pasted.
	tab.Go(entrance)
	tab.Click("#toolbar a[href*='/query?']")
	tab.Visible("#manifest")
	contains(t, "the page", tab.Text("main"), "ClusterAuditLogQuery", "may read every event")
	tab.Click("[data-copy-from=command]")
	tab.Await("the command is copied", `document.querySelector("#toast").textContent == "Command copied"`)
	contains(t, "kubectl", run(tab.Clipboard()), "clusterauditlogquery.audit.porter.run/audit-query created")
	var all v1alpha1.ClusterAuditLogQuery
	if err := yaml.UnmarshalStrict([]byte(run("kubectl get clusterauditlogquery audit-query -o yaml")), &all); err != nil {
		t.Fatal(err)
	}
	if asks, err = crdconv.Filter(&all); err != nil {
		t.Fatal(err)
	}
	if got := list + "?" + asks.Encode(); got != entrance {
		t.Errorf("the query asks for %s, the view is %s", got, entrance)
	}

	// What no query can hold is said by its name, and nothing is written.
	tab.Tolerate("status of 400")
	tab.Fill("#name", "Not A Name\r")
	tab.Visible("#wrong")
	contains(t, "the page", tab.Text("#wrong"), "name")
	if tab.Has("#manifest") {
		t.Error("a query that the API server refuses is written")
	}
	// Who reads one namespace gets a query of that one.
	narrow := tab.Another(browsertest.Look{})
	narrow.SignIn(world.Tokens[webtest.InShop], list+"?method=DELETE")
	shows(t, narrow, w.count(sevenDays, func(e *audit.Event) bool { return e.Namespace == "shop" && e.Method == "DELETE" }))
	narrow.Click("#toolbar a[href*='/query?']")
	narrow.Visible("#manifest")
	contains(t, "the YAML", narrow.Text("#manifest"), "kind: AuditLogQuery", "namespace: shop")
}
