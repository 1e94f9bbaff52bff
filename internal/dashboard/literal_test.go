package dashboard_test

import (
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	nethtml "golang.org/x/net/html"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// oddStore returns a store with an event for each odd text, which has it in
// every field of text. Its status code tells which one it is.
func oddStore(t *testing.T, texts []string) store.Store {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{})
	batch := store.Batch{Source: "s", ReceivedAt: time.Now()}
	for i, text := range texts {
		e := someEvent(time.Hour)
		e.ID, e.Raw, e.StatusCode = audit.ID{byte(i + 1)}, []byte("{}"), 200+i
		e.Source, e.Cluster, e.Namespace, e.Actor, e.Action, e.ResourceName, e.Resource, e.UserAgent = text, text, text, text, text, text, text, text
		batch.Events = append(batch.Events, e)
	}
	if got, err := s.Append(t.Context(), batch); err != nil || got.Stored != len(texts) {
		t.Fatalf("%+v, %v", got, err)
	}
	return s
}

// offered are the values of a menu's boxes, with what each is shown as.
func offered(t *testing.T, menu, name string) map[string]string {
	t.Helper()
	root, err := nethtml.Parse(strings.NewReader(menu))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for n := range root.Descendants() {
		if n.Type != nethtml.ElementNode || n.Data != "input" {
			continue
		}
		attributes := map[string]string{}
		for _, a := range n.Attr {
			attributes[a.Key] = a.Val
		}
		if attributes["name"] == name {
			for sibling := range n.Parent.Descendants() {
				if sibling.Type == nethtml.ElementNode && sibling.Data == "bdi" && sibling.FirstChild != nil {
					values[attributes["value"]] = sibling.FirstChild.Data
				}
			}
		}
	}
	return values
}

// Every value that a menu offers leads to the event that has it and to no
// other. The page's chip names it, and a resource can hold it.
func TestMenuValuesCanBeChosen(t *testing.T) {
	for texts := range slices.Chunk(audittest.OddTexts(), 45) { // a menu holds 50
		b := world.NewBrowserOver(t, oddStore(t, texts))
		b.Login(t, world.Tokens[everywhere], "/")
		for _, name := range []string{"actor", "action", "resource_name", "cluster", "namespace", "source", "resource", "user_agent"} {
			values := offered(t, b.Do(t, http.MethodGet, listPath+"/values/"+name, nil, asScript).Body, name)
			if len(values) != len(texts) {
				t.Errorf("the menu of %s offers %d values, want %d", name, len(values), len(texts))
			}
			for v, label := range values {
				i := slices.Index(texts, strings.TrimSuffix(label, " (exactly)"))
				if i < 0 {
					t.Errorf("the menu of %s offers %q, which no event has", name, label)
					continue
				}
				question := "?" + url.Values{name: {v}}.Encode()
				page := b.Get(t, listPath+question)
				if page.Status != http.StatusOK || !strings.Contains(page.Body, "<strong>1</strong>") || !strings.Contains(page.Body, strconv.Itoa(200+i)) {
					t.Errorf("%s does not lead to the one event that has %q: status %d", question, texts[i], page.Status)
				}
				if chip := "<bdi>" + label + "</bdi> <span"; !strings.Contains(html.UnescapeString(page.Body), chip) {
					t.Errorf("%s has no chip %s", question, chip)
				}
				if got := b.Get(t, listPath+"/query"+question); got.Status != http.StatusOK {
					t.Errorf("%s can't be saved: status %d", question, got.Status)
				}
			}
		}
	}
}
