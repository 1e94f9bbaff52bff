package release_test

import (
	"cmp"
	"debug/elf"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What distroless/cc-debian12 has of what C++ is linked with: glibc 2.36 and
// the libraries of GCC 12.
var (
	imageLibraries = []string{
		"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2",
		"libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
	}
	imageVersions = map[string]string{"GLIBC": "2.36", "GLIBCXX": "3.4.30", "CXXABI": "1.3.13", "GCC": "12.0.0"}
)

// requireImageLibraries checks that the image has what a binary needs. Which
// version of a symbol that is depends on the machine that links, so versions
// are for a machine like the one that builds the image.
func requireImageLibraries(t *testing.T, binary string) {
	t.Helper()
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	libraries, err := file.ImportedLibraries()
	if err != nil || len(libraries) == 0 {
		t.Fatalf("shared libraries: %v, %v", libraries, err)
	}
	for _, library := range libraries {
		if !slices.Contains(imageLibraries, library) {
			t.Errorf("the image has no %s", library)
		}
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil || !strings.Contains(string(release), "VERSION_CODENAME=bookworm") {
		t.Log("this is no Debian 12: the versions of symbols are not those of the image's binary")
		return
	}
	needs, err := file.DynamicVersionNeeds()
	if err != nil || len(needs) == 0 {
		t.Fatalf("versions of symbols: %v, %v", needs, err)
	}
	for _, library := range needs {
		for _, need := range library.Needs {
			what, version, _ := strings.Cut(need.Dep, "_")
			if has := imageVersions[what]; has == "" || compareVersions(version, has) > 0 {
				t.Errorf("%s of the image has no %s", library.Name, need.Dep)
			}
		}
	}
}

func compareVersions(a, b string) int {
	numbers := func(version string) []int {
		var out []int
		for part := range strings.SplitSeq(version, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				n = 1 << 30 // no version: more than any
			}
			out = append(out, n)
		}
		return out
	}
	return slices.CompareFunc(numbers(a), numbers(b), cmp.Compare[int])
}

func TestCompareVersions(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"2.4", "2.36", -1}, {"2.36", "2.36", 0}, {"2.38", "2.36", 1},
		{"3.4", "3.4.30", -1}, {"3.4.31", "3.4.30", 1}, {"PRIVATE", "2.36", 1},
	} {
		if got := compareVersions(tt.a, tt.b); got != tt.want {
			t.Errorf("%s and %s: %d", tt.a, tt.b, got)
		}
	}
}
