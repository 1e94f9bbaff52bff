package query

import (
	"fmt"
	"strings"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// anyResource begins a value for the subresource of whatever resource, like
// */exec.
const anyResource = "*/"

// maxResourceText is the most characters of what ResourceText returns: those of
// three texts and of what stands between them.
const maxResourceText = 3*audit.MaxExactText + 2

// ResourceText is the text of an event's resource that filters match, as kubectl
// api-resources -o name prints it and with the subresource after a slash:
// deployments.apps/scale. It is empty where the event has no resource.
func ResourceText(e *audit.Event) string {
	if e.Resource == "" {
		return ""
	}
	text := e.Resource
	if e.APIGroup != "" {
		text += "." + e.APIGroup
	}
	if e.Subresource != "" {
		text += "/" + e.Subresource
	}
	return text
}

// ResourcePatterns are what values of resources stand for: the texts of whole
// resources, and the subresources of those that leave the resource open.
func ResourcePatterns(values []string) (whole, ofAny []string) {
	for _, v := range values {
		if subresource, open := strings.CutPrefix(v, anyResource); open {
			ofAny = append(ofAny, subresource)
			continue
		}
		whole = append(whole, Exact(v))
	}
	return whole, ofAny
}

// ShellResources are the values of resources by which shells are reached.
func ShellResources() []string {
	var out []string
	for _, subresource := range audit.ShellSubresources {
		out = append(out, anyResource+subresource)
	}
	return out
}

func resource(v string) string {
	subresource, open := strings.CutPrefix(v, anyResource)
	if !open {
		subresource = v
	}
	switch full := FullResource(v); {
	case subresource == "":
		return "must say which subresource after */, like */exec"
	case strings.Contains(subresource, "*"):
		return "may have a leading */ for every resource, like */exec, and no other *; after = a value is literal"
	case full != v:
		return fmt.Sprintf("needs its API group: write %s; after = a value is literal", full)
	}
	return ""
}

// isGroupless reports whether a value without a group would be taken for one of
// the core group, which has no such resource.
func isGroupless(v string) bool { return FullResource(v) != v }

// FullResource returns a value of resources with the group of the built-in
// resource that it names without: deployments.apps for deployments. Others are
// returned as they are.
func FullResource(v string) string {
	name, _, _ := strings.Cut(v, "/")
	if group := builtInGroups[name]; group != "" {
		return name + "." + group + v[len(name):]
	}
	return v
}

// builtInGroups are the API groups of Kubernetes' and our own resources that are
// in one group and not in the core one: without it they would select nothing,
// and a typo is no clean bill of health.
var builtInGroups = func() map[string]string {
	groups := map[string]string{}
	for group, resources := range map[string]string{
		"admissionregistration.k8s.io": "mutatingwebhookconfigurations validatingwebhookconfigurations validatingadmissionpolicies validatingadmissionpolicybindings mutatingadmissionpolicies mutatingadmissionpolicybindings",
		"apiextensions.k8s.io":         "customresourcedefinitions",
		"apiregistration.k8s.io":       "apiservices",
		"apps":                         "controllerrevisions daemonsets deployments replicasets statefulsets",
		"audit.porter.run":             "auditlogqueries auditresourcetypes auditsources clusterauditlogqueries",
		"authentication.k8s.io":        "selfsubjectreviews tokenreviews",
		"authorization.k8s.io":         "localsubjectaccessreviews selfsubjectaccessreviews selfsubjectrulesreviews subjectaccessreviews",
		"autoscaling":                  "horizontalpodautoscalers",
		"batch":                        "cronjobs jobs",
		"certificates.k8s.io":          "certificatesigningrequests clustertrustbundles podcertificaterequests",
		"coordination.k8s.io":          "leases",
		"discovery.k8s.io":             "endpointslices",
		"flowcontrol.apiserver.k8s.io": "flowschemas prioritylevelconfigurations",
		"networking.k8s.io":            "ingressclasses ingresses ipaddresses networkpolicies servicecidrs",
		"node.k8s.io":                  "runtimeclasses",
		"policy":                       "poddisruptionbudgets",
		"rbac.authorization.k8s.io":    "clusterrolebindings clusterroles rolebindings roles",
		"resource.k8s.io":              "deviceclasses devicetaintrules resourceclaims resourceclaimtemplates resourceslices",
		"scheduling.k8s.io":            "priorityclasses",
		"storagemigration.k8s.io":      "storageversionmigrations",
		"storage.k8s.io":               "csidrivers csinodes csistoragecapacities storageclasses volumeattachments volumeattributesclasses",
	} {
		for name := range strings.FieldsSeq(resources) {
			groups[name] = group
		}
	}
	return groups
}()
