package canarytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Namespace is the one that the requests need.
const Namespace = "canaries"

// Request is one to an API server.
type Request struct {
	Place        string // what it plants, and where
	Method, Path string
	Type         string // of the body
	Header       http.Header
	Body         string
	// Plain is of a user without rights.
	Plain bool
}

// Types of patches.
const (
	jsonPatch      = "application/json-patch+json"
	mergePatch     = "application/merge-patch+json"
	strategicPatch = "application/strategic-merge-patch+json"
	applyPatch     = "application/apply-patch+yaml"
	plainJSON      = "application/json"
)

// planner makes requests one after the other; each plants words of its own.
type planner struct {
	corpus *Corpus
	all    []Request
}

func (p *planner) add(place, method, path, contentType, body string, header ...string) *Request {
	r := Request{Place: place, Method: method, Path: p.corpus.Sow(place+", address", path), Type: contentType, Header: http.Header{}, Body: p.corpus.Sow(place, body)}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], p.corpus.Sow(place+", header", header[i+1]))
	}
	p.all = append(p.all, r)
	return &p.all[len(p.all)-1]
}

func (p *planner) create(place, path, body string) { p.add(place, "POST", path, plainJSON, body) }

// Requests returns requests that plant words of the corpus in all places that an
// API server takes: well-formed ones and those that it refuses.
func Requests(corpus *Corpus) []Request {
	p := &planner{corpus: corpus}
	p.workloads()
	p.pods()
	p.refusedWorkloads()
	p.secrets()
	p.configMaps()
	p.customResources()
	p.eventObjects()
	p.callers()
	p.addresses()
	p.tokens()
	return p.all
}

// podSpec has a secret or a piece of evidence in each place of a Pod that may
// have one.
const podSpec = `{"containers":[{"name":"main","image":"web:1","command":["mysql"],"args":["-h","EVIDENCE","-pCANARY","--password","CANARY","--secrets=EVIDENCE"],
	"env":[{"name":"DB_HOST","value":"CANARY"},{"name":"DB_PASSWORD","valueFrom":{"secretKeyRef":{"name":"EVIDENCE","key":"password"}}},{"name":"URL","value":"postgres://a:CANARY@db/x"}],
	"envFrom":[{"secretRef":{"name":"EVIDENCE"}},{"configMapRef":{"name":"EVIDENCE"}}],
	"livenessProbe":{"httpGet":{"path":"/h","port":80,"httpHeaders":[{"name":"Authorization","value":"Bearer CANARY"},{"name":"X-Key","value":"CANARY"},{"name":"Host","value":"EVIDENCE.example"}]}},
	"readinessProbe":{"exec":{"command":["redis-cli","-a","CANARY","ping"]}},
	"startupProbe":{"exec":{"command":["sh","-c","curl -u admin:CANARY -H 'X-Api-Key: CANARY' http://localhost/"]}},
	"lifecycle":{"postStart":{"exec":{"command":["sh","-c","export TOKEN=CANARY; PGPASSWORD=CANARY psql -h EVIDENCE"]}},"preStop":{"httpGet":{"path":"/bye","port":80,"httpHeaders":[{"name":"Cookie","value":"CANARY"}]}}},
	"resources":{"limits":{"memory":"64Mi"}}}],
	"initContainers":[{"name":"init","image":"EVIDENCE:1","env":[{"name":"X","value":"CANARY"}],"args":["--api-key=CANARY","-e","TOKEN=CANARY"],"command":["sh","-c","vault kv put secret/x a=CANARY"]}],
	"volumes":[{"name":"a","secret":{"secretName":"EVIDENCE"}},{"name":"b","projected":{"sources":[{"secret":{"name":"EVIDENCE"}},{"configMap":{"name":"EVIDENCE"}}]}}],
	"imagePullSecrets":[{"name":"EVIDENCE"}],"restartPolicy":"RESTART"}`

// metadata has the same for any object.
const metadata = `{"name":"NAME","labels":{"app":"a"},"annotations":{"example.com/api-key":"CANARY","example.com/note":"amqp://a:CANARY@mq/%2f","example.com/owner":"EVIDENCE@example.com","rbac.authorization.kubernetes.io/autoupdate":"EVIDENCE",
	"example.com/values":"db:\n  password: CANARY\n  host: EVIDENCE\n","kubectl.kubernetes.io/last-applied-configuration":"{\"kind\":\"Secret\",\"metadata\":{\"name\":\"EVIDENCE\"},\"stringData\":{\"a\":\"CANARY\"}}"}}`

// workload is a kind of object that makes Pods.
type workload struct {
	group, kind, plural string
	restart             string
	spec                string // around the Pod's template
	path                string // of the Pod's template in it
}

var workloads = []workload{
	{"v1", "ReplicationController", "replicationcontrollers", "Always", `"spec":{"replicas":0,"selector":{"app":"a"},"template":TEMPLATE}`, "spec.template"},
	{"v1", "PodTemplate", "podtemplates", "Always", `"template":TEMPLATE`, "template"},
	{"apps/v1", "Deployment", "deployments", "Always", `"spec":{"replicas":0,"selector":{"matchLabels":{"app":"a"}},"template":TEMPLATE}`, "spec.template"},
	{"apps/v1", "ReplicaSet", "replicasets", "Always", `"spec":{"replicas":0,"selector":{"matchLabels":{"app":"a"}},"template":TEMPLATE}`, "spec.template"},
	{"apps/v1", "StatefulSet", "statefulsets", "Always", `"spec":{"serviceName":"a","replicas":0,"selector":{"matchLabels":{"app":"a"}},"template":TEMPLATE}`, "spec.template"},
	{"apps/v1", "DaemonSet", "daemonsets", "Always", `"spec":{"selector":{"matchLabels":{"app":"a"}},"template":TEMPLATE}`, "spec.template"},
	{"batch/v1", "Job", "jobs", "Never", `"spec":{"suspend":true,"template":TEMPLATE}`, "spec.template"},
	{"batch/v1", "CronJob", "cronjobs", "Never", `"spec":{"schedule":"0 0 1 1 *","suspend":true,"jobTemplate":{"spec":{"template":TEMPLATE}}}`, "spec.jobTemplate.spec.template"},
}

func (w workload) collection() string { return collection(w.group, w.plural) }

// collection is the path of the objects of a resource.
func collection(group, plural string) string {
	if group == "v1" {
		return "/api/v1/namespaces/" + Namespace + "/" + plural
	}
	return "/apis/" + group + "/namespaces/" + Namespace + "/" + plural
}

func object(group, kind, name, rest string) string {
	return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":%s,%s}`, group, kind, strings.ReplaceAll(metadata, "NAME", name), rest)
}

func (w workload) object(name string) string {
	template := `{"metadata":{"labels":{"app":"a"},"annotations":{"example.com/token":"CANARY","example.com/team":"EVIDENCE"}},"spec":` + strings.ReplaceAll(podSpec, "RESTART", w.restart) + `}`
	return object(w.group, w.kind, name, strings.ReplaceAll(w.spec, "TEMPLATE", template))
}

// within writes a value as an object has it at a path.
func within(path, value string) string {
	names := strings.Split(path, ".")
	for i := len(names) - 1; i >= 0; i-- {
		value = fmt.Sprintf(`{%q:%s}`, names[i], value)
	}
	return value
}

func (p *planner) workloads() {
	for _, w := range workloads {
		p.create(w.kind+", created", w.collection(), w.object("a"))
		p.create(w.kind+", tried", w.collection()+"?dryRun=All", w.object("tried"))
		one := w.collection() + "/a"
		at := "/" + strings.ReplaceAll(w.path, ".", "/") + "/spec"
		if w.kind == "Job" { // whose template stays what it was; see refusedWorkloads
			p.add(w.kind+", patched", "PATCH", one, jsonPatch, `[{"op":"add","path":"/metadata/annotations/example.com~1token","value":"CANARY"},{"op":"add","path":"/metadata/labels/tier","value":"EVIDENCE"}]`)
		} else {
			p.add(w.kind+", JSON patch", "PATCH", one, jsonPatch, `[{"op":"replace","path":"`+at+`/containers/0/env/0/value","value":"CANARY"},{"op":"add","path":"`+at+`/containers/0/env/-","value":{"name":"MORE","value":"CANARY"}},
				{"op":"replace","path":"`+at+`/containers/0/args","value":["--password","CANARY"]},{"op":"replace","path":"`+at+`/initContainers/0/args/0","value":"--api-key=CANARY"},
				{"op":"add","path":"/metadata/annotations/example.com~1token","value":"CANARY"},{"op":"add","path":"/metadata/labels/tier","value":"EVIDENCE"},{"op":"replace","path":"`+at+`/containers/0/image","value":"EVIDENCE:2"}]`)
			spec := within(w.path+".spec", `{"containers":[{"name":"main","image":"EVIDENCE:3","command":["redis-cli"],"args":["-a","CANARY"],"env":[{"name":"DB_HOST","value":"CANARY"}]}]}`)
			p.add(w.kind+", strategic merge patch", "PATCH", one, strategicPatch, spec)
			p.add(w.kind+", merge patch", "PATCH", one, mergePatch, spec)
		}
		p.add(w.kind+", applied", "PATCH", w.collection()+"/applied?fieldManager=test", applyPatch, w.object("applied"))
		p.add(w.kind+", read", "GET", one, "", "")
		p.add(w.kind+", deleted", "DELETE", w.collection()+"/applied", plainJSON, `{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}`)
	}
	p.add("Deployment, applied as YAML", "PATCH", collection("apps/v1", "deployments")+"/yaml?fieldManager=test", applyPatch, `apiVersion: apps/v1
kind: Deployment
metadata: {name: yaml}
spec:
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec:
      containers:
      - name: main
        image: EVIDENCE:1
        args: [--token, CANARY] # password: CANARY
        env:
        - {name: A, value: "CANARY"}
`)
	p.add("Deployments as a table", "GET", collection("apps/v1", "deployments"), "", "", "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
	p.add("Deployments, deleted together", "DELETE", collection("apps/v1", "deployments"), "", "")
}

func (p *planner) pods() {
	pods := collection("v1", "pods")
	pod := object("v1", "Pod", "a", `"spec":`+strings.ReplaceAll(podSpec, "RESTART", "Always"))
	p.create("Pod, created", pods, pod)
	p.add("Pod, read", "GET", pods+"/a", "", "")
	p.add("Pods, listed", "GET", pods, "", "")
	p.add("Pod, ephemeral container", "PATCH", pods+"/a/ephemeralcontainers", strategicPatch, `{"spec":{"ephemeralContainers":[{"name":"debug","image":"EVIDENCE:1","command":["sh","-c","mysql -u root -pCANARY"],"env":[{"name":"A","value":"CANARY"}]}]}}`)
	p.add("Pod, status", "PATCH", pods+"/a/status", mergePatch, `{"status":{"message":"EVIDENCE: connect to redis://:CANARY@r:6379"}}`)
	// The API server quotes what was and what should have been.
	p.add("Pod, forbidden change", "PATCH", pods+"/a", strategicPatch, `{"spec":{"containers":[{"name":"main","env":[{"name":"DB_HOST","value":"CANARY"}],"args":["--password","CANARY"]}]}}`)
	p.create("Pod, two sources of a value", pods, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"EVIDENCE"},"spec":{"containers":[{"name":"a","image":"a","env":[{"name":"A","value":"CANARY","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]}}`)
	p.create("Pod, unknown member", pods+"?fieldValidation=Strict", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"EVIDENCE"},"spec":{"password":"CANARY","containers":[{"name":"a","image":"a"}]}}`)
	p.create("Pod, wrong type", pods, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"},"spec":{"containers":[{"name":"a","image":"a","env":"CANARY"}]}}`)
	for _, argv := range [][]string{
		{"mysql", "-pCANARY", "-h", "EVIDENCE"}, {"mysql", "-p", "CANARY"}, {"redis-cli", "-a", "CANARY"}, {"curl", "-u", "a:CANARY", "https://EVIDENCE.example"}, {"curl", "-H", "Authorization: Bearer CANARY"},
		{"sh", "-c", "PGPASSWORD=CANARY psql -h EVIDENCE"}, {"env", "API_KEY=CANARY", "x"}, {"x", "--password", "CANARY", "--user", "EVIDENCE"}, {"x", "--token=CANARY"}, {"sshpass", "-p", "CANARY", "ssh"},
		{"psql", "-c", "ALTER USER a WITH PASSWORD 'CANARY'"}, {"bash", "-c", "sh -c \"mysql -pCANARY\""}, {"vault", "login", "CANARY"}, {"htpasswd", "-b", "f", "u", "CANARY"}, {"git", "clone", "https://a:CANARY@git.example/EVIDENCE"}, {"x", "{\"password\":\"CANARY\"}"},
	} {
		query := url.Values{"command": argv, "container": {"main"}, "stdout": {"true"}}.Encode()
		place := strings.Join(argv, " ")
		p.create("exec, "+place, pods+"/a/exec?"+query, "")
		p.add("attach by GET, "+place, "GET", pods+"/a/attach?"+query, "", "")
	}
	p.add("proxy of a Pod", "GET", pods+"/a/proxy/x;jsessionid=CANARY?token=CANARY&page=EVIDENCE", "", "")
	p.add("proxy of a node", "POST", "/api/v1/nodes/n/proxy/run/a/b/c?cmd=mysql+-pCANARY+-h+EVIDENCE", "", "")
	p.add("proxy of a Service", "GET", collection("v1", "services")+"/a/proxy/?code=CANARY&X-Amz-Signature=CANARY", "", "")
}

// refusedWorkloads are changes whose refusal quotes what was sent.
func (p *planner) refusedWorkloads() {
	jobs := collection("batch/v1", "jobs") + "/a"
	p.add("Job, immutable", "PATCH", jobs, strategicPatch, `{"spec":{"template":{"metadata":{"annotations":{"example.com/token":"CANARY"}},"spec":{"containers":[{"name":"main","args":["--password","CANARY"],"env":[{"name":"DB_HOST","value":"CANARY"}]}]}}}}`)
	p.add("Job, immutable, JSON patch", "PATCH", jobs, jsonPatch, `[{"op":"replace","path":"/spec/template/spec/containers/0/env/0/value","value":"CANARY"}]`)
	p.add("StatefulSet, forbidden change", "PATCH", collection("apps/v1", "statefulsets")+"/a", mergePatch, `{"spec":{"serviceName":"EVIDENCE","template":{"spec":{"containers":[{"name":"main","image":"a","env":[{"name":"A","value":"CANARY"}]}]}}}}`)
	p.create("Deployment, selector that fits not", collection("apps/v1", "deployments"), strings.Replace(workloads[2].object("no"), `"matchLabels":{"app":"a"}`, `"matchLabels":{"app":"EVIDENCE"}`, 1))
	p.create("Deployment, environment twice", collection("apps/v1", "deployments"), strings.Replace(workloads[2].object("no"), `"value":"CANARY"`, `"value":"CANARY","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}`, 1))
	p.add("Deployment, failed test", "PATCH", collection("apps/v1", "deployments")+"/a", jsonPatch, `[{"op":"test","path":"/spec/template/spec/containers/0/env/0/value","value":"CANARY"}]`)
	p.add("Deployment, patch that is none", "PATCH", collection("apps/v1", "deployments")+"/a", jsonPatch, `[{"op":"add","path":"/spec/template/spec/containers/0/env/0","value":{"name":"A","value":"CANARY"`)
	p.create("Deployment, cut off", collection("apps/v1", "deployments"), workloads[2].object("no")[:900])
}

// jsonText is a text as JSON has it.
func jsonText(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // there is none
	}
	return string(b)
}
