// Package webtest is the world that the tests of pages and of the API share: a
// real API server with users, a real store with events and snapshots, and
// clients that knock at the real handler.
package webtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/dashboard"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/web"
)

// OwnCluster is the operator's own cluster.
const OwnCluster = "own"

// ProxyAddress is the address of loopback from which a proxy may name users.
const ProxyAddress = "127.0.0.2"

// The users: one who may read every event, one who may read those of shop, one
// who may read those of shop and of billing, and one who may read none.
const (
	Everywhere     = "everywhere"
	InShop         = "shop"
	InShopAndBills = "shop-and-billing"
	Nobody         = "nobody"
	// Quarantine may see what could not become an event, and no events.
	Quarantine = "quarantine"
)

// World is what all tests of a package read.
type World struct {
	Kube   kubernetes.Interface
	Config *rest.Config
	Store  store.Store
	// Records has the operator's own records, apart from the events, which tests count.
	Records store.Store
	Tokens  map[string]string // by user
	Events  map[string]audit.Event
	// Snapshots by what they are limited to: a namespace, or nothing.
	Snapshots map[string]store.Manifest
	// Namespaces says which there are; nil asks the API server.
	Namespaces func(context.Context) ([]string, error)
	// Views makes what records looks; nil records none.
	Views func(*selfaudit.Recorder) *selfaudit.Views
	// Created says when a namespace was created; nil says before all events.
	Created func(ctx context.Context, namespace string) (time.Time, error)
}

// Main makes the world, runs a package's tests in it and ends the process.
func Main(m *testing.M, world *World) {
	os.Exit(Run(m, world))
}

// Run does what Main does but for ending the process; it returns the exit code.
func Run(m *testing.M, world *World) int {
	if onlyFuzzes() {
		return m.Run()
	}
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		panic("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	ctx := context.Background()
	env := &envtest.Environment{}
	config, err := env.Start()
	must(err)
	defer func() { must(env.Stop()) }()
	config.QPS = -1 // tests needn't wait
	world.Config = config
	world.Kube, err = kubernetes.NewForConfig(config)
	must(err)
	must(world.createUsers(ctx))

	dir, err := os.MkdirTemp("", "web-test-")
	must(err)
	defer os.RemoveAll(dir)
	world.Store, err = embedded.Open(ctx, embedded.Options{Dir: dir})
	must(err)
	defer func() { must(world.Store.Close()) }()
	records, err := os.MkdirTemp("", "web-test-")
	must(err)
	defer os.RemoveAll(records)
	world.Records, err = embedded.Open(ctx, embedded.Options{Dir: records})
	must(err)
	defer func() { must(world.Records.Close()) }()
	must(world.fillStore(ctx))
	return m.Run()
}

// onlyFuzzes reports whether this process runs a fuzz target and no test. It
// needs no world then, and a worker would end without taking it down.
func onlyFuzzes() bool {
	flag.Parse()
	set := func(name string) string { return flag.Lookup("test." + name).Value.String() }
	return set("fuzzworker") == "true" || set("fuzz") != "" && set("run") == "^$"
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (world *World) createUsers(ctx context.Context) error {
	for _, name := range []string{"shop", "billing", "hostile"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := world.Kube.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "audit-reader"}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{auth.Verb}, APIGroups: []string{auth.Group}, Resources: []string{auth.Resource + "/" + auth.Subresource}},
	}}
	if _, err := world.Kube.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}
	who := func(name string) []rbacv1.Subject {
		return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: name}}
	}
	wide := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: Everywhere}, RoleRef: ref, Subjects: who(Everywhere)}
	if _, err := world.Kube.RbacV1().ClusterRoleBindings().Create(ctx, wide, metav1.CreateOptions{}); err != nil {
		return err
	}
	narrow := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: InShop}, RoleRef: ref, Subjects: who(InShop)}
	if _, err := world.Kube.RbacV1().RoleBindings("shop").Create(ctx, narrow, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, namespace := range []string{"shop", "billing"} {
		both := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: InShopAndBills}, RoleRef: ref, Subjects: who(InShopAndBills)}
		if _, err := world.Kube.RbacV1().RoleBindings(namespace).Create(ctx, both, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	held := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: Quarantine}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"get"}, APIGroups: []string{auth.Group}, Resources: []string{"auditsources/quarantine"}},
	}}
	if _, err := world.Kube.RbacV1().ClusterRoles().Create(ctx, held, metav1.CreateOptions{}); err != nil {
		return err
	}
	bound := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: Quarantine}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: Quarantine}, Subjects: who(Quarantine)}
	if _, err := world.Kube.RbacV1().ClusterRoleBindings().Create(ctx, bound, metav1.CreateOptions{}); err != nil {
		return err
	}
	world.Tokens = map[string]string{}
	for _, name := range []string{Everywhere, InShop, InShopAndBills, Nobody, Quarantine} {
		accounts := world.Kube.CoreV1().ServiceAccounts("default")
		if _, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			return err
		}
		token, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		world.Tokens[name] = token.Status.Token
	}
	return world.awaitRights(ctx)
}

// awaitRights waits until the authorizer has learnt of the bindings.
func (world *World) awaitRights(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		a := world.Auth()
		wide, err := a.Authenticate(ctx, world.Tokens[Everywhere])
		if err != nil {
			return err
		}
		shop, err := a.Authenticate(ctx, world.Tokens[InShop])
		if err != nil {
			return err
		}
		both, err := a.Authenticate(ctx, world.Tokens[InShopAndBills])
		if err != nil {
			return err
		}
		held, err := a.Authenticate(ctx, world.Tokens[Quarantine])
		if err != nil {
			return err
		}
		errHeld := a.MaySeeQuarantine(ctx, held)
		_, errWide := a.Scope(ctx, wide)
		_, errShop := a.Scope(ctx, shop, "shop")
		_, errBoth := a.Scope(ctx, both, "shop", "billing")
		if errWide == nil && errShop == nil && errBoth == nil && errHeld == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the bindings have no effect: %w, %w, %w, %w", errWide, errShop, errBoth, errHeld)
		}
	}
}

// Hostile is a text that a client may send as its name.
const Hostile = `"><script>alert('pwned')</script>&lt;` + "\u202e\x1b[31m"

func (world *World) fillStore(ctx context.Context) error {
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	world.Events = map[string]audit.Event{}
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
		world.Events[key] = e
	}
	add("shop-app", OwnCluster, "shop", "application", "own-shop-app")
	add("shop-env", OwnCluster, "shop", "environment_group", "own-shop-env")
	add("shop-project", OwnCluster, "shop", "project", "own-shop-project")
	add("billing", OwnCluster, "billing", "application", "own-billing-app")
	add("foreign", "elsewhere", "shop", "application", "foreign-shop-app")
	add("cluster", OwnCluster, "", "cluster", "own-node")
	add("hostile", OwnCluster, "hostile", "addon", Hostile)
	batch := store.Batch{Source: "s", ReceivedAt: time.Now()}
	for _, e := range world.Events {
		batch.Events = append(batch.Events, e)
	}
	if _, err := world.Store.Append(ctx, batch); err != nil {
		return err
	}
	world.Snapshots = map[string]store.Manifest{}
	for namespace, scope := range map[string]query.Scope{"": query.ClusterWide(), "shop": query.InNamespaces(OwnCluster, "shop"), "billing": query.InNamespaces(OwnCluster, "billing")} {
		m, err := snapshot.Take(ctx, world.Store, snapshot.Request{
			ID: snapshot.LegacyID("of-"+namespace, 1, ""), Owner: store.Owner{Kind: "AuditLogQuery", Namespace: namespace, Name: "q", UID: "of-" + namespace},
			Scope: scope, Limit: 100, Now: time.Now(), Retention: 720 * time.Hour,
		})
		if err != nil {
			return err
		}
		world.Snapshots[namespace] = m
	}
	return nil
}

// Auth returns one that asks the API server of the world, and looks for a
// caller's namespaces among all that there are.
func (world *World) Auth() *auth.Auth {
	namespaces := world.Namespaces
	if namespaces == nil {
		namespaces = world.allNamespaces
	}
	created := world.Created
	if created == nil {
		created = func(context.Context, string) (time.Time, error) { return time.Unix(1, 0), nil }
	}
	return auth.New(world.Kube, auth.Options{Cluster: OwnCluster, Created: created, Namespaces: func(ctx context.Context) ([]query.Namespace, error) {
		names, err := namespaces(ctx)
		found := query.Named(names...)
		for i := range found {
			since, sinceErr := created(ctx, found[i].Name)
			found[i].Since, err = since, errors.Join(err, sinceErr)
		}
		return found, err
	}})
}

func (world *World) allNamespaces(ctx context.Context) ([]string, error) {
	list, err := world.Kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, ns := range list.Items {
		names = append(names, ns.Name)
	}
	return names, nil
}

// Handler returns the real handler over a store.
func (world *World) Handler(t testing.TB, s dashboard.Store, secure bool) http.Handler {
	t.Helper()
	return world.HandlerWith(t, s, func(o *login.Options) { o.Secure = secure })
}

// HandlerWith returns the real handler over a store, with changed ways to sign in.
// All handlers have the same session keys.
func (world *World) HandlerWith(t testing.TB, s dashboard.Store, change func(*login.Options)) http.Handler {
	t.Helper()
	return world.HandlerOver(t, s, world.Records, change)
}

// HandlerOver is HandlerWith whose own records go to a store of the test's.
func (world *World) HandlerOver(t testing.TB, s dashboard.Store, records store.Writer, change func(*login.Options)) http.Handler {
	t.Helper()
	return world.handler(t, s, records, change, nil)
}

// HandlerAt is Handler by another clock.
func (world *World) HandlerAt(t testing.TB, s dashboard.Store, now func() time.Time) http.Handler {
	t.Helper()
	return world.handler(t, s, world.Records, func(*login.Options) {}, now)
}

func (world *World) handler(t testing.TB, s dashboard.Store, records store.Writer, change func(*login.Options), now func() time.Time) http.Handler {
	t.Helper()
	var options login.Options
	recorder, err := selfaudit.New(selfaudit.Options{Writer: records, Cluster: OwnCluster, ClientAddress: func(r *http.Request) string { return options.Proxy.ClientAddress(r) }})
	if err != nil {
		t.Fatal(err)
	}
	var views *selfaudit.Views
	if world.Views != nil {
		views = world.Views(recorder)
	}
	options = login.Options{
		Refused: func(r *http.Request, means login.Means) { views.Refused(r, string(means)) },
		Auth:    world.Auth(), Sessions: world.Store, HashKey: make([]byte, 64), BlockKey: make([]byte, 32), Log: logr.Discard(),
		SignedIn: func(r *http.Request, user auth.User, means login.Means) { recorder.SignedIn(r, user, string(means)) },
		Proxy:    &login.Proxy{Trusted: []netip.Prefix{netip.MustParsePrefix(ProxyAddress + "/32")}, UserHeader: login.UserHeader, GroupHeader: login.GroupHeader},
	}
	change(&options)
	signIn, err := login.New(options)
	if err != nil {
		t.Fatal(err)
	}
	h, err := web.New(web.Options{
		Store: s, Auth: world.Auth(), Login: signIn, Records: recorder, Views: views, Log: logr.Discard(), Retention: 720 * time.Hour, HTTPS: options.Secure, Now: now,
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
