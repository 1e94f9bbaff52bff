package audit

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// Subresources by which a request reaches into what runs: a shell, a tunnel, a
// screen. Those of virtual machines are KubeVirt's.
var shellSubresources = map[string]bool{
	"exec": true, "attach": true, "portforward": true,
	"console": true, "vnc": true, "usbredir": true, "vsock": true,
}

// ShellSubresources lists the subresources by whose requests a shell is reached:
// those of which each one is a shell, and ephemeralcontainers and proxy, of
// which some are.
var ShellSubresources = []string{
	"exec", "attach", "portforward", "ephemeralcontainers", "console", "vnc", "usbredir", "vsock", "proxy",
}

// opensShell reports whether a request reaches into what runs, or asks for a
// container in which one can.
func opensShell(e *Event, where requestPlace) bool {
	if e.Subresource == "" && e.Verb != "proxy" {
		return false
	}
	subresource, _, _ := strings.Cut(e.Subresource, "/")
	switch {
	case shellSubresources[subresource]:
		return true
	case subresource == "ephemeralcontainers":
		return methodOfVerb[e.Verb] != "GET"
	case subresource == "proxy" || e.Verb == "proxy":
		if where.path == "" {
			return true // nobody can read where it leads
		}
		return proxiesShell(where.path, maxProxies)
	}
	return false
}

const (
	maxProxies  = 4 // behind each other: an API server behind another
	maxDecoding = 3 // how often a path may be encoded
)

// proxiesShell reports whether the path of a request to an API server leads
// through a proxy into what runs. The path is decoded once, as the server
// decodes it. Whoever decodes it once more is not known, so each form counts.
func proxiesShell(decoded string, proxies int) bool {
	for range maxDecoding {
		if kind, name, beyond, ok := proxied(decoded); ok && proxies > 0 && leadsToShell(kind, name, beyond, proxies) {
			return true
		}
		again, err := url.PathUnescape(decoded)
		if err != nil || again == decoded {
			return false
		}
		decoded = again
	}
	return false
}

// proxied takes the path of a request for a proxy apart as the API server does:
// whose it is, and the path beyond it, cleaned as the server cleans it before it
// sends it on.
func proxied(decoded string) (resource, name, beyond string, ok bool) {
	resource, name, subresource, rest := resourceParts(decoded)
	if subresource != "proxy" {
		return "", "", "", false
	}
	return resource, name, path.Clean("/" + strings.Join(rest, "/")), true
}

// resourceParts are the parts of a resource's path behind group, version and
// namespace. /api/v1/proxy/nodes/<name>/… is the old form of
// /api/v1/nodes/<name>/proxy/….
func resourceParts(decoded string) (resource, name, subresource string, rest []string) {
	parts := strings.Split(strings.Trim(decoded, "/"), "/")
	switch skipped := map[string]int{"api": 2, "apis": 3}[parts[0]]; {
	case skipped == 0 || len(parts) <= skipped:
		return "", "", "", nil
	default:
		parts = parts[skipped:]
	}
	old := parts[0] == "proxy"
	if old || parts[0] == "watch" {
		parts = parts[1:]
	}
	if len(parts) > 2 && parts[0] == "namespaces" && parts[2] != "status" && parts[2] != "finalize" {
		parts = parts[2:]
	}
	if old && len(parts) >= 2 {
		return parts[0], parts[1], "proxy", parts[2:]
	}
	if len(parts) < 3 {
		return "", "", "", nil
	}
	return parts[0], parts[1], parts[2], parts[3:]
}

// kubeletPort is where kubelets listen.
const kubeletPort = "10250"

// leadsToShell reports whether a cleaned path behind a proxy is a way into what
// runs: one of the kubelet's, or one of another API server.
func leadsToShell(resource, name, beyond string, proxies int) bool {
	parts := strings.Split(strings.Trim(beyond, "/"), "/")
	if needs, ok := kubeletWays[strings.ToLower(parts[0])]; ok {
		// A node's proxy leads to its kubelet. Behind a pod or service is mostly
		// an application, which may have a path of that name: there it takes the
		// kubelet's port, or as many parts as its paths have.
		if resource == "nodes" || slices.Contains(strings.Split(name, ":"), kubeletPort) || len(parts) > needs {
			return true
		}
	}
	_, _, subresource, _ := resourceParts(beyond)
	return shellSubresources[subresource] || proxiesShell(beyond, proxies-1)
}

// kubeletWays are the kubelet's ways into containers, in lower case, and how
// many parts follow at least: namespace, pod, container.
var kubeletWays = map[string]int{"exec": 3, "attach": 3, "run": 3, "portforward": 2, "cri": 2}
