package auth_test

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
)

// Who has rights in a namespace sees what occurred since the API server created
// it, and ten seconds after it was made again what occurred since then.
func TestMadeAgain(t *testing.T) {
	config, admin := apiServer(t)
	user := person("again@example.com")
	namespaces := admin.CoreV1().Namespaces()
	// No controller of this API server takes a namespace away, so the one that was
	// made again is one of another name.
	created, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "again"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	grant(t, admin, rbacv1.UserKind, user.Name, "again", "audit-reader")
	await(t, admin, user, "again")
	list := func(since *time.Time) func(context.Context) ([]query.Namespace, error) {
		return func(context.Context) ([]query.Namespace, error) {
			return []query.Namespace{{Name: "again", Since: *since}}, nil
		}
	}
	listed := created.CreationTimestamp.Time
	clock := newClock()
	client, _ := watched(t, config, nil)
	a := auth.New(client, auth.Options{Cluster: cluster, Now: clock.now, Namespaces: list(&listed)})
	want := query.SinceCreation(cluster, query.Namespace{Name: "again", Since: listed})
	for _, named := range [][]string{{"again"}, nil} {
		if scope, err := a.Scope(t.Context(), user, named...); err != nil || !scope.Equal(want) {
			t.Errorf("Scope(%q) = %+v, %v; want %+v", named, scope, err, want)
		}
	}

	// Made again: its name is known, its time is not.
	later := listed.Add(time.Hour)
	var answer error
	a = auth.New(client, auth.Options{Cluster: cluster, Now: clock.now, Namespaces: list(&listed), Created: func(context.Context, string) (time.Time, error) { return listed, answer }})
	check := func(when string, want query.Scope) {
		t.Helper()
		for _, named := range [][]string{{"again"}, nil} {
			if scope, err := a.Scope(t.Context(), user, named...); err != nil || !scope.Equal(want) {
				t.Errorf("%s: Scope(%q) = %+v, %v; want %+v", when, named, scope, err, want)
			}
		}
	}
	check("before", want)
	listed = later
	clock.add(10 * time.Second)
	check("ten seconds later", query.SinceCreation(cluster, query.Namespace{Name: "again", Since: later}))

	// Without a time nothing is shown, and of what is not there nothing is said.
	for name, tc := range map[string]struct {
		listed time.Time
		answer error
		want   error
	}{
		"no answer": {later, errors.New("etcdserver: leader changed"), auth.ErrNoAnswer},
		"no time":   {time.Time{}, nil, auth.ErrNoAnswer},
		"not there": {later, apierrors.NewNotFound(corev1.Resource("namespaces"), "again"), auth.ErrForbidden},
	} {
		listed, answer = tc.listed, tc.answer
		clock.add(10 * time.Second)
		if scope, err := a.Scope(t.Context(), user, "again"); !errors.Is(err, tc.want) || !scope.IsZero() {
			t.Errorf("%s: Scope = %+v, %v; want %v", name, scope, err, tc.want)
		}
	}
	listed, answer = time.Time{}, nil
	clock.add(10 * time.Second)
	if scope, err := a.Scope(t.Context(), user); !errors.Is(err, auth.ErrNoAnswer) || !scope.IsZero() {
		t.Errorf("listed without a time: Scope = %+v, %v; want ErrNoAnswer", scope, err)
	}
}
