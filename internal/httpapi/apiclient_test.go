package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The OpenAPI document makes a Go client as it is, which talks to the server.
//
// The client is generated here and kept nowhere: then nobody has to write it
// anew for a change of the document, and none of the generator's dependencies
// are ours. hack/apiclient has their versions, and the program that calls the
// server. It is built in a copy of that module, by the Go command alone, which
// fetches the modules as it does those of these tests.
func TestGeneratedClient(t *testing.T) {
	document, err := filepath.Abs("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	module := t.TempDir()
	if err := os.CopyFS(module, os.DirFS("../../hack/apiclient")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute) // the first time builds the generator
	defer cancel()
	run := func(env []string, name string, args ...string) string {
		var out, complaints bytes.Buffer
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = module, append(os.Environ(), env...), &out, &complaints
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, complaints.String())
		}
		return out.String()
	}
	// Without flags of the tests around it, such as -overlay.
	plain := []string{"GOFLAGS=-mod=readonly", "GOWORK=off", "CGO_ENABLED=0"}
	run(plain, "go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "main", "-o", "client.go", document)
	run(plain, "go", "build", "-o", "apiclient", ".")

	server := httptest.NewServer(world.Handler(t, world.Store, false))
	defer server.Close()
	printed := run([]string{"AUDIT=" + server.URL, "TOKEN=" + world.Tokens[inShop]}, filepath.Join(module, "apiclient"))
	var got struct {
		Events, Facet, Second []string
		Deleted               int
		Entries               []entry
		Export, Problem       string
		Snapshot              bool
	}
	if err := json.Unmarshal([]byte(printed), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"own-shop-app"}, got.Events); diff != "" {
		t.Errorf("events: %s", diff)
	}
	slices.Sort(got.Facet)
	if diff := cmp.Diff([]string{"application", "environment_group", "project"}, got.Facet); diff != "" {
		t.Errorf("facet: %s", diff)
	}
	var keys []string
	for _, e := range got.Entries {
		keys = append(keys, keyOf(t, e))
	}
	if diff := cmp.Diff([]string{"shop-app", "shop-env"}, keys); diff != "" {
		t.Errorf("the first page: %s", diff)
	}
	if diff := cmp.Diff([]string{world.Events["shop-project"].ID.String()}, got.Second); diff != "" {
		t.Errorf("the second page: %s", diff)
	}
	if rows := strings.Count(got.Export, "\n"); rows != 4 || got.Deleted != 0 || !got.Snapshot || got.Problem != "urn:audit-operator:problem:invalid" {
		t.Errorf("%d rows were exported, %d deletions, a snapshot: %t, the problem %s", rows, got.Deleted, got.Snapshot, got.Problem)
	}
}
