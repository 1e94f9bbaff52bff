package docs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// TestMain goes to the root, which paths are relative to.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// The handbook's table has every right of the operator's roles, and no other.
func TestRightsTable(t *testing.T) {
	_, section, _ := strings.Cut(readText(t, "docs/operations/configuration.md"), "\n## Rights\n")
	section, _, _ = strings.Cut(section, "\nWhat people get")
	name := regexp.MustCompile("`([a-z/]+)`")
	got := map[string][]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (.+?) \| (.+?) \| .+ \|$`).FindAllStringSubmatch(section, -1) {
		for _, resource := range name.FindAllStringSubmatch(row[1], -1) {
			for _, verb := range name.FindAllStringSubmatch(row[2], -1) {
				got[resource[1]] = append(got[resource[1]], verb[1])
			}
		}
	}
	want := map[string][]string{}
	roles := readText(t, "config/rbac/role.yaml") + "\n---\n" + readText(t, "config/overlays/postgres/role.yaml")
	for _, document := range strings.Split(roles, "\n---\n") {
		var role rbacv1.ClusterRole // a Role has its rules in the same place
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				want[resource] = append(want[resource], rule.Verbs...)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the roles (-) and the table (+) differ:\n%s", diff)
	}
}

// Every flag of kube-apiserver that the handbook gives exists.
func TestConnectingFlags(t *testing.T) {
	help, err := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kube-apiserver"), "--help").Output()
	if err != nil {
		t.Fatalf("%v; is KUBEBUILDER_ASSETS set? export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)", err)
	}
	flags := regexp.MustCompile(`\baudit-(?:webhook|policy|log)-[a-z-]+[a-z]`).FindAllString(readText(t, "docs/operations/connecting.md"), -1)
	slices.Sort(flags)
	flags = slices.Compact(flags)
	if len(flags) < 7 {
		t.Errorf("the page gives %d flags", len(flags))
	}
	for _, flag := range flags {
		if !strings.Contains(string(help), "--"+flag+" ") {
			t.Errorf("kube-apiserver has no flag --%s", flag)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	notID   = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// Every link between pages leads to a page, and to a heading of it.
func TestLinks(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != "." {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		for _, match := range link.FindAllStringSubmatch(fence.ReplaceAllString(readText(t, path), ""), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			checked++
			page, anchor, _ := strings.Cut(match[1], "#")
			target := path
			if page != "" {
				target = filepath.Join(filepath.Dir(path), page)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s leads to nothing", path, match[1])
			} else if anchor != "" && !slices.Contains(anchors(readText(t, target)), anchor) {
				t.Errorf("%s: %s has no heading #%s", path, target, anchor)
			}
		}
		return nil
	})
	if err != nil || checked < 30 {
		t.Errorf("%d links, %v", checked, err)
	}
}

// anchors returns the names that a page's headings get.
func anchors(page string) []string {
	var names []string
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		names = append(names, strings.ReplaceAll(notID.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-"))
	}
	return names
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
