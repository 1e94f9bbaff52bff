package release_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// The file of checksums speaks of every other file, and truly.
func TestChecksums(t *testing.T) {
	dist := built(t, release)
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(sums)); lines.Scan(); {
		sum, file, _ := strings.Cut(lines.Text(), "  ")
		said[file] = sum
	}
	files, err := os.ReadDir(dist)
	if err != nil {
		t.Fatal(err)
	}
	if len(said) != len(files)-1 {
		t.Errorf("%d checksums of %d files", len(said), len(files)-1)
	}
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(dist, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		if file.Name() != "SHA256SUMS" && said[file.Name()] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s is not what its checksum says", file.Name())
		}
	}
}

// install.yaml is all that a cluster needs, and runs the image that was named.
func TestInstallManifest(t *testing.T) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	dist := built(t, release)
	env := &envtest.Environment{}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	}()
	user, err := env.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := command(dist, []string{"KUBECONFIG=" + path}, filepath.Join(assets, "kubectl"), "apply", "-f", "install.yaml"); err != nil {
		t.Fatal(err)
	}
	api, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var set appsv1.StatefulSet
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "audit-system", Name: "audit-operator"}, &set); err != nil {
		t.Fatal(err)
	}
	if got := set.Spec.Template.Spec.Containers[0].Image; got != image+":"+version {
		t.Errorf("the image is %s", got)
	}
}

// Each archive holds a binary for its architecture, and beside it lies a list of
// every module in that binary with its version and, where it has a file of it, its
// licence.
func TestArchives(t *testing.T) {
	dist := built(t, release)
	archives, err := filepath.Glob(filepath.Join(dist, "*.tar.gz"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("archives: %v, %v", archives, err)
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	own := false
	for _, archive := range archives {
		name := strings.TrimSuffix(filepath.Base(archive), ".tar.gz")
		arch := name[strings.LastIndex(name, "_")+1:]
		t.Run(arch, func(t *testing.T) {
			dir := t.TempDir()
			if err := command(dir, nil, "tar", "-xzf", archive); err != nil {
				t.Fatal(err)
			}
			binary := filepath.Join(dir, name, "manager")
			file, err := elf.Open(binary)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			if file.Machine != machines[arch] {
				t.Errorf("it is for %s", file.Machine)
			}
			requireImageLibraries(t, binary)
			requireModules(t, binary, filepath.Join(dist, name+".cdx.json"))
			if arch != runtime.GOARCH {
				return
			}
			own = true
			if out, err := exec.CommandContext(t.Context(), binary, "--version").Output(); err != nil || string(out) != version+"\n" {
				t.Errorf("it says its version is %q, %v", out, err)
			}
		})
	}
	if !own {
		t.Errorf("none is for this machine: %v", archives)
	}
}

func requireModules(t *testing.T, binary, sbom string) {
	t.Helper()
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sbom)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat  string
		Components []struct {
			Name, Version string
			Evidence      struct{ Licenses []json.RawMessage }
		}
	}
	if err := json.Unmarshal(data, &bom); err != nil || bom.BOMFormat != "CycloneDX" {
		t.Fatalf("%s: %s, %v", filepath.Base(sbom), bom.BOMFormat, err)
	}
	listed, licensed := map[string]string{}, 0
	for _, c := range bom.Components {
		listed[c.Name] = c.Version
		if len(c.Evidence.Licenses) > 0 {
			licensed++
		}
	}
	for _, module := range info.Deps {
		if listed[module.Path] != module.Version {
			t.Errorf("%s %s is listed as %q", module.Path, module.Version, listed[module.Path])
		}
	}
	for _, module := range []string{"github.com/duckdb/duckdb-go/v2", "k8s.io/client-go", "std"} {
		if listed[module] == "" {
			t.Errorf("%s is not listed", module)
		}
	}
	// Not all files of licences are recognised.
	if licensed < len(bom.Components)*9/10 {
		t.Errorf("%d of %d modules have a licence", licensed, len(bom.Components))
	}
}
