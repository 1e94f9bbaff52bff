// Package release_test builds the image's binary and a release, and tries both.
package release_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	root    = "../.."
	version = "v0.0.0-test"
	image   = "registry.example.com/audit-operator"
)

// What the tests look at is built once: the image's binary, and a release.
var (
	work       string
	imageBuild = sync.OnceValues(func() (string, error) { return buildImage(filepath.Join(work, "image")) })
	release    = sync.OnceValues(func() (string, error) { return makeRelease(filepath.Join(work, "dist")) })
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if work, err = os.MkdirTemp("", "release-test-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(work)
	return m.Run()
}

func built(t *testing.T, build func() (string, error)) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func makeRelease(dist string) (string, error) {
	return dist, command(root, nil, "make", "release", "VERSION="+version, "IMAGE="+image, "DIST="+dist)
}

// command runs a program and returns what it said where it fails.
func command(dir string, env []string, name string, args ...string) error {
	c := exec.CommandContext(context.Background(), name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", name, args, err, out.String())
	}
	return nil
}
