package release_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// buildImage runs the steps of the Dockerfile's first stage as plain commands,
// each with what has been copied by then, and returns the binary's path. An
// image can't be built everywhere; what its steps need and do can.
//
// Packages are the image's affair: lines of apt-get are left out, and what they
// would install is the machine's own compiler.
func buildImage(dir string) (string, error) {
	instructions, err := firstStage(filepath.Join(root, "Dockerfile"))
	if err != nil {
		return "", err
	}
	context, err := buildContext()
	if err != nil {
		return "", err
	}
	at, arguments := dir, []string{"TARGETARCH=" + runtime.GOARCH}
	for _, i := range instructions {
		what, rest, _ := strings.Cut(i, " ")
		switch {
		case what == "FROM":
		case what == "ARG" && strings.HasPrefix(rest, "VERSION"):
			arguments = append(arguments, "VERSION="+version)
		case what == "ARG" && rest == "TARGETARCH":
		case what == "WORKDIR":
			at = filepath.Join(dir, rest)
			err = os.MkdirAll(at, 0o750)
		case what == "COPY":
			err = copyFiles(context, at, strings.Fields(rest))
		case what == "RUN" && strings.HasPrefix(rest, "apt-get "):
		case what == "RUN":
			err = command(at, arguments, "sh", "-c", rest)
		default:
			err = fmt.Errorf("the test does not know the instruction %q", i)
		}
		if err != nil {
			return "", err
		}
	}
	return filepath.Join(at, "bin", "manager"), nil
}

// firstStage returns a Dockerfile's instructions up to the second FROM.
func firstStage(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var instructions []string
	text := strings.ReplaceAll(string(data), "\\\n", " ")
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "FROM ") && len(instructions) > 0 {
			return instructions, nil
		}
		instructions = append(instructions, line)
	}
	return nil, fmt.Errorf("%s has no second stage", path)
}

// buildContext returns the files that a build of a clean checkout is sent.
func buildContext() ([]string, error) {
	list := exec.CommandContext(context.Background(), "git", "ls-files", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	tracked, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the tracked files: %w", err)
	}
	ignored, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Fields(string(tracked)), func(file string) bool {
		_, err := os.Stat(filepath.Join(root, file))
		top, _, _ := strings.Cut(file, "/")
		return err != nil || slices.Contains(strings.Fields(string(ignored)), top)
	}), nil
}

// copyFiles is COPY, as far as the Dockerfile uses it: files by name, or all.
func copyFiles(context []string, to string, names []string) error {
	names = names[:len(names)-1] // the last is the target
	for _, file := range context {
		if !slices.Contains(names, ".") && !slices.Contains(names, file) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return err
		}
		info, err := os.Stat(filepath.Join(root, file))
		if err != nil {
			return err
		}
		path := filepath.Join(to, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, info.Mode().Perm()&fs.ModePerm); err != nil {
			return err
		}
	}
	return nil
}

// The image's binary starts with nothing around it, is the version that was
// asked for, and tells nothing of the machine that built it.
func TestImageBinary(t *testing.T) {
	binary := built(t, imageBuild)
	for _, tt := range []struct{ arg, want string }{{"--version", version + "\n"}, {"--help", "--cluster-name"}} {
		c := exec.CommandContext(t.Context(), binary, tt.arg)
		c.Dir, c.Env = "/", []string{} // an image has neither a shell nor a home
		if out, err := c.Output(); err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v, %s", tt.arg, err, out)
		}
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"GOMODCACHE", "GOCACHE", "GOROOT", "GOPATH"} {
		path, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, bytes.TrimSpace(path)) {
			t.Errorf("the binary holds the path of %s", name)
		}
	}
	if bytes.Contains(data, []byte(work)) {
		t.Error("the binary holds the path that it was built at")
	}
	requireImageLibraries(t, binary)
}

// The final stage runs what was built, as somebody who is not root, by number:
// a kubelet can't know that a name is not root's.
func TestFinalStage(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build\n", // Debian 12, as the next
		"FROM gcr.io/distroless/cc-debian12:nonroot\n",
		"COPY --from=build /src/bin/manager /manager\n",
		"USER 65532:65532\n",
		"ENTRYPOINT [\"/manager\"]\n",
	} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("the Dockerfile lacks %q", want)
		}
	}
}
