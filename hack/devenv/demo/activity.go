package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/snapshot"
)

//go:embed people.yaml
var people []byte

// deed is one thing that somebody does, and what is to be found of it. What is
// empty in trace may be anything.
type deed struct {
	text  string
	do    func(context.Context) error
	trace snapshot.Record
}

// found reports whether an event is the deed's.
func (d *deed) found(r *snapshot.Record) bool {
	want := &d.trace
	same := func(want, got string) bool { return want == "" || want == got }
	return same(want.Actor, r.Actor) && same(want.ActedVia, r.ActedVia) && same(want.Action, r.Action) &&
		same(want.Namespace, r.Namespace) && same(want.ResourceName, r.ResourceName) &&
		want.StatusCode == r.StatusCode && want.DryRun == r.DryRun
}

// cast are the clients of those who act.
type cast struct {
	alice, bob, deployer, stranger *kubernetes.Clientset
}

const (
	alice    = "alice@example.com"
	bob      = "bob@example.com"
	deployer = "system:serviceaccount:shop:deployer"
)

func (d *demo) newCast(ctx context.Context) (*cast, error) {
	admin, err := d.cluster.Config()
	if err != nil {
		return nil, err
	}
	clients, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return nil, err
	}
	aliceConfig, err := d.cluster.User(alice)
	if err != nil {
		return nil, err
	}
	bobConfig := rest.CopyConfig(admin)
	bobConfig.Impersonate = rest.ImpersonationConfig{UserName: bob}
	token, err := clients.CoreV1().ServiceAccounts("shop").
		CreateToken(ctx, "deployer", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	deployerConfig := rest.AnonymousClientConfig(admin)
	deployerConfig.BearerToken = token.Status.Token
	strangerConfig := rest.AnonymousClientConfig(admin)
	strangerConfig.BearerToken = "not-a-token"

	people := &cast{}
	for _, each := range []struct {
		client **kubernetes.Clientset
		config *rest.Config
	}{
		{&people.alice, aliceConfig}, {&people.bob, bobConfig},
		{&people.deployer, deployerConfig}, {&people.stranger, strangerConfig},
	} {
		each.config.UserAgent = "demo"
		if *each.client, err = kubernetes.NewForConfig(each.config); err != nil {
			return nil, err
		}
	}
	return people, nil
}

func deeds(c *cast) []deed {
	apps, configs := c.alice.AppsV1().Deployments("shop"), c.alice.CoreV1().ConfigMaps("shop")
	settings := func(value string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"currency": value}}
	}
	return []deed{
		{"alice creates the deployment checkout in shop", func(ctx context.Context) error {
			_, err := apps.Create(ctx, checkout(), metav1.CreateOptions{})
			return err
		}, snapshot.Record{Actor: alice, Action: "application.create", Namespace: "shop", StatusCode: 201}},
		{"alice scales it to 3", func(ctx context.Context) error {
			scale, err := apps.GetScale(ctx, "checkout", metav1.GetOptions{})
			if err != nil {
				return err
			}
			scale.Spec.Replicas = 3
			_, err = apps.UpdateScale(ctx, "checkout", scale, metav1.UpdateOptions{})
			return err
		}, snapshot.Record{Actor: alice, Action: "application.scale", Namespace: "shop", ResourceName: "checkout", StatusCode: 200}},
		{"alice creates the configmap settings", func(ctx context.Context) error {
			_, err := configs.Create(ctx, settings("EUR"), metav1.CreateOptions{})
			return err
		}, snapshot.Record{Actor: alice, Action: "environment_group.create", Namespace: "shop", StatusCode: 201}},
		{"alice edits it", func(ctx context.Context) error {
			_, err := configs.Update(ctx, settings("USD"), metav1.UpdateOptions{})
			return err
		}, snapshot.Record{Actor: alice, Action: "environment_group.update", Namespace: "shop", ResourceName: "settings", StatusCode: 200}},
		{"the service account deployer changes checkout's image", func(ctx context.Context) error {
			patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"checkout","image":"shop/checkout:2"}]}}}}`)
			_, err := c.deployer.AppsV1().Deployments("shop").
				Patch(ctx, "checkout", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
			return err
		}, snapshot.Record{Actor: deployer, Action: "application.patch", Namespace: "shop", ResourceName: "checkout", StatusCode: 200}},
		{"alice is refused the secret payments-key in billing", func(ctx context.Context) error {
			_, err := c.alice.CoreV1().Secrets("billing").Get(ctx, "payments-key", metav1.GetOptions{})
			return refused(err, 403)
		}, snapshot.Record{Actor: alice, Action: "environment_group.get", Namespace: "billing", ResourceName: "payments-key", StatusCode: 403}},
		{"alice is refused a configmap in billing", func(ctx context.Context) error {
			_, err := c.alice.CoreV1().ConfigMaps("billing").Create(ctx, settings("EUR"), metav1.CreateOptions{})
			return refused(err, 403)
		}, snapshot.Record{Actor: alice, Action: "environment_group.create", Namespace: "billing", StatusCode: 403}},
		{"alice tries another edit as a dry run", func(ctx context.Context) error {
			_, err := configs.Update(ctx, settings("GBP"), metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		}, snapshot.Record{Actor: alice, Action: "environment_group.update", Namespace: "shop", ResourceName: "settings", StatusCode: 200, DryRun: audit.DryRunTrue}},
		{"the administrator, as bob, deletes checkout", func(ctx context.Context) error {
			return c.bob.AppsV1().Deployments("shop").Delete(ctx, "checkout", metav1.DeleteOptions{})
		}, snapshot.Record{Actor: bob, ActedVia: "admin", Action: "application.delete", Namespace: "shop", ResourceName: "checkout", StatusCode: 200}},
		{"alice deletes the configmap", func(ctx context.Context) error {
			return configs.Delete(ctx, "settings", metav1.DeleteOptions{})
		}, snapshot.Record{Actor: alice, Action: "environment_group.delete", Namespace: "shop", ResourceName: "settings", StatusCode: 200}},
		{"a stranger comes with a bad token", func(ctx context.Context) error {
			_, err := c.stranger.CoreV1().Pods("shop").List(ctx, metav1.ListOptions{})
			return refused(err, 401)
		}, snapshot.Record{Action: "application.list", Namespace: "shop", StatusCode: 401}},
	}
}

func checkout() *appsv1.Deployment {
	labels := map[string]string{"app": "checkout"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "checkout"},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(int32(1)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "checkout", Image: "shop/checkout:1"}}},
			},
		},
	}
}

// refused turns the refusal that was to come into success.
func refused(err error, code int) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) && int(status.Status().Code) == code {
		return nil
	}
	return fmt.Errorf("want it refused with %d, got %w", code, err)
}
