package canarytest

import (
	"fmt"
	"strings"
)

// texts are what stands in messages, annotations, user agents and values.
var texts = []string{
	`EVIDENCE: dial postgres://app:CANARY@db:5432/x failed`, `GET https://x.example/EVIDENCE?sig=CANARY&a=b: 403`, `https://x.example/cb?code=CANARY`, `https://CANARY@sentry.example/1`, `user:CANARY@tcp(db:3306)/x`, `mongodb+srv://a:CANARY@m.example/x?w=1`,
	`Server=db;User Id=a;Password=CANARY;`, `AccountName=a;AccountKey=CANARY;EndpointSuffix=x`, `EVIDENCE is set: password="CANARY"`, `invalid token: token=CANARY`, `Authorization: Bearer CANARY`, `sent Bearer CANARY to x`, `Cookie: a=b; session=CANARY`,
	`{"password":"CANARY","host":"EVIDENCE"}`, `[{"name":"API_TOKEN","value":"CANARY"}]`, `{"auths":{"r.example":{"auth":"CANARY"}}}`, `ghp_CANARYCANARY`, `glpat-CANARY`, `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJCANARY.CANARYCANARY`, `helm install x --set db.password=CANARY`,
	`exec [sh -c mysql -pCANARY] failed in EVIDENCE`, `command "curl -u a:CANARY x" exited with 1`, `PASSWORD 'CANARY'`, `{"kind":"Secret","data":{"a":"CANARY"}}`, `$2y$10$CANARYCANARY`, `<db><password>CANARY</password></db>`, `secret "EVIDENCE" not found`, `User "EVIDENCE@example.com" cannot get resource "secrets"`,
}

// documents are texts of several lines.
var documents = []string{
	"db:\n  host: EVIDENCE\n  password: CANARY\n", "users:\n- name: EVIDENCE\n  user:\n    token: CANARY\n    client-key-data: CANARY\n", "env:\n- name: X\n  value: CANARY\n", "-----BEGIN EC PRIVATE KEY-----\nCANARY\n-----END EC PRIVATE KEY-----\n",
	"kind: Secret\nstringData:\n  a: CANARY\n", "[db]\nuser = EVIDENCE\npassword = CANARY\n", "#!/bin/sh\nexport TOKEN=CANARY\ncurl -u a:CANARY https://EVIDENCE.example\n", "{{ if }}\npassword: |\n  CANARY\n",
}

// secretKinds are Secrets of all kinds.
var secretKinds = map[string]string{
	"opaque": `"stringData":{"a":"CANARY"},"data":{"b":"BASE64CANARY"}`, "basic": `"type":"kubernetes.io/basic-auth","stringData":{"username":"CANARY","password":"CANARY"}`, "tls": `"type":"kubernetes.io/tls","stringData":{"tls.crt":"CANARY","tls.key":"CANARY"}`,
	"docker": `"type":"kubernetes.io/dockerconfigjson","stringData":{".dockerconfigjson":"{\"auths\":{\"r\":{\"auth\":\"CANARY\"}}}"}`, "fixed": `"immutable":true,"stringData":{"a":"CANARY"}`,
}

// secret is a Secret, of whose body nothing must stay.
func secret(name, rest string) string {
	return strings.ReplaceAll(object("v1", "Secret", name, rest), evidence, "anything")
}

func (p *planner) secrets() {
	secrets := collection("v1", "secrets")
	for _, name := range []string{"opaque", "basic", "tls", "docker", "fixed"} {
		p.create("Secret, "+name, secrets, secret(name, secretKinds[name]))
	}
	p.add("Secret, written", "PUT", secrets+"/opaque", plainJSON, secret("opaque", `"stringData":{"a":"CANARY"}`))
	p.add("Secret, JSON patch", "PATCH", secrets+"/opaque", jsonPatch, `[{"op":"add","path":"/data/c","value":"BASE64CANARY"},{"op":"add","path":"/stringData","value":{"x":"CANARY"}}]`)
	p.add("Secret, merge patch", "PATCH", secrets+"/opaque", mergePatch, `{"stringData":{"d":"CANARY"}}`)
	p.add("Secret, strategic merge patch", "PATCH", secrets+"/opaque", strategicPatch, `{"stringData":{"e":"CANARY"}}`)
	p.add("Secret, applied", "PATCH", secrets+"/applied?fieldManager=test", applyPatch, "apiVersion: v1\nkind: Secret\nmetadata: {name: applied}\nstringData: {a: CANARY} # CANARY\n")
	p.add("Secret, read", "GET", secrets+"/opaque", "", "")
	p.add("Secrets, listed", "GET", secrets, "", "")
	p.add("Secrets as a table", "GET", secrets, "", "", "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
	p.add("Secrets, metadata alone", "GET", secrets, "", "", "Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json")
	p.add("Secrets, as YAML", "GET", secrets, "", "", "Accept", "application/yaml")
	p.create("Secret, generated name", secrets, `{"apiVersion":"v1","kind":"Secret","metadata":{"generateName":"g-"},"stringData":{"a":"CANARY"}}`)
	p.add("Secret, immutable", "PATCH", secrets+"/fixed", mergePatch, `{"stringData":{"a":"CANARY"}}`)
	p.create("Secret, no JSON in it", secrets, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"no"},"type":"kubernetes.io/dockerconfigjson","stringData":{".dockerconfigjson":"{CANARY"}}`)
	p.create("Secret, no Base64", secrets, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"no"},"data":{"a":"*CANARY"}}`)
	p.create("Secret, bad key", secrets, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"no"},"stringData":{"a b":"CANARY"}}`)
	p.create("Secret to a ConfigMap's address", collection("v1", "configmaps"), `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"no"},"stringData":{"a":"CANARY"}}`)
	p.create("kind given twice", secrets, `{"apiVersion":"v1","kind":"ConfigMap","kind":"Secret","metadata":{"name":"twice"},"stringData":{"a":"CANARY"}}`)
	p.add("Secrets, deleted together", "DELETE", secrets, "", "")
}

func (p *planner) configMaps() {
	maps := collection("v1", "configmaps")
	p.create("ConfigMap, created", maps, object("v1", "ConfigMap", "a", `"data":{"EVIDENCE":"CANARY","app.yaml":"db:\n  password: CANARY\n"},"binaryData":{"b":"BASE64CANARY"}`))
	p.add("ConfigMap, JSON patch", "PATCH", maps+"/a", jsonPatch, `[{"op":"add","path":"/data/c","value":"CANARY"},{"op":"add","path":"/metadata/labels/tier","value":"EVIDENCE"}]`)
	p.add("ConfigMap, merge patch", "PATCH", maps+"/a", mergePatch, `{"data":{"EVIDENCE":"CANARY"}}`)
	p.add("ConfigMap, strategic merge patch", "PATCH", maps+"/a", strategicPatch, `{"data":{"f":"CANARY"}}`)
	p.add("ConfigMap, applied", "PATCH", maps+"/applied?fieldManager=test", applyPatch, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {EVIDENCE: CANARY}\n")
	p.add("ConfigMaps, listed", "GET", maps, "", "")
	p.create("ConfigMap, bad key", maps, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"no"},"data":{"a b":"CANARY"}}`)
	p.create("ConfigMap, wrong type", maps, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"no"},"data":["CANARY"]}`)
	p.add("ConfigMaps, deleted together", "DELETE", maps, "", "")
}

// definition is of a kind whose schema says nothing but of one member.
const definition = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"PLURAL.canary.example.com"},"spec":{"group":"canary.example.com","scope":"Namespaced","names":{"plural":"PLURAL","kind":"KIND"},
	"versions":[{"name":"v1","served":true,"storage":true,"subresources":{"status":{}},"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"spec":{"type":"object","x-kubernetes-preserve-unknown-fields":true,
	"properties":{"checked":{"type":"object","properties":{"password":{"type":"string","pattern":"^[A-Z]+$"},"env":{"type":"array","maxItems":0,"items":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}}}}}}}]}}`

// specs are bodies of custom resources.
var specs = []string{
	`{"db":{"host":"EVIDENCE","password":"CANARY","user":"EVIDENCE"},"url":"https://a:CANARY@x.example/EVIDENCE.git"}`, `{"credentials":{"a":"CANARY","b":{"c":"CANARY"}},"tokens":["CANARY"]}`, `{"extraEnvVars":[{"name":"A","value":"CANARY"}],"params":[{"name":"dbPassword","value":"CANARY"},{"name":"region","value":"EVIDENCE"}]}`,
	`{"storage":{"s3":{"accessKeyId":"EVIDENCE","secretAccessKey":"CANARY"}},"encryptionKey":"CANARY","dsn":"CANARY"}`, `{"passwordSecretRef":{"name":"EVIDENCE","key":"pw"},"bearerTokenFile":"/var/run/EVIDENCE","secretName":"EVIDENCE","tokenTTL":"EVIDENCE"}`, `{"auth":{"password":"CANARY","secretRef":{"name":"EVIDENCE"}},"basicAuth":"CANARY"}`,
	`{"extraArgs":{"oidc-client-secret":"CANARY","oidc-client-id":"EVIDENCE"},"webhook":{"url":"https://x.example/?token=CANARY"}}`, `{"users":[{"name":"EVIDENCE","user":{"token":"CANARY","client-key-data":"CANARY"}}]}`, `{"template":{"spec":{"containers":[{"name":"EVIDENCE","command":["mysql"],"args":["-pCANARY"],"env":[{"name":"A","value":"CANARY"}]}]}}}`,
	`{"stringData":{"a":"CANARY"},"dockerconfigjson":"CANARY","userData":"CANARY"}`, `{"accessTokens":{"prod":{"value":"CANARY"}},"rules":[{"apiGroups":["EVIDENCE"],"resources":["secrets"]}],"scopes":["EVIDENCE"]}`,
}

func (p *planner) customResources() {
	for _, names := range [][2]string{{"widgets", "Widget"}, {"vaultsecrets", "VaultSecret"}} {
		p.create(names[1]+", defined", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", strings.NewReplacer("PLURAL", names[0], "KIND", names[1]).Replace(definition))
	}
	widgets := collection("canary.example.com/v1", "widgets")
	widget := func(name, spec string) string {
		return object("canary.example.com/v1", "Widget", name, `"spec":`+spec)
	}
	for i, spec := range specs {
		name := fmt.Sprint("w", i)
		place := "custom resource " + spec
		p.create(place, widgets, widget(name, spec))
		p.add(place+", merge patch", "PATCH", widgets+"/"+name, mergePatch, `{"spec":`+spec+`}`)
		p.add(place+", JSON patch", "PATCH", widgets+"/"+name, jsonPatch, `[{"op":"add","path":"/spec","value":`+spec+`}]`)
		p.add(place+", status", "PATCH", widgets+"/"+name+"/status", mergePatch, `{"status":`+spec+`}`)
	}
	for i, document := range documents {
		p.create("document "+document, widgets, widget(fmt.Sprint("d", i), `{"values":`+jsonText(document)+`,"nested":`+jsonText(`{"values":`+jsonText(document)+`}`)+`}`))
	}
	for i, text := range texts {
		p.create("value "+text, widgets, widget(fmt.Sprint("t", i), `{"note":`+jsonText(text)+`}`))
	}
	p.add("custom resources, listed", "GET", widgets, "", "")
	p.create("custom resource, refused by its schema", widgets, widget("no", `{"checked":{"password":"CANARY","env":[{"name":"A","value":"CANARY"}]}}`))
	p.add("custom resource, patched without right version", "PUT", widgets+"/w0", plainJSON, widget("w0", specs[0]))
	p.create("Secret-like custom resource", collection("canary.example.com/v1", "vaultsecrets"), object("canary.example.com/v1", "VaultSecret", "a", `"spec":{"data":{"a":{"b":"CANARY"}}},"data":{"x":"CANARY"}`))
	p.add("custom resources, deleted together", "DELETE", widgets, "", "")
}

// eventObjects are Kubernetes Events, old and new.
func (p *planner) eventObjects() {
	about := fmt.Sprintf(`{"kind":"Pod","namespace":%q,"name":"a"}`, Namespace)
	for i, text := range texts {
		p.create("Event "+text, collection("v1", "events"), fmt.Sprintf(`{"apiVersion":"v1","kind":"Event","metadata":{"name":"e%d"},"involvedObject":%s,"reason":"EVIDENCE","message":%s,"type":"Warning"}`, i, about, jsonText(text)))
	}
	for i, text := range texts[:8] {
		p.create("new Event "+text, collection("events.k8s.io/v1", "events"), fmt.Sprintf(`{"apiVersion":"events.k8s.io/v1","kind":"Event","metadata":{"name":"n%d"},"regarding":%s,"reason":"Tested","action":"EVIDENCE","note":%s,"type":"Normal","eventTime":"2026-01-01T00:00:00.000000Z","reportingController":"example.com/test","reportingInstance":"EVIDENCE"}`, i, about, jsonText(text)))
	}
	p.add("Events, listed", "GET", collection("v1", "events"), "", "")
}

// callers are what a client says of itself.
func (p *planner) callers() {
	for _, text := range texts {
		p.add("user agent "+text, "GET", "/version", "", "", "User-Agent", "tool/1.0 ("+text+")")
		p.add("extra "+text, "GET", "/version", "", "", "Impersonate-User", "EVIDENCE@example.com", "Impersonate-Group", "system:authenticated", "Impersonate-Extra-Example.com%2fnote", text)
	}
	for _, name := range []string{"Token", "Example.com%2fpassword", "Api-Key"} {
		p.create("extra under the name of a secret, "+name, "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)
		last := &p.all[len(p.all)-1]
		last.Header.Set("Impersonate-User", p.corpus.Sow(last.Place, "EVIDENCE@example.com"))
		last.Header.Set("Impersonate-Group", "system:masters")
		last.Header.Set("Impersonate-Extra-"+name, p.corpus.Sow(last.Place, "CANARY"))
		p.add("extra of somebody else, "+name, "GET", "/version", "", "", "Impersonate-User", "EVIDENCE@example.com", "Impersonate-Extra-"+name, "CANARY").Plain = true
	}
	p.create("review of somebody", "/apis/authorization.k8s.io/v1/subjectaccessreviews", `{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":"EVIDENCE@example.com","extra":{"token":["CANARY"],"scopes.authorization.openshift.io":["EVIDENCE"]},"resourceAttributes":{"resource":"secrets","verb":"get","name":"EVIDENCE"}}}`)
}

// addresses are queries that are secret, of what there is and what there is not.
func (p *planner) addresses() {
	for _, query := range []string{
		"token=CANARY", "access_token=CANARY", "id_token=CANARY&page=EVIDENCE", "api_key=CANARY", "key=CANARY", "code=CANARY&state=CANARY", "sig=CANARY", "jwt=CANARY", "X-Amz-Signature=CANARY&X-Amz-Security-Token=CANARY", "password=CANARY&user=EVIDENCE", "client_secret=CANARY", "a=password%3DCANARY",
		"url=https%3A%2F%2Fa%3ACANARY%40EVIDENCE.example%2F", "q=Bearer+CANARY", "%zz=CANARY", "a;token=CANARY", "to%6ben=CANARY", "redirect=%2Fcb%3Fcode%3DCANARY", "ticket=CANARY", "a=%257B%2522password%2522%253A%2522CANARY%2522%257D", "labelSelector=app%3DEVIDENCE&token=CANARY",
	} {
		p.add("query "+query, "GET", collection("v1", "services")+"?"+query, "", "")
		p.add("query of nothing, "+query, "GET", "/healthz/EVIDENCE?"+query, "", "").Plain = true
	}
	p.add("token in a path", "GET", "/EVIDENCE/ghp_CANARYCANARY/x", "", "")
}

// tokens are what the API server itself hands out, and is shown.
func (p *planner) tokens() {
	p.create("ServiceAccount", collection("v1", "serviceaccounts"), `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a"},"imagePullSecrets":[{"name":"EVIDENCE"}]}`)
	p.create(TokenRequest, collection("v1", "serviceaccounts")+"/a/token", `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`)
	p.create("TokenReview", "/apis/authentication.k8s.io/v1/tokenreviews", `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"CANARY"}}`)
}

// TokenRequest is the place of the request whose answer holds a real token.
const TokenRequest = "token of a ServiceAccount"
