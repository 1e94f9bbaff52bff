package dashboard_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
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
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/dashboard"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
)

const ownCluster = "own"

// What all tests read: one real apiserver with three users, one store with a
// few events, and a snapshot of each scope.
var world struct {
	kube   kubernetes.Interface
	store  store.Store
	tokens map[string]string // by user
	events map[string]audit.Event
	// snapshots by what they are limited to: a namespace, or nothing.
	snapshots map[string]store.Manifest
}

// The users: one who may read every event, one who may read those of shop, and
// one who may read none.
const (
	everywhere = "everywhere"
	inShop     = "shop"
	nobody     = "nobody"
)

func TestMain(m *testing.M) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		panic("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	env := &envtest.Environment{}
	config, err := env.Start()
	must(err)
	defer func() { must(env.Stop()) }()
	world.kube, err = kubernetes.NewForConfig(config)
	must(err)
	must(createUsers(ctx))

	dir, err := os.MkdirTemp("", "dashboard-test-")
	must(err)
	defer os.RemoveAll(dir)
	world.store, err = embedded.Open(ctx, embedded.Options{Dir: dir})
	must(err)
	defer func() { must(world.store.Close()) }()
	must(fillStore(ctx))
	return m.Run()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func createUsers(ctx context.Context) error {
	_, err := world.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "audit-reader"}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{auth.Verb}, APIGroups: []string{auth.Group}, Resources: []string{auth.Resource + "/" + auth.Subresource}},
	}}
	if _, err := world.kube.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}
	who := func(name string) []rbacv1.Subject {
		return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: name}}
	}
	wide := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: everywhere}, RoleRef: ref, Subjects: who(everywhere)}
	if _, err := world.kube.RbacV1().ClusterRoleBindings().Create(ctx, wide, metav1.CreateOptions{}); err != nil {
		return err
	}
	narrow := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: inShop}, RoleRef: ref, Subjects: who(inShop)}
	if _, err := world.kube.RbacV1().RoleBindings("shop").Create(ctx, narrow, metav1.CreateOptions{}); err != nil {
		return err
	}
	world.tokens = map[string]string{}
	for _, name := range []string{everywhere, inShop, nobody} {
		accounts := world.kube.CoreV1().ServiceAccounts("default")
		if _, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			return err
		}
		token, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		world.tokens[name] = token.Status.Token
	}
	return awaitRights(ctx)
}

// awaitRights waits until the authorizer has learnt of the bindings.
func awaitRights(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		a := auth.New(world.kube, auth.Options{})
		wide, err := a.Authenticate(ctx, world.tokens[everywhere])
		if err != nil {
			return err
		}
		shop, err := a.Authenticate(ctx, world.tokens[inShop])
		if err != nil {
			return err
		}
		_, errWide := a.ScopeFor(ctx, wide, ownCluster, "")
		_, errShop := a.ScopeFor(ctx, shop, ownCluster, "shop")
		if errWide == nil && errShop == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the bindings have no effect: %w, %w", errWide, errShop)
		}
	}
}

// hostile is a text that a client may send as its name.
const hostile = `"><script>alert('pwned')</script>&lt;` + "\u202e\x1b[31m"

func fillStore(ctx context.Context) error {
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	world.events = map[string]audit.Event{}
	add := func(key, cluster, namespace, resourceType, name string) {
		at = at.Add(-time.Second)
		e := audit.Event{
			Source: "s", Cluster: cluster, Stage: audit.StageResponseComplete, Level: "Metadata", OccurredAt: at, StageAt: at,
			Actor: "alice", ActorKind: audit.ActorUser, Method: "POST", Verb: "create", ResourceType: resourceType, Action: resourceType + ".create",
			Namespace: namespace, Resource: "things", ResourceName: name, Path: "/path-of-" + key, StatusCode: 201, Client: audit.ClientCLI,
			IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, Raw: fmt.Appendf(nil, `{"secretOf":%q}`, key),
		}
		e.RawSHA256 = sha256.Sum256(e.Raw)
		_, _ = rand.Read(e.ID[:])
		world.events[key] = e
	}
	add("shop-app", ownCluster, "shop", "application", "own-shop-app")
	add("shop-env", ownCluster, "shop", "environment_group", "own-shop-env")
	add("shop-project", ownCluster, "shop", "project", "own-shop-project")
	add("billing", ownCluster, "billing", "application", "own-billing-app")
	add("foreign", "elsewhere", "shop", "application", "foreign-shop-app")
	add("cluster", ownCluster, "", "cluster", "own-node")
	add("hostile", ownCluster, "hostile", "addon", hostile)
	batch := store.Batch{Source: "s", ReceivedAt: time.Now()}
	for _, e := range world.events {
		batch.Events = append(batch.Events, e)
	}
	if _, err := world.store.Append(ctx, batch); err != nil {
		return err
	}
	world.snapshots = map[string]store.Manifest{}
	for namespace, scope := range map[string]query.Scope{"": query.ClusterWide(), "shop": query.InNamespace(ownCluster, "shop"), "billing": query.InNamespace(ownCluster, "billing")} {
		m, err := snapshot.Take(ctx, world.store, snapshot.Request{
			ID: snapshot.ID("of-"+namespace, 1, ""), Owner: store.Owner{Kind: "AuditLogQuery", Namespace: namespace, Name: "q", UID: "of-" + namespace},
			Scope: scope, Limit: 100, Now: time.Now(), Retention: 720 * time.Hour,
		})
		if err != nil {
			return err
		}
		world.snapshots[namespace] = m
	}
	return nil
}

func handler(t *testing.T, s dashboard.Store, secure bool) http.Handler {
	t.Helper()
	h, err := dashboard.New(dashboard.Options{
		Store: s, Auth: auth.New(world.kube, auth.Options{}), Cluster: ownCluster, Secure: secure, Log: logr.Discard(),
		SessionKeys: dashboard.SessionKeys{Hash: make([]byte, 64), Block: make([]byte, 32)},
		Types: func() []dashboard.ResourceType {
			var out []dashboard.ResourceType
			for _, t := range audit.BuiltInResourceTypes() {
				out = append(out, dashboard.ResourceType{Name: t.Name, DisplayName: t.DisplayName, Description: t.Description})
			}
			return out
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// browser is a client with cookies that follows no redirect by itself.
type browser struct {
	*http.Client
	base string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	server := httptest.NewServer(handler(t, world.store, false))
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{client, server.URL}
}

// as returns a browser that a user has signed in with.
func as(t *testing.T, user string) *browser {
	t.Helper()
	b := newBrowser(t)
	if got := b.login(t, world.tokens[user], ""); got.status != http.StatusSeeOther {
		t.Fatalf("log-in of %s answered %d", user, got.status)
	}
	return b
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(t *testing.T, method, path string, form url.Values, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func (b *browser) get(t *testing.T, path string) answer {
	t.Helper()
	return b.do(t, http.MethodGet, path, nil, nil)
}

func (b *browser) login(t *testing.T, token, next string) answer {
	t.Helper()
	return b.do(t, http.MethodPost, "/login", url.Values{"token": {token}, "next": {next}}, nil)
}
