package audit

import (
	"slices"
	"testing"
)

// Whoever reaches into what runs POSTs, in whatever form the request is
// written; other proxies keep their verb.
func TestShellsArePosts(t *testing.T) {
	const node, pods, services = "/api/v1/nodes/n1/proxy", "/api/v1/namespaces/shop/pods/", "/api/v1/namespaces/shop/services/"
	const vm = "/apis/subresources.kubevirt.io/v1/namespaces/shop/virtualmachineinstances/vm/"
	tests := []struct{ verb, uri, ref, want string }{
		{"get", pods + "web/exec?command=sh", "/pods/exec/shop/web", "POST"},
		{"get", pods + "web/attach", "/pods/attach/shop/web", "POST"},
		{"get", pods + "web/portforward", "/pods/portforward/shop/web", "POST"},
		{"head", pods + "web/exec", "/pods/exec/shop/web", "POST"},
		{"delete", pods + "web/exec", "/pods/exec/shop/web", "POST"},
		{"patch", pods + "web/ephemeralcontainers", "/pods/ephemeralcontainers/shop/web", "POST"},
		{"update", pods + "web/ephemeralcontainers", "/pods/ephemeralcontainers/shop/web", "POST"},
		{"get", pods + "web/ephemeralcontainers", "/pods/ephemeralcontainers/shop/web", "GET"},
		{"get", pods + "web/log", "/pods/log/shop/web", "GET"},
		{"patch", pods + "web/resize", "/pods/resize/shop/web", "PATCH"},
		{"get", vm + "console", "subresources.kubevirt.io/virtualmachineinstances/console/shop/vm", "POST"},
		{"get", vm + "vnc", "subresources.kubevirt.io/virtualmachineinstances/vnc/shop/vm", "POST"},
		{"get", vm + "vnc/screenshot", "subresources.kubevirt.io/virtualmachineinstances/vnc/shop/vm", "POST"},
		{"get", vm + "usbredir", "subresources.kubevirt.io/virtualmachineinstances/usbredir/shop/vm", "POST"},
		{"get", vm + "vsock?port=22", "subresources.kubevirt.io/virtualmachineinstances/vsock/shop/vm", "POST"},
		{"get", vm + "portforward/22/tcp", "subresources.kubevirt.io/virtualmachineinstances/portforward/shop/vm", "POST"},
		{"get", vm + "guestosinfo", "subresources.kubevirt.io/virtualmachineinstances/guestosinfo/shop/vm", "GET"},
		{"update", vm + "pause", "subresources.kubevirt.io/virtualmachineinstances/pause/shop/vm", "PUT"},

		{"get", node + "/exec/shop/web/c?command=id", "/nodes/proxy//n1", "POST"},
		{"get", node + "/attach/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"get", node + "/run/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"get", node + "/portForward/shop/web", "/nodes/proxy//n1", "POST"},
		{"get", node + "/cri/exec/token", "/nodes/proxy//n1", "POST"},
		{"get", "/api/v1/nodes/https:n1:10250/proxy/exec/shop/web/c", "/nodes/proxy//https:n1:10250", "POST"},
		// Forms that are the same to the server.
		{"get", node + "/%65xec/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"get", node + "/%2565xec/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"get", node + "//exec/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"get", node + "///%2Fexec", "/nodes/proxy//n1", "POST"},
		{"get", node + "/./exec/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"get", node + "/metrics/../exec/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"get", node + "/metrics%2F%2e%2e/exec/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"get", node + "/../../../exec/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"get", node + "/exec/shop/web/c/..", "/nodes/proxy//n1", "POST"},
		{"get", node + "/exec/", "/nodes/proxy//n1", "POST"},
		{"get", node + "/EXEC/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"get", node + "/portforward/shop/web", "/nodes/proxy//n1", "POST"},
		{"get", "/api/v1/nodes/n1/%70roxy/run/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"get", "/api/v1/nodes/proxy/proxy/run/shop/web/c", "/nodes/proxy//proxy", "POST"},
		{"get", "/api/v1/nodes/exec/proxy/metrics", "/nodes/proxy//exec", "GET"},
		{"get", "//api/v1/nodes/n1/proxy/run/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"proxy", "/api/v1/proxy/nodes/n1/run/shop/web/c", "/nodes///n1", "POST"},
		{"get", "/api/v1/nodes/n1/proxy/exec/%zz", "/nodes/proxy//n1", "POST"},
		// Other proxies.
		{"get", node, "/nodes/proxy//n1", "GET"},
		{"get", node + "/", "/nodes/proxy//n1", "GET"},
		{"get", node + "/metrics", "/nodes/proxy//n1", "GET"},
		{"get", node + "/metrics/cadvisor", "/nodes/proxy//n1", "GET"},
		{"get", node + "/metrics?path=/exec/shop/web/c", "/nodes/proxy//n1", "GET"},
		{"get", node + "/exec/../metrics", "/nodes/proxy//n1", "GET"},
		{"get", node + "/stats/summary", "/nodes/proxy//n1", "GET"},
		{"get", node + "/runningpods/", "/nodes/proxy//n1", "GET"},
		{"get", node + "/execs", "/nodes/proxy//n1", "GET"},
		{"get", node + "/logs/exec/x", "/nodes/proxy//n1", "GET"},
		{"create", node + "/checkpoint/shop/web/c", "/nodes/proxy//n1", "POST"},
		{"delete", node + "/x", "/nodes/proxy//n1", "DELETE"},
		// Behind a pod or service lies a kubelet, or an application.
		{"get", pods + "https:x:10250/proxy/run/shop/web/c", "/pods/proxy/shop/https:x:10250", "POST"},
		{"get", pods + "x:10250/proxy/run", "/pods/proxy/shop/x:10250", "POST"},
		{"get", pods + "x:10250/proxy/metrics", "/pods/proxy/shop/x:10250", "GET"},
		{"get", services + "https:kubelet:https-metrics/proxy/run/shop/web/c", "/services/proxy/shop/https:kubelet:https-metrics", "POST"},
		{"get", services + "https:kubelet:/proxy//%72un/shop/web/c", "/services/proxy/shop/https:kubelet:", "POST"},
		{"get", services + "web:http/proxy/run", "/services/proxy/shop/web:http", "GET"},
		{"get", services + "web/proxy/exec/7", "/services/proxy/shop/web", "GET"},
		{"get", services + "web/proxy/api/v1/query", "/services/proxy/shop/web", "GET"},
		{"get", pods + "web/proxy/", "/pods/proxy/shop/web", "GET"},
		// Behind a proxy lies another API server, and so on.
		{"get", "/apis/cluster.karmada.io/v1alpha1/clusters/eu/proxy/api/v1/namespaces/shop/pods/web/exec", "cluster.karmada.io/clusters/proxy//eu", "POST"},
		{"get", "/apis/cluster.karmada.io/v1alpha1/clusters/eu/proxy/api/v1/nodes/n1/proxy/%65xec/a/b/c", "cluster.karmada.io/clusters/proxy//eu", "POST"},
		{"get", "/apis/cluster.karmada.io/v1alpha1/clusters/eu/proxy/api/v1/namespaces/shop/pods/web/log", "cluster.karmada.io/clusters/proxy//eu", "GET"},
		{"get", services + "https:kubernetes:443/proxy/api/v1/namespaces/shop/pods/web/exec", "/services/proxy/shop/https:kubernetes:443", "POST"},
	}
	for _, tt := range tests {
		if got := (request{verb: tt.verb, uri: tt.uri, ref: tt.ref}).event(t).Method; got != tt.want {
			t.Errorf("%s %s is a %s, want %s", tt.verb, tt.uri, got, tt.want)
		}
	}
}

// Whoever writes a path to a kubelet's shell in another form doesn't hide it.
func FuzzShellForms(f *testing.F) {
	for _, seed := range []string{"", "0", "%%%", "//..//", "abcabcabc"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, choices string) {
		uri := "/api/v1/nodes/n1/proxy/"
		at := 0
		choose := func(of int) int {
			if at >= len(choices) {
				return 0
			}
			at++
			return int(choices[at-1]) % of
		}
		uri += []string{"", "/", "./", "x/../", "x%2F../", "%2e/", "x/%2E%2e/", "../"}[choose(8)]
		for _, c := range []byte("exec/shop/web/c") {
			switch choose(3) {
			case 1:
				uri += "%" + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15])
			case 2:
				uri += "%" + string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15])
			default:
				uri += string(c)
			}
		}
		uri += []string{"", "/", "/.", "//", "?x=/metrics", "/../d", "?command=%2F"}[choose(7)]
		e := &Event{Verb: "get", Resource: "nodes", Subresource: "proxy", ResourceName: "n1"}
		if got := method(e, parseRequestURI(uri)); got != "POST" {
			t.Errorf("%s is a %s", uri, got)
		}
	})
}

// The list of shells for people has each subresource that makes one.
func TestShellSubresources(t *testing.T) {
	for subresource := range shellSubresources {
		if !slices.Contains(ShellSubresources, subresource) {
			t.Errorf("the list lacks %s", subresource)
		}
	}
	for _, subresource := range ShellSubresources {
		if where := (requestPlace{path: "/api/v1/nodes/n/" + subresource + "/exec/a/b/c"}); !opensShell(&Event{Verb: "create", Subresource: subresource}, where) {
			t.Errorf("%s is never a shell", subresource)
		}
	}
}
