package collector_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// Bodies of what is not read are kept, so that clients may write into them.
const bodyPolicy = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[
	{"level":"RequestResponse","verbs":["create","patch"]},{"level":"Request","verbs":["delete"]},{"level":"Metadata"}]}`

// client sends requests as they are written, with whatever headers.
type client struct {
	http *http.Client
	host string
}

func newClient(t *testing.T, config *rest.Config) client {
	t.Helper()
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = -1, -1
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return client{httpClient, config.Host}
}

func (c client) do(t *testing.T, method, uri string, header http.Header, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.host, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(uri, "?")
	req.URL.Path, req.URL.RawQuery = path, query
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Errorf("%s %.80s: %v", method, uri, err)
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// Whatever a client sends through a real API server, its request is a row, and
// so are those of others at the same time.
func TestHostileRequests(t *testing.T) {
	events := embeddedtest.Open(t, embedded.Options{})
	_, config := startAPIServer(t, events, bodyPolicy)
	admin, anonymous := newClient(t, config), newClient(t, rest.AnonymousClientConfig(config))
	operator := newClient(t, mayDeleteSecrets(t, config))

	const size = 900_000
	long := strings.Repeat("p", size)
	object := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%s","labels":{"a":"%s"}}}`
	asJSON := http.Header{"Content-Type": {"application/json"}}
	for name, sent := range map[string]struct {
		by           client
		method, uri  string
		header       http.Header
		body         string
		code         int
		isCut        bool
		resourceName string
	}{
		"secret deleted with &":   {by: operator, method: "DELETE", uri: "/api/v1/namespaces/shop/secrets/crown?" + strings.Repeat("&", 200_000), code: 200, isCut: true, resourceName: "crown"},
		"label twice":             {by: admin, method: "PATCH", uri: "/api/v1/namespaces/shop/configmaps/twice", header: http.Header{"Content-Type": {"application/merge-patch+json"}}, body: `{"metadata":{"labels":{"a":"1","a":"2"}}}`, code: 200, resourceName: "twice"},
		"deep patch":              {by: admin, method: "PATCH", uri: "/api/v1/namespaces/shop/configmaps/deep", header: http.Header{"Content-Type": {"application/merge-patch+json"}}, body: `{"x":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`, code: -1, isCut: true, resourceName: "deep"},
		"URL":                     {by: admin, method: "GET", uri: "/api/v1/namespaces/shop/configmaps/url?" + long, code: 404, isCut: true, resourceName: "url"},
		"name":                    {by: admin, method: "GET", uri: "/api/v1/namespaces/shop/configmaps/" + long, code: 404, isCut: true},
		"name that is refused":    {by: anonymous, method: "GET", uri: "/api/v1/namespaces/shop/secrets/" + long, code: 403, isCut: true},
		"namespace":               {by: anonymous, method: "GET", uri: "/api/v1/namespaces/" + long + "/pods/refused", code: 403, isCut: true, resourceName: "refused"},
		"forwarded":               {by: admin, method: "GET", uri: "/api/v1/namespaces/shop/configmaps/forwarded", header: http.Header{"X-Forwarded-For": {strings.Repeat("10.9.8.7,", size/9) + "10.1.1.1"}}, code: 404, isCut: true, resourceName: "forwarded"},
		"audit ID":                {by: admin, method: "GET", uri: "/api/v1/namespaces/shop/configmaps/audit-id", header: http.Header{"Audit-Id": {long}}, code: 404, isCut: true, resourceName: "audit-id"},
		"user agent":              {by: admin, method: "GET", uri: "/api/v1/namespaces/shop/configmaps/agent", header: http.Header{"User-Agent": {long}}, code: 404, isCut: true, resourceName: "agent"},
		"verb":                    {by: admin, method: strings.Repeat("V", 5000), uri: "/verb-of-its-own", code: -1, isCut: true},
		"extra of no UTF-8":       {by: admin, method: "GET", uri: "/api/v1/namespaces/shop/configmaps/extra", header: http.Header{"Impersonate-User": {"bob"}, "Impersonate-Extra-%ff": {"1"}, "Impersonate-Extra-%fe": {"2"}}, code: 403, resourceName: "extra"},
		"many extras":             {by: admin, method: "GET", uri: "/api/v1/namespaces/shop/configmaps/extras", header: extras(10_000), code: -1, resourceName: "extras"},
		"label in a refusal":      {by: admin, method: "POST", uri: "/api/v1/namespaces/shop/configmaps?fieldManager=label-in-a-refusal", header: asJSON, body: fmt.Sprintf(object, "label", "-"+long+long), code: 422, isCut: true},
		"body":                    {by: admin, method: "POST", uri: "/api/v1/namespaces/shop/pods?fieldManager=body", header: asJSON, body: `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"body","annotations":{"a":"` + long + long + `"}}}`, code: 422, isCut: true},
		"dry run of a long patch": {by: admin, method: "PATCH", uri: "/api/v1/namespaces/shop/configmaps/twice?a=" + long + "&dryRun=All", header: http.Header{"Content-Type": {"application/merge-patch+json"}}, body: `{}`, code: 200, isCut: true, resourceName: "twice"},
	} {
		agent := "hostile/" + strings.ReplaceAll(name, " ", "-")
		header := sent.header.Clone()
		if header == nil {
			header = http.Header{}
		}
		if header["User-Agent"] == nil {
			header["User-Agent"] = []string{agent}
		}
		began := time.Now()
		code := sent.by.do(t, sent.method, sent.uri, header, sent.body)
		if sent.code > 0 && code != sent.code {
			t.Errorf("%s: the API server answers %d, want %d", name, code, sent.code)
		}
		if code == 431 || code == 414 { // refused before it was a request
			t.Errorf("%s: the API server takes no such request: %d", name, code)
			continue
		}
		is := func(e *audit.Event) bool {
			if name == "user agent" {
				return e.ResourceName == "agent" && strings.HasPrefix(e.UserAgent, "ppp")
			}
			return e.UserAgent == agent
		}
		e := await(t, events, began, 1, is)[0]
		if e.StatusCode != code || e.Truncated != sent.isCut || sent.resourceName != "" && e.ResourceName != sent.resourceName {
			t.Errorf("%s: code %d, truncated %t, name %.40s", name, e.StatusCode, e.Truncated, e.ResourceName)
		}
		if name == "secret deleted with &" && (e.Actor != "system:serviceaccount:shop:ci" || e.Action != "environment_group.delete") {
			t.Errorf("%s: %s did %s", name, e.Actor, e.Action)
		}
		if name == "dry run of a long patch" && e.DryRun != audit.DryRunTrue {
			t.Errorf("%s is none", name)
		}
	}
	strangersAndOthers(t, events, anonymous, admin)
}

// strangersAndOthers sends large requests without credentials beside another's.
func strangersAndOthers(t *testing.T, events store.Store, anonymous, other client) {
	t.Helper()
	const strangers, others = 101, 144
	began := time.Now()
	ands := strings.Repeat("&", 1_000_000)
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for range (strangers + 3) / 4 {
				anonymous.do(t, "GET", "/api/v1/namespaces/shop/pods?"+ands, http.Header{"User-Agent": {"stranger"}}, "")
			}
		})
	}
	for i := range others {
		other.do(t, "GET", fmt.Sprintf("/api/v1/namespaces/shop/configmaps/known-%d", i), http.Header{"User-Agent": {"other"}}, "")
	}
	senders.Wait()
	found := map[string]int{}
	for _, e := range await(t, events, began, others, func(e *audit.Event) bool { return e.UserAgent == "other" }) {
		found[e.ResourceName]++
	}
	for i := range others {
		if n := found[fmt.Sprintf("known-%d", i)]; n != 1 {
			t.Errorf("request %d is %d rows", i, n)
		}
	}
	await(t, events, began, (strangers+3)/4*4, func(e *audit.Event) bool { return e.UserAgent == "stranger" })
	if stats, err := events.Sources(t.Context()); err != nil || len(stats) != 1 || stats[0].Quarantined > 0 {
		t.Errorf("sources: %+v, %v", stats, err)
	}
}

// await waits until the store holds so many events.
func await(t *testing.T, s store.Store, from time.Time, want int, is func(*audit.Event) bool) []*audit.Event {
	t.Helper()
	request := store.CaptureRequest{
		Filter: query.Filter{Terms: query.Terms{Stages: audit.Stages}}, Limit: 50000,
		Window: query.Window{From: from.Add(-time.Second), To: time.Now().Add(time.Hour)},
	}
	deadline := time.Now().Add(3 * time.Minute)
	for tick := time.NewTicker(200 * time.Millisecond); ; <-tick.C {
		var found []*audit.Event
		if _, err := s.Capture(t.Context(), query.ClusterWide(), request, func(e *audit.Event) error {
			if is(e) {
				copied := *e
				found = append(found, &copied)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(found) >= want {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events of %d are stored", len(found), want)
		}
	}
}

func extras(n int) http.Header {
	h := http.Header{"Impersonate-User": {"bob"}}
	for i := range n {
		h[fmt.Sprintf("Impersonate-Extra-%s%d", url.PathEscape("é/"), i)] = []string{"v"}
	}
	return h
}

// mayDeleteSecrets makes a service account that may, and returns its config.
func mayDeleteSecrets(t *testing.T, config *rest.Config) *rest.Config {
	t.Helper()
	c, ctx, create := kubernetes.NewForConfigOrDie(config), t.Context(), metav1.CreateOptions{}
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(c.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, create))
	do(c.CoreV1().Secrets("shop").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "crown"}}, create))
	for _, name := range []string{"twice", "deep"} {
		do(c.CoreV1().ConfigMaps("shop").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, create))
	}
	do(c.CoreV1().ServiceAccounts("shop").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "ci"}}, create))
	do(c.RbacV1().Roles("shop").Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "ci"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"delete"}}}}, create))
	do(c.RbacV1().RoleBindings("shop").Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "ci"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "ci"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "ci", Namespace: "shop"}},
	}, create))
	token, err := c.CoreV1().ServiceAccounts("shop").CreateToken(ctx, "ci", &authenticationv1.TokenRequest{}, create)
	do(nil, err)
	account := rest.AnonymousClientConfig(config)
	account.BearerToken = token.Status.Token
	return account
}
