package audit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Rule matches resources. Each list is of alternatives and an empty one
// matches anything; "" is the core group, the object itself, or no namespace.
// One trailing * matches any rest.
type Rule struct {
	APIGroups    []string
	Resources    []string
	Subresources []string
	Namespaces   []string
	Names        []string
}

// ResourceType is a kind of thing that people ask about.
type ResourceType struct {
	Name        string // as filters write it, like environment_group
	DisplayName string
	Description string
	Priority    int // types of a higher priority are asked first
	Match       []Rule
}

// FallbackType is the resource type of what no rule matches.
const FallbackType = "cluster"

// Classifier derives the fields of an event that the API server did not write.
// It does not change and may be used by several goroutines.
type Classifier struct {
	types        []ResourceType
	ofGroup      map[string][]typeRule // the rules that may match a group which some rule names
	ofOthers     []typeRule            // the rules that may match any other group
	operatorUser string
}

// NewClassifier returns a classifier of the given types, asked by descending
// priority, then by name. Requests that are authenticated as operatorUser are
// marked ClientOperator. It fails where a type has no name or two have the same.
func NewClassifier(types []ResourceType, operatorUser string) (*Classifier, error) {
	ordered := slices.Clone(types)
	slices.SortFunc(ordered, func(a, b ResourceType) int {
		if a.Priority != b.Priority {
			return b.Priority - a.Priority
		}
		return strings.Compare(a.Name, b.Name)
	})
	seen := map[string]bool{}
	for _, t := range ordered {
		if t.Name == "" {
			return nil, errors.New("a resource type has no name")
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("two resource types are named %s", t.Name)
		}
		seen[t.Name] = true
	}
	c := &Classifier{types: ordered, operatorUser: operatorUser}
	c.index()
	return c, nil
}

// classify fills in what the event says by its other fields. It must see the
// event before redaction.
func (c *Classifier) classify(p *parser, e *Event) {
	w := &p.wire
	effective := &w.User
	if w.ImpersonatedUser != nil {
		effective = w.ImpersonatedUser
		e.ActedVia = w.User.Username
	}
	e.Actor = effective.Username
	e.CredentialID = w.User.Extra.first("authentication.kubernetes.io/credential-id")
	e.ActorKind = actorKind(e.Actor)
	e.Verb = w.Verb
	if o := w.ObjectRef; o != nil {
		e.APIGroup, e.APIVersion = o.APIGroup, o.APIVersion
		e.Resource, e.Subresource, e.ResourceName = o.Resource, o.Subresource, o.Name
	}
	where := parseRequestURI(w.RequestURI)
	e.Namespace, e.DryRun = where.namespace, where.dryRun
	e.Method = method(e, where)
	e.ResourceType = c.resourceType(e)
	e.Action = p.join(e.ResourceType, ".", actionVerb(e))
	e.Client = c.client(p)
	var cut bool
	e.IPs, cut = addresses(&p.room, w.SourceIPs)
	e.Truncated = e.Truncated || cut
	e.StatusCode = p.status.code
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
	switch e.Subresource {
	case "exec", "attach", "portforward":
		return "POST"
	case "proxy":
		if e.Resource == "nodes" && reachesShell(where.path) {
			return "POST"
		}
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

// reachesShell reports whether a path through a node's proxy is one of the
// kubelet's own ways into a container.
func reachesShell(path string) bool {
	_, kubelet, _ := strings.Cut(path, "/proxy/")
	first, _, _ := strings.Cut(strings.TrimLeft(kubelet, "/"), "/")
	return slices.Contains([]string{"exec", "attach", "run", "portForward", "cri"}, first)
}

func actionVerb(e *Event) string {
	// A sub-path of a proxied request is no part of the action's name.
	subresource, _, _ := strings.Cut(e.Subresource, "/")
	switch {
	case subresource != "":
		return subresource
	case e.Verb != "":
		return e.Verb
	}
	return "other"
}

func (c *Classifier) resourceType(e *Event) string {
	if e.Resource == "" {
		return FallbackType
	}
	rules, ok := c.ofGroup[e.APIGroup]
	if !ok {
		rules = c.ofOthers
	}
	for _, r := range rules {
		if r.matches(e) {
			return r.resourceType
		}
	}
	return FallbackType
}

// typeRule is a rule of a resource type.
type typeRule struct {
	*Rule
	resourceType string
}

// rulesFor returns the rules that may match a group, in their order.
func rulesFor(types []ResourceType, mayMatch func(groups []string) bool) []typeRule {
	var rules []typeRule
	for _, t := range types {
		for i := range t.Match {
			if mayMatch(t.Match[i].APIGroups) {
				rules = append(rules, typeRule{&t.Match[i], t.Name})
			}
		}
	}
	return rules
}

// index sorts the rules by the groups that they name.
func (c *Classifier) index() {
	c.ofGroup = map[string][]typeRule{}
	for _, r := range rulesFor(c.types, func([]string) bool { return true }) {
		for _, group := range r.APIGroups {
			c.ofGroup[group] = rulesFor(c.types, func(groups []string) bool { return matchesAny(groups, group) })
		}
	}
	c.ofOthers = rulesFor(c.types, func(groups []string) bool {
		return len(groups) == 0 || slices.ContainsFunc(groups, func(g string) bool { return strings.HasSuffix(g, "*") })
	})
}

func (r *Rule) matches(e *Event) bool {
	return matchesAny(r.APIGroups, e.APIGroup) &&
		matchesAny(r.Resources, e.Resource) &&
		matchesAny(r.Subresources, e.Subresource) &&
		matchesAny(r.Namespaces, e.Namespace) &&
		matchesAny(r.Names, e.ResourceName)
}

func matchesAny(patterns []string, value string) bool {
	if len(patterns) == 0 {
		return true
	}
	for _, p := range patterns {
		if start, ok := strings.CutSuffix(p, "*"); p == value || ok && strings.HasPrefix(value, start) {
			return true
		}
	}
	return false
}

// Beginnings of the user agents of tools that people run, and of components.
var (
	cliAgents = []string{
		"kubectl", "helm/", "helm ", "k9s/", "k9s ", "oc/", "odo/", "kustomize", "flux/", "argocd/",
		"stern/", "lens/", "openlens/", "freelens/", "headlamp", "octant", "kubie", "kubetail",
		"terraform", "pulumi", "curl/", "wget/", "httpie/", "virtctl/", "kn/", "tkn/", "istioctl", "cilium/", "clusterctl/",
	}
	nodeAgents       = []string{"kubelet/", "kube-proxy/"}
	controllerMarks  = []string{"controller", "operator", "kube-scheduler", "manager", "leader-election", "informer"}
	controllerActors = []string{"system:kube-", "system:apiserver", "system:serviceaccount:kube-system:"}
)

// client says what kind of program sent the request. The user agent is the
// client's own word, so nothing that protects anything may rest on it; the
// operator alone is known by its authenticated name.
func (c *Classifier) client(p *parser) string {
	user, kind := p.wire.User.Username, p.agents.kind(p.wire.UserAgent)
	switch {
	case c.operatorUser != "" && user == c.operatorUser:
		return ClientOperator
	case strings.HasPrefix(user, "system:node:"):
		return ClientNode
	case kind == ClientOther && beginsWith(user, controllerActors):
		return ClientController
	}
	return kind
}

// agents remembers the kinds of user agents.
type agents map[string]string

const (
	maxAgents     = 1024
	maxAgentBytes = 256
)

func (known agents) kind(agent string) string {
	if kind, ok := known[agent]; ok {
		return kind
	}
	kind := agentKind(agent)
	if len(agent) <= maxAgentBytes {
		if len(known) >= maxAgents {
			clear(known)
		}
		known[strings.Clone(agent)] = kind
	}
	return kind
}

func agentKind(agent string) string {
	agent = strings.ToLower(agent)
	switch {
	case beginsWith(agent, nodeAgents):
		return ClientNode
	case beginsWith(agent, cliAgents):
		return ClientCLI
	case slices.ContainsFunc(controllerMarks, func(m string) bool { return strings.Contains(agent, m) }):
		return ClientController
	}
	return ClientOther
}

func beginsWith(s string, any []string) bool {
	return slices.ContainsFunc(any, func(start string) bool { return strings.HasPrefix(s, start) })
}
