package audit

import (
	"slices"
	"testing"
)

// What the rules said before they were data, they say still: a resource has
// the type that it had, where it had one. What is meant to have changed stands
// in changedRules.
func TestFormerRulesHold(t *testing.T) {
	former, err := NewClassifier(formerTypes, "")
	if err != nil {
		t.Fatal(err)
	}
	c := builtIn(t)
	for _, formerly := range formerTypes {
		for _, r := range formerly.Match {
			or := func(list []string) []string {
				if len(list) == 0 {
					return []string{"things", "x-1"}
				}
				return list
			}
			for _, group := range or(r.APIGroups) {
				for _, resource := range or(r.Resources) {
					for _, name := range []string{"x", "sh.helm.release.v1.web.v1", "default-token-x7k2p", ""} {
						for _, namespace := range []string{"", "shop", "kube-system"} {
							e := &Event{APIGroup: group, Resource: resource, ResourceName: name, Namespace: namespace}
							was, is := naiveType(former, e, ""), c.resourceType(e, &wireEvent{})
							if was != is && (was != FallbackType || formerly.Name == FallbackType) && !slices.Contains(changedRules, changedType{was, is, namespace}) {
								t.Errorf("%s/%s %s in %q was %s and is %s", group, resource, name, namespace, was, is)
							}
						}
					}
				}
			}
		}
	}
}

// A change of types between the former rules and these.
type changedType struct{ was, is, namespace string }

// What exposes and scales the workloads of kube-system is what they are.
var changedRules = []changedType{{"application", "addon", "kube-system"}}

const (
	prioritySome = 200
	priorityAll  = 100
)

var formerTypes = []ResourceType{
	{
		Name:        "application",
		DisplayName: "Application",
		Description: "Workloads and what exposes and scales them: deployments, jobs, pods, services, ingresses, autoscalers.",
		Priority:    priorityAll,
		Match: []Rule{
			{APIGroups: []string{"apps"}, Resources: []string{"deployments", "statefulsets", "daemonsets", "replicasets", "controllerrevisions"}},
			{APIGroups: []string{"batch"}, Resources: []string{"jobs", "cronjobs"}},
			{APIGroups: []string{""}, Resources: []string{"pods", "podtemplates", "replicationcontrollers", "services", "endpoints"}},
			{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}},
			{APIGroups: []string{"networking.k8s.io", "extensions"}, Resources: []string{"ingresses"}},
			{APIGroups: []string{"gateway.networking.k8s.io"}, Resources: []string{"httproutes", "grpcroutes", "tcproutes", "tlsroutes", "udproutes"}},
			{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}},
			{APIGroups: []string{"autoscaling.k8s.io"}, Resources: []string{"verticalpodautoscalers"}},
			{APIGroups: []string{"keda.sh"}, Resources: []string{"scaledobjects", "scaledjobs"}},
			{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}},
			{APIGroups: []string{"argoproj.io"}, Resources: []string{"rollouts", "applications", "applicationsets"}},
			{APIGroups: []string{"serving.knative.dev"}},
		},
	},
	{
		Name:        "datastore",
		DisplayName: "Datastore",
		Description: "Databases, caches, queues and their storage: resources of database operators, volume claims, snapshots.",
		Priority:    priorityAll,
		Match: []Rule{
			{APIGroups: []string{""}, Resources: []string{"persistentvolumeclaims"}},
			{APIGroups: []string{"snapshot.storage.k8s.io"}, Resources: []string{"volumesnapshots"}},
			{APIGroups: []string{
				"postgresql.cnpg.io", "acid.zalan.do", "postgres-operator.crunchydata.com",
				"pxc.percona.com", "psmdb.percona.com", "pgv2.percona.com", "mongodb.com", "mongodbcommunity.mongodb.com",
				"redis.redis.opstreelabs.in", "databases.spotahome.com", "app.redislabs.com",
				"kafka.strimzi.io", "rabbitmq.com", "elasticsearch.k8s.elastic.co", "opensearch.opster.io",
				"mysql.oracle.com", "mariadb.mmontes.io", "k8s.mariadb.com", "scylla.scylladb.com", "cassandra.datastax.com",
				"clickhouse.altinity.com", "minio.min.io", "nats.io",
				"rds.services.k8s.aws", "dynamodb.services.k8s.aws", "elasticache.services.k8s.aws",
				"sql.cnrm.cloud.google.com", "redis.cnrm.cloud.google.com", "spanner.cnrm.cloud.google.com",
				"rds.aws.upbound.io", "rds.aws.m.upbound.io", "elasticache.aws.upbound.io", "dynamodb.aws.upbound.io",
				"sql.gcp.upbound.io", "redis.gcp.upbound.io", "dbforpostgresql.azure.upbound.io", "dbformysql.azure.upbound.io",
				"database.aws.crossplane.io", "rds.aws.crossplane.io", "cache.aws.crossplane.io", "database.gcp.crossplane.io",
			}},
		},
	},
	{
		Name:        "addon",
		DisplayName: "Add-on",
		Description: "What is installed into a cluster: Helm releases, operators, CRDs, API services, admission webhooks and policies, kube-system.",
		Priority:    prioritySome,
		Match: []Rule{
			{APIGroups: []string{""}, Resources: []string{"secrets", "configmaps"}, Names: []string{"sh.helm.release.v1.*"}},
			{APIGroups: []string{"helm.toolkit.fluxcd.io", "helm.cattle.io", "operators.coreos.com"}},
			{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}},
			{APIGroups: []string{"apiregistration.k8s.io"}, Resources: []string{"apiservices"}},
			{APIGroups: []string{"admissionregistration.k8s.io"}},
			{APIGroups: []string{"apps", "batch"}, Namespaces: []string{"kube-system"}},
			{APIGroups: []string{""}, Resources: []string{"pods", "services"}, Namespaces: []string{"kube-system"}},
		},
	},
	{
		Name:        "environment_group",
		DisplayName: "Environment group",
		Description: "Configuration of applications: config maps and secrets, external and sealed secrets.",
		Priority:    priorityAll,
		Match: []Rule{
			{APIGroups: []string{""}, Resources: []string{"configmaps", "secrets"}},
			{APIGroups: []string{"external-secrets.io"}},
			{APIGroups: []string{"bitnami.com"}, Resources: []string{"sealedsecrets"}},
			{APIGroups: []string{"secrets-store.csi.x-k8s.io", "secrets.hashicorp.com"}},
		},
	},
	{
		Name:        "cluster",
		DisplayName: "Cluster",
		Description: "The cluster itself: nodes, storage and priority classes, leases, certificates, network policies, and everything that no other type holds.",
		Priority:    priorityAll,
		Match: []Rule{
			{APIGroups: []string{""}, Resources: []string{"nodes", "persistentvolumes", "events", "componentstatuses"}},
			{APIGroups: []string{"storage.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "events.k8s.io", "certificates.k8s.io", "flowcontrol.apiserver.k8s.io", "node.k8s.io", "metrics.k8s.io"}},
			{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies", "ingressclasses"}},
		},
	},
	{
		Name:        "project",
		DisplayName: "Project",
		Description: "Members and their rights: namespaces, roles and bindings, service accounts and their tokens, quotas, token and access reviews.",
		Priority:    prioritySome,
		Match: []Rule{
			{APIGroups: []string{""}, Resources: []string{"namespaces", "serviceaccounts", "resourcequotas", "limitranges"}},
			// Names of legacy token Secrets as the token controller makes them.
			{APIGroups: []string{""}, Resources: []string{"secrets"}, Names: []string{"default-token-*"}},
			{APIGroups: []string{"rbac.authorization.k8s.io", "authentication.k8s.io", "authorization.k8s.io"}},
		},
	},
}
