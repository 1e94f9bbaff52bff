package audit

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// pair is a resource that clusters have, with its type.
type pair struct{ group, resource, subresource, resourceType string }

func readPairs(t testing.TB) []pair {
	t.Helper()
	text, err := os.ReadFile("testdata/pairs.txt")
	if err != nil {
		t.Fatal(err)
	}
	var pairs []pair
	resourceType := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			resourceType = strings.Trim(line, "[]")
			continue
		}
		for _, written := range strings.Fields(line) {
			parts := strings.Split(written+"/", "/")
			pairs = append(pairs, pair{parts[0], parts[1], parts[2], resourceType})
		}
	}
	return pairs
}

func builtIn(t testing.TB, options ...ClassifierOption) *Classifier {
	t.Helper()
	c, err := NewClassifier(BuiltInResourceTypes(), "", options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What clusters have is of the type that people look for it under.
func TestResourcesByType(t *testing.T) {
	c := builtIn(t)
	pairs := readPairs(t)
	seen := map[string]bool{}
	for _, p := range pairs {
		e := &Event{APIGroup: p.group, Resource: p.resource, Subresource: p.subresource, Namespace: "shop", ResourceName: "x"}
		if got := c.resourceType(e, &wireEvent{}); got != p.resourceType {
			t.Errorf("%s/%s is %s, want %s", p.group, p.resource, got, p.resourceType)
		}
		seen[p.group+"/"+p.resource] = true
	}
	if len(seen) < 201 {
		t.Errorf("%d pairs, want at least 201", len(seen))
	}
}

// What is an application elsewhere is an add-on in a platform namespace, each
// kind of it. Data, settings and members are what they are everywhere.
func TestPlatformNamespaces(t *testing.T) {
	c := builtIn(t)
	own := builtIn(t, WithPlatformNamespaces([]string{"base", "ops-*"}))
	for _, p := range readPairs(t) {
		want := p.resourceType
		if want == "application" {
			want = "addon"
		}
		e := &Event{APIGroup: p.group, Resource: p.resource, Subresource: p.subresource, ResourceName: "x"}
		for _, namespace := range []string{"kube-system", "openshift-monitoring", "openshift", "calico-system", "cattle-fleet-system"} {
			if e.Namespace = namespace; c.resourceType(e, &wireEvent{}) != want {
				t.Errorf("%s/%s in %s is %s, want %s", p.group, p.resource, namespace, c.resourceType(e, &wireEvent{}), want)
			}
		}
		for namespace, want := range map[string]string{"base": want, "ops-eu": want, "ops": p.resourceType, "base2": p.resourceType, "kube-system": p.resourceType, "": p.resourceType} {
			if e.Namespace = namespace; own.resourceType(e, &wireEvent{}) != want {
				t.Errorf("%s/%s in %q is %s by another list, want %s", p.group, p.resource, namespace, own.resourceType(e, &wireEvent{}), want)
			}
		}
	}
	for _, namespace := range []string{"shop", "kube-systems", "my-openshift-x", "calico-system2", "default", ""} {
		if c.platform.has(namespace) {
			t.Errorf("%q is a platform namespace", namespace)
		}
	}
}

// Secrets of service accounts and of Helm are known by their type where a body
// says it, and by the names that controllers give where none does.
func TestSecretsByType(t *testing.T) {
	c := builtIn(t)
	secret := func(secretType string) []byte {
		return []byte(`{"kind":"Secret","apiVersion":"v1","type":"` + secretType + `"}`)
	}
	const token = "kubernetes.io/service-account-token"
	for _, tt := range []struct {
		name, verb        string
		request, response []byte
		want              string
	}{
		{"default-token-x7k2p", "get", nil, nil, "project"},
		{"builder-token-x7k2p", "get", nil, nil, "project"},
		{"deployer-dockercfg-bcd42", "delete", nil, nil, "project"},
		{"builder-dockercfg-x7k2p", "get", nil, secret("kubernetes.io/dockercfg"), "project"},
		{"ci", "get", nil, secret(token), "project"},
		{"ci-token", "create", secret(token), nil, "project"},
		{"bootstrap-token-abcdef", "create", secret("bootstrap.kubernetes.io/token"), nil, "project"},
		{"bootstrap-token-abcdef", "delete", nil, nil, "project"},
		{"ci", "get", nil, []byte(`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"ci"},"data":{"a":"eA=="},"type":"` + token + `"}`), "project"},
		{"ci", "get", nil, []byte(`{ "type": "` + token + `", "kind": "Secret" }`), "project"},
		{"ci", "get", nil, []byte(`{"kind":"Secret","type":"Opaque","data":{"type":"` + token + `"}}`), "environment_group"},
		{"ci", "get", nil, []byte(`{"kind":"Secret","type":"Opaque","x":"\",\"type\":\"` + token + `"}`), "environment_group"},
		{"ci", "get", nil, []byte(`{"kind":"Secret","type":"kubernetes.io\/service-account-token"}`), "project"},
		// The body goes before the name.
		{"github-token-x7k2p", "get", nil, secret("Opaque"), "environment_group"},
		{"github-token-x7k2p", "create", []byte(`{"kind":"Secret"}`), nil, "environment_group"},
		{"default-token-x7k2p", "create", secret("Opaque"), nil, "environment_group"},
		{"x", "update", secret(token), secret("Opaque"), "environment_group"},
		// A body of another kind says nothing of the type.
		{"ci", "delete", []byte(`{"kind":"DeleteOptions","type":"` + token + `"}`), nil, "environment_group"},
		{"ci", "delete", []byte(`{"kind":"DeleteOptions","type":"` + token + `","of":"Secret"}`), nil, "environment_group"},
		{"ci-token", "create", secret(token), []byte(`{"kind":"Status","code":409,"details":{"kind":"Secret"}}`), "project"},
		{"ci-token-x7k2p", "delete", []byte(`{"kind":"DeleteOptions"}`), []byte(`{"kind":"Status"}`), "project"},
		{"ci", "patch", []byte(`[{"op":"add"}]`), nil, "environment_group"},
		{"ci", "create", []byte(`{"kind":"Secret","type":7}`), nil, "environment_group"},
		// Names that people give.
		{"github-token-prod", "get", nil, nil, "environment_group"},
		{"github-token-store", "get", nil, nil, "environment_group"},
		{"token-x7k2p", "get", nil, nil, "environment_group"},
		{"registry-dockercfg", "get", nil, nil, "environment_group"},
		{"", "list", nil, []byte(`{"kind":"SecretList"}`), "environment_group"},
		{"sh.helm.release.v1.web.v1", "create", nil, nil, "addon"},
		{"web-release", "create", secret("helm.sh/release.v1"), nil, "addon"},
	} {
		e := &Event{Resource: "secrets", ResourceName: tt.name, Verb: tt.verb, Namespace: "shop"}
		if got := c.resourceType(e, &wireEvent{RequestObject: tt.request, ResponseObject: tt.response}); got != tt.want {
			t.Errorf("%s %s (%s, %s) is %s, want %s", tt.verb, tt.name, tt.request, tt.response, got, tt.want)
		}
	}
}

// Whatever the rules and the event, the index gives what asking every rule in
// turn gives.
func TestIndexIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(14, 27))
	some := func(of []string) []string {
		var out []string
		for range random.IntN(3) {
			out = append(out, of[random.IntN(len(of))])
		}
		return out
	}
	groups := []string{"", "apps", "a.example", "b.example", "a*", "*", "a.*", "apps*"}
	resources := []string{"secrets", "pods", "things", "thing*", "*", "p*"}
	subresources := []string{"", "status", "exec", "s*", "*"}
	namespaces := []string{"shop", "kube-system", "kube-*", "other"}
	names := []string{"x", "x-token-1", "*-token-?", "*", "x*", "[a-z]", "?"}
	types := []string{"", "Opaque", "kubernetes.io/*", "kubernetes.io/tls"}
	one := func(of []string) string { return of[random.IntN(len(of))] }
	for range 2000 {
		var defined []ResourceType
		for _, name := range []string{"one", "two", "three"} {
			resourceType := ResourceType{Name: name, Priority: random.IntN(3), PlatformType: one([]string{"", "platform"})}
			for range random.IntN(5) {
				resourceType.Match = append(resourceType.Match, Rule{
					APIGroups: some(groups), Resources: some(resources), Subresources: some(subresources),
					Namespaces: some(namespaces), Names: some(names), SecretTypes: some(types),
				})
			}
			defined = append(defined, resourceType)
		}
		c, err := NewClassifier(defined, "")
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			secretType := one([]string{"", "Opaque", "kubernetes.io/tls", "x"})
			w := &wireEvent{}
			if secretType != "" {
				w.ResponseObject = []byte(`{"kind":"Secret","type":"` + secretType + `"}`)
			}
			e := &Event{
				APIGroup: one(groups), Resource: one(append(slices.Clone(resources), "")), Subresource: one(subresources),
				Namespace: one([]string{"", "shop", "kube-system", "kube-x"}), ResourceName: one(append(slices.Clone(names), "")),
			}
			if got, want := c.resourceType(e, w), naiveType(c, e, secretType); got != want {
				t.Fatalf("%+v is %s, want %s by %+v", e, got, want, defined)
			}
		}
	}
}

// What can't be meant is refused, whoever wrote it.
func TestRulesAreChecked(t *testing.T) {
	for problem, rule := range map[string]Rule{
		`apiGroups: "*.example" has a * that is not its end`: {APIGroups: []string{"*.example"}},
		`resources: "a*b" has a * that is not its end`:       {Resources: []string{"pods", "a*b"}},
		`subresources: "**" has a * that is not its end`:     {Subresources: []string{"**"}},
		`namespaces: "*-x" has a * that is not its end`:      {Namespaces: []string{"*-x"}},
		`secretTypes: "*/*" has a * that is not its end`:     {SecretTypes: []string{"*/*"}},
		`names: "x[" is no pattern`:                          {Names: []string{"x["}},
	} {
		_, err := NewClassifier([]ResourceType{{Name: "mine", Match: []Rule{{}, rule}}}, "")
		if want := "resource type mine, rule 2: " + problem; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := NewClassifier([]ResourceType{{}}, ""); err == nil {
		t.Error("a type without a name is taken")
	}
}
