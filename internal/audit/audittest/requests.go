package audittest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
)

// request is what somebody asks of the API server.
type request struct {
	verb, uri                               string
	group, resource, subresource, namespace string
	name                                    string
	code                                    int
	actor                                   actor
	body                                    []byte
}

// actor is who asks. rest and annotations are JSON members.
type actor struct{ name, ip, agent, rest, annotations string }

// kinds are what service accounts and people work on.
var kinds = []struct{ group, resource string }{
	{"apps", "deployments"}, {"apps", "replicasets"}, {"", "pods"}, {"", "pods"}, {"", "configmaps"}, {"", "secrets"}, {"", "services"},
	{"discovery.k8s.io", "endpointslices"}, {"batch", "jobs"}, {"networking.k8s.io", "ingresses"}, {"", "events"},
	{"", "serviceaccounts"}, {"rbac.authorization.k8s.io", "roles"}, {"postgresql.cnpg.io", "clusters"}, {"", "persistentvolumeclaims"},
}

// request makes the next one. The mix is that of a busy cluster: components
// and controllers ask for most, people for little.
func (g *Generator) request() request {
	switch n := g.random.IntN(1000); {
	case n < 300:
		return g.lease()
	case n < 390:
		return g.nodeReport()
	case n < 420:
		return g.probe()
	case n < 940:
		return g.work(g.account())
	case n < 997:
		return g.work(g.person())
	}
	return g.refusedAtTheDoor()
}

func (g *Generator) lease() request {
	a := g.component()
	name := "kube-controller-manager"
	if g.random.IntN(3) > 0 {
		a = g.node()
		name = strings.TrimPrefix(a.name, "system:node:")
	}
	q := request{verb: "update", group: "coordination.k8s.io", resource: "leases", namespace: "kube-node-lease", name: name, code: 200, actor: a}
	if g.random.IntN(3) == 0 {
		q.verb = "get"
	}
	q.uri = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/" + name + "?timeout=10s"
	return q
}

func (g *Generator) nodeReport() request {
	a := g.node()
	name := strings.TrimPrefix(a.name, "system:node:")
	if g.random.IntN(2) == 0 {
		return request{verb: "patch", resource: "nodes", subresource: "status", name: name, code: 200, actor: a, uri: "/api/v1/nodes/" + name + "/status?timeout=10s"}
	}
	namespace, pod := g.namespace(), g.object("pods")
	return request{verb: "patch", resource: "pods", subresource: "status", namespace: namespace, name: pod, code: 200, actor: a,
		uri: "/api/v1/namespaces/" + namespace + "/pods/" + pod + "/status"}
}

func (g *Generator) probe() request {
	path := []string{"/readyz", "/livez", "/metrics", "/openapi/v2", "/api", "/apis", "/version"}[g.random.IntN(7)]
	return request{verb: "get", uri: path, code: 200, actor: g.component()}
}

func (g *Generator) refusedAtTheDoor() request {
	namespace := g.namespace()
	return request{verb: "list", resource: "secrets", namespace: namespace, code: 401, uri: "/api/v1/namespaces/" + namespace + "/secrets",
		actor: actor{ip: g.ip(203), agent: "curl/8.7.1"}}
}

// work is what is done in a namespace.
func (g *Generator) work(a actor) request {
	r := g.random
	kind := kinds[r.IntN(len(kinds))]
	q := request{group: kind.group, resource: kind.resource, namespace: g.namespace(), code: 200, actor: a}
	prefix := "/api/v1"
	if q.group != "" {
		prefix = "/apis/" + q.group + "/v1"
	}
	q.uri = prefix + "/namespaces/" + q.namespace + "/" + q.resource
	switch n := r.IntN(100); {
	case n < 40:
		q.verb, q.name = "get", g.object(q.resource)
	case n < 55:
		q.verb = "list"
		q.uri += "?limit=500"
	case n < 63:
		q.verb = "watch"
		q.uri += fmt.Sprintf("?allowWatchBookmarks=true&resourceVersion=%d&timeoutSeconds=%d&watch=true", 1_000_000+r.IntN(1<<28), 300+r.IntN(300))
	case n < 80:
		q.verb, q.name = "update", g.object(q.resource)
	case n < 90:
		q.verb, q.name = "patch", g.object(q.resource)
	case n < 96:
		q.verb, q.code = "create", 201
	default:
		q.verb, q.name = "delete", g.object(q.resource)
	}
	if q.name != "" {
		q.uri += "/" + q.name
		if q.resource == "pods" && q.verb == "get" && r.IntN(20) == 0 {
			q.subresource = []string{"exec", "log", "portforward"}[r.IntN(3)]
			q.uri += "/" + q.subresource
		}
	}
	if r.IntN(20) == 0 {
		q.code = []int{403, 404, 404, 409, 500}[r.IntN(5)]
	}
	if g.opts.Bodies && (q.verb == "create" || q.verb == "update") {
		q.body = g.body(&q)
	}
	return q
}

func (g *Generator) body(q *request) []byte {
	return fmt.Appendf(nil, `{"kind":"Object","apiVersion":"v1","metadata":{"name":"%s","namespace":"%s","uid":"%08x-1111-4222-8333-444455556666",`+
		`"labels":{"app.kubernetes.io/name":"%s","app.kubernetes.io/managed-by":"controller"},"annotations":{"deployment.kubernetes.io/revision":"%d"}},`+
		`"data":{"config.yaml":"bG9nTGV2ZWw6IGluZm8K"},"spec":{"replicas":%d,"template":{"spec":{"containers":[{"name":"main","image":"registry.example.com/app:v1.%d",`+
		`"env":[{"name":"LOG_LEVEL","value":"info"},{"name":"API_TOKEN","value":"not-for-anybody"}],"resources":{"requests":{"cpu":"100m","memory":"128Mi"}}}]}}}}`,
		q.name, q.namespace, g.random.Uint32(), q.resource, g.random.IntN(50), g.random.IntN(10), g.random.IntN(200))
}

func (g *Generator) namespace() string {
	n := g.actors.Uint64() % namespaces
	if n == 0 {
		return "kube-system"
	}
	return fmt.Sprint("team-", n)
}

// object is the name of one; names repeat, as those of what is used much do.
func (g *Generator) object(resource string) string {
	n := g.objects.Uint64()
	return fmt.Sprintf("%s-%d-%05x", strings.TrimSuffix(resource, "s"), n, n*2654435761&0xfffff)
}

// fingerprint looks like a certificate's; each number has one.
func fingerprint(n uint64) string {
	return fmt.Sprintf("%x", sha256.Sum256(binary.BigEndian.AppendUint64(nil, n)))
}

func (g *Generator) ip(first int) string {
	return fmt.Sprintf("%d.0.%d.%d", first, g.random.IntN(4), 1+g.random.IntN(250))
}

const decision = `,"annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by %s"}`

func (g *Generator) component() actor {
	name := []string{"kube-controller-manager", "kube-scheduler"}[g.random.IntN(2)]
	return actor{
		name: "system:" + name, ip: "10.0.0.10", agent: name + "/v1.37.2 (linux/amd64) kubernetes/9f3b2c1/leader-election",
		rest:        `,"groups":["system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=9f2b4c6d8e0a1b3c5d7e9f0a2b4c6d8e0a1b3c5d7e9f0a2b4c6d8e0a1b3c5d7e"]}`,
		annotations: fmt.Sprintf(decision, `ClusterRoleBinding \"system:`+name+`\" of ClusterRole \"system:`+name+`\" to User \"system:`+name+`\"`),
	}
}

func (g *Generator) node() actor {
	n := g.random.IntN(nodes)
	name := fmt.Sprintf("ip-10-0-1-%d.eu-central-1.compute.internal", n)
	return actor{
		name: "system:node:" + name, ip: fmt.Sprint("10.0.1.", n), agent: "kubelet/v1.37.2 (linux/amd64) kubernetes/9f3b2c1",
		rest:        fmt.Sprintf(`,"groups":["system:nodes","system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=%s"]}`, fingerprint(uint64(n))),
		annotations: fmt.Sprintf(decision, ""),
	}
}

func (g *Generator) account() actor {
	n := g.actors.Uint64()
	namespace := fmt.Sprint("team-", n%namespaces)
	name := fmt.Sprintf("system:serviceaccount:%s:controller-%d", namespace, n)
	return actor{
		name: name, ip: g.ip(10), agent: fmt.Sprintf("controller-%d/v0.%d.1 (linux/amd64) kubernetes/9f3b2c1/controller", n, n%17),
		rest: fmt.Sprintf(`,"uid":"5b8f1c3e-8d1f-4b3a-9a8e-2f1d%08x","groups":["system:serviceaccounts","system:serviceaccounts:%s","system:authenticated"],`+
			`"extra":{"authentication.kubernetes.io/credential-id":["JTI=7c1f5d0e-5c9b-4f6e-8f3d-%012x"],`+
			`"authentication.kubernetes.io/node-name":["ip-10-0-1-%d.eu-central-1.compute.internal"],"authentication.kubernetes.io/node-uid":["0f6d1c52-6d0c-4a37-bd26-%012x"],`+
			`"authentication.kubernetes.io/pod-name":["controller-%d-6d5f8c7b9-x2x7k"],"authentication.kubernetes.io/pod-uid":["ca1fbd3e-9d6c-4fd4-8a6e-%012x"]}`,
			n, namespace, n*104729, n%nodes, n%nodes, n, n*1299709),
		annotations: fmt.Sprintf(decision, fmt.Sprintf(`ClusterRoleBinding \"controller-%d\" of ClusterRole \"controller\" to ServiceAccount \"controller-%d/%s\"`, n, n, namespace)),
	}
}

func (g *Generator) person() actor {
	n := g.actors.Uint64() % people
	return actor{
		name: fmt.Sprintf("person-%d@example.com", n), ip: g.ip(192), agent: "kubectl/v1.37.2 (linux/amd64) kubernetes/9f3b2c1",
		rest:        fmt.Sprintf(`,"groups":["team-%d","system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=%s"]}`, n%namespaces, fingerprint(nodes+n)),
		annotations: fmt.Sprintf(decision, fmt.Sprintf(`RoleBinding \"edit/team-%d\" of ClusterRole \"edit\" to Group \"team-%d\"`, n%namespaces, n%namespaces)),
	}
}
