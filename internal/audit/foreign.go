package audit

import (
	"slices"
	"strings"
)

// foreign reports whether an event is of a resource of a group that its source
// does not serve, by the groups that the source names; one without groups is a
// kube-apiserver, which speaks for all. The source writes both the path and
// objectRef, so either makes it so. It must see the path as it came.
func foreign(groups []string, w *wireEvent, e *Event) bool {
	if len(groups) == 0 {
		return false
	}
	group, isResource := groupOf(parseRequestURI(w.RequestURI).path)
	switch {
	case w.ObjectRef != nil && !slices.Contains(groups, w.ObjectRef.APIGroup):
		return true
	case isResource:
		return !slices.Contains(groups, group)
	}
	// What no path of a resource says is in no namespace and about no object.
	return e.Namespace != "" || w.ObjectRef != nil
}

// groupOf returns the API group that a path is of, and whether the path is that
// of a resource: /api/<version>/… or /apis/<group>/<version>/…, as the API
// server's own request resolver has it. Discovery is none.
func groupOf(path string) (group string, isResource bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) >= 3:
		return "", true
	case parts[0] == "apis" && len(parts) >= 4:
		return parts[1], true
	}
	return "", false
}
