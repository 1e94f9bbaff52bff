package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// A running manager has no open door: what nobody vouches for gets nothing.
func TestDoors(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	env := &envtest.Environment{CRDDirectoryPaths: []string{"config/crd/bases"}, ErrorIfCRDPathMissing: true}
	restConfig, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	kube, err := kubernetes.NewForConfig(restConfig)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := t.TempDir() + "/kubeconfig"
	user, err := env.AddUser(envtest.User{Name: "operator", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	content, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kubeconfig, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "audit-system"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	reader := serviceAccount(t, kube, "reader")
	bind(t, kube, "reader", rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}})
	stranger := serviceAccount(t, kube, "stranger")

	ingest, pages, health, metrics := free(t), free(t), free(t), free(t)
	o, err := parse([]string{
		"--cluster-name=own", "--ingest-url=https://" + ingest, "--ingest-bind-address=" + ingest, "--dashboard-bind-address=" + pages,
		"--health-probe-bind-address=" + health, "--metrics-bind-address=" + metrics, "--data-dir=" + t.TempDir(), "--kubeconfig=" + kubeconfig,
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.GetConfig(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, o, logr.Discard()) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended with %v", err)
		}
	}()
	await(t, ended, "http://"+health+"/readyz", "", http.StatusOK)
	await(t, ended, "https://"+metrics+"/metrics", reader, http.StatusOK)

	for _, tt := range []struct {
		name, method, url, token string
		want                     int
	}{
		{"ingest", http.MethodPost, "https://" + ingest + "/audit/v1/sources/any", "", http.StatusUnauthorized},
		{"ingest, a user's token", http.MethodPost, "https://" + ingest + "/audit/v1/sources/any", reader, http.StatusUnauthorized},
		{"ingest, another path", http.MethodGet, "https://" + ingest + "/metrics", reader, http.StatusNotFound},
		{"list", http.MethodGet, "http://" + pages + "/security/audit-logs", "", http.StatusUnauthorized},
		{"list, without rights", http.MethodGet, "http://" + pages + "/security/audit-logs", stranger, http.StatusForbidden},
		{"metrics", http.MethodGet, "https://" + metrics + "/metrics", "", http.StatusUnauthorized},
		{"metrics, without rights", http.MethodGet, "https://" + metrics + "/metrics", stranger, http.StatusForbidden},
		{"readiness of the store", http.MethodGet, "http://" + health + "/readyz/store", "", http.StatusOK},
		{"readiness of the collector", http.MethodGet, "http://" + health + "/readyz/collector", "", http.StatusOK},
		{"pprof", http.MethodGet, "https://" + metrics + "/debug/pprof/", reader, http.StatusNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := status(t, tt.method, tt.url, tt.token); err != nil || got != tt.want {
				t.Errorf("status %d, want %d (%v)", got, tt.want, err)
			}
		})
	}
}

// free returns an address of loopback that nothing listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func status(t *testing.T, method, url, token string) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	// What is asked here is who may come in, not who answers.
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	resp, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// await waits for the answer; rights take a moment to have an effect.
func await(t *testing.T, ended <-chan error, url, token string, want int) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := status(t, http.MethodGet, url, token)
		if err == nil && got == want {
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("the manager ended with %v", err)
		case <-deadline:
			t.Fatalf("%s answers %d (%v), want %d", url, got, err, want)
		case <-tick.C:
		}
	}
}

func serviceAccount(t *testing.T, kube kubernetes.Interface, name string) (token string) {
	t.Helper()
	accounts := kube.CoreV1().ServiceAccounts("default")
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	request, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

func bind(t *testing.T, kube kubernetes.Interface, account string, rule rbacv1.PolicyRule) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: account}, Rules: []rbacv1.PolicyRule{rule}}
	if _, err := kube.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: account},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: account}},
	}
	if _, err := kube.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
