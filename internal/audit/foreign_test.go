package audit

import "testing"

// TestForeign has a source of two groups speak: what it says of resources of
// others is foreign, however it writes the path and objectRef.
func TestForeign(t *testing.T) {
	const own, namespaced = "/apis/wardle.example.com/v1alpha1", "/namespaces/shop/flunders/f"
	d := newDecoder(t)
	d.APIGroups = []string{"wardle.example.com", "metrics.k8s.io"}
	for _, tt := range []struct {
		name, uri, ref string
		want           bool
	}{
		{"its own", own + namespaced, "wardle.example.com/flunders//shop/f", false},
		{"its other one", "/apis/metrics.k8s.io/v1beta1/nodes", "metrics.k8s.io/nodes///", false},
		{"its own without a reference", own + namespaced, "", false},
		{"a secret", "/api/v1/namespaces/shop/secrets/crown", "/secrets//shop/crown", true},
		{"a secret without a reference", "/api/v1/namespaces/shop/secrets/crown", "", true},
		{"a secret whose reference is of its own", "/api/v1/namespaces/shop/secrets/crown", "wardle.example.com/flunders//shop/f", true},
		{"its own path for a secret", own + "/namespaces/shop/secrets/crown", "/secrets//shop/crown", true},
		{"another group", "/apis/apps/v1/namespaces/shop/deployments/web", "apps/deployments//shop/web", true},
		{"a group that begins as its own", "/apis/wardle.example.com.evil/v1/x", "wardle.example.com.evil/x///", true},
		{"in other letters", "/apis/Wardle.example.com/v1alpha1/flunders", "", true},
		{"escaped", "/apis/apps%2Fv1/v1/namespaces/shop/deployments", "", true},
		{"its own, escaped", "/apis/wardle%2Eexample.com/v1alpha1/namespaces/shop/flunders", "wardle.example.com/flunders//shop/", false},
		{"slashes before", "///apis/apps/v1/namespaces/shop/deployments", "", true},
		{"no group", "/apis//v1/namespaces/shop/deployments", "", true},
		{"watched in the old way", "/api/v1/watch/namespaces/shop/secrets", "", true},
		{"a reference alone", "/healthz", "wardle.example.com/flunders//shop/f", true},
		{"another's reference alone", "/healthz", "/secrets//shop/crown", true},
		{"a reference to nothing", "no path", "/secrets//shop/crown", true},
		{"its discovery", own, "", false},
		{"another's discovery", "/apis/apps/v1", "", false},
		{"no resource", "/healthz?verbose", "", false},
		{"its metrics", "/metrics", "", false},
		{"what only looks like one", "/x/api/v1/namespaces/shop/secrets", "", false},
		{"no path at all", "", "", false},
	} {
		r := request{verb: "delete", uri: tt.uri, ref: tt.ref}
		e := r.eventBy(t, d)
		if e.Foreign != tt.want {
			t.Errorf("%s: foreign is %t, want %t", tt.name, e.Foreign, tt.want)
		}
		if !e.Foreign && e.Namespace != "" && e.APIGroup != "" && e.APIGroup != "wardle.example.com" {
			t.Errorf("%s: it is in %s, and of the group %s", tt.name, e.Namespace, e.APIGroup)
		}
		if r.event(t).Foreign {
			t.Errorf("%s: it is foreign from a kube-apiserver, too", tt.name)
		}
	}
}

// TestOperatorByName has sources say that the operator did something: only one
// that authenticates for all groups can know, and no user agent can.
func TestOperatorByName(t *testing.T) {
	const operator = "system:serviceaccount:audit-system:audit-operator"
	classifier, err := NewClassifier(BuiltInResourceTypes(), operator)
	if err != nil {
		t.Fatal(err)
	}
	own := request{verb: "get", uri: "/apis/wardle.example.com/v1alpha1/flunders", ref: "wardle.example.com/flunders///", user: operator, agent: "audit-operator/v1"}
	for name, tt := range map[string]struct {
		groups []string
		user   string
		want   string
	}{
		"a kube-apiserver":         {nil, operator, ClientOperator},
		"an aggregated API server": {[]string{"wardle.example.com"}, operator, ClientController},
		"a user agent":             {nil, "alice", ClientController},
		"an agent and groups":      {[]string{"wardle.example.com"}, "alice", ClientController},
	} {
		d := newDecoder(t)
		d.Classifier, d.APIGroups = classifier, tt.groups
		r := own
		r.user = tt.user
		if got := r.eventBy(t, d).Client; got != tt.want {
			t.Errorf("%s: the client is %s, want %s", name, got, tt.want)
		}
	}
}
