package audit

import (
	"slices"
	"strings"
)

// cliPrograms are tools that people run. A user agent begins with the name of
// its program, as in kubectl/v1.37.2 (linux/amd64).
var cliPrograms = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`
		argo argocd aptakube click clusterctl cmctl crc curl devspace eksctl flux flux2 freelens garden gefyra
		headlamp helm helmfile helmsman httpie istioctl k8sgpt k9s kapp karmadactl kbcli kind kn kops kubeadm kubecm kubecolor
		kubectx kubens kubescape kubeseal kubespy kubetail kubie kubent kustomize kwokctl lens linkerd
		minikube monokle oc octant odo okteto oktetos openlens operator-sdk popeye porter pulumi pulumi-kubernetes
		skaffold sonobuoy stern subctl telepresence terraform tilt tkn vcluster vela velero virtctl werf wget`) {
		cliPrograms[name] = true
	}
}

// isCLI reports whether a user agent in lower case is a tool's.
func isCLI(agent string) bool {
	name := agent
	if end := strings.IndexAny(agent, "/ ;("); end >= 0 {
		name = agent[:end]
	}
	name = strings.TrimSuffix(name, ".exe")
	switch {
	case cliPrograms[name], strings.HasPrefix(name, "kubectl"): // and its plugins
		return true
	case name == "cilium": // whose agent writes a space
		return strings.HasPrefix(agent, "cilium/") || strings.HasPrefix(agent, "cilium.exe/")
	case name == "hashicorp":
		return strings.Contains(agent, "terraform/")
	case strings.HasSuffix(name, "-controller"), strings.HasSuffix(name, "-operator"):
		return false
	}
	return beginsWith(name, []string{"terraform-", "pulumi-", "istioctl-", "headlamp-", "helm-v", "helm3"})
}

// Beginnings and parts of the user agents of components.
var (
	nodeAgents       = []string{"kubelet/", "kubelet.exe/", "kube-proxy/", "kube-proxy.exe/"}
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
	case isCLI(agent):
		return ClientCLI
	case slices.ContainsFunc(controllerMarks, func(m string) bool { return strings.Contains(agent, m) }):
		return ClientController
	}
	return ClientOther
}

func beginsWith(s string, any []string) bool {
	return slices.ContainsFunc(any, func(start string) bool { return strings.HasPrefix(s, start) })
}
