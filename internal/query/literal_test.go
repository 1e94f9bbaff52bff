package query

import (
	"net/url"
	"slices"
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
		"actor": {"=alice", "alice", "=a*", "a*", "==x"}, "namespace": {"-", "=-", "=shop", "shop"}, "cluster_exclude": {"=a*b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Filter{
		Terms:   Terms{Actors: []string{"alice", "=a*", "a*", "==x"}, Namespaces: []string{"-", "=-", "shop"}},
		Exclude: Terms{Clusters: []string{"=a*b"}},
	}
	if diff := cmp.Diff(want, f, equalPrefixes); diff != "" {
		t.Error(diff)
	}
	const address = "actor=alice&actor=%3Da%2A&actor=a%2A&actor=%3D%3Dx&cluster_exclude=%3Da%2Ab&namespace=-&namespace=%3D-&namespace=shop"
	if got := f.Encode(); got != address {
		t.Errorf("Encode = %s, want %s", got, address)
	}
}

func TestLiteralBounds(t *testing.T) {
	longest := strings.Repeat("ü", MaxValueLength)
	for v, problem := range map[string]string{
		longest: "", "=" + longest: "", "=*" + longest[2:]: "",
		"ü" + longest: "at most 256 characters", "=ü" + longest: "at most 256 characters",
		"=": "must have a text after =", "=\x00": "UTF-8 without NUL", "=\xff": "UTF-8 without NUL",
	} {
		for _, parameter := range termFieldsOfText {
			for _, suffix := range []string{"", excludeSuffix} {
				_, err := ParseValues(url.Values{parameter + suffix: {v}})
				if (err == nil) != (problem == "") || err != nil && (!strings.Contains(err.Error(), problem) || !strings.HasPrefix(err.Error(), parameter+suffix+": ")) {
					t.Errorf("%s=%.10q…: %v, want %q", parameter+suffix, v, err, problem)
				}
			}
		}
	}
	// Elsewhere = has no meaning, and no value begins with it.
	for _, field := range termFields {
		if slices.Contains(termFieldsOfText, field.name) {
			continue
		}
		if _, err := ParseValues(url.Values{field.name: {"=a"}}); err == nil {
			t.Errorf("%s takes =a", field.name)
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
