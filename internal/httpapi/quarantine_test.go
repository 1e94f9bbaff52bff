package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/quarantine"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

const held = "/api/v1/quarantine"

// The quarantine opens to one right alone, and to no other.
func TestQuarantine(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	var items []audit.Quarantined
	for i := range 5 {
		items = append(items, audit.Quarantined{Source: []string{"a", "b"}[i%2], Cluster: "own", Reason: fmt.Sprintf("reason %d", i), Size: int64(i), Hash: [32]byte{1}, Redacted: []byte("{\"not\":\"an event \xff\"}")})
	}
	if _, err := s.Append(t.Context(), store.Batch{Source: "a", ReceivedAt: time.Now(), Quarantined: items}); err != nil {
		t.Fatal(err)
	}
	p := programsOver(t, s, world.Records)
	for user, status := range map[string]int{everywhere: 403, inShop: 403, inBoth: 403, nobody: 403, "": 401} {
		answer := p.get(t, user, held)
		wantProblem(t, answer, status, map[int]string{401: "unauthenticated", 403: "forbidden"}[status])
		if strings.Contains(answer.Body, "reason") {
			t.Errorf("%s is told %s", user, answer.Body)
		}
	}
	// Who may see it need not be who may see events.
	wantProblem(t, p.get(t, webtest.Quarantine, list), 403, "forbidden")

	var got []quarantine.Item
	for next := ""; ; {
		some := decode[quarantine.Page](t, p.get(t, webtest.Quarantine, held+"?limit=2&cursor="+url.QueryEscape(next)))
		got = append(got, some.Items...)
		if next = some.Next; next == "" {
			break
		}
	}
	if len(got) != 5 || got[0].Reason != "reason 4" || got[4].Reason != "reason 0" || got[0].Content != "{\"not\":\"an event \uFFFD\"}" || got[0].ContentBytes != 20 {
		t.Errorf("the pages hold %+v", got)
	}
	if some := decode[quarantine.Page](t, p.get(t, webtest.Quarantine, held+"?source=b")); len(some.Items) != 2 || some.Next != "" {
		t.Errorf("source b has %+v", some)
	}
	for _, wrong := range []string{"?limit=0", "?limit=101", "?limit=x", "?cursor=x", "?source=" + strings.Repeat("s", 254), "?source=a&source=b"} {
		wantProblem(t, p.get(t, webtest.Quarantine, held+wrong), http.StatusBadRequest, "invalid")
	}

	// And an answer about that time says that it may lack something.
	answer := decode[page](t, p.get(t, everywhere, list+"?range=last_hour"))
	if answer.Complete.Status != "False" || answer.Complete.Reason != "Quarantined" {
		t.Errorf("the list says that it is %+v", answer.Complete)
	}
	for _, path := range []string{list + "/histogram?range=last_hour", list + "/facets/actor?range=last_hour", "/api/v1/audit-logs?range=last_hour&namespace=shop"} {
		if body := p.get(t, inShop, path).Body; !strings.Contains(body, `"Quarantined"`) {
			t.Errorf("%s says %s", path, body)
		}
	}
}
