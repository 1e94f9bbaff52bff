package web_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// caller is someone at the door.
type caller struct {
	name   string
	token  string
	cookie bool // the token is in a session
	header http.Header
	from   string // the address that it connects from, if not any

	known      bool // the API server knows it
	everything bool
	namespaces []string // that it has the right to, which it must name if they are gone
}

const (
	team  = "qteam"  // the namespace that callers come from
	crowd = "qcrowd" // that of those who have their rights by a group
)

// scope is what the caller may see, by the rules of docs/operations/rights.md:
// a function that tells it of each realm, or false if it may see nothing.
func (c *caller) scope(named []string) (func(*realm) bool, bool) {
	if c.everything {
		return func(*realm) bool { return true }, true
	}
	may := slices.DeleteFunc(slices.Clone(c.namespaces), func(n string) bool { return n == gone.namespace })
	for _, n := range named {
		if !slices.Contains(c.namespaces, n) {
			return nil, false
		}
		may = named
	}
	return func(r *realm) bool {
		return r.cluster == webtest.OwnCluster && !r.foreign && slices.Contains(may, r.namespace)
	}, len(may) > 0
}

// callers makes everyone who may come, and who may not.
func callers(t *testing.T) []*caller {
	t.Helper()
	for _, name := range []string{team, "qshop", "qbilling", "qpayroll", "qshop-two", "qgone", "qempty"} {
		if _, err := world.Kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	events := auth.Resource + "/" + auth.Subresource
	role(t, "qreader", rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{auth.Group}, Resources: []string{events}})
	role(t, "qother-resource", rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{auth.Group}, Resources: []string{auth.Resource, "clusterauditlogqueries"}})
	role(t, "qother-verb", rbacv1.PolicyRule{Verbs: []string{"list", "watch"}, APIGroups: []string{auth.Group}, Resources: []string{events}})

	var out []*caller
	add := func(name string, c caller, roles ...string) {
		c.name, c.known = name, true
		c.token = account(t, strings.ReplaceAll(name, " ", "-"))
		for _, namespace := range c.namespaces {
			roles = append(roles, "qreader "+namespace)
		}
		for _, granted := range roles {
			role, namespace, _ := strings.Cut(granted, " ")
			bind(t, role, namespace, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: team, Name: strings.ReplaceAll(name, " ", "-")})
		}
		out = append(out, &c)
	}
	add("everything", caller{everything: true}, "qreader ")
	add("shop", caller{namespaces: []string{"qshop"}})
	add("shop and billing", caller{namespaces: []string{"qshop", "qbilling"}})
	add("billing", caller{namespaces: []string{"qbilling"}})
	add("gone", caller{namespaces: []string{"qgone"}})
	add("without events", caller{namespaces: []string{"qempty"}})
	add("nobody", caller{})
	add("other resource", caller{}, "qother-resource ", "qother-resource qshop")
	add("other verb", caller{}, "qother-verb ", "qother-verb qshop")

	// By its group alone.
	if _, err := world.Kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: crowd}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	group := &caller{name: "by group", token: accountIn(t, crowd, "by-group"), known: true, namespaces: []string{"qpayroll"}}
	bind(t, "qreader", "qpayroll", rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts:" + crowd})
	out = append(out, group)
	// Named by a proxy, without a UID and without a group of Kubernetes' own.
	const proxied = "billing@example.com"
	bind(t, "qreader", "qbilling", rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: proxied})
	bind(t, "qreader", "qpayroll", rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "paymasters"})
	awaitRights(t, out)

	// The namespace goes and, where nothing cleans up, what granted a right to it stays.
	if err := world.Kube.CoreV1().Namespaces().Delete(t.Context(), "qgone", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	leaving, err := world.Kube.CoreV1().Namespaces().Get(t.Context(), "qgone", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	leaving.Spec.Finalizers = nil
	if _, err := world.Kube.CoreV1().Namespaces().Finalize(t.Context(), leaving, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}

	find := func(name string) *caller {
		return out[slices.IndexFunc(out, func(c *caller) bool { return c.name == name })]
	}
	for _, name := range []string{"shop", "everything"} {
		inSession := *find(name)
		inSession.name, inSession.cookie = name+" in a session", true
		out = append(out, &inSession)
	}
	named := http.Header{login.UserHeader: {proxied}, login.GroupHeader: {"paymasters"}}
	out = append(out,
		&caller{name: "by a proxy", from: webtest.ProxyAddress, header: named, known: true, namespaces: []string{"qbilling", "qpayroll"}},
		&caller{name: "by a proxy without groups", from: webtest.ProxyAddress, header: http.Header{login.UserHeader: {proxied}}, known: true, namespaces: []string{"qbilling"}},
		&caller{name: "by no proxy", header: named},
		&caller{name: "a component by a proxy", from: webtest.ProxyAddress, header: http.Header{login.UserHeader: {"x"}, login.GroupHeader: {"system:masters"}}},
	)
	token := find("everything").token
	dot := strings.LastIndexByte(token, '.') + 1
	forged := token[:dot] + map[bool]string{true: "B", false: "A"}[token[dot] == 'A'] + token[dot+1:]
	ended := account(t, "ended")
	if err := world.Kube.CoreV1().ServiceAccounts(team).Delete(t.Context(), "ended", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	return append(out,
		&caller{name: "anonymous"},
		&caller{name: "forged token", token: forged},
		&caller{name: "account that is gone", token: ended},
		&caller{name: "token for others", token: account(t, "for-others", "https://vault.example.com")},
		&caller{name: "token as a cookie", header: http.Header{"Cookie": {"audit-session=" + token}}},
		&caller{name: "forged session", header: http.Header{"Cookie": {"audit-session=MTc2NDAwMDAwMHxhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="}}},
		&caller{name: "basic authentication", header: http.Header{"Authorization": {"Basic " + token}}},
		// Headers of a proxy that is not trusted say nothing.
		&caller{name: "claims to be root", header: http.Header{"X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}, "X-Forwarded-User": {"root"}, "Impersonate-User": {"root"}, "Impersonate-Group": {"system:masters"}}},
	)
}

func role(t *testing.T, name string, rule rbacv1.PolicyRule) {
	t.Helper()
	if _, err := world.Kube.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// bind grants a role in a namespace, or everywhere.
func bind(t *testing.T, role, namespace string, subject rbacv1.Subject) {
	t.Helper()
	meta := metav1.ObjectMeta{GenerateName: "q-"}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
	var err error
	if namespace == "" {
		_, err = world.Kube.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: []rbacv1.Subject{subject}}, metav1.CreateOptions{})
	} else {
		_, err = world.Kube.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: []rbacv1.Subject{subject}}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// account makes a service account and returns a token of it.
func account(t *testing.T, name string, audiences ...string) string {
	t.Helper()
	return accountIn(t, team, name, audiences...)
}

func accountIn(t *testing.T, namespace, name string, audiences ...string) string {
	t.Helper()
	accounts := world.Kube.CoreV1().ServiceAccounts(namespace)
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

// awaitRights waits until the authorizer has learnt of all that was granted.
func awaitRights(t *testing.T, all []*caller) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		missing := ""
		a := world.Auth()
		for _, c := range all {
			user, err := a.Authenticate(ctx, c.token)
			if err != nil {
				t.Fatal(err)
			}
			if scope, err := a.Scope(ctx, user, c.namespaces...); (len(c.namespaces) > 0 || c.everything) && (err != nil || scope.IsClusterWide() != c.everything) {
				missing = c.name
			}
		}
		if missing == "" {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s never got its right", missing)
		}
	}
}
