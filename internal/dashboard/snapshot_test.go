package dashboard_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

func TestSnapshot(t *testing.T) {
	b := world.As(t, inShop)
	m := world.Snapshots["shop"]
	path := "/security/snapshots/" + m.ID
	page := b.Get(t, path+"?namespace=shop")
	for _, want := range []string{m.Digest, m.ManifestDigest, "3 events matched", path + "/ndjson?namespace=shop", "NotMeasured"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	program := http.Header{"Accept": {"*/*"}}
	for name, got := range map[string]webtest.Answer{
		"the page's link":     b.Get(t, path+"/ndjson?namespace=shop"),
		"the status's url":    b.Do(t, http.MethodGet, path+"?namespace=shop", nil, program),
		"the link, by a curl": b.Do(t, http.MethodGet, path+"/ndjson?namespace=shop", nil, program),
	} {
		sum := sha256.Sum256([]byte(got.Body))
		if "sha256:"+hex.EncodeToString(sum[:]) != m.Digest {
			t.Errorf("%s: status %d, other bytes than the digest's", name, got.Status)
		}
		if strings.Count(got.Body, "\n") != 3 || strings.Contains(got.Body, "billing") || strings.Contains(got.Body, "elsewhere") {
			t.Errorf("%s: %s", name, got.Body)
		}
		if got.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: type %s", name, got.Header.Get("Content-Type"))
		}
	}
}

// The pages say when texts of a snapshot were cut, which is not that rows are
// missing.
func TestShortenedSnapshot(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	m := world.Snapshots[""]
	m.Shortened, m.Truncated, m.Stored = 2, true, m.Matched
	if err := s.SaveSnapshot(t.Context(), m.ID, store.SnapshotSpace{}, func(w io.Writer) (store.Manifest, error) {
		_, err := io.WriteString(w, "{}\n")
		return m, err
	}); err != nil {
		t.Fatal(err)
	}
	b := world.NewBrowserOver(t, s)
	b.Login(t, world.Tokens[everywhere], "/")
	for path, says := range map[string]string{"/security/snapshots/" + m.ID: "Texts of 2 were cut to keep it within 64 MiB", "/security/snapshots": "texts cut"} {
		if page := b.Get(t, path); page.Status != http.StatusOK || !strings.Contains(page.Body, says) || strings.Contains(page.Body, "only the newest") {
			t.Errorf("%s: status %d: %s", path, page.Status, textOf(page.Body))
		}
	}
}

// A page that does not show all of a filter says how much it leaves out.
func TestSnapshotOfLongFilter(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	b := world.NewBrowserOver(t, s)
	b.Login(t, world.Tokens[everywhere], "/")
	fields := []string{"actor", "action", "resource_name", "cluster", "source", "path"}
	for values, says := range map[int]string{500: "", 501: "and 1 more value, which", 502: "and 2 more values, which"} {
		filter := url.Values{}
		for i := range values {
			name := fields[i%len(fields)]
			filter.Add(name, name+".v"+strconv.Itoa(i))
		}
		m := world.Snapshots[""]
		m.ID, m.Filter = fmt.Sprintf("%032d", values), filter.Encode()
		if err := s.SaveSnapshot(t.Context(), m.ID, store.SnapshotSpace{}, func(w io.Writer) (store.Manifest, error) {
			_, err := io.WriteString(w, "{}\n")
			return m, err
		}); err != nil {
			t.Fatal(err)
		}
		page := b.Get(t, "/security/snapshots/"+m.ID)
		if shown := strings.Count(page.Body, "<li>"); shown != 500 || strings.Contains(page.Body, " more value") != (says != "") || !strings.Contains(page.Body, says) {
			t.Errorf("of %d values %d are shown: status %d: %s", values, shown, page.Status, textOf(page.Body))
		}
	}
}
