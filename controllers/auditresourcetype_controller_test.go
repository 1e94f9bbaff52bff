package controllers

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
)

func typeNamed(name string) func(audit.ResourceType) bool {
	return func(t audit.ResourceType) bool { return t.Name == name }
}

func TestResourceTypes(t *testing.T) {
	builtIn := len(audit.BuiltInResourceTypes())
	queue := &v1alpha1.AuditResourceType{ObjectMeta: metav1.ObjectMeta{Name: "message-queue"}}
	queue.Spec = v1alpha1.AuditResourceTypeSpec{
		DisplayName: "Message queue", Priority: 300, Match: []v1alpha1.MatchRule{{APIGroups: []string{"kafka.strimzi.io"}}},
	}
	project := &v1alpha1.AuditResourceType{ObjectMeta: metav1.ObjectMeta{Name: "project"}}
	project.Spec = v1alpha1.AuditResourceTypeSpec{DisplayName: "Our project", Match: []v1alpha1.MatchRule{{Resources: []string{"namespaces"}}}}
	create(t, queue)
	create(t, project)
	await(t, queue, func() error {
		if got := condition(queue, v1alpha1.ReadyCondition); got != "True/RulesActive" {
			return fmt.Errorf("Ready is %s", got)
		}
		return nil
	})
	if queue.Status.Value != "message_queue" || kstatusOf(t, queue) != status.CurrentStatus {
		t.Errorf("status %+v", queue.Status)
	}
	await(t, project, func() error {
		if got := condition(project, v1alpha1.ReadyCondition); got != "True/RulesActive" {
			return fmt.Errorf("Ready is %s", got)
		}
		return nil
	})
	all := resourceTypes.All()
	if len(all) != builtIn+1 || all[builtIn].Name != "message_queue" {
		t.Errorf("%d types, the last %s", len(all), all[len(all)-1].Name)
	}
	if i := slices.IndexFunc(all, typeNamed("project")); i < 0 || all[i].DisplayName != "Our project" {
		t.Error("the object does not replace the built-in type")
	}

	if err := admin.Delete(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	if err := admin.Delete(t.Context(), project); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		all = resourceTypes.All()
		i := slices.IndexFunc(all, typeNamed("project"))
		if len(all) == builtIn && i >= 0 && all[i].DisplayName == "Project" {
			return
		}
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("after the objects are gone there are %d types, project is %q", len(all), all[i].DisplayName)
		}
	}
}
