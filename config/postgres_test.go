package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// Over PostgreSQL the operator's Pod is the one of config/default, but for its
// store, and has no volume to wait for.
func TestPostgresDeployment(t *testing.T) {
	objects := build(t, "overlays/postgres")
	if slices.ContainsFunc(objects, func(o unstructured.Unstructured) bool {
		return o.GetKind() == "StatefulSet" || o.GetKind() == "PersistentVolumeClaim"
	}) {
		t.Error("there is a StatefulSet, or a volume")
	}
	var set appsv1.StatefulSet
	find(t, build(t, "default"), "StatefulSet", &set)
	var deployment appsv1.Deployment
	find(t, objects, "Deployment", &deployment)
	was, is := set.Spec.Template.Spec, deployment.Spec.Template.Spec
	for what, d := range map[string]string{
		"security context of the Pod":       cmp.Diff(was.SecurityContext, is.SecurityContext),
		"security context of the container": cmp.Diff(was.Containers[0].SecurityContext, is.Containers[0].SecurityContext),
		"service account":                   cmp.Diff(was.ServiceAccountName, is.ServiceAccountName),
		"ports":                             cmp.Diff(was.Containers[0].Ports, is.Containers[0].Ports),
		"liveness":                          cmp.Diff(was.Containers[0].LivenessProbe, is.Containers[0].LivenessProbe),
		"labels":                            cmp.Diff(set.Spec.Template.Labels, deployment.Spec.Template.Labels),
		"arguments": cmp.Diff(slices.DeleteFunc(was.Containers[0].Args, startsWith("--data-dir=")),
			slices.DeleteFunc(slices.Clone(is.Containers[0].Args), startsWith("--store="))),
	} {
		if d != "" {
			t.Errorf("%s (-StatefulSet +Deployment):\n%s", what, d)
		}
	}
	if !slices.Contains(is.Containers[0].Args, "--store=postgres://") {
		t.Errorf("the arguments are %q", is.Containers[0].Args)
	}
	if deployment.Spec.Replicas != nil {
		t.Error("the Deployment counts its replicas, as the HorizontalPodAutoscaler does")
	}
	if update := deployment.Spec.Strategy.RollingUpdate; update.MaxUnavailable.IntValue() != 0 {
		t.Errorf("an update begins with ending %v Pods", update.MaxUnavailable)
	}
}

func startsWith(prefix string) func(string) bool {
	return func(s string) bool { return strings.HasPrefix(s, prefix) }
}

// What keeps replicas available is about the Deployment's Pods, and what sends
// to the operator never finds the Job.
func TestPostgresAvailability(t *testing.T) {
	objects := build(t, "overlays/postgres")
	all := templates(t, objects)
	operator, migration := labels.Set(all[operatorName].Labels), labels.Set(all[operatorName+"-migrate"].Labels)
	selects := func(what string, selector *metav1.LabelSelector) {
		t.Helper()
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || !s.Matches(operator) || s.Matches(migration) {
			t.Errorf("%s selects the operator %t, the migration %t (%v)", what, s.Matches(operator), s.Matches(migration), err)
		}
	}
	var budget policyv1.PodDisruptionBudget
	find(t, objects, "PodDisruptionBudget", &budget)
	selects("the PodDisruptionBudget", budget.Spec.Selector)
	spread := map[string]bool{}
	for _, c := range all[operatorName].Spec.TopologySpreadConstraints {
		selects("the spread over "+c.TopologyKey, c.LabelSelector)
		spread[c.TopologyKey] = true
	}
	if !spread[corev1.LabelHostname] || !spread[corev1.LabelTopologyZone] {
		t.Errorf("Pods are spread over %v", spread)
	}
	var scaler autoscalingv2.HorizontalPodAutoscaler
	find(t, objects, "HorizontalPodAutoscaler", &scaler)
	if target := scaler.Spec.ScaleTargetRef; target.Kind != "Deployment" || target.Name != operatorName || ptr.Deref(scaler.Spec.MinReplicas, 1) < 2 {
		t.Errorf("the HorizontalPodAutoscaler is %+v", scaler.Spec)
	}
	services := 0
	for _, o := range objects {
		if o.GetKind() != "Service" {
			continue
		}
		services++
		var service corev1.Service
		convert(t, o, &service)
		selects("the Service "+service.Name, &metav1.LabelSelector{MatchLabels: service.Spec.Selector})
		if service.Spec.PublishNotReadyAddresses {
			t.Errorf("the Service %s sends to Pods that are not ready", service.Name)
		}
	}
	if services != 2 {
		t.Errorf("there are %d Services", services)
	}
}

// The way to the database is open, and only to those two.
func TestPostgresNetworkPolicies(t *testing.T) {
	open := map[string]bool{}
	for _, o := range build(t, "overlays/postgres") {
		if o.GetKind() != "NetworkPolicy" {
			continue
		}
		var policy networkingv1.NetworkPolicy
		convert(t, o, &policy)
		pods := policy.Namespace + "/" + policy.Spec.PodSelector.MatchLabels["app.kubernetes.io/name"]
		for _, rule := range policy.Spec.Egress {
			if slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntValue() == 5432 }) {
				open[pods] = true
			}
		}
	}
	if diff := cmp.Diff(map[string]bool{"audit-system/audit-operator": true, "audit-db/audit-operator-migrate": true}, open); diff != "" {
		t.Errorf("open to the database (-want +got):\n%s", diff)
	}
}

// What proves the owner of the tables is out of the operator's reach, which
// reads every Secret of its namespace; and no password is an argument.
func TestPostgresSecrets(t *testing.T) {
	objects := build(t, "overlays/postgres")
	var job batchv1.Job
	find(t, objects, "Job", &job)
	if job.Namespace == operatorNamespace {
		t.Errorf("the Job's Secrets are in %s, where the operator reads them", job.Namespace)
	}
	if ptr.Deref(job.Spec.Template.Spec.AutomountServiceAccountToken, true) {
		t.Error("the Job has a token for the API server")
	}
	for name, template := range templates(t, objects) {
		for _, c := range template.Spec.Containers {
			for _, argument := range c.Args {
				if strings.Contains(argument, "PGPASSWORD") || strings.HasPrefix(argument, "--store=") && argument != "--store=postgres://" {
					t.Errorf("%s is started with %s", name, argument)
				}
			}
			for _, e := range c.Env {
				if strings.Contains(e.Name, "PASSWORD") && e.ValueFrom == nil {
					t.Errorf("%s has the value of %s in its manifest", name, e.Name)
				}
			}
		}
	}
}

func convert(t *testing.T, from unstructured.Unstructured, into any) {
	t.Helper()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(from.Object, into); err != nil {
		t.Fatal(err)
	}
}
