package httpapi_test

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/webtest"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// The handbook's commands do what it says, as they stand there.
func TestHandbook(t *testing.T) {
	page, err := os.ReadFile("../../docs/spec/api.md")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(world.Handler(t, world.Store, false))
	defer server.Close()
	run := 0
	for _, block := range shellBlock.FindAllStringSubmatch(string(page), -1) {
		script := regexp.MustCompile(`(?m)^(AUDIT|TOKEN)=.*\n`).ReplaceAllString(block[1], "")
		for _, command := range commands(script) {
			run++
			reader := everywhere
			if strings.Contains(command, held) {
				reader = webtest.Quarantine // the page names the right, which those to events don't stand for
			}
			cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", command)
			cmd.Env = append(os.Environ(), "AUDIT="+server.URL, "TOKEN="+world.Tokens[reader])
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v: %s", command, err, out)
				continue
			}
			if strings.HasPrefix(command, "curl") && !json.Valid(out) {
				t.Errorf("%s: %s", command, out)
			}
			if strings.HasPrefix(command, "cursor=") && strings.Count(string(out), "application.create") != 3 {
				t.Errorf("all pages: %s", out)
			}
			if strings.Contains(command, "method=FETCH") && !strings.Contains(string(out), `"errors":[{"parameter":"method","value":"FETCH","detail":"is no method; use one of GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS, OTHER"}]}`) {
				t.Errorf("the error is %s", out)
			}
		}
	}
	if run < 5 {
		t.Errorf("%d commands", run)
	}
}

// commands returns the commands of a block: each curl by itself, or a script as
// one.
func commands(script string) []string {
	if !strings.HasPrefix(script, "curl") {
		return []string{script}
	}
	var out []string
	for command := range strings.SplitSeq(strings.ReplaceAll(script, "\\\n", ""), "\n") {
		if command != "" {
			out = append(out, command)
		}
	}
	return out
}
