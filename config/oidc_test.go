package config_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// The overlay changes how people sign in and nothing else, and the client's
// secret is where the flag says, for the operator alone.
func TestOIDC(t *testing.T) {
	var was, is appsv1.StatefulSet
	find(t, build(t, "default"), "StatefulSet", &was)
	objects := build(t, "overlays/oidc")
	find(t, objects, "StatefulSet", &is)
	manager := &is.Spec.Template.Spec.Containers[0]
	var added []string
	for _, arg := range manager.Args {
		if strings.HasPrefix(arg, "--oidc-") {
			added = append(added, arg)
		}
	}
	want := []string{
		"--oidc-issuer-url=$(OIDC_ISSUER_URL)", "--oidc-client-id=$(OIDC_CLIENT_ID)", "--oidc-client-secret-file=/etc/oidc/client-secret",
		"--oidc-username-claim=email", "--oidc-groups-prefix=oidc:",
	}
	if diff := cmp.Diff(want, added); diff != "" {
		t.Errorf("the arguments of OpenID Connect: %s", diff)
	}

	mounts := slices.IndexFunc(manager.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == path.Dir("/etc/oidc/client-secret") })
	if mounts < 0 || !manager.VolumeMounts[mounts].ReadOnly {
		t.Fatalf("the volumes are %+v", manager.VolumeMounts)
	}
	volumes := is.Spec.Template.Spec.Volumes
	if len(volumes) != 1 || volumes[0].Name != manager.VolumeMounts[mounts].Name || volumes[0].Secret == nil || *volumes[0].Secret.DefaultMode != 0o440 {
		t.Errorf("the volumes are %+v", volumes)
	}

	var settings corev1.ConfigMap
	find(t, objects, "ConfigMap", &settings)
	for _, name := range []string{"OIDC_ISSUER_URL", "OIDC_CLIENT_ID", "DASHBOARD_URL", "CLUSTER_NAME", "INGEST_URL"} {
		if settings.Data[name] == "" {
			t.Errorf("the ConfigMap lacks %s", name)
		}
	}

	manager.Args = slices.DeleteFunc(manager.Args, startsWith("--oidc-"))
	manager.VolumeMounts = slices.Delete(manager.VolumeMounts, mounts, mounts+1)
	is.Spec.Template.Spec.Volumes = nil
	// The ConfigMap's name has a hash of what it holds.
	manager.EnvFrom[0].ConfigMapRef.Name = was.Spec.Template.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name
	if diff := cmp.Diff(was, is); diff != "" {
		t.Errorf("something else differs too: %s", diff)
	}
}
