package envelope

import (
	"regexp"
	"strconv"
	"strings"
)

// pubsub is a message of Pub/Sub, pushed or pulled.
var pubsub = format{
	name: "Pub/Sub message", advice: googleAdvice,
	open: func(o object, _ Context) (Content, bool) {
		data := o.object("message").value("data")
		return encoded(data), data != nil
	},
}

const googleAdvice = `let the sink's filter pass protoPayload.serviceName="k8s.io" alone`

// logEntry is an entry of Cloud Logging.
var logEntry = format{
	name: "Cloud Logging entry", advice: googleAdvice,
	open: func(o object, _ Context) (Content, bool) {
		if o.has("protoPayload") {
			return auditLog(o), true
		}
		v := o.first("jsonPayload", "textPayload")
		if v == nil {
			return Content{}, false
		}
		c := Content{Value: v}
		switch kind := o.object("resource").text("type"); kind {
		case "k8s_container", "k8s_pod", "k8s_node", "gce_instance":
			c.Skip = SkippedNotAudit
		case "k8s_control_plane_component":
			c.Skip = SkippedStream
		}
		return c, true
	},
}

func auditLog(entry object) Content {
	payload := entry.object("protoPayload")
	switch service := payload.text("serviceName"); service {
	case "k8s.io":
	case "":
		return Content{Problem: "protoPayload.serviceName is missing"}
	default:
		return Content{Skip: SkippedService}
	}
	r := reconstruction{entry: entry, payload: payload}
	event, problem := r.event()
	return Content{Value: event, Problem: problem}
}

// ReconstructedAnnotation is on an event that its API server did not write: it
// says what it was made of, and which fields were inferred.
const ReconstructedAnnotation = "audit.porter.run/reconstructed"

// reconstruction makes an event of an entry, which lacks level, stage, path,
// groups and the answer's code.
type reconstruction struct {
	entry, payload object
	out            []byte
	inferred       []string
}

func (r *reconstruction) event() (event []byte, problem string) {
	method := parseMethod(r.payload.text("methodName"))
	resource := strings.Trim(r.payload.text("resourceName"), "/")
	if method.verb == "" {
		return nil, "protoPayload.methodName names no verb"
	}
	where := parseResourceName(resource)
	if where.subresource == "" && method.subresource != "" && where.name != "" {
		where.subresource = method.subresource
	}
	r.infer("level", quote(r.level()))
	r.auditID()
	r.infer("stage", quote(r.stage()))
	r.infer("requestURI", quote(where.path(resource)))
	r.infer("verb", quote(method.verb))
	authentication, request := r.payload.object("authenticationInfo"), r.payload.object("requestMetadata")
	r.out = appendMember(r.out, "user", memberOf("username", quote(authentication.text("principalEmail"))))
	if ip := request.text("callerIp"); ip != "" {
		r.out = appendMember(r.out, "sourceIPs", append(append([]byte{'['}, quote(ip)...), ']'))
	}
	if agent := request.text("callerSuppliedUserAgent"); agent != "" {
		r.out = appendMember(r.out, "userAgent", quote(agent))
	}
	if where.resource != "" {
		r.infer("objectRef", where.objectRef())
	}
	r.infer("responseStatus", r.status(method))
	r.bodies()
	if t := r.entry.value("timestamp"); t != nil {
		r.out = appendMember(r.out, "requestReceivedTimestamp", t)
	}
	r.out = appendMember(r.out, "annotations", r.annotations())
	return append(r.out, '}'), ""
}

func (r *reconstruction) infer(field string, value []byte) {
	r.inferred = append(r.inferred, field)
	r.out = appendMember(r.out, field, value)
}

// level is the least that keeps what the entry has.
func (r *reconstruction) level() string {
	switch {
	case r.payload.has("response"):
		return "RequestResponse"
	case r.payload.has("request"):
		return "Request"
	}
	return "Metadata"
}

// auditID is the operation's, which links the entries of a request, or the
// entry's own: without one, two entries alike would be one event.
func (r *reconstruction) auditID() {
	id := r.entry.object("operation").text("id")
	if id == "" {
		id = r.entry.text("insertId")
	}
	r.infer("auditID", quote(id))
}

// stage is the end, unless the entry is the first of an operation that goes on.
func (r *reconstruction) stage() string {
	operation := r.entry.object("operation")
	if string(operation.value("first")) == "true" && string(operation.value("last")) != "true" {
		return "ResponseStarted"
	}
	return "ResponseComplete"
}

func (r *reconstruction) bodies() {
	for _, body := range []struct{ from, to string }{{"request", "requestObject"}, {"response", "responseObject"}} {
		if v := r.payload.value(body.from); v != nil {
			r.out = appendMember(r.out, body.to, v)
		}
	}
}

// annotations are the entry's labels, which are the event's annotations, and
// what was inferred.
func (r *reconstruction) annotations() []byte {
	var out []byte
	for _, label := range r.entry.object("labels") {
		if _, isText := unquote(label.value); isText && label.name != ReconstructedAnnotation {
			out = appendMember(out, label.name, label.value)
		}
	}
	text := "from a Cloud Logging entry; inferred: " + strings.Join(r.inferred, ", ")
	return append(appendMember(out, ReconstructedAnnotation, quote(text)), '}')
}

// httpCodes are the answers' codes by those of gRPC, which the entry has.
var httpCodes = map[int]int{
	0: 200, 1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 412, 10: 409, 11: 400, 12: 501, 13: 500, 14: 503, 15: 500, 16: 401,
}

// status is the answer's. A refusal that the entry holds says its code itself.
func (r *reconstruction) status(method method) []byte {
	status, response := r.payload.object("status"), r.payload.object("response")
	grpc, _ := strconv.Atoi(number(status.value("code")))
	code, known := httpCodes[grpc]
	if !known {
		code = 500
	}
	if grpc == 0 && isUpgrade(method.subresource) {
		code = 101
	}
	if exact, err := strconv.Atoi(number(response.value("code"))); err == nil && strings.HasSuffix(response.text("@type"), "Status") {
		code = exact
	}
	out := appendMember(nil, "code", []byte(strconv.Itoa(code)))
	if message := status.text("message"); message != "" {
		out = appendMember(out, "message", quote(message))
	}
	return append(out, '}')
}

// number returns the digits of a number, which may stand there as a text.
func number(v []byte) string {
	if text, ok := unquote(v); ok {
		return string(text)
	}
	return string(v)
}

func isUpgrade(subresource string) bool {
	return subresource == "exec" || subresource == "attach" || subresource == "portforward"
}

// method is what a name like io.k8s.core.v1.pods.exec.create says.
type method struct{ subresource, verb string }

var isVersion = regexp.MustCompile(`^v[0-9]+((alpha|beta)[0-9]+)?$`).MatchString

func parseMethod(name string) method {
	parts := strings.Split(name, ".")
	m := method{verb: parts[len(parts)-1]}
	for i, part := range parts {
		if isVersion(part) && len(parts) == i+4 { // version, resource, subresource, verb
			m.subresource = parts[i+2]
		}
	}
	return m
}

// place is what a name like core/v1/namespaces/shop/pods/web says.
type place struct{ group, version, namespace, resource, name, subresource string }

func parseResourceName(name string) place {
	parts := strings.Split(name, "/")
	if len(parts) < 3 || !isVersion(parts[1]) {
		return place{} // no resource
	}
	p := place{group: parts[0], version: parts[1]}
	if p.group == "core" {
		p.group = ""
	}
	rest := parts[2:]
	if rest[0] == "namespaces" && len(rest) > 1 {
		p.namespace = rest[1]
		if len(rest) == 2 || len(rest) == 3 && (rest[2] == "status" || rest[2] == "finalize") {
			p.resource, p.name, p.subresource = "namespaces", rest[1], strings.Join(rest[2:], "/")
			return p
		}
		rest = rest[2:]
	}
	p.resource = rest[0]
	if len(rest) > 1 {
		p.name = rest[1]
	}
	if len(rest) > 2 {
		p.subresource = rest[2]
	}
	return p
}

// path is the request's, as far as the name says it: it has no query.
func (p *place) path(resourceName string) string {
	if p.resource == "" {
		return "/" + resourceName
	}
	parts := []string{"/apis", p.group, p.version}
	if p.group == "" {
		parts = []string{"/api", p.version}
	}
	if p.namespace != "" && p.resource != "namespaces" {
		parts = append(parts, "namespaces", p.namespace)
	}
	for _, part := range []string{p.resource, p.name, p.subresource} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}

func (p *place) objectRef() []byte {
	var out []byte
	for _, m := range []struct{ name, value string }{
		{"resource", p.resource}, {"namespace", p.namespace}, {"name", p.name},
		{"apiGroup", p.group}, {"apiVersion", p.version}, {"subresource", p.subresource},
	} {
		if m.value != "" {
			out = appendMember(out, m.name, quote(m.value))
		}
	}
	return append(out, '}')
}

func memberOf(name string, value []byte) []byte { return append(appendMember(nil, name, value), '}') }
