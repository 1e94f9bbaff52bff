package audit

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Classifier derives the fields of an event that the API server did not write.
// It does not change and may be used by several goroutines.
type Classifier struct {
	types        []ResourceType
	rules        ruleIndex
	platform     platformNamespaces
	operatorUser string
}

// NewClassifier returns a classifier of the given types, asked by descending
// priority, then by name. Requests that are authenticated as operatorUser are
// marked ClientOperator. It fails where a type has no name, two have the same,
// or a rule can't be meant.
func NewClassifier(types []ResourceType, operatorUser string, options ...ClassifierOption) (*Classifier, error) {
	ordered, err := inOrder(types)
	if err != nil {
		return nil, err
	}
	c := &Classifier{
		types: ordered, rules: newRuleIndex(ordered), platform: newPlatformNamespaces(DefaultPlatformNamespaces()), operatorUser: operatorUser,
	}
	for _, set := range options {
		set(c)
	}
	return c, nil
}

// ClassifierOption changes what a classifier goes by.
type ClassifierOption func(*Classifier)

// WithPlatformNamespaces says which namespaces are the platform's, in place of
// DefaultPlatformNamespaces. One trailing * matches any rest.
func WithPlatformNamespaces(patterns []string) ClassifierOption {
	return func(c *Classifier) { c.platform = newPlatformNamespaces(patterns) }
}

// classify fills in what the event says by its other fields. It must see the
// event before redaction.
func (c *Classifier) classify(p *parser, e *Event) {
	w := &p.wire
	effective := &w.User
	if w.ImpersonatedUser != nil {
		effective = w.ImpersonatedUser
		e.ActedVia, e.ActedViaGroups = w.User.Username, p.room.groups(w.User.Groups)
	}
	e.Actor, e.Groups = effective.Username, p.room.groups(effective.Groups)
	e.CredentialID = w.User.Extra.first("authentication.kubernetes.io/credential-id")
	e.ActorKind = actorKind(e.Actor)
	e.Verb = w.Verb
	if o := w.ObjectRef; o != nil {
		e.APIGroup, e.APIVersion = o.APIGroup, o.APIVersion
		e.Resource, e.Subresource, e.ResourceName = o.Resource, o.Subresource, o.Name
	}
	where := parseRequestURI(w.RequestURI)
	e.Namespace = where.namespace
	e.DryRun = p.dryRun(e, where.query)
	if e.ResourceName == "" && e.Verb == "create" && e.Subresource == "" {
		e.ResourceName = nameOf(w.ResponseObject)
	}
	e.Method = method(e, where)
	e.StatusCode = p.status.code
	e.ResourceType = c.resourceType(e, w)
	e.Action = p.join(e.ResourceType, ".", actionVerb(e))
	e.Client = c.client(p)
	var cut bool
	e.IPs, cut = addresses(&p.room, w.SourceIPs)
	e.Truncated = e.Truncated || cut
}

// nameOf returns the name in an answer, "" where it has none: a name that the
// API server made (generateName) stands nowhere else.
func nameOf(answer jsontext.Value) string {
	if isEmptyValue(answer) {
		return ""
	}
	var object struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(answer, &object, parseOptions); err != nil {
		return ""
	}
	return object.Metadata.Name
}

func actorKind(name string) string {
	switch {
	case name == "" || name == "system:anonymous":
		return ActorAnonymous
	case strings.HasPrefix(name, "system:serviceaccount:"):
		return ActorServiceAccount
	case strings.HasPrefix(name, "system:node:"):
		return ActorNode
	case strings.HasPrefix(name, "system:bootstrap:"):
		return ActorToken
	}
	return ActorUser
}

var methodOfVerb = map[string]string{
	"get": "GET", "list": "GET", "watch": "GET",
	"create": "POST", "update": "PUT", "patch": "PATCH",
	"delete": "DELETE", "deletecollection": "DELETE",
}

// method is the HTTP method that a request amounts to. What opens a shell or a
// tunnel is a POST, though a WebSocket begins with GET.
func method(e *Event, where requestPlace) string {
	if opensShell(e, where) {
		return "POST"
	}
	if e.Resource != "" {
		if m, ok := methodOfVerb[e.Verb]; ok {
			return m
		}
	}
	if m := strings.ToUpper(e.Verb); slices.Contains(Methods, m) {
		return m
	}
	return "OTHER"
}

func actionVerb(e *Event) string {
	// A sub-path of a proxied request is no part of the action's name.
	subresource, _, _ := strings.Cut(e.Subresource, "/")
	switch {
	case subresource != "":
		return subresource
	case e.Verb == "patch" && e.Resource != "" && e.StatusCode == http.StatusCreated:
		return "create" // server-side apply; no other patch makes an object
	case e.Verb != "":
		return e.Verb
	}
	return "other"
}

func (c *Classifier) resourceType(e *Event, w *wireEvent) string {
	if e.Resource == "" {
		return FallbackType
	}
	rules := c.rules.rules(e.APIGroup, e.Resource)
	for i := range rules {
		if r := &rules[i]; r.matches(e, w) {
			if r.platformType != "" && c.platform.has(e.Namespace) {
				return r.platformType
			}
			return r.resourceType
		}
	}
	return FallbackType
}
