package query

import (
	"slices"
	"strings"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// Field is one field of Terms, and what everything but the stores' columns needs
// to know of it: URL, validation, resources, pages, API and stores read Fields.
type Field struct {
	// Name is that of the URL's parameter, and of the Dimension of the same name.
	Name string
	// Spec names the field of the resources; empty where they, and the menus of
	// pages, have none.
	Spec string
	// Label and Hint are for people: the name, and what may be written besides the
	// log's own values.
	Label, Hint string
	// Text says that values are any text, so that = begins a literal one.
	Text bool
	// Place says that only queries of the whole cluster have the field.
	Place bool
	// Uncounted says that no facet counts the values, mostly because nearly every
	// event has its own.
	Uncounted bool

	longest int                      // what MaxLength returns, where it is not MaxValueLength
	list    func(*Terms) *[]string   // nil for addresses, which are no texts
	fold    func(string) string      // gives values of one meaning one form
	check   func(string) string      // what is wrong with a value, or nothing
	special func(string) bool        // texts that mean something else without =
	means   func([]string) []Pattern // what values match in the one text of the field; nil where it takes more than that
}

// Fields are the fields of Terms in the order of the URL.
var Fields = []*Field{
	{Name: "resource_type", Spec: "resourceTypes", Label: "Resource type",
		list: func(t *Terms) *[]string { return &t.ResourceTypes }, check: resourceType, means: texts},
	{Name: "actor", Spec: "actors", Label: "Actor", Hint: "A name, or its beginning with * as in system:serviceaccount:ci:*", Text: true,
		list: func(t *Terms) *[]string { return &t.Actors }, check: trailingStar},
	{Name: "method", Spec: "methods", Label: "Method",
		list: func(t *Terms) *[]string { return &t.Methods }, fold: strings.ToUpper, check: oneOf("method", audit.Methods), means: upperTexts},
	{Name: "action", Spec: "actions", Label: "Action", Hint: "An action, its beginning with * as in application.*, or any type’s as in *.exec", Text: true,
		list: func(t *Terms) *[]string { return &t.Actions }, check: actionPattern},
	{Name: "ip", Spec: "ipAddresses", Label: "IP address", Hint: "An address, or a range as in 10.0.0.0/8", check: address},
	{Name: "status_code", Spec: "statusCodes", Label: "Status code", Hint: "A code, or a class as in 5xx",
		list: func(t *Terms) *[]string { return &t.StatusCodes }, fold: strings.ToLower, check: statusCode},
	{Name: "resource_name", Spec: "resourceNames", Label: "Resource name", Hint: "A name, or its beginning with * as in check*", Text: true,
		list: func(t *Terms) *[]string { return &t.ResourceNames }, check: trailingStar, means: Patterns},
	{Name: "cluster", Spec: "clusters", Label: "Cluster", Hint: "A cluster’s name", Text: true, Place: true,
		list: func(t *Terms) *[]string { return &t.Clusters }, check: exact, means: literals},
	{Name: "client", Spec: "clients", Label: "Client",
		list: func(t *Terms) *[]string { return &t.Clients }, check: oneOf("client", audit.Clients), means: texts},
	{Name: "stage", Spec: "stages", Label: "Stage",
		list: func(t *Terms) *[]string { return &t.Stages }, check: oneOf("stage", audit.Stages), means: texts},
	{Name: "namespace", Spec: "namespaces", Label: "Namespace", Hint: "A name, or - for events without a namespace", Text: true, Place: true,
		list: func(t *Terms) *[]string { return &t.Namespaces }, check: exact, special: func(s string) bool { return s == NoNamespace }},
	{Name: "source", Spec: "sources", Label: "Source", Hint: "The name of an AuditSource", Text: true, Place: true,
		list: func(t *Terms) *[]string { return &t.Sources }, check: exact, means: literals},
	{Name: "resource", Spec: "resources", Label: "Resource", Hint: "A resource as in deployments.apps or pods/exec, or any one’s as in */exec", Text: true,
		longest: maxResourceText,
		list:    func(t *Terms) *[]string { return &t.Resources }, check: resource, special: isGroupless},
	{Name: "group", Spec: "groups", Label: "Group", Hint: "The whole name of a group of the user", Text: true,
		list: func(t *Terms) *[]string { return &t.Groups }, check: exact},
	{Name: "audit_id", Spec: "auditIDs", Label: "Audit ID", Hint: "The whole ID of a request", Text: true, Uncounted: true,
		list: func(t *Terms) *[]string { return &t.AuditIDs }, check: exact},
	{Name: "user_agent", Spec: "userAgents", Label: "User agent", Hint: "The beginning of one as in kubectl/, with or without *", Text: true,
		longest: audit.MaxUserAgent,
		list:    func(t *Terms) *[]string { return &t.UserAgents }, fold: beginning, check: trailingStar, special: anyText, means: beginnings},
	{Name: "path", Label: "Path", Text: true, Uncounted: true,
		list: func(t *Terms) *[]string { return &t.Paths }, check: trailingStar, means: PathPatterns},
	{Name: "actor_kind", Label: "Kind of actor", Uncounted: true,
		list: func(t *Terms) *[]string { return &t.ActorKinds }, check: oneOf("kind of actor", audit.ActorKinds), means: texts},
}

// FieldOf returns the field of a URL's parameter, without _exclude; nil where
// there is none.
func FieldOf(parameter string) *Field {
	if i := slices.IndexFunc(Fields, func(f *Field) bool { return f.Name == parameter }); i >= 0 {
		return Fields[i]
	}
	return nil
}

// Values returns the field's values in terms, as a URL writes them.
func (f *Field) Values(t *Terms) []string {
	if f.list != nil {
		return *f.list(t)
	}
	out := make([]string, len(t.IPs))
	for i, p := range t.IPs {
		out[i] = FormatPrefix(p)
	}
	return out
}

// Add adds a value to terms, in the one form that its meaning has and once. Its
// error, a *FieldError, is of an address alone: Validate checks the others.
func (f *Field) Add(t *Terms, v string) error {
	if f.list == nil {
		p, err := ParsePrefix(v)
		if err == nil && !slices.Contains(t.IPs, p) {
			t.IPs = append(t.IPs, p)
		}
		return err
	}
	l := f.list(t)
	if v = f.canonical(v); !slices.Contains(*l, v) {
		*l = append(*l, v)
	}
	return nil
}

// Patterns are what the field's values in terms match in an event's text, where
// a text alone says it; ok is false where the field has a way of its own.
func (f *Field) Patterns(t *Terms) (patterns []Pattern, ok bool) {
	if f.means == nil {
		return nil, false
	}
	return f.means(f.Values(t)), true
}

func (f *Field) clear(t *Terms) {
	if f.list == nil {
		t.IPs = nil
		return
	}
	*f.list(t) = nil
}

// MaxLength is the most characters of a value, but for the = before a literal one.
func (f *Field) MaxLength() int {
	if f.longest == 0 {
		return MaxValueLength
	}
	return f.longest
}

// counted are the dimensions of the fields that facets count.
func counted() []Dimension {
	var out []Dimension
	for _, f := range Fields {
		if !f.Uncounted {
			out = append(out, Dimension(f.Name))
		}
	}
	return out
}
