package query

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLiteral(t *testing.T) {
	for _, tt := range []struct{ parameter, text, want string }{
		{"actor", "alice", "alice"},
		{"actor", `CORP\alice`, `CORP\alice`},
		{"actor", "a*", "=a*"},
		{"actor", "a*b", "=a*b"},
		{"actor", "=x", "==x"},
		{"actor", "=", "=="},
		{"actor", "-", "-"},
		{"namespace", "-", "=-"},
		{"namespace", "=-", "==-"},
		{"namespace", "shop", "shop"},
		{"cluster", "*", "=*"},
		{"resource", "pods", "pods"},
		{"resource", "pods/exec", "pods/exec"},
		{"resource", "*/exec", "=*/exec"},
		{"resource", "deployments", "=deployments"},
		{"resource", "deployments/scale", "=deployments/scale"},
		{"resource", "deployments.apps", "deployments.apps"},
		{"group", "system:masters", "system:masters"},
		{"group", "dev*", "=dev*"},
		{"group", "=dev", "==dev"},
		{"audit_id", "*", "=*"},
		{"audit_id", "-", "-"},
		{"user_agent", "kubectl/v1.34", "=kubectl/v1.34"},
		{"method", "GET", "GET"},
		{"status_code", "403", "403"},
	} {
		if got := Literal(tt.parameter, tt.text); got != tt.want {
			t.Errorf("Literal(%q, %q) = %q, want %q", tt.parameter, tt.text, got, tt.want)
		}
	}
}

// A filter of the text alone is one filter, with one address, however it was
// written.
func TestLiteralValuesOfURLs(t *testing.T) {
	f, err := ParseValues(url.Values{
		"resource": {"=pods", "pods", "=deployments", "=deployments.apps"}, "user_agent": {"kubectl/*", "kubectl/", "*", "=kubectl/"},
		"actor": {"=alice", "alice", "=a*", "a*", "==x"}, "namespace": {"-", "=-", "=shop", "shop"}, "cluster_exclude": {"=a*b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Filter{
		Terms: Terms{Actors: []string{"alice", "=a*", "a*", "==x"}, Namespaces: []string{"-", "=-", "shop"},
			Resources: []string{"pods", "=deployments", "deployments.apps"}, UserAgents: []string{"kubectl/", "*", "=kubectl/"}},
		Exclude: Terms{Clusters: []string{"=a*b"}},
	}
	if diff := cmp.Diff(want, f, equalPrefixes); diff != "" {
		t.Error(diff)
	}
	const address = "actor=alice&actor=%3Da%2A&actor=a%2A&actor=%3D%3Dx&cluster_exclude=%3Da%2Ab&namespace=-&namespace=%3D-&namespace=shop" +
		"&resource=pods&resource=%3Ddeployments&resource=deployments.apps&user_agent=kubectl%2F&user_agent=%2A&user_agent=%3Dkubectl%2F"
	if got := f.Encode(); got != address {
		t.Errorf("Encode = %s, want %s", got, address)
	}
}

func TestLiteralBounds(t *testing.T) {
	for _, field := range Fields {
		// Elsewhere = has no meaning, and no value begins with it.
		if !field.Text {
			if _, err := ParseValues(url.Values{field.Name: {"=a"}}); err == nil {
				t.Errorf("%s takes =a", field.Name)
			}
			continue
		}
		longest := strings.Repeat("ü", field.MaxLength())
		tooLong := fmt.Sprintf("at most %d characters", field.MaxLength())
		for v, problem := range map[string]string{
			longest: "", "=" + longest: "", "=*" + longest[2:]: "", "ü" + longest: tooLong, "=ü" + longest: tooLong,
			"=": "must have a text after =", "=\x00": "UTF-8 without NUL", "=\xff": "UTF-8 without NUL",
		} {
			for _, suffix := range []string{"", excludeSuffix} {
				_, err := ParseValues(url.Values{field.Name + suffix: {v}})
				if (err == nil) != (problem == "") || err != nil && (!strings.Contains(err.Error(), problem) || !strings.HasPrefix(err.Error(), field.Name+suffix+": ")) {
					t.Errorf("%s=%.10q…: %v, want %q", field.Name+suffix, v, err, problem)
				}
			}
		}
	}
}

func TestPathPatterns(t *testing.T) {
	got := PathPatterns([]string{"/healthz", "/api/*", "/x?a=*", "/x?a=1", "=/a*", "=", "*"})
	want := []Pattern{
		{Text: "/healthz"}, {Text: "/healthz?", Open: true}, {Text: "/api/", Open: true}, {Text: "/x?a=", Open: true}, {Text: "/x?a=1"},
		{Text: "/a*"}, {Text: "/a*?", Open: true}, {Open: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
