package auth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
)

// clock is one that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// person is a user as OpenID Connect or a proxy makes one: without a UID.
func person(name string, groups ...string) auth.User {
	return auth.User{Name: name, Groups: append([]string{"system:authenticated"}, groups...)}
}

// grant binds a role to a person or a group, in a namespace.
func grant(t *testing.T, client kubernetes.Interface, kind, name, namespace, role string) {
	t.Helper()
	_, err := client.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role + "-" + name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func revoke(t *testing.T, client kubernetes.Interface, name, namespace string) {
	t.Helper()
	if err := client.RbacV1().RoleBindings(namespace).Delete(t.Context(), "audit-reader-"+name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// awaitNone asks until the API server's authorizer has learnt that a right is gone.
func awaitNone(t *testing.T, client kubernetes.Interface, user auth.User, namespace string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if _, err := auth.New(client, options()).Scope(ctx, user, namespace); errors.Is(err, auth.ErrForbidden) {
			return
		}
	}
	t.Fatalf("%s never lost its right in namespace %q", user.Name, namespace)
}

// numbered are names of namespaces, which need not exist to be asked about.
func numbered(n int, first ...string) []string {
	names := slices.Clone(first)
	for i := len(names); i < n; i++ {
		names = append(names, fmt.Sprintf("n%03d", i))
	}
	return names
}

// Who may read what, by RBAC alone.
func TestNamespacesAreFound(t *testing.T) {
	_, client := apiServer(t)
	for name, rule := range map[string]rbacv1.PolicyRule{
		"reads-queries":  {Verbs: []string{"get"}, APIGroups: []string{auth.Group}, Resources: []string{auth.Resource}},
		"lists-events":   {Verbs: []string{"list", "watch", "create"}, APIGroups: []string{auth.Group}, Resources: []string{auth.Resource + "/" + auth.Subresource}},
		"other-group":    {Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{auth.Resource + "/" + auth.Subresource, "events"}},
		"of-one-name":    {Verbs: []string{"get"}, APIGroups: []string{auth.Group}, Resources: []string{auth.Resource + "/" + auth.Subresource}, ResourceNames: []string{"q"}},
		"other-resource": {Verbs: []string{"get"}, APIGroups: []string{auth.Group}, Resources: []string{"clusterauditlogqueries/" + auth.Subresource}},
	} {
		if _, err := client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, ns := range []string{"c", "d"} {
		if _, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	grant(t, client, rbacv1.UserKind, "two@example.com", "a", "audit-reader")
	grant(t, client, rbacv1.UserKind, "two@example.com", "c", "audit-reader")
	grant(t, client, rbacv1.GroupKind, "auditors", "d", "audit-reader")
	// It names a role that is not there.
	grant(t, client, rbacv1.UserKind, "two@example.com", "b", "missing")
	grant(t, client, rbacv1.UserKind, "dangling@example.com", "a", "missing")
	others := []string{"reads-queries", "lists-events", "other-group", "of-one-name", "other-resource"}
	for _, role := range others {
		grant(t, client, rbacv1.UserKind, role+"@example.com", "a", role)
	}
	await(t, client, person("two@example.com"), "c")
	await(t, client, person("x", "auditors"), "d")

	a := auth.New(client, auth.Options{Cluster: cluster, Created: longAgo, Namespaces: among("a", "b", "c", "d", "kube-system")})
	tests := []struct {
		user auth.User
		want []string
	}{
		{person("two@example.com"), []string{"a", "c"}},
		{person("two@example.com", "auditors"), []string{"a", "c", "d"}},
		{person("anyone@example.com", "auditors"), []string{"d"}},
		{person("auditors"), nil}, // a group's name is no person's
		{person("anyone@example.com", "two@example.com"), nil},
		{person("dangling@example.com"), nil},
		{person("Two@example.com"), nil},
	}
	for _, role := range others {
		tests = append(tests, struct {
			user auth.User
			want []string
		}{person(role + "@example.com"), nil})
	}
	for _, tt := range tests {
		t.Run(tt.user.Name+" "+strings.Join(tt.user.Groups[1:], ","), func(t *testing.T) {
			scope, err := a.Scope(t.Context(), tt.user)
			if tt.want == nil {
				if !errors.Is(err, auth.ErrForbidden) || !scope.IsZero() {
					t.Errorf("Scope = %+v, %v; want ErrForbidden", scope, err)
				}
			} else if want := sinceLongAgo(tt.want...); err != nil || !scope.Equal(want) {
				t.Errorf("Scope = %+v, %v; want %+v", scope, err, want)
			}
			for _, ns := range []string{"a", "b", "c", "d", "kube-system", "absent", "*", "a ", "A", "-"} {
				scope, err := a.Scope(t.Context(), tt.user, ns)
				if slices.Contains(tt.want, ns) != (err == nil) || err != nil && (!errors.Is(err, auth.ErrForbidden) || !scope.IsZero()) {
					t.Errorf("Scope(%q) = %+v, %v", ns, scope, err)
				}
			}
			// All that are named must be allowed, whatever comes first.
			for _, named := range [][]string{{"a", "b"}, {"b", "a"}, {"a", ""}, {"", "a"}, {"a", "-"}} {
				if scope, err := a.Scope(t.Context(), tt.user, named...); !errors.Is(err, auth.ErrForbidden) || !scope.IsZero() {
					t.Errorf("Scope(%q) = %+v, %v; want ErrForbidden", named, scope, err)
				}
			}
		})
	}
}

// A right that is taken away works ten seconds longer at most, and to find that
// out costs one question for each namespace that was allowed.
func TestRevokedRights(t *testing.T) {
	config, admin := apiServer(t)
	user := person("revoked@example.com")
	for _, ns := range []string{"a", "b"} {
		grant(t, admin, rbacv1.UserKind, user.Name, ns, "audit-reader")
		await(t, admin, user, ns)
	}
	client, asked := watched(t, config, nil)
	clock := newClock()
	a := auth.New(client, auth.Options{Cluster: cluster, Created: longAgo, Namespaces: among(numbered(300, "a", "b")...), Now: clock.now})
	check := func(when string, want []string, questions []string) {
		t.Helper()
		scope, err := a.Scope(t.Context(), user)
		if len(want) == 0 {
			if !errors.Is(err, auth.ErrForbidden) || !scope.IsZero() {
				t.Errorf("%s: Scope = %+v, %v; want ErrForbidden", when, scope, err)
			}
		} else if err != nil || !scope.Equal(sinceLongAgo(want...)) {
			t.Errorf("%s: Scope = %+v, %v; want %v", when, scope, err, want)
		}
		got := asked()
		if questions == nil { // a whole search
			if len(got) != 301 {
				t.Errorf("%s: asked %d times, want 301", when, len(got))
			}
			return
		}
		if diff := cmp.Diff(questions, got); diff != "" {
			t.Errorf("%s: asked (-want +got):\n%s", when, diff)
		}
	}
	none := []string{}
	check("first", []string{"a", "b"}, nil)
	revoke(t, admin, user.Name, "b")
	awaitNone(t, admin, user, "b")
	clock.add(10*time.Second - 1)
	check("just before ten seconds", []string{"a", "b"}, none)
	clock.add(1)
	check("after ten seconds", []string{"a"}, []string{"in ", "in a", "in b"})
	revoke(t, admin, user.Name, "a")
	awaitNone(t, admin, user, "a")
	clock.add(10 * time.Second)
	check("after all were taken", nil, []string{"in ", "in a"})
	check("again", nil, none)
	clock.add(10 * time.Second)
	check("after thirty seconds, as 300 namespaces take", nil, nil)
}

// A new right works within ten seconds where its namespace is named, and where
// none is named within a tenth of a second for each namespace there is.
func TestNewRights(t *testing.T) {
	config, admin := apiServer(t)
	user := person("new@example.com")
	client, asked := watched(t, config, nil)
	clock := newClock()
	auths := map[int]*auth.Auth{}
	for _, n := range []int{100, 300} {
		auths[n] = auth.New(client, auth.Options{Cluster: cluster, Created: longAgo, Namespaces: among(numbered(n, "a", "b")...), Now: clock.now})
		for _, named := range [][]string{nil, {"b"}} {
			if _, err := auths[n].Scope(t.Context(), user, named...); !errors.Is(err, auth.ErrForbidden) {
				t.Fatalf("Scope(%q) = %v, want ErrForbidden", named, err)
			}
		}
	}
	grant(t, admin, rbacv1.UserKind, user.Name, "b", "audit-reader")
	await(t, admin, user, "b")
	want := sinceLongAgo("b")
	clock.add(10 * time.Second)
	for n, a := range auths {
		if scope, err := a.Scope(t.Context(), user, "b"); err != nil || !scope.Equal(want) {
			t.Errorf("of %d, after ten seconds, by name: %+v, %v", n, scope, err)
		}
	}
	if scope, err := auths[100].Scope(t.Context(), user); err != nil || !scope.Equal(want) {
		t.Errorf("of 100, after ten seconds: %+v, %v", scope, err)
	}
	asked()
	for range 3 { // a busy user of a large cluster
		if scope, err := auths[300].Scope(t.Context(), user); !errors.Is(err, auth.ErrForbidden) {
			t.Errorf("of 300, after ten seconds: %+v, %v; it is not yet time to search again", scope, err)
		}
	}
	if n := len(asked()); n != 0 {
		t.Errorf("asked %d times before it is time", n)
	}
	clock.add(20 * time.Second)
	if scope, err := auths[300].Scope(t.Context(), user); err != nil || !scope.Equal(want) {
		t.Errorf("of 300, after thirty seconds: %+v, %v", scope, err)
	}
}

// Of more namespaces than are looked at, one must be named; who may read all
// need not. No namespace is asked about for nothing.
func TestTooManyNamespaces(t *testing.T) {
	config, admin := apiServer(t)
	var creating errgroup.Group
	creating.SetLimit(16)
	for _, name := range numbered(auth.MaxNamespaces + 1) {
		creating.Go(func() error {
			_, err := admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "many-" + name}}, metav1.CreateOptions{})
			return err
		})
	}
	if err := creating.Wait(); err != nil {
		t.Fatal(err)
	}
	user := person("many@example.com")
	grant(t, admin, rbacv1.UserKind, user.Name, "many-n007", "audit-reader")
	grant(t, admin, rbacv1.UserKind, user.Name, "many-n499", "audit-reader")
	await(t, admin, user, "many-n499")

	client, asked := watched(t, config, nil)
	clock := newClock()
	limit := int64(auth.MaxNamespaces + 1)
	a := auth.New(client, auth.Options{Cluster: cluster, Created: longAgo, Now: clock.now, Namespaces: func(ctx context.Context) ([]query.Namespace, error) {
		list, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: limit})
		var names []string
		for _, ns := range list.Items {
			names = append(names, ns.Name)
		}
		return sinceLongAgoOf(names), err
	}})
	for range 3 {
		if scope, err := a.Scope(t.Context(), user); !errors.Is(err, auth.ErrNamespaceNeeded) || !scope.IsZero() {
			t.Errorf("Scope = %+v, %v; want ErrNamespaceNeeded", scope, err)
		}
	}
	if diff := cmp.Diff([]string{"/api/v1/namespaces", "in "}, asked()); diff != "" {
		t.Errorf("asked for three pages (-want +got):\n%s", diff)
	}
	if scope, err := a.Scope(t.Context(), user, "many-n007", "many-n499"); err != nil || !scope.Equal(sinceLongAgo("many-n007", "many-n499")) {
		t.Errorf("by name: %+v, %v", scope, err)
	}
	if scope, err := a.Scope(t.Context(), auth.User{Name: "admin", Groups: []string{"system:masters"}}); err != nil || !scope.IsClusterWide() {
		t.Errorf("with cluster-wide rights: %+v, %v", scope, err)
	}

	// Exactly as many as are looked at are looked at, each once. Those beyond,
	// which have been deleted meanwhile, are not.
	names := make([]string, 0, auth.MaxNamespaces)
	for _, n := range numbered(auth.MaxNamespaces) {
		names = append(names, "many-"+n)
	}
	a = auth.New(client, auth.Options{Cluster: cluster, Created: longAgo, Now: clock.now, Namespaces: among(names...)})
	asked()
	began := time.Now()
	scope, err := a.Scope(t.Context(), user)
	if err != nil || !scope.Equal(sinceLongAgo("many-n007", "many-n499")) {
		t.Errorf("of %d: %+v, %v", len(names), scope, err)
	}
	t.Logf("%d namespaces are looked at in %s", len(names), time.Since(began).Round(time.Millisecond))
	if got := asked(); len(got) != auth.MaxNamespaces+1 || len(slices.Compact(got)) != auth.MaxNamespaces+1 {
		t.Errorf("asked %d times, want once for each of %d and for all at once", len(got), len(names))
	}
}

// A namespace that gets no answer is neither shown nor left out: nothing is
// shown, and nothing of it is kept.
func TestOneReviewFails(t *testing.T) {
	config, admin := apiServer(t)
	user := person("partly@example.com")
	grant(t, admin, rbacv1.UserKind, user.Name, "a", "audit-reader")
	await(t, admin, user, "a")
	var broken atomic.Value
	broken.Store("in n433")
	client, asked := watched(t, config, func(_ context.Context, about string) error {
		if about == broken.Load() {
			return errors.New("connection reset")
		}
		return nil
	})
	clock := newClock()
	listed := errors.New("etcdserver: leader changed")
	a := auth.New(client, auth.Options{Cluster: cluster, Created: longAgo, Now: clock.now, Namespaces: func(context.Context) ([]query.Namespace, error) {
		return sinceLongAgoOf(numbered(500, "a")), listed
	}})
	check := func(when string) {
		t.Helper()
		if scope, err := a.Scope(t.Context(), user); !errors.Is(err, auth.ErrNoAnswer) || errors.Is(err, auth.ErrForbidden) || !scope.IsZero() {
			t.Errorf("%s: Scope = %+v, %v; want ErrNoAnswer", when, scope, err)
		}
	}
	check("no list")
	listed = nil
	check("one of 500")
	broken.Store("none")
	asked()
	if scope, err := a.Scope(t.Context(), user); err != nil || !scope.Equal(sinceLongAgo("a")) {
		t.Errorf("after it: %+v, %v", scope, err)
	}
	if n := len(asked()); n != 500 {
		t.Errorf("after it %d were asked about, want all 500", n)
	}
	// What was found before does not stand in for an answer.
	broken.Store("in a")
	clock.add(10 * time.Second)
	check("the one that was allowed")
	broken.Store("in ")
	clock.add(10 * time.Second)
	check("the whole cluster")
}

// meeting holds up the first that come until they are so many.
type meeting struct {
	want int32
	come atomic.Int32
	full chan struct{}
}

func newMeeting(want int32) *meeting { return &meeting{want: want, full: make(chan struct{})} }

func (m *meeting) wait(ctx context.Context) error {
	if m.come.Add(1) == m.want {
		close(m.full)
	}
	select {
	case <-m.full:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Many requests of one caller share one search, of several callers each has its
// own, and the API server is never asked too much at once.
func TestSearchesAreShared(t *testing.T) {
	config, admin := apiServer(t)
	one := person("one@example.com")
	grant(t, admin, rbacv1.UserKind, one.Name, "a", "audit-reader")
	await(t, admin, one, "a")
	var running, most atomic.Int32
	var crowd atomic.Pointer[meeting]
	client, asked := watched(t, config, func(ctx context.Context, about string) error {
		if about == "in " {
			return nil
		}
		now := running.Add(1)
		defer running.Add(-1)
		for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
		}
		return crowd.Load().wait(ctx)
	})
	crowd.Store(newMeeting(16))
	a := auth.New(client, auth.Options{Cluster: cluster, Created: longAgo, Namespaces: among(numbered(100, "a", "b")...)})
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if scope, err := a.Scope(t.Context(), one); err != nil || !scope.Equal(sinceLongAgo("a")) {
				t.Errorf("Scope = %+v, %v", scope, err)
			}
		})
	}
	all.Wait()
	if n := len(asked()); n != 101 {
		t.Errorf("40 requests at once asked %d times, want 101", n)
	}
	if n := most.Load(); n != 16 {
		t.Errorf("one caller asked %d times at once, want 16", n)
	}

	// Users that differ in anything share nothing.
	crowd.Store(newMeeting(64))
	others := []auth.User{
		{Name: "one@example.com", Groups: []string{"system:authenticated", "x"}},
		{Name: "one@example.com", Groups: []string{"system:authenticated"}, UID: "7"},
		{Name: "one@example.com", Groups: []string{"system:authenticated"}, Extra: map[string][]string{"k": {"v"}}},
		{Name: "one@example.com", Groups: []string{"system:authenticated"}, Extra: map[string][]string{"k": {"v", "w"}}},
		{Name: "one@example.comsystem:authenticated"},
		person("two-of-many@example.com"), person("three-of-many@example.com"), person("four-of-many@example.com"),
	}
	for _, user := range others {
		all.Go(func() {
			_, err := a.Scope(t.Context(), user)
			if may := user.Name == one.Name; may != (err == nil) || err != nil && !errors.Is(err, auth.ErrForbidden) {
				t.Errorf("Scope of %+v = %v", user, err)
			}
		})
	}
	all.Wait()
	if n, want := len(asked()), 101*len(others); n != want {
		t.Errorf("%d others asked %d times, want %d", len(others), n, want)
	}
	if n := most.Load(); n != 64 {
		t.Errorf("all callers asked %d times at once, want 64", n)
	}
}

// A caller that leaves waits for nothing, and its search is there for the next.
func TestCallerLeaves(t *testing.T) {
	config, admin := apiServer(t)
	user := person("leaves@example.com")
	grant(t, admin, rbacv1.UserKind, user.Name, "a", "audit-reader")
	await(t, admin, user, "a")
	asking, goOn := make(chan struct{}, 1000), make(chan struct{})
	client, asked := watched(t, config, func(_ context.Context, about string) error {
		if about == "in a" {
			asking <- struct{}{}
			<-goOn
		}
		return nil
	})
	a := auth.New(client, options())
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := a.Scope(ctx, user)
		left <- err
	}()
	<-asking
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) || !errors.Is(err, auth.ErrNoAnswer) {
		t.Errorf("Scope = %v, want ErrNoAnswer because the caller left", err)
	}
	close(goOn)
	if scope, err := a.Scope(t.Context(), user); err != nil || !scope.Equal(sinceLongAgo("a")) {
		t.Errorf("the next: %+v, %v", scope, err)
	}
	if diff := cmp.Diff([]string{"in ", "in a", "in b"}, asked()); diff != "" {
		t.Errorf("asked for both (-want +got):\n%s", diff)
	}
}

// A name that is no text would be another one's when it arrives.
func TestNamesAreText(t *testing.T) {
	_, client := apiServer(t)
	a := auth.New(client, options())
	for _, user := range []auth.User{
		{Name: "a\xff", Groups: []string{"system:masters"}},
		{Name: "a", UID: "\xff", Groups: []string{"system:masters"}},
		{Name: "a", Groups: []string{"\xff", "system:masters"}},
	} {
		if scope, err := a.Scope(t.Context(), user); !errors.Is(err, auth.ErrUnauthenticated) || !scope.IsZero() {
			t.Errorf("Scope(%q) = %+v, %v; want ErrUnauthenticated", user.Name, scope, err)
		}
	}
}

// Only a clear yes is one. Such answers come from authorizers that fail, as a
// webhook may.
func TestUnclearAnswers(t *testing.T) {
	config, _ := apiServer(t)
	for status, want := range map[string]error{
		`{"allowed":true}`: nil,
		`{"allowed":true,"evaluationError":"a webhook"}`:          nil, // another authorizer has said yes
		`{"allowed":false,"evaluationError":"a webhook"}`:         auth.ErrForbidden,
		`{"allowed":false,"denied":true}`:                         auth.ErrForbidden,
		`{"allowed":true,"denied":true}`:                          auth.ErrForbidden,
		`{"allowed":true,"denied":true,"evaluationError":"both"}`: auth.ErrForbidden,
		`{}`:                auth.ErrForbidden,
		`{"allowed":"yes"}`: auth.ErrNoAnswer,
	} {
		answering := rest.CopyConfig(config)
		answering.ContentType = "application/json"
		answering.Wrap(func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				body := `{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":` + status + `}`
				return &http.Response{
					StatusCode: http.StatusCreated, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
					Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
				}, nil
			})
		})
		client, err := kubernetes.NewForConfig(answering)
		if err != nil {
			t.Fatal(err)
		}
		scope, err := auth.New(client, options()).Scope(t.Context(), person("unclear@example.com"))
		if !errors.Is(err, want) || want == nil != scope.IsClusterWide() {
			t.Errorf("%s: Scope = %+v, %v; want %v", status, scope, err, want)
		}
	}
}
