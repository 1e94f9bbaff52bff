package process

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/gatetest"
)

// apiServer is a real one that the tests of this package share.
type apiServer struct {
	env        *envtest.Environment
	client     client.Client
	kubeconfig []byte // of an administrator
	auditLog   string // its own
}

var api *apiServer

func startAPIServer(t *testing.T) *apiServer {
	t.Helper()
	if api != nil {
		return api
	}
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	env := &envtest.Environment{CRDDirectoryPaths: []string{"config/crd/bases"}, ErrorIfCRDPathMissing: true}
	dir, err := os.MkdirTemp("", "manager-test-") // outlives this test
	if err != nil {
		t.Fatal(err)
	}
	policy, auditLog := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "audit.log")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	env.ControlPlane.GetAPIServer().Configure().Append("audit-policy-file", policy).Append("audit-log-path", auditLog)
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	api = &apiServer{env: env, auditLog: auditLog}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	if api.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	api.kubeconfig = api.user(t, "operator")
	return api
}

// auditPolicy is the one that the operator recommends.
const auditPolicy = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}`

// user returns the kubeconfig of a user who may do everything.
func (a *apiServer) user(t *testing.T, name string) (kubeconfig []byte) {
	t.Helper()
	user, err := a.env.AddUser(envtest.User{Name: name, Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if kubeconfig, err = user.KubeConfig(); err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

func (a *apiServer) write(t *testing.T, kubeconfig []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// through returns the flag by which a manager reaches the API server by a gate.
func (a *apiServer) through(t *testing.T) (gate *gatetest.Gate, flag string) {
	t.Helper()
	config, err := clientcmd.Load(a.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range config.Clusters {
		server, err := url.Parse(c.Server)
		if err != nil {
			t.Fatal(err)
		}
		gate = gatetest.Open(t, server.Host)
		server.Host = gate.Address()
		c.Server = server.String()
	}
	kubeconfig, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return gate, "--kubeconfig=" + a.write(t, kubeconfig)
}

func (a *apiServer) create(t *testing.T, o client.Object) {
	t.Helper()
	if err := a.client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// serviceAccount returns the token of a new service account that may get the paths.
func (a *apiServer) serviceAccount(t *testing.T, name string, paths ...string) (token string) {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	a.create(t, account)
	if len(paths) > 0 {
		a.grant(t, name, rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: paths})
	}
	request := &authenticationv1.TokenRequest{}
	if err := a.client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// grant gives a service account a right, cluster-wide.
func (a *apiServer) grant(t *testing.T, account string, rule rbacv1.PolicyRule) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: account}, Rules: []rbacv1.PolicyRule{rule}}
	a.create(t, role)
	a.create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: account},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: account}},
	})
}
