package audit

import (
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// naiveType asks every rule of every type in turn.
func naiveType(c *Classifier, e *Event, secretType string) string {
	if e.Resource == "" {
		return FallbackType
	}
	for _, t := range c.types {
		for _, r := range t.Match {
			if !naiveList(r.APIGroups, e.APIGroup) || !naiveList(r.Resources, e.Resource) || !naiveList(r.Subresources, e.Subresource) ||
				!naiveList(r.Namespaces, e.Namespace) || !naiveNames(r.Names, e.ResourceName) {
				continue
			}
			if len(r.SecretTypes) > 0 && (e.APIGroup != "" || e.Resource != "secrets" || !naiveList(r.SecretTypes, secretType)) {
				continue
			}
			if t.PlatformType != "" && c.platform.has(e.Namespace) {
				return t.PlatformType
			}
			return t.Name
		}
	}
	return FallbackType
}

func naiveList(patterns []string, value string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		if strings.HasSuffix(p, "*") {
			return strings.HasPrefix(value, p[:len(p)-1])
		}
		return p == value
	})
}

func naiveNames(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		// A name with a slash is none of Kubernetes, and * takes it in.
		matched, _ := path.Match(strings.ReplaceAll(p, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
		return matched
	})
}

func naiveSecretType(n *naiveEvent) string {
	for _, body := range [][]byte{n.ResponseObject, n.RequestObject} {
		var secret struct{ Kind, Type string }
		if len(body) == 0 || json.Unmarshal(body, &secret, laxOptions) != nil || secret.Kind != "Secret" {
			continue
		}
		if secret.Type == "" && n.Verb == "create" {
			return "Opaque"
		}
		return secret.Type
	}
	return ""
}
