package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/recorded.golden.json anew; look at the difference")

// The events are a real kube-apiserver's own log; make golden records them anew.
const (
	recorded = "testdata/recorded.ndjson"
	golden   = "testdata/recorded.golden.json"
)

// row is what the golden file says of an event.
type row struct {
	ID, AuditID, Level, Stage, OccurredAt, StageAt               string
	Actor, ActorKind, ActedVia, CredentialID                     string   `json:",omitempty"`
	Groups, ActedViaGroups                                       []string `json:",omitempty"`
	Method, Verb, ResourceType, Action                           string
	APIGroup, APIVersion, Resource, Subresource, Namespace, Name string `json:",omitempty"`
	Path, Client, UserAgent                                      string
	StatusCode                                                   int `json:",omitempty"`
	DryRun                                                       DryRun
	IPs                                                          []string
	RawSHA256                                                    string
}

func rowOf(e *Event) row {
	r := row{
		ID: e.ID.String(), AuditID: e.AuditID, Level: e.Level, Stage: e.Stage,
		OccurredAt: e.OccurredAt.Format(time.RFC3339Nano), StageAt: e.StageAt.Format(time.RFC3339Nano),
		Actor: e.Actor, ActorKind: e.ActorKind, ActedVia: e.ActedVia, CredentialID: e.CredentialID,
		Groups: e.Groups, ActedViaGroups: e.ActedViaGroups,
		Method: e.Method, Verb: e.Verb, ResourceType: e.ResourceType, Action: e.Action,
		APIGroup: e.APIGroup, APIVersion: e.APIVersion, Resource: e.Resource, Subresource: e.Subresource,
		Namespace: e.Namespace, Name: e.ResourceName, Path: e.Path, Client: e.Client, UserAgent: e.UserAgent,
		StatusCode: e.StatusCode, DryRun: e.DryRun, RawSHA256: hex.EncodeToString(e.RawSHA256[:]),
	}
	for _, ip := range e.IPs {
		r.IPs = append(r.IPs, ip.String())
	}
	return r
}

func readRecorded(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatalf("%v; run make golden", err)
	}
	return string(data)
}

func rowsOf(t *testing.T, delivery string) []row {
	t.Helper()
	events, quarantined := decode(t, newDecoder(t), delivery)
	if len(quarantined) > 0 {
		t.Fatalf("quarantined: %s", quarantined[0].Reason)
	}
	var rows []row
	for _, e := range events {
		rows = append(rows, rowOf(e))
	}
	return rows
}

func TestRecordedEvents(t *testing.T) {
	rows := rowsOf(t, readRecorded(t))
	if *update {
		out, err := json.MarshalIndent(rows, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, append(out, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var want []row
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.ID] {
			t.Errorf("two events have the id %s", r.ID)
		}
		seen[r.ID] = true
	}
}

// The log has one event a line, with kind and apiVersion; the webhook posts
// lists whose items lack them. Both are the same events.
func TestRecordedEventsAsAList(t *testing.T) {
	log := readRecorded(t)
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	const typed = `{"kind":"Event","apiVersion":"audit.k8s.io/v1",`
	for i, line := range lines {
		rest, ok := strings.CutPrefix(line, typed)
		if !ok {
			t.Fatalf("line %d does not begin as the API server's do: %.60s", i+1, line)
		}
		lines[i] = "{" + rest
	}
	list := `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` + strings.Join(lines, ",") + `]}`
	if diff := cmp.Diff(ids(rowsOf(t, log)), ids(rowsOf(t, list))); diff != "" {
		t.Error(diff)
	}
	if bytes.Contains([]byte(log), []byte("hunter2")) {
		t.Error("the log holds a secret's value")
	}
}

func ids(rows []row) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.ID)
	}
	return out
}
