package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
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
	config = rest.CopyConfig(config)
	config.QPS = -1
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
		if _, err := auth.New(client, options()).Scope(ctx, user, named(namespace)...); err == nil {
			return
		}
	}
	t.Fatalf("%s never got its right in namespace %q", user.Name, namespace)
}

// options are those of the test's cluster, of whose namespaces those that
// matter are looked at.
func options() auth.Options {
	return auth.Options{Cluster: cluster, Created: longAgo, Namespaces: among("a", "b")}
}

// among has callers' namespaces looked for among some.
func among(names ...string) func(context.Context) ([]query.Namespace, error) {
	return func(context.Context) ([]query.Namespace, error) { return sinceLongAgoOf(names), nil }
}

// epoch is when the namespaces of most tests were created.
var epoch = time.Unix(1, 0)

func longAgo(context.Context, string) (time.Time, error) { return epoch, nil }

func sinceLongAgoOf(names []string) []query.Namespace {
	namespaces := query.Named(names...)
	for i := range namespaces {
		namespaces[i].Since = epoch
	}
	return namespaces
}

// sinceLongAgo is the scope of some of these namespaces.
func sinceLongAgo(names ...string) query.Scope {
	return query.SinceCreation(cluster, sinceLongAgoOf(names)...)
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
			a := auth.New(client, options())
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
					want, wantErr = sinceLongAgo(ns), nil
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
	a := auth.New(client, options())
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
	a := auth.New(client, options())
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

func TestAnswersAreKeptForTenSeconds(t *testing.T) {
	config, admin := apiServer(t)
	token := serviceAccount(t, admin, "cached")
	client, asked := watched(t, config, nil)
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
	}{{0, 3}, {9 * time.Second, 0}, {time.Second, 3}} {
		now = now.Add(step.after)
		if err := ask(); !errors.Is(err, auth.ErrForbidden) {
			t.Errorf("Scope = %v, want ErrForbidden", err)
		}
		if n := len(asked()); n != step.asked {
			t.Errorf("the API server was asked %d times, want %d", n, step.asked)
		}
	}
}

// What can't be asked is neither a yes nor a no, and is asked again.
func TestNoAnswerIsClosed(t *testing.T) {
	config, admin := apiServer(t)
	token := serviceAccount(t, admin, "unlucky")
	var down atomic.Bool
	down.Store(true)
	client, _ := watched(t, config, func(context.Context, string) error {
		if down.Load() {
			return errors.New("connection refused")
		}
		return nil
	})
	a := auth.New(client, options())
	user, err := a.Authenticate(t.Context(), token)
	if err == nil || errors.Is(err, auth.ErrUnauthenticated) || !cmp.Equal(user, auth.User{}) {
		t.Errorf("Authenticate = %+v, %v; want another error", user, err)
	}
	scope, err := a.Scope(t.Context(), auth.User{Name: "alice@example.com"}, "a")
	if err == nil || errors.Is(err, auth.ErrForbidden) || !scope.IsZero() {
		t.Errorf("Scope = %+v, %v; want another error", scope, err)
	}
	down.Store(false)
	authenticate(t, a, token)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// watched returns a client whose requests to the API server are noted, and what
// returns those since it was called last: the namespaces of access reviews,
// else the path. Before may hold a request up or fail it.
func watched(t *testing.T, config *rest.Config, before func(ctx context.Context, about string) error) (kubernetes.Interface, func() []string) {
	t.Helper()
	var mu sync.Mutex
	asked := []string{}
	config = rest.CopyConfig(config)
	config.ContentType = "application/json" // which about reads
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			subject := about(t, r)
			mu.Lock()
			asked = append(asked, subject)
			mu.Unlock()
			if before != nil {
				if err := before(r.Context(), subject); err != nil {
					return nil, err
				}
			}
			return rt.RoundTrip(r)
		})
	})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client, func() []string {
		mu.Lock()
		defer mu.Unlock()
		since := asked
		asked = []string{}
		slices.Sort(since)
		return since
	}
}

func about(t *testing.T, r *http.Request) string {
	if !strings.HasSuffix(r.URL.Path, "/subjectaccessreviews") {
		return r.URL.Path
	}
	body, err := r.GetBody()
	if err != nil {
		t.Error(err)
		return ""
	}
	var review authorizationv1.SubjectAccessReview
	if err := json.NewDecoder(body).Decode(&review); err != nil {
		t.Error(err)
	}
	if review.Spec.ResourceAttributes == nil {
		return review.Spec.NonResourceAttributes.Path
	}
	return "in " + review.Spec.ResourceAttributes.Namespace
}
