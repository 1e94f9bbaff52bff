package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
)

const cluster = "prod"

var environment = &envtest.Environment{}

// start runs one API server for all tests, with the namespaces a and b.
var start = sync.OnceValues(func() (*rest.Config, error) {
	config, err := environment.Start()
	if err != nil {
		return nil, fmt.Errorf("start an API server: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	for _, ns := range []string{"a", "b"} {
		if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{}); err != nil {
			return nil, err
		}
	}
	_, err = client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "audit-reader"},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{auth.Verb}, APIGroups: []string{auth.Group}, Resources: []string{auth.Resource + "/" + auth.Subresource}}},
	}, metav1.CreateOptions{})
	return config, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if err := environment.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the API server:", err)
		code = 1
	}
	os.Exit(code)
}

func apiServer(t *testing.T) (*rest.Config, *kubernetes.Clientset) {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set; run these tests with make test")
	}
	config, err := start()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return config, client
}

// serviceAccount makes an account in namespace a and returns a token of it.
func serviceAccount(t *testing.T, client kubernetes.Interface, name string, audiences ...string) string {
	t.Helper()
	accounts := client.CoreV1().ServiceAccounts("a")
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	request, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// bind gives the account the right to read events, everywhere if namespace is empty.
func bind(t *testing.T, client kubernetes.Interface, account, namespace string) {
	t.Helper()
	role := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "audit-reader"}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "a", Name: account}}
	meta := metav1.ObjectMeta{Name: account}
	var err error
	if namespace == "" {
		_, err = client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: role, Subjects: subjects}, metav1.CreateOptions{})
	} else {
		_, err = client.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: role, Subjects: subjects}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// await asks until the API server's authorizer, which learns of bindings a
// moment later, gives the answer.
func await(t *testing.T, client kubernetes.Interface, user auth.User, namespace string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if _, err := auth.New(client, options(client)).Scope(ctx, user, named(namespace)...); err == nil {
			return
		}
	}
	t.Fatalf("%s never got its right in namespace %q", user.Name, namespace)
}

// options are those of the test's cluster, whose namespaces are looked up.
func options(client kubernetes.Interface) auth.Options {
	return auth.Options{Cluster: cluster, Namespaces: func(ctx context.Context) ([]string, error) {
		list, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		var names []string
		for _, ns := range list.Items {
			names = append(names, ns.Name)
		}
		return names, nil
	}}
}

// named is a namespace as Scope takes it: none for all.
func named(namespace string) []string {
	if namespace == "" {
		return nil
	}
	return []string{namespace}
}

func authenticate(t *testing.T, a *auth.Auth, token string) auth.User {
	t.Helper()
	user, err := a.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

func TestScopes(t *testing.T) {
	_, client := apiServer(t)
	for _, test := range []struct {
		account string
		bound   []string // "" is cluster-wide
		allowed map[string]bool
	}{
		{"of-a", []string{"a"}, map[string]bool{"a": true, "b": false, "-": false, "*": false}},
		{"of-nothing", nil, map[string]bool{"a": false, "b": false, "": false}},
		{"of-all", []string{""}, map[string]bool{"a": true, "b": true, "": true}},
	} {
		t.Run(test.account, func(t *testing.T) {
			a := auth.New(client, options(client))
			user := authenticate(t, a, serviceAccount(t, client, test.account))
			if want := "system:serviceaccount:a:" + test.account; user.Name != want || user.UID == "" || len(user.Groups) == 0 || len(user.Extra) == 0 {
				t.Errorf("Authenticate = %+v, want %s with its UID, groups and extra", user, want)
			}
			for _, ns := range test.bound {
				bind(t, client, test.account, ns)
				await(t, client, user, ns)
			}
			for ns, allowed := range test.allowed {
				want := query.Scope{}
				wantErr := auth.ErrForbidden
				if allowed {
					want, wantErr = query.InNamespaces(cluster, ns), nil
					if slices.Contains(test.bound, "") {
						want = query.ClusterWide()
					}
				}
				scope, err := a.Scope(t.Context(), user, named(ns)...)
				if !errors.Is(err, wantErr) || !scope.Equal(want) {
					t.Errorf("Scope(%q) = %+v, %v; want %+v, %v", ns, scope, err, want, wantErr)
				}
			}
		})
	}
}

func TestRefusedTokens(t *testing.T) {
	_, client := apiServer(t)
	a := auth.New(client, options(client))
	good := serviceAccount(t, client, "refused")
	// The last character may hold bits that base64 ignores, so the first one
	// of the signature is changed.
	dot := strings.LastIndexByte(good, '.') + 1
	forged := good[:dot] + map[bool]string{true: "B", false: "A"}[good[dot] == 'A'] + good[dot+1:]
	for name, token := range map[string]string{
		"empty": "", "not a token": "letmein", "forged": forged,
		"for someone else": serviceAccount(t, client, "elsewhere", "https://vault.example.com"),
	} {
		user, err := a.Authenticate(t.Context(), token)
		if !errors.Is(err, auth.ErrUnauthenticated) || !cmp.Equal(user, auth.User{}) {
			t.Errorf("%s: Authenticate = %+v, %v; want ErrUnauthenticated", name, user, err)
		}
		if token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error has the token in it: %v", name, err)
		}
	}
	if _, err := a.Authenticate(t.Context(), good); err != nil {
		t.Errorf("the token that was forged from: %v", err)
	}
}

// A user that stands for nobody has no scope, even where someone bound the
// right to the group of everybody.
func TestNobodyHasNoScope(t *testing.T) {
	_, client := apiServer(t)
	a := auth.New(client, options(client))
	for _, user := range []auth.User{
		{}, {Groups: []string{"system:masters"}},
		{Name: "system:anonymous", Groups: []string{"system:masters"}},
		{Name: "alice@example.com", Groups: []string{"system:masters", "system:unauthenticated"}},
	} {
		if scope, err := a.Scope(t.Context(), user, "a"); !errors.Is(err, auth.ErrUnauthenticated) || !scope.IsZero() {
			t.Errorf("Scope(%+v) = %+v, %v; want ErrUnauthenticated", user, scope, err)
		}
	}
}

// counting counts the requests that reach the API server.
type counting struct {
	rest http.RoundTripper
	mu   *sync.Mutex
	n    *int
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	*c.n++
	c.mu.Unlock()
	return c.rest.RoundTrip(r)
}

func TestAnswersAreKeptForTenSeconds(t *testing.T) {
	config, admin := apiServer(t)
	token := serviceAccount(t, admin, "cached")
	asked := 0
	config = rest.CopyConfig(config)
	var mu sync.Mutex
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { return counting{rt, &mu, &asked} })
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a := auth.New(client, auth.Options{Cluster: cluster, Now: func() time.Time { return now }})
	ask := func() error {
		user, err := a.Authenticate(t.Context(), token)
		if err != nil {
			return err
		}
		_, err = a.Scope(t.Context(), user, "b")
		return err
	}
	for _, step := range []struct {
		after time.Duration
		asked int
	}{{0, 3}, {9 * time.Second, 3}, {time.Second, 6}} {
		now = now.Add(step.after)
		if err := ask(); !errors.Is(err, auth.ErrForbidden) {
			t.Errorf("Scope = %v, want ErrForbidden", err)
		}
		if asked != step.asked {
			t.Errorf("the API server was asked %d times, want %d", asked, step.asked)
		}
	}
}

// What can't be asked is neither a yes nor a no, and is asked again.
func TestNoAnswerIsClosed(t *testing.T) {
	config, admin := apiServer(t)
	token := serviceAccount(t, admin, "unlucky")
	down := true
	config = rest.CopyConfig(config)
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if down {
				return nil, errors.New("connection refused")
			}
			return rt.RoundTrip(r)
		})
	})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	a := auth.New(client, options(client))
	user, err := a.Authenticate(t.Context(), token)
	if err == nil || errors.Is(err, auth.ErrUnauthenticated) || !cmp.Equal(user, auth.User{}) {
		t.Errorf("Authenticate = %+v, %v; want another error", user, err)
	}
	scope, err := a.Scope(t.Context(), auth.User{Name: "alice@example.com"}, "a")
	if err == nil || errors.Is(err, auth.ErrForbidden) || !scope.IsZero() {
		t.Errorf("Scope = %+v, %v; want another error", scope, err)
	}
	down = false
	authenticate(t, a, token)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
