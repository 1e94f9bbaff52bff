package audit

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Rule matches resources. Each list is of alternatives and an empty one
// matches anything; "" is the core group, the object itself, or no namespace.
// One trailing * matches any rest. Names are patterns as path.Match has them.
type Rule struct {
	APIGroups    []string `json:"apiGroups,omitempty"`
	Resources    []string `json:"resources,omitempty"`
	Subresources []string `json:"subresources,omitempty"`
	Namespaces   []string `json:"namespaces,omitempty"`
	Names        []string `json:"names,omitempty"`
	// SecretTypes are types of Secrets as the event's bodies say them, or "" of
	// a Secret whose event has no such body.
	SecretTypes []string `json:"secretTypes,omitempty"`
	Reason      string   `json:"reason,omitempty"` // for people; matches nothing
}

// ResourceType is a kind of thing that people ask about.
type ResourceType struct {
	Name         string // as filters write it, like environment_group
	DisplayName  string
	Description  string
	Priority     int    // types of a higher priority are asked first
	PlatformType string // the type of what the rules match in a platform namespace; "" is this one
	Match        []Rule
}

// FallbackType is the resource type of what no rule matches.
const FallbackType = "cluster"

// inOrder returns the types as they are asked: by descending priority, then by
// name. It fails where a type could not be used as it stands.
func inOrder(types []ResourceType) ([]ResourceType, error) {
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
		for i := range t.Match {
			if err := t.Match[i].check(); err != nil {
				return nil, fmt.Errorf("resource type %s, rule %d: %w", t.Name, i+1, err)
			}
		}
	}
	return ordered, nil
}

// check says what can't be meant by a rule.
func (r *Rule) check() error {
	for _, list := range []struct {
		name   string
		values []string
	}{{"apiGroups", r.APIGroups}, {"resources", r.Resources}, {"subresources", r.Subresources}, {"namespaces", r.Namespaces}, {"secretTypes", r.SecretTypes}} {
		for _, v := range list.values {
			if strings.Contains(strings.TrimSuffix(v, "*"), "*") {
				return fmt.Errorf("%s: %q has a * that is not its end", list.name, v)
			}
		}
	}
	for _, name := range r.Names {
		if _, err := path.Match(name, ""); err != nil {
			return fmt.Errorf("names: %q is no pattern", name)
		}
	}
	return nil
}

// typeRule is what is still to be asked of a rule where the index has found it.
type typeRule struct {
	Rule
	resourceType, platformType string
	names                      []namePattern
	whole                      bool // nothing is to be asked
}

func (r *typeRule) matches(e *Event, w *wireEvent) bool {
	return r.whole ||
		matchesAny(r.APIGroups, e.APIGroup) &&
			matchesAny(r.Resources, e.Resource) &&
			matchesAny(r.Subresources, e.Subresource) &&
			matchesAny(r.Namespaces, e.Namespace) &&
			matchesName(r.names, e.ResourceName) &&
			(len(r.SecretTypes) == 0 || isSecret(e) && matchesAny(r.SecretTypes, secretType(e, w)))
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

// namePattern is a pattern of names, with what every name has that it matches:
// looking for that is quicker than matching, and most names lack it.
type namePattern struct {
	pattern, part string
	open          bool // the part begins the name, and any rest matches
}

func namePatterns(patterns []string) []namePattern {
	var out []namePattern
	for _, p := range patterns {
		n := namePattern{pattern: p}
		if start, ok := strings.CutSuffix(p, "*"); ok && !strings.ContainsAny(start, `*?[\`) {
			n.part, n.open = start, true
		} else if !strings.ContainsAny(p, `\`) {
			for _, part := range strings.FieldsFunc(characterLists.ReplaceAllString(p, "*"), func(r rune) bool { return r == '*' || r == '?' }) {
				if len(part) > len(n.part) {
					n.part = part
				}
			}
		}
		out = append(out, n)
	}
	return out
}

var characterLists = regexp.MustCompile(`\[[^]]*\]`)

func (n *namePattern) matches(name string) bool {
	if n.open {
		return strings.HasPrefix(name, n.part)
	}
	if !strings.Contains(name, n.part) {
		return false
	}
	matched, err := path.Match(n.pattern, name)
	return err == nil && matched
}

func matchesName(patterns []namePattern, name string) bool {
	for i := range patterns {
		if patterns[i].matches(name) {
			return true
		}
	}
	return len(patterns) == 0
}

// ruleIndex finds the rules that may match a resource by its group and name:
// most resources have one or two of several hundred.
type ruleIndex struct {
	ofGroup  map[string]resourceIndex // of groups that some rule names
	ofOthers resourceIndex            // of any other group
}

type resourceIndex struct {
	ofResource map[string][]typeRule // of resources that some rule of the group names
	ofOthers   []typeRule            // of any other resource
}

func (x *ruleIndex) rules(group, resource string) []typeRule {
	resources, ok := x.ofGroup[group]
	if !ok {
		resources = x.ofOthers
	}
	if rules, ok := resources.ofResource[resource]; ok {
		return rules
	}
	return resources.ofOthers
}

// newRuleIndex sorts the rules of types, which keep their order.
func newRuleIndex(types []ResourceType) ruleIndex {
	var all []typeRule
	for _, t := range types {
		for _, r := range t.Match {
			all = append(all, typeRule{Rule: r, resourceType: t.Name, platformType: t.PlatformType, names: namePatterns(r.Names)})
		}
	}
	named, others := sortRules(all, func(r *typeRule) *[]string { return &r.APIGroups })
	x := ruleIndex{ofGroup: make(map[string]resourceIndex, len(named)), ofOthers: newResourceIndex(others)}
	for group, rules := range named {
		x.ofGroup[group] = newResourceIndex(rules)
	}
	return x
}

func newResourceIndex(rules []typeRule) (x resourceIndex) {
	x.ofResource, x.ofOthers = sortRules(rules, func(r *typeRule) *[]string { return &r.Resources })
	for _, list := range x.ofResource {
		markWhole(list)
	}
	markWhole(x.ofOthers)
	return x
}

func markWhole(rules []typeRule) {
	for i := range rules {
		r := &rules[i]
		r.whole = len(r.APIGroups)+len(r.Resources)+len(r.Subresources)+len(r.Namespaces)+len(r.Names)+len(r.SecretTypes) == 0
	}
}

// sortRules gives each value that a list of some rule names the rules that may
// match it, without that list, and any other value those that may match that.
func sortRules(rules []typeRule, list func(*typeRule) *[]string) (named map[string][]typeRule, others []typeRule) {
	named = map[string][]typeRule{}
	for i := range rules {
		for _, value := range *list(&rules[i]) {
			named[value] = nil
		}
	}
	for i := range rules {
		r := rules[i]
		values := *list(&r)
		open := isOpen(values)
		if open {
			others = append(others, r)
		}
		answered := r
		*list(&answered) = nil
		if !open {
			for j, value := range values {
				if !slices.Contains(values[:j], value) {
					named[value] = append(named[value], answered)
				}
			}
			continue
		}
		for value := range named {
			if matchesAny(values, value) {
				named[value] = append(named[value], answered)
			}
		}
	}
	return named, others
}

// isOpen reports whether a list may match a value that it does not name.
func isOpen(patterns []string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return strings.HasSuffix(p, "*") })
}

// platformNamespaces are those whose workloads belong to the platform.
type platformNamespaces struct {
	names  map[string]bool
	starts []string
}

func newPlatformNamespaces(patterns []string) (p platformNamespaces) {
	p.names = map[string]bool{}
	for _, pattern := range patterns {
		if start, open := strings.CutSuffix(pattern, "*"); open {
			p.starts = append(p.starts, start)
		} else {
			p.names[pattern] = true
		}
	}
	return p
}

func (p *platformNamespaces) has(namespace string) bool {
	return namespace != "" && (p.names[namespace] || beginsWith(namespace, p.starts))
}
