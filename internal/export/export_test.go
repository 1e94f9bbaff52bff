package export_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

func table(t *testing.T, body string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// names returns the resource names of a CSV file, from the top.
func names(t *testing.T, body string) []string {
	t.Helper()
	rows := table(t, body)
	at := slices.Index(rows[0], "resourceName")
	var out []string
	for _, row := range rows[1:] {
		out = append(out, row[at])
	}
	return out
}

// newest returns the names of the newest n events, newest first.
func (w *world) newest(n int) []string {
	var out []string
	for _, e := range slices.Backward(w.events) {
		if len(out) == n {
			break
		}
		out = append(out, e.ResourceName)
	}
	return out
}

// Every field of a record has its column.
func TestColumns(t *testing.T) {
	var fields []string
	for f := range reflect.TypeFor[snapshot.Record]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, name)
	}
	columns := slices.Sorted(slices.Values(export.Columns))
	if diff := cmp.Diff(slices.Sorted(slices.Values(fields)), columns); diff != "" {
		t.Error(diff)
	}
}

func TestCSV(t *testing.T) {
	w := newWorld(t, 2500, export.Options{Retention: 720 * time.Hour})
	resp, body, err := w.get(t)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.newest(2500), names(t, body)); diff != "" {
		t.Error(diff)
	}
	rows := table(t, body)
	got := map[string]string{}
	for i, column := range rows[0] {
		got[column] = rows[1][i]
	}
	e := w.events[2499]
	want := map[string]string{
		"occurredAt": e.OccurredAt.Format("2006-01-02T15:04:05.000000Z"), "actor": "alice", "method": "POST", "statusCode": "201", "action": "application.create",
		"resourceType": "application", "resourceName": "app-2499", "namespace": "shop", "cluster": "own", "path": e.Path, "client": "cli", "userAgent": e.UserAgent,
		"ips": "203.0.113.9 192.0.2.7", "actorKind": "user", "actedVia": "", "credentialID": "", "verb": "create", "apiGroup": "apps", "apiVersion": "",
		"resource": "deployments", "subresource": "", "dryRun": "false", "stage": "ResponseComplete", "level": "Metadata",
		"stageAt": e.StageAt.Format("2006-01-02T15:04:05.000000Z"), "ingestedAt": got["ingestedAt"], "source": "s", "auditID": "2499", "id": e.ID.String(),
		"rawSHA256": fmt.Sprintf("%x", e.RawSHA256), "truncated": "false", "foreign": "false", "groups": `["dev","a, \"b\"\u005cu001b"]`, "actedViaGroups": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	headers := map[string]string{}
	for _, name := range []string{"Content-Type", "Audit-Matched", "Audit-Limit", "Audit-Rows", "Audit-Truncated", "Audit-Complete", "Audit-Complete-Reason", "Audit-From", "Audit-To"} {
		headers[name] = resp.Header.Get(name)
	}
	if diff := cmp.Diff(map[string]string{
		"Content-Type": "text/csv; charset=utf-8; header=present", "Audit-Matched": "2500", "Audit-Limit": "10000", "Audit-Rows": "2500", "Audit-Truncated": "false",
		"Audit-Complete": "Unknown", "Audit-Complete-Reason": "NotMeasured", "Audit-From": w.window.From.Format(time.RFC3339), "Audit-To": w.window.To.Format(time.RFC3339),
	}, headers); diff != "" {
		t.Error(diff)
	}
	name := w.window.From.Format("audit-logs-20060102T150405Z-") + w.window.To.Format("20060102T150405Z.csv")
	if got := resp.Header.Get("Content-Disposition"); got != `attachment; filename="`+name+`"` {
		t.Errorf("Content-Disposition is %s", got)
	}
	if _, err := time.Parse(time.RFC3339Nano, resp.Header.Get("Audit-As-Of")); err != nil {
		t.Error(err)
	}
}

func TestPorterCSV(t *testing.T) {
	w := newWorld(t, 1, export.Options{})
	w.request.Porter = true
	_, body, err := w.get(t)
	if err != nil {
		t.Fatal(err)
	}
	e := w.events[0]
	want := "started_at,method,path,action,actor_type,actor_id,actor_name,remote_ip,user_agent,resource_type,resource_id,resource_name,cluster_id,cluster_name,preview_environment_id,preview_environment_name,status_code\n" +
		e.OccurredAt.Format("2006-01-02T15:04:05.000000Z") + ",POST," + e.Path + ",application.create,user,alice,alice,192.0.2.7," + e.UserAgent +
		",application,deployments.apps/shop/app-0,app-0,own,own,,,201\n"
	if diff := cmp.Diff(want, body); diff != "" {
		t.Error(diff)
	}
}

func TestNDJSON(t *testing.T) {
	for _, raw := range []bool{false, true} {
		w := newWorld(t, 1100, export.Options{})
		w.request.Format, w.request.Raw = export.NDJSON, raw
		resp, body, err := w.get(t)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Content-Type"); got != "application/x-ndjson" {
			t.Errorf("Content-Type is %s", got)
		}
		lines := strings.SplitAfter(strings.TrimSuffix(body, "\n"), "\n")
		if len(lines) != 1100 {
			t.Fatalf("%d lines", len(lines))
		}
		for i, line := range lines {
			e := w.events[1099-i]
			if raw {
				without := strings.Replace(line, fmt.Sprintf(`,"raw":%s}`, e.Raw), "}", 1)
				if without == line {
					t.Fatalf("line %d lacks the raw event %s: %s", i, e.Raw, line)
				}
				line = without
			}
			if r, err := snapshot.ParseRecord([]byte(line)); err != nil || r.ID != e.ID.String() || r.Path != e.Path {
				t.Fatalf("line %d is %s, %v", i, line, err)
			}
		}
	}
}

func TestCap(t *testing.T) {
	w := newWorld(t, 2500, export.Options{})
	for limit, want := range map[int64]struct {
		rows      int
		truncated string
	}{1: {1, "true"}, 1000: {1000, "true"}, 1700: {1700, "true"}, 2499: {2499, "true"}, 2500: {2500, "false"}, 2501: {2500, "false"}} {
		w.request.Limit = limit
		resp, body, err := w.get(t)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.newest(want.rows), names(t, body)); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
		h := resp.Header
		if h.Get("Audit-Matched") != "2500" || h.Get("Audit-Rows") != fmt.Sprint(want.rows) || h.Get("Audit-Limit") != fmt.Sprint(limit) || h.Get("Audit-Truncated") != want.truncated {
			t.Errorf("limit %d: the headers are %v", limit, h)
		}
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t, 1, export.Options{})
	for field, r := range map[string]export.Request{
		"format": {Format: "xlsx"}, "raw": {Format: export.CSV, Raw: true}, "limit": {Format: export.CSV, Limit: export.MaxLimit + 1},
		"limit ": {Format: export.NDJSON, Raw: true, Limit: export.MaxRawLimit + 1}, " limit": {Format: export.CSV, Limit: -1},
	} {
		r.Window = w.window
		w.request = r
		resp, body, _ := w.get(t)
		var wrong *query.FieldError
		if err := w.refusal(); !errors.As(err, &wrong) || wrong.Field != strings.TrimSpace(field) || resp.StatusCode != 503 || body != "refused\n" {
			t.Errorf("%s: %v, status %d, %q", field, err, resp.StatusCode, body)
		}
	}
	if got := w.recorded(t); len(got) != 0 {
		t.Errorf("recorded %+v", got)
	}
}

// Whoever reads a stream that failed notices, by the last row and by the
// connection.
func TestFailureIsSeen(t *testing.T) {
	w := newWorld(t, 2500, export.Options{})
	for name, fault := range map[string]func(){
		"a page can't be read": func() { w.faults.page = failOn(3) },
		"retention drops rows": func() {
			w.faults.answered = func(n int, v *store.View) {
				if n == 3 {
					*v = store.View{}
				}
			}
		},
	} {
		for _, format := range export.Formats {
			t.Run(name+" "+string(format), func(t *testing.T) {
				w.faults.reset()
				fault()
				w.request.Format = format
				resp, body, err := w.get(t)
				if resp.StatusCode != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("status %d, the body ends with %v", resp.StatusCode, err)
				}
				lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
				want := map[export.Format]string{export.CSV: "__porter_export_failed__", export.NDJSON: `{"__porter_export_failed__":true,"rows":2000}`}[format]
				if last := lines[len(lines)-1]; last != want {
					t.Errorf("the last line is %q", last)
				}
				if _, err := snapshot.ParseRecord([]byte(lines[len(lines)-1])); err == nil {
					t.Error("the last line reads as a record")
				}
			})
		}
	}
	got := w.awaitOutcome(t)
	if got.annotations["audit.porter.run/outcome"] != "failed" || got.annotations["audit.porter.run/rows"] != "2000" {
		t.Errorf("recorded %v", got.annotations)
	}
}

// What arrives while an export runs takes the place of nothing that was counted.
func TestLateRows(t *testing.T) {
	w := newWorld(t, 2500, export.Options{})
	late := events(1500, w.events[1200].OccurredAt.Add(time.Microsecond))
	w.faults.page = func(_ context.Context, n int) error {
		if n == 2 {
			appendTo(t, w.store, late)
		}
		return nil
	}
	resp, body, err := w.get(t)
	if err != nil || resp.Header.Get("Audit-Rows") != "2500" {
		t.Fatalf("%v, %v", resp.Header, err)
	}
	sent := map[string]bool{}
	rows := table(t, body)
	at := slices.Index(rows[0], "id")
	for _, row := range rows[1:] {
		sent[row[at]] = true
	}
	for _, e := range w.events {
		if !sent[e.ID.String()] {
			t.Fatalf("%s was counted and is missing", e.ResourceName)
		}
	}

	// Where they don't fit, the oldest would be missing unseen.
	w = newWorld(t, 2500, export.Options{})
	w.request.Limit = 2600
	late = events(1500, w.events[1200].OccurredAt.Add(time.Microsecond))
	w.faults.page = func(_ context.Context, n int) error {
		if n == 2 {
			appendTo(t, w.store, late)
		}
		return nil
	}
	if _, body, err := w.get(t); err == nil || !strings.HasSuffix(body, "\n"+export.Failed+"\n") {
		t.Errorf("more than the limit arrived: %v", err)
	}
}

func TestExportIsRecordedFirst(t *testing.T) {
	w := newWorld(t, 1500, export.Options{})
	w.request.Filter.Actors = []string{"alice"}
	w.scope = query.InNamespaces("own", "shop")
	var atSecondPage []record
	w.faults.page = func(_ context.Context, n int) error {
		if n == 2 {
			atSecondPage = w.recorded(t)
		}
		return nil
	}
	if _, _, err := w.get(t); err != nil {
		t.Fatal(err)
	}
	if len(atSecondPage) != 1 || atSecondPage[0].Stage != audit.StageResponseStarted {
		t.Errorf("while rows were sent, these were recorded: %+v", atSecondPage)
	}
	end := w.awaitOutcome(t)
	if end.Action != string(selfaudit.Export) || end.Namespace != "shop" || end.Actor != "alice" || end.StatusCode != http.StatusOK {
		t.Errorf("recorded %+v", end)
	}
	want := map[string]string{"filter": "actor=alice", "format": "csv", "raw": "false", "limit": "10000", "matched": "1500", "announced": "1500", "rows": "1500", "outcome": "sent"}
	for name, value := range want {
		if got := end.annotations["audit.porter.run/"+name]; got != value {
			t.Errorf("%s is recorded as %q", name, got)
		}
	}
}

func TestUnrecordedIsNotSent(t *testing.T) {
	w := newWorld(t, 10, export.Options{})
	if err := w.records.Close(); err != nil {
		t.Fatal(err)
	}
	resp, body, err := w.get(t)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || body != "refused\n" || resp.Header.Get("Audit-Matched") != "" {
		t.Errorf("status %d, %q, %v", resp.StatusCode, body, err)
	}
	if err := w.refusal(); !errors.Is(err, selfaudit.ErrNotRecorded) {
		t.Error(err)
	}
}

func TestHead(t *testing.T) {
	w := newWorld(t, 1500, export.Options{})
	resp := w.open(t, t.Context(), http.MethodHead)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Audit-Matched") != "1500" {
		t.Errorf("status %d, %v", resp.StatusCode, resp.Header)
	}
	if got := w.recorded(t); len(got) != 0 {
		t.Errorf("recorded %+v", got)
	}
}

func TestClientThatGoes(t *testing.T) {
	w := newWorld(t, 2500, export.Options{})
	reached, cancelled := make(chan struct{}), make(chan struct{})
	w.faults.page = func(ctx context.Context, n int) error {
		if n == 3 {
			close(reached)
			<-ctx.Done()
			close(cancelled)
			return ctx.Err()
		}
		return nil
	}
	ctx, leave := context.WithCancel(t.Context())
	resp := w.open(t, ctx, http.MethodGet)
	defer resp.Body.Close()
	<-reached
	leave()
	select {
	case <-cancelled:
	case <-time.After(20 * time.Second):
		t.Fatal("the store still reads for a client that is gone")
	}
	if got := w.awaitOutcome(t); got.annotations["audit.porter.run/outcome"] != "cancelled" {
		t.Errorf("recorded %v", got.annotations)
	}
}

// An export may last longer than the server allows for reading a request, and
// for writing an answer.
func TestServerTimeouts(t *testing.T) {
	w := newWorld(t, 2500, export.Options{})
	slow := httptest.NewUnstartedServer(w.Config.Handler)
	slow.Config.ReadTimeout, slow.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	slow.Start()
	defer slow.Close()
	w.faults.page = func(ctx context.Context, _ int) error {
		select {
		case <-time.After(200 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.URL = slow.URL
	if _, body, err := w.get(t); err != nil || strings.Count(body, "\n") != 2501 {
		t.Errorf("%d lines, %v", strings.Count(body, "\n"), err)
	}
}

// A client that takes nothing does not hold an export's place for ever.
func TestClientThatStalls(t *testing.T) {
	w := newWorld(t, 60_000, export.Options{StallTimeout: 300 * time.Millisecond})
	w.request.Limit = 60_000
	resp := w.open(t, t.Context(), http.MethodGet)
	defer resp.Body.Close()
	got := w.awaitOutcome(t)
	if outcome := got.annotations["audit.porter.run/outcome"]; outcome == "sent" {
		t.Errorf("recorded %v", got.annotations)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("the answer looks whole")
	}
}

// So many clients may export at once, and each of them so often.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, 10, export.Options{})
	hold, reached := make(chan struct{}), make(chan struct{}, 16)
	w.faults.page = func(ctx context.Context, _ int) error {
		reached <- struct{}{}
		<-hold
		return nil
	}
	var running sync.WaitGroup
	for user := range 4 {
		for range 2 {
			running.Go(func() {
				resp := w.openAs(t, t.Context(), http.MethodGet, fmt.Sprint("user-", user))
				defer resp.Body.Close()
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("status %d, %v", resp.StatusCode, err)
				}
			})
			<-reached
		}
	}
	for user, want := range map[string]error{"user-0": export.ErrYourOthers, "user-9": export.ErrBusy} {
		resp := w.openAs(t, t.Context(), http.MethodGet, user)
		resp.Body.Close()
		if got := w.refusal(); !errors.Is(got, want) {
			t.Errorf("%s is told %v, not %v", user, got, want)
		}
	}
	close(hold)
	running.Wait()
	w.faults.page = nil
	for range 20 {
		if resp, _, err := w.get(t); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("afterwards: status %d, %v", resp.StatusCode, err)
		}
	}
}

// An export of 200,000 rows takes no more memory than one of a few pages.
func TestMemory(t *testing.T) {
	const rows = 200_000
	w := newWorld(t, rows, export.Options{})
	w.events = nil
	w.request.Limit = rows
	// On a busy machine much garbage comes between two collections.
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	most := before.HeapAlloc
	w.faults.answered = func(n int, _ *store.View) {
		if n%10 == 0 {
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	}
	resp := w.open(t, t.Context(), http.MethodGet)
	defer resp.Body.Close()
	read, lines := int64(0), 0
	for buffer := make([]byte, 64<<10); ; {
		n, err := resp.Body.Read(buffer)
		read += int64(n)
		lines += strings.Count(string(buffer[:n]), "\n")
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	grown := int64(most) - int64(before.HeapAlloc)
	t.Logf("%d MB sent, the heap grew by %d MB at most", read>>20, grown>>20)
	if lines != rows+1 || grown > read/4 {
		t.Errorf("%d lines, %d bytes; the heap grew by %d", lines, read, grown)
	}
}
