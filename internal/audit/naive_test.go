package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/redact"
)

// naiveEvent is an event as the library decodes and encodes it, member by
// member by reflection: slow, and plainly right. The decoder must give the same.
type naiveEvent struct {
	Kind                     jsontext.Value       `json:"kind,omitzero"`
	APIVersion               jsontext.Value       `json:"apiVersion,omitzero"`
	Level                    string               `json:"level,omitempty"`
	AuditID                  string               `json:"auditID,omitempty"`
	Stage                    string               `json:"stage,omitempty"`
	RequestURI               string               `json:"requestURI,omitempty"`
	Verb                     string               `json:"verb,omitempty"`
	User                     naiveUser            `json:"user"`
	ImpersonatedUser         *naiveUser           `json:"impersonatedUser,omitempty"`
	AuthenticationMetadata   *naiveAuthentication `json:"authenticationMetadata,omitempty"`
	SourceIPs                []string             `json:"sourceIPs,omitempty"`
	UserAgent                string               `json:"userAgent,omitempty"`
	ObjectRef                *naiveObjectRef      `json:"objectRef,omitempty"`
	ResponseStatus           jsontext.Value       `json:"responseStatus,omitempty"`
	RequestObject            jsontext.Value       `json:"requestObject,omitempty"`
	ResponseObject           jsontext.Value       `json:"responseObject,omitempty"`
	RequestReceivedTimestamp jsontext.Value       `json:"requestReceivedTimestamp,omitzero"`
	StageTimestamp           jsontext.Value       `json:"stageTimestamp,omitzero"`
	Annotations              map[string]string    `json:"annotations,omitempty"`
	Unknown                  jsontext.Value       `json:",embed"`
}

type naiveUser struct {
	Username string              `json:"username,omitempty"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
	Unknown  jsontext.Value      `json:",embed"`
}

type naiveAuthentication struct {
	ImpersonationConstraint string         `json:"impersonationConstraint,omitempty"`
	Unknown                 jsontext.Value `json:",embed"`
}

type naiveObjectRef struct {
	Resource        string         `json:"resource,omitempty"`
	Namespace       string         `json:"namespace,omitempty"`
	Name            string         `json:"name,omitempty"`
	UID             string         `json:"uid,omitempty"`
	APIGroup        string         `json:"apiGroup,omitempty"`
	APIVersion      string         `json:"apiVersion,omitempty"`
	ResourceVersion string         `json:"resourceVersion,omitempty"`
	Subresource     string         `json:"subresource,omitempty"`
	Unknown         jsontext.Value `json:",embed"`
}

// naive decodes one item that is an object.
func naive(d *Decoder, item []byte) (*Event, error) {
	var n naiveEvent
	if err := json.Unmarshal(item, &n, parseOptions); err != nil {
		return nil, wireProblem(err)
	}
	if kind, ok := wireText(n.Kind).text(); ok && kind != "" && kind != "Event" {
		return nil, errors.New("kind is not Event")
	}
	e := &Event{
		ID: n.identify(d.Key, d.Source), Source: d.Source, Cluster: d.Cluster,
		AuditID: n.AuditID, Level: n.Level, Stage: n.Stage, UserAgent: n.UserAgent, Verb: n.Verb, Actor: n.User.Username,
	}
	received, reached := naiveTime(n.RequestReceivedTimestamp), naiveTime(n.StageTimestamp)
	if e.OccurredAt = received; received.IsZero() {
		e.OccurredAt = reached
	}
	if e.StageAt = reached; reached.IsZero() {
		e.StageAt = received
	}
	if e.OccurredAt.IsZero() {
		return nil, errors.New("neither requestReceivedTimestamp nor stageTimestamp is a time")
	}
	if !slices.Contains(Stages, n.Stage) {
		return nil, errors.New("stage is none of RequestReceived, ResponseStarted, ResponseComplete, Panic")
	}
	n.classify(d.Classifier, e)
	n.redact(d.Redaction)
	e.Path, e.UserAgent = n.RequestURI, n.UserAgent
	raw, err := json.Marshal(&n, parseOptions, json.Deterministic(true))
	if err != nil {
		return nil, errors.New("can't be written as JSON")
	}
	e.Raw, e.RawSHA256 = raw, sha256.Sum256(raw)
	texts := cutter{key: d.Key}
	texts.row(e)
	return e, nil
}

func naiveTime(v jsontext.Value) time.Time {
	var s string
	if len(v) == 0 || v[0] != '"' || json.Unmarshal(v, &s, parseOptions) != nil {
		return time.Time{}
	}
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, s); err == nil && at.Year() >= 1970 && at.Year() <= 9999 {
			return at.UTC().Truncate(time.Microsecond)
		}
	}
	return time.Time{}
}

func (n *naiveEvent) classify(c *Classifier, e *Event) {
	if n.ImpersonatedUser != nil {
		e.Actor, e.ActedVia = n.ImpersonatedUser.Username, n.User.Username
		e.Groups, e.ActedViaGroups = naiveGroups(n.ImpersonatedUser), naiveGroups(&n.User)
	} else {
		e.Groups = naiveGroups(&n.User)
	}
	e.ActorKind = actorKind(e.Actor)
	if ids := n.User.Extra["authentication.kubernetes.io/credential-id"]; len(ids) > 0 {
		e.CredentialID = ids[0]
	}
	if o := n.ObjectRef; o != nil {
		e.APIGroup, e.APIVersion, e.Resource, e.Subresource, e.ResourceName = o.APIGroup, o.APIVersion, o.Resource, o.Subresource, o.Name
	}
	var path string
	var params url.Values
	path, e.Namespace, params = naivePlace(n.RequestURI)
	e.DryRun = n.dryRun(params)
	if n.Verb == "create" && e.Subresource == "" && e.ResourceName == "" {
		var answer struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		if len(n.ResponseObject) > 0 && json.Unmarshal(n.ResponseObject, &answer, parseOptions) == nil {
			e.ResourceName = answer.Metadata.Name
		}
	}
	e.Method = method(e, requestPlace{path: path})
	var status struct {
		Code float64 `json:"code"`
	}
	if json.Unmarshal(n.ResponseStatus, &status, parseOptions) == nil && status.Code >= 100 && status.Code <= 599 {
		e.StatusCode = int(status.Code)
	}
	e.ResourceType = naiveType(c, e, naiveSecretType(n))
	e.Action = e.ResourceType + "." + actionVerb(e)
	switch kind := agentKind(n.UserAgent); {
	case c.operatorUser != "" && n.User.Username == c.operatorUser:
		e.Client = ClientOperator
	case strings.HasPrefix(n.User.Username, "system:node:") || kind == ClientNode:
		e.Client = ClientNode
	case kind == ClientCLI:
		e.Client = ClientCLI
	case kind == ClientController || beginsWith(n.User.Username, controllerActors):
		e.Client = ClientController
	default:
		e.Client = ClientOther
	}
	for _, s := range n.SourceIPs {
		if addr, err := netip.ParseAddr(s); err == nil {
			e.IPs = append(e.IPs, addr.Unmap().WithZone(""))
		}
	}
}

func naiveGroups(u *naiveUser) []string {
	var groups []string
	for _, group := range u.Groups {
		if group != "" {
			groups = append(groups, group)
		}
	}
	return groups
}

func naivePlace(uri string) (path, namespace string, query url.Values) {
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return "", "", nil
	}
	query, _ = url.ParseQuery(u.RawQuery)
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return u.Path, "", query
	}
	if (parts[0] == "watch" || parts[0] == "proxy") && len(parts) > 1 {
		parts = parts[1:]
	}
	if parts[0] == "namespaces" && len(parts) > 1 {
		namespace = parts[1]
	}
	return u.Path, namespace, query
}

// dryRun says the same as the parser's, in another order: what a request says
// first, then which of it its verb heeds.
func (n *naiveEvent) dryRun(query url.Values) DryRun {
	inQuery := slices.Contains(query["dryRun"], "All")
	var body struct {
		DryRun        []string       `json:"dryRun"`
		DeleteOptions jsontext.Value `json:"deleteOptions"`
	}
	unreadable := len(n.RequestObject) > 0 && json.Unmarshal(n.RequestObject, &body, parseOptions) != nil
	if o := n.ObjectRef; o == nil || o.Resource == "" || slices.Contains([]string{"exec", "attach", "portforward", "proxy", "console", "vnc", "usbredir", "vsock"}, strings.Split(o.Subresource, "/")[0]) {
		return DryRunFalse
	}
	said := map[bool]DryRun{true: DryRunTrue}
	eviction := n.Verb == "create" && n.ObjectRef.Subresource == "eviction"
	_, lost := n.Annotations["audit.k8s.io/truncated"]
	switch {
	case n.Verb == "delete" || n.Verb == "deletecollection":
		switch {
		case unreadable:
			return DryRunUnknown
		case !isEmptyValue(n.RequestObject):
			return said[slices.Contains(body.DryRun, "All")]
		case lost || n.Level != "Request" && n.Level != "RequestResponse":
			return DryRunUnknown
		}
		return said[inQuery]
	case eviction && !inQuery:
		if unreadable || isEmptyValue(n.RequestObject) {
			return DryRunUnknown
		}
		body.DryRun = nil
		if len(body.DeleteOptions) > 0 && json.Unmarshal(body.DeleteOptions, &body, parseOptions) != nil {
			return DryRunUnknown
		}
		return said[slices.Contains(body.DryRun, "All")]
	case slices.Contains([]string{"create", "update", "patch"}, n.Verb):
		return said[inQuery]
	}
	return DryRunFalse
}

// redact redacts as the decoder does; internal/redact has tests of its own.
func (n *naiveEvent) redact(by redact.Policy) {
	var ref *wireObjectRef
	if o := n.ObjectRef; o != nil {
		ref = &wireObjectRef{Resource: o.Resource, APIGroup: o.APIGroup, Subresource: o.Subresource}
		o.Unknown = by.Body(o.Unknown, redact.Other)
	}
	if ref.holdsSecrets() {
		n.RequestObject, n.ResponseObject = redactBody(n.RequestObject), redactBody(n.ResponseObject)
	} else {
		n.RequestObject, n.ResponseObject = by.Body(n.RequestObject, ref.kind()), redactAnswer(by, ref, n.ResponseObject)
	}
	n.ResponseStatus = redactStatus(by, n.ResponseStatus, ref.isQuoted())
	n.RequestURI, n.UserAgent = by.URI(n.RequestURI), by.Text(n.UserAgent)
	if n.AuthenticationMetadata != nil {
		n.AuthenticationMetadata.Unknown = by.Body(n.AuthenticationMetadata.Unknown, redact.Other)
	}
	n.User.redact(by)
	if n.ImpersonatedUser != nil {
		n.ImpersonatedUser.redact(by)
	}
	for name, value := range n.Annotations {
		n.Annotations[name] = redactAnnotation(by, nil, ref, name, value)
	}
	n.Unknown = by.Body(n.Unknown, redact.Other)
}

func (u *naiveUser) redact(by redact.Policy) {
	u.Unknown = by.Body(u.Unknown, redact.Other)
	for name, values := range u.Extra {
		(listMap{{name, values}}).redact(by, nil)
	}
}

func (n *naiveEvent) identify(key Key, source string) ID {
	h := naiveHash{hmac.New(sha256.New, key[:])}
	h.add(source, n.Level, n.AuditID, n.Stage, n.RequestURI, n.Verb)
	h.user(&n.User)
	h.count(boolCount(n.ImpersonatedUser != nil))
	if n.ImpersonatedUser != nil {
		h.user(n.ImpersonatedUser)
	}
	h.count(boolCount(n.AuthenticationMetadata != nil))
	if n.AuthenticationMetadata != nil {
		h.add(n.AuthenticationMetadata.ImpersonationConstraint)
	}
	h.list(n.SourceIPs)
	h.add(n.UserAgent)
	h.count(boolCount(n.ObjectRef != nil))
	if o := n.ObjectRef; o != nil {
		h.add(o.Resource, o.Namespace, o.Name, o.UID, o.APIGroup, o.APIVersion, o.ResourceVersion, o.Subresource)
	}
	h.add(canonical(n.ResponseStatus))
	for _, v := range []jsontext.Value{n.RequestReceivedTimestamp, n.StageTimestamp} {
		if at := naiveTime(v); !at.IsZero() {
			h.add("time")
			h.count(int(at.UnixMicro()))
		} else {
			h.add("text", canonical(v))
		}
	}
	h.count(len(n.Annotations))
	for _, name := range slices.Sorted(maps.Keys(n.Annotations)) {
		h.add(name, n.Annotations[name])
	}
	return ID(h.Sum(nil)[:16])
}

type naiveHash struct{ hash.Hash }

func (h naiveHash) count(n int) { h.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) }

func (h naiveHash) add(values ...string) {
	for _, v := range values {
		h.count(len(v))
		h.Write([]byte(v))
	}
}

func (h naiveHash) list(values []string) {
	h.count(len(values))
	h.add(values...)
}

func (h naiveHash) user(u *naiveUser) {
	h.add(u.Username, u.UID)
	h.list(u.Groups)
	h.count(len(u.Extra))
	for _, name := range slices.Sorted(maps.Keys(u.Extra)) {
		h.add(name)
		h.list(u.Extra[name])
	}
}
