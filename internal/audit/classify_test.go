package audit

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// request is what a table test says of an event; what it leaves out is alice's
// kubectl, answered with 200.
type request struct {
	verb, uri, user, via, agent, code, ips string
	ref                                    string // group/resource/subresource/namespace/name
}

func (r request) event(t *testing.T) *Event {
	t.Helper()
	return r.eventBy(t, newDecoder(t))
}

func (r request) eventBy(t *testing.T, d *Decoder) *Event {
	t.Helper()
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	parts := strings.SplitN(r.ref+"////", "/", 5)
	ref := ""
	if r.ref != "" {
		ref = fmt.Sprintf(`"objectRef":{"apiGroup":%q,"resource":%q,"subresource":%q,"namespace":%q,"name":%q},`,
			parts[0], parts[1], parts[2], parts[3], strings.TrimRight(parts[4], "/"))
	}
	impersonated, user := "", or(r.user, "alice")
	if r.via != "" {
		impersonated, user = fmt.Sprintf(`"impersonatedUser":{"username":%q},`, or(r.user, "alice")), r.via
	}
	if user == "-" {
		user = ""
	}
	events, quarantined := decode(t, d, fmt.Sprintf(`{"level":"Metadata","auditID":"a","stage":"ResponseComplete","requestURI":%q,"verb":%q,`+
		`"user":{"username":%q},%s"sourceIPs":[%s],"userAgent":%q,%s"responseStatus":{"code":%s},"requestReceivedTimestamp":"2026-11-23T11:00:00Z","stageTimestamp":"2026-11-23T11:00:00Z"}`,
		r.uri, r.verb, user, impersonated, r.ips, or(r.agent, "kubectl/v1.37.2 (linux/amd64)"), ref, or(r.code, "200")))
	if len(events) != 1 {
		t.Fatalf("%d events, quarantined %+v", len(events), quarantined)
	}
	return events[0]
}

// A request's kind: its method, action, resource type and namespace.
func TestClassifyRequest(t *testing.T) {
	tests := []struct {
		request
		method, action, namespace string
	}{
		// application
		{request{verb: "create", uri: "/apis/apps/v1/namespaces/shop/deployments", ref: "apps/deployments//shop/web"}, "POST", "application.create", "shop"},
		{request{verb: "patch", uri: "/apis/apps/v1/namespaces/shop/statefulsets/db/scale", ref: "apps/statefulsets/scale/shop/db"}, "PATCH", "application.scale", "shop"},
		{request{verb: "update", uri: "/apis/batch/v1/namespaces/shop/cronjobs/nightly/status", ref: "batch/cronjobs/status/shop/nightly"}, "PUT", "application.status", "shop"},
		{request{verb: "create", uri: "/api/v1/namespaces/shop/pods/web/eviction", ref: "/pods/eviction/shop/web"}, "POST", "application.eviction", "shop"},
		{request{verb: "delete", uri: "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web", ref: "networking.k8s.io/ingresses//shop/web"}, "DELETE", "application.delete", "shop"},
		{request{verb: "patch", uri: "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web", ref: "argoproj.io/rollouts//shop/web"}, "PATCH", "application.patch", "shop"},
		{request{verb: "deletecollection", uri: "/api/v1/namespaces/shop/pods", ref: "/pods//shop/"}, "DELETE", "application.deletecollection", "shop"},
		// What opens a shell or a tunnel is a POST, however it begins.
		{request{verb: "get", uri: "/api/v1/namespaces/shop/pods/web/exec?command=sh", ref: "/pods/exec/shop/web"}, "POST", "application.exec", "shop"},
		{request{verb: "get", uri: "/api/v1/namespaces/shop/pods/web/attach", ref: "/pods/attach/shop/web"}, "POST", "application.attach", "shop"},
		{request{verb: "create", uri: "/api/v1/namespaces/shop/pods/web/portforward", ref: "/pods/portforward/shop/web"}, "POST", "application.portforward", "shop"},
		{request{verb: "get", uri: "/api/v1/nodes/n1/proxy/exec/shop/web/c", ref: "/nodes/proxy//n1"}, "POST", "cluster.proxy", ""},
		{request{verb: "get", uri: "/api/v1/nodes/n1/proxy/metrics", ref: "/nodes/proxy//n1"}, "GET", "cluster.proxy", ""},
		{request{verb: "get", uri: "/api/v1/namespaces/shop/pods/web/log", ref: "/pods/log/shop/web"}, "GET", "application.log", "shop"},
		// datastore
		{request{verb: "create", uri: "/apis/postgresql.cnpg.io/v1/namespaces/shop/clusters", ref: "postgresql.cnpg.io/clusters//shop/db"}, "POST", "datastore.create", "shop"},
		{request{verb: "delete", uri: "/api/v1/namespaces/shop/persistentvolumeclaims/data", ref: "/persistentvolumeclaims//shop/data"}, "DELETE", "datastore.delete", "shop"},
		{request{verb: "patch", uri: "/apis/kafka.strimzi.io/v1beta2/namespaces/shop/kafkatopics/t", ref: "kafka.strimzi.io/kafkatopics//shop/t"}, "PATCH", "datastore.patch", "shop"},
		{request{verb: "list", uri: "/apis/snapshot.storage.k8s.io/v1/volumesnapshots", ref: "snapshot.storage.k8s.io/volumesnapshots///"}, "GET", "datastore.list", ""},
		// addon
		{request{verb: "create", uri: "/api/v1/namespaces/shop/secrets", ref: "/secrets//shop/sh.helm.release.v1.web.v1"}, "POST", "addon.create", "shop"},
		{request{verb: "create", uri: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", ref: "apiextensions.k8s.io/customresourcedefinitions///x"}, "POST", "addon.create", ""},
		{request{verb: "patch", uri: "/apis/apps/v1/namespaces/kube-system/daemonsets/proxy", ref: "apps/daemonsets//kube-system/proxy"}, "PATCH", "addon.patch", "kube-system"},
		{request{verb: "update", uri: "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/w", ref: "admissionregistration.k8s.io/validatingwebhookconfigurations///w"}, "PUT", "addon.update", ""},
		// environment_group
		{request{verb: "update", uri: "/api/v1/namespaces/shop/configmaps/settings", ref: "/configmaps//shop/settings"}, "PUT", "environment_group.update", "shop"},
		{request{verb: "get", uri: "/api/v1/namespaces/shop/secrets/key", ref: "/secrets//shop/key"}, "GET", "environment_group.get", "shop"},
		{request{verb: "create", uri: "/apis/bitnami.com/v1alpha1/namespaces/shop/sealedsecrets", ref: "bitnami.com/sealedsecrets//shop/s"}, "POST", "environment_group.create", "shop"},
		{request{verb: "watch", uri: "/apis/external-secrets.io/v1/externalsecrets?watch=true", ref: "external-secrets.io/externalsecrets///"}, "GET", "environment_group.watch", ""},
		// cluster
		{request{verb: "patch", uri: "/api/v1/nodes/n1/status", ref: "/nodes/status//n1"}, "PATCH", "cluster.status", ""},
		{request{verb: "update", uri: "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1", ref: "coordination.k8s.io/leases//kube-node-lease/n1"}, "PUT", "cluster.update", "kube-node-lease"},
		{request{verb: "create", uri: "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies", ref: "networking.k8s.io/networkpolicies//shop/deny"}, "POST", "cluster.create", "shop"},
		{request{verb: "create", uri: "/apis/unheard.example/v1/namespaces/shop/things", ref: "unheard.example/things//shop/x"}, "POST", "cluster.create", "shop"},
		{request{verb: "get", uri: "/healthz"}, "GET", "cluster.get", ""},
		{request{verb: "post", uri: "/made/up"}, "POST", "cluster.post", ""},
		{request{verb: "brew", uri: "/coffee"}, "OTHER", "cluster.brew", ""},
		{request{verb: "", uri: ""}, "OTHER", "cluster.other", ""},
		// project
		{request{verb: "delete", uri: "/api/v1/namespaces/shop", ref: "/namespaces//shop/shop"}, "DELETE", "project.delete", "shop"},
		{request{verb: "create", uri: "/api/v1/namespaces", ref: "/namespaces///shop"}, "POST", "project.create", ""},
		{request{verb: "create", uri: "/api/v1/namespaces/shop/serviceaccounts/ci/token", ref: "/serviceaccounts/token/shop/ci"}, "POST", "project.token", "shop"},
		{request{verb: "create", uri: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", ref: "rbac.authorization.k8s.io/clusterrolebindings///admin"}, "POST", "project.create", ""},
		// A review says which namespace it asks about; it does not happen there.
		{request{verb: "create", uri: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", ref: "authorization.k8s.io/selfsubjectaccessreviews//billing/"}, "POST", "project.create", ""},
		{request{verb: "create", uri: "/apis/authorization.k8s.io/v1/namespaces/shop/localsubjectaccessreviews", ref: "authorization.k8s.io/localsubjectaccessreviews//billing/"}, "POST", "project.create", "shop"},
	}
	for _, tt := range tests {
		t.Run(tt.verb+" "+tt.uri, func(t *testing.T) {
			e := tt.event(t)
			got := [3]string{e.Method, e.Action, e.Namespace}
			if diff := cmp.Diff([3]string{tt.method, tt.action, tt.namespace}, got); diff != "" {
				t.Error(diff)
			}
			if resourceType, _, _ := strings.Cut(tt.action, "."); e.ResourceType != resourceType {
				t.Errorf("resource type %s, want %s", e.ResourceType, resourceType)
			}
		})
	}
}

func TestClassifyActor(t *testing.T) {
	const operator = "system:serviceaccount:audit-system:audit-operator"
	tests := []struct {
		name string
		request
		actor, via, kind, client string
	}{
		{"user", request{}, "alice", "", ActorUser, ClientCLI},
		{"impersonation", request{user: "bob", via: "admin"}, "bob", "admin", ActorUser, ClientCLI},
		{"service account", request{user: "system:serviceaccount:ci:deployer", agent: "deployer/1"}, "system:serviceaccount:ci:deployer", "", ActorServiceAccount, ClientOther},
		{"node", request{user: "system:node:n1", agent: "kubelet/v1.37"}, "system:node:n1", "", ActorNode, ClientNode},
		{"bootstrap token", request{user: "system:bootstrap:abcdef"}, "system:bootstrap:abcdef", "", ActorToken, ClientCLI},
		{"anonymous", request{user: "system:anonymous", agent: "curl/8"}, "system:anonymous", "", ActorAnonymous, ClientCLI},
		{"nobody", request{user: "-", agent: "Go-http-client/2.0"}, "", "", ActorAnonymous, ClientOther},
		{"controller", request{user: "system:kube-controller-manager", agent: "x"}, "system:kube-controller-manager", "", ActorUser, ClientController},
		{"the operator", request{user: operator, agent: "kubectl/v1"}, operator, "", ActorServiceAccount, ClientOperator},
		// The name that others may act under is not the authenticated one.
		{"as the operator", request{user: operator, via: "mallory", agent: "audit-operator/v1"}, operator, "mallory", ActorServiceAccount, ClientController},
		{"helm", request{agent: "Helm/3.16"}, "alice", "", ActorUser, ClientCLI},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.verb, tt.uri = "get", "/version"
			e := tt.event(t)
			got := [4]string{e.Actor, e.ActedVia, e.ActorKind, e.Client}
			if diff := cmp.Diff([4]string{tt.actor, tt.via, tt.kind, tt.client}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Tools that people run are told apart from components of a like name.
func TestClients(t *testing.T) {
	for want, agents := range map[string]string{
		ClientCLI: `kubectl/v1.37.2 (linux/amd64) kubernetes/abc|kubectl.exe/v1.28.0 (windows/amd64)|kubectl-cnpg/v1|kubeadm/v1.37.0 (linux/amd64)
			oc/4.17|oc.exe/4.17|odo/v3|Helm/3.16.2|helm/v4|helmfile/1|flux/v2.4.0|argocd/v2.13|argo/v3|istioctl/1.24|istioctl-1.24/v0|kubeseal/v0.0.0 (linux/amd64)
			velero/v1.15.0 (linux/amd64)|k9s/v0.32 (linux/amd64)|k9s v0.32|stern/v1|kustomize/v5|HashiCorp/1.0 Terraform/1.5.7|terraform-provider-kubernetes/2
			pulumi-kubernetes/4|cilium/v0.16 (linux/amd64)|linkerd/v2|virtctl/v1.4|tkn/v0.39|kn/v1.16|clusterctl/v1.9|operator-sdk/v1.38|minikube/v1.34|kind/v0.25
			eksctl/0.194|skaffold/v2|tilt/v0.33|kapp/v0.63|vela/v1.9|vcluster/0.20|headlamp/0.26|Lens/2024|curl/8.5.0|Wget/1.21|stern`,
		ClientController: `kustomize-controller/v1.4.0|helm-controller/v1.1.0|source-controller/v1|argocd-application-controller/v0.0.0|terraform-controller/v0
			pulumi-kubernetes-operator/v2|velero-operator/v1|kube-controller-manager/v1.37|kube-scheduler/v1.37|cluster-autoscaler-controller/v1|cert-manager-controller/v1`,
		ClientNode:  `kubelet/v1.37.2 (linux/amd64)|kubelet.exe/v1.30|kube-proxy/v1.37`,
		ClientOther: `Cilium 1.9.5|velero-server/v1.15.0|argocd-server/v0.0.0|Go-http-client/2.0|python-requests/2.32|Mozilla/5.0 (X11)|kube-apiserver/v1.37|helmut/1|kindred/1|HashiCorp/1.0 Vault/1.18|`,
	} {
		for _, agent := range strings.FieldsFunc(agents, func(r rune) bool { return r == '|' || r == '\n' }) {
			if agent = strings.TrimSpace(agent); agentKind(agent) != want {
				t.Errorf("%q is %s, want %s", agent, agentKind(agent), want)
			}
		}
	}
}

// A patch that is answered with 201 is a server-side apply that made the object.
func TestApplyThatCreates(t *testing.T) {
	const uri = "/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=ci&force=true"
	for _, tt := range []struct{ verb, uri, ref, code, method, action string }{
		{"patch", uri, "apps/deployments//shop/web", "201", "PATCH", "application.create"},
		{"patch", uri, "apps/deployments//shop/web", "200", "PATCH", "application.patch"},
		{"patch", uri, "apps/deployments//shop/web", "0", "PATCH", "application.patch"},
		{"patch", uri, "apps/deployments//shop/web", "409", "PATCH", "application.patch"},
		{"update", uri, "apps/deployments//shop/web", "201", "PUT", "application.update"},
		{"create", uri, "apps/deployments//shop/web", "201", "POST", "application.create"},
		{"patch", "/apis/apps/v1/namespaces/shop/deployments/web/scale", "apps/deployments/scale/shop/web", "201", "PATCH", "application.scale"},
		{"patch", "/api/v1/namespaces/shop/configmaps/x?fieldManager=a&dryRun=All", "/configmaps//shop/x", "201", "PATCH", "environment_group.create"},
		{"patch", "/made/up", "", "201", "PATCH", "cluster.patch"},
	} {
		e := request{verb: tt.verb, uri: tt.uri, ref: tt.ref, code: tt.code}.event(t)
		if e.Method != tt.method || e.Action != tt.action {
			t.Errorf("%s %s with %s is %s %s, want %s %s", tt.verb, tt.ref, tt.code, e.Method, e.Action, tt.method, tt.action)
		}
	}
}

func TestClassifyDetails(t *testing.T) {
	for code, want := range map[string]int{"201": 201, "0": 0, "99": 0, "1000": 0, "200.0": 200} {
		if got := (request{verb: "get", uri: "/version", code: code}).event(t).StatusCode; got != want {
			t.Errorf("code %s is read as %d", code, got)
		}
	}
	e := request{verb: "get", uri: "/version", ips: `"192.0.2.1","::ffff:10.0.0.7","fe80::1%eth0","not an address","2001:db8::1"`}.event(t)
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("fe80::1"), netip.MustParseAddr("2001:db8::1")}
	if diff := cmp.Diff(want, e.IPs, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

func TestClassifierAsksByPriority(t *testing.T) {
	low := ResourceType{Name: "low", Priority: 1, Match: []Rule{{Resources: []string{"pods"}}}}
	high := ResourceType{Name: "high", Priority: 2, Match: []Rule{{Names: []string{"web-*"}}, {Subresources: []string{"exec"}}}}
	groups := ResourceType{Name: "groups", Priority: 3, Match: []Rule{{APIGroups: []string{"pkg.*", "apps"}, Resources: []string{"things"}}}}
	c, err := NewClassifier([]ResourceType{low, high, groups}, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		event Event
		want  string
	}{
		"by name":        {Event{Resource: "pods", ResourceName: "web-1"}, "high"},
		"by subresource": {Event{Resource: "pods", Subresource: "exec"}, "high"},
		"next":           {Event{Resource: "pods", ResourceName: "db"}, "low"},
		"group":          {Event{APIGroup: "apps", Resource: "things"}, "groups"},
		"any of a group": {Event{APIGroup: "pkg.example", Resource: "things"}, "groups"},
		"named group":    {Event{APIGroup: "apps", Resource: "pods"}, "low"},
		"none":           {Event{Resource: "nodes"}, FallbackType},
	} {
		if got := c.resourceType(&tt.event, &wireEvent{}); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	if _, err := NewClassifier([]ResourceType{low, low}, ""); err == nil {
		t.Error("two types of one name are taken")
	}
}

// Whatever a client sends, the derived fields keep their promises.
func FuzzClassify(f *testing.F) {
	f.Add("get", "/api/v1/namespaces/shop/pods/web/exec?dryRun=All", "", "pods", "exec", "web", "alice", "kubectl/1", "::ffff:10.0.0.1")
	f.Add("x", "/%zz", "apps", "deployments", "", "", "system:node:n", "", "fe80::1%x")
	f.Add("", "", "", "", "", "", "", "", "")
	classifier, err := NewClassifier(BuiltInResourceTypes(), "op")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, verb, uri, group, resource, subresource, name, user, agent, ip string) {
		e := Event{}
		p := newParser()
		w := &p.wire
		*w = wireEvent{Verb: verb, RequestURI: uri, UserAgent: agent, SourceIPs: []string{ip}}
		w.User.Username = user
		if resource != "" {
			w.ObjectRef = &wireObjectRef{APIGroup: group, Resource: resource, Subresource: subresource, Name: name}
		}
		classifier.classify(p, &e)
		if !slices.Contains(Methods, e.Method) || !slices.Contains(Clients, e.Client) {
			t.Errorf("method %q, client %q", e.Method, e.Client)
		}
		if e.ResourceType == "" || !strings.HasPrefix(e.Action, e.ResourceType+".") || e.Action == e.ResourceType+"." {
			t.Errorf("type %q, action %q", e.ResourceType, e.Action)
		}
		if slices.Contains([]string{"exec", "attach", "portforward"}, e.Subresource) && e.Method != "POST" {
			t.Errorf("%s is a %s", e.Subresource, e.Method)
		}
		if u, err := url.ParseRequestURI(uri); e.Namespace != "" && (err != nil || !strings.Contains(u.Path, "namespaces/"+e.Namespace)) {
			t.Errorf("namespace %q is not from the path %q", e.Namespace, uri)
		}
		for _, a := range e.IPs {
			if a.Zone() != "" || a.Is4In6() {
				t.Errorf("address %s", a)
			}
		}
	})
}
