// Command mutants breaks the code in ways that were seen elsewhere, one at a
// time, and expects the tests to notice: see make mutants. It changes no file.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// mutant replaces a text of one file, which must stand there once.
type mutant struct {
	name     string
	file     string
	old, new string
	packages []string // whose tests must fail
	tests    string   // those that are run, as go test -run has it; all by default
}

// all returns the mutants of every area.
func all() []mutant {
	return slices.Concat(intake, embedded, postgres, operator, rights, doors, pages, faults, sizes, admission, readers, page, sources, space, losses, answers, certificates, clocks, redactions, envelopes, porter, classes, filters, fields, meaning, wiring, userGroups, planted)
}

func main() {
	only := flag.String("only", "", "run the mutant of this name alone")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, only string) error {
	chosen := all()
	if only != "" {
		chosen = slices.DeleteFunc(chosen, func(m mutant) bool { return m.name != only })
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no mutant is named %s", only)
	}
	var survivors []error
	for _, m := range chosen {
		began := time.Now()
		noticed, err := m.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintf(out, "%-36s %5.1fs  %s\n", m.name, time.Since(began).Seconds(), verdict(noticed))
		if noticed == "" {
			survivors = append(survivors, fmt.Errorf("%s: the tests of %s pass with it; write one that fails", m.name, strings.Join(m.packages, " ")))
		}
	}
	return errors.Join(survivors...)
}

func verdict(noticed string) string {
	if noticed == "" {
		return "SURVIVES"
	}
	return "noticed by " + noticed
}

// run returns the first test that fails with the mutant, or nothing.
func (m *mutant) run(ctx context.Context) (noticed string, err error) {
	content, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(content, []byte(m.old)); n != 1 {
		return "", fmt.Errorf("%s holds the text to replace %d times; bring the mutant up to date", m.file, n)
	}
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	mutated, overlay := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(mutated, bytes.Replace(content, []byte(m.old), []byte(m.new), 1), 0o600); err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutated}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return "", err
	}
	// By the environment, so that tests which build the manager break it too.
	flags := append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay)
	test := exec.CommandContext(ctx, "go", append([]string{"test", "-failfast", "-run", m.tests}, m.packages...)...)
	test.Env = flags
	output, err := test.CombinedOutput()
	switch {
	case err == nil:
		return "", nil
	case bytes.Contains(output, []byte(" [build failed]\n")), bytes.Contains(output, []byte(" [setup failed]\n")):
		return "", fmt.Errorf("it does not build, so it proves nothing: %w\n%s", err, output)
	}
	for line := range strings.Lines(string(output)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			name, _, _ := strings.Cut(rest, " ")
			return name, nil
		}
	}
	return "", fmt.Errorf("no test failed, but the run did: %w\n%s", err, output)
}
