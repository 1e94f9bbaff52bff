package process

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/canarytest"
)

// How many secrets and pieces of evidence must be on their way at least, through
// an API server and through envelopes each.
const (
	leastCanaries = 300
	leastEvidence = 100
	// mostTold bounds what a failure tells.
	mostTold = 40
)

// sown is what is delivered to a manager, and what it holds.
type sown struct {
	corpus     *canarytest.Corpus
	log        []byte // of the API server that was asked
	lines      int64  // of it
	deliveries []canarytest.Delivery
	evidence   map[string]string // what came with events, by text
	token      string            // of a reader with all rights
	sources    map[string]string // tokens by name
}

// TestPlanted plants secrets by a real API server that keeps whole bodies, by
// its webhook and its log file, and by each envelope, and looks for them in
// everything that the operator keeps, shows and writes, over both stores. What an
// auditor needs must be there.
func TestPlanted(t *testing.T) {
	api := startAPIServer(t)
	s := &sown{corpus: canarytest.NewCorpus(uint64(time.Now().UnixNano())), sources: map[string]string{}}
	m := api.startManager(t, "--zap-log-level=10")
	s.token = api.serviceAccount(t, "canary-reader", "/metrics")
	api.grantNamed(t, "canary-reader-of-all", "canary-reader", rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"*"}, Verbs: []string{"*"}})
	for _, name := range []string{"webhook", "logfile", "envelopes"} {
		s.sources[name] = api.connect(t, m, name)
	}
	s.ask(t, api, m)
	s.deliveries = canarytest.Deliveries(s.corpus, time.Now())
	s.expect(t)

	m.until(t, func() bool { return s.stored(t, m, "webhook") >= s.lines }, func() string {
		return fmt.Sprintf("of %d events %d came by webhook", s.lines, s.stored(t, m, "webhook"))
	})
	s.deliver(t, m)
	t.Run("embedded", func(t *testing.T) { s.searchEmbedded(t, api, m) })
	t.Run("PostgreSQL", func(t *testing.T) {
		url := newDatabase(t)
		m := api.startManagerWith(t, m.namespace, "--store="+url, "--zap-log-level=10")
		s.deliver(t, m)
		found := s.finder(t)
		s.searchDoors(t, api, m, found)
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		found.Search("log", []byte(m.log.String()))
		searchDatabase(t, url, found)
		s.judge(t, found)
	})
}

func (s *sown) finder(t *testing.T) *canarytest.Finder {
	t.Helper()
	f, err := canarytest.NewFinder(s.corpus.Canaries)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// grantNamed is grant, for an account that has other rights too.
func (a *apiServer) grantNamed(t *testing.T, name, account string, rule rbacv1.PolicyRule) {
	t.Helper()
	a.create(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}})
	a.create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: account}},
	})
}

// ask has an API server that sends its events to the manager do what plants
// words, and reads its log file when it has ended.
func (s *sown) ask(t *testing.T, api *apiServer, m *operator) {
	t.Helper()
	secret := &corev1.Secret{}
	if err := api.client.Get(t.Context(), client.ObjectKey{Namespace: m.namespace, Name: "audit-source-webhook"}, secret); err != nil {
		t.Fatal(err)
	}
	audited := startAudited(t, secret.Data)
	for _, r := range canarytest.Requests(s.corpus) {
		answer := audited.do(t, r)
		if r.Place == canarytest.TokenRequest {
			for _, part := range partsOfToken(t, answer) {
				s.corpus.Canaries[part] = r.Place
			}
		}
	}
	s.log = audited.stop(t)
	s.lines = int64(bytes.Count(s.log, []byte("\n")))
}

// expect makes sure that enough is planted: only what an API server wrote itself
// can be lost.
func (s *sown) expect(t *testing.T) {
	t.Helper()
	planted := s.finder(t)
	planted.Search("log file", s.log)
	byServer := len(planted.Found())
	s.evidence = map[string]string{}
	for text, place := range s.corpus.Evidence {
		if bytes.Contains(s.log, []byte(text)) {
			s.evidence[text] = place
		}
	}
	evidenceByServer := len(s.evidence)
	for text, place := range s.corpus.Evidence {
		if strings.HasPrefix(place, "envelope ") {
			s.evidence[text] = place
		}
	}
	byEnvelope := 0
	for _, place := range s.corpus.Canaries {
		if strings.HasPrefix(place, "envelope ") {
			byEnvelope++
		}
	}
	t.Logf("planted: %d secrets and %d pieces of evidence by the API server in %d events, %d and %d by %d deliveries",
		byServer, evidenceByServer, s.lines, byEnvelope, len(s.evidence)-evidenceByServer, len(s.deliveries))
	if byServer < leastCanaries || byEnvelope < leastCanaries || evidenceByServer < leastEvidence || len(s.evidence)-evidenceByServer < leastEvidence {
		t.Fatalf("want %d secrets and %d pieces of evidence of each at least", leastCanaries, leastEvidence)
	}
}

// deliver sends the log file and the envelopes.
func (s *sown) deliver(t *testing.T, m *operator) {
	t.Helper()
	m.post(t, "logfile", s.sources["logfile"], string(s.log))
	for _, d := range s.deliveries {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.deliveries("envelopes")+d.Under, strings.NewReader(d.Body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.sources["envelopes"])
		for i := 0; i+1 < len(d.Header); i += 2 {
			r.Header.Set(d.Header[i], d.Header[i+1])
		}
		m.until(t, func() bool { // the first of a new manager may come before its source is known
			status, answer, err := send(r.Clone(t.Context()))
			if status == http.StatusUnauthorized || err != nil {
				return false
			}
			if status != http.StatusOK {
				t.Errorf("%s: status %d: %s", d.Place, status, answer)
			}
			return true
		}, func() string { return d.Place + " is not taken" })
	}
}

// searchEmbedded looks at everything that a manager over the embedded store
// leaves, and at what its commands write.
func (s *sown) searchEmbedded(t *testing.T, api *apiServer, m *operator) {
	found := s.finder(t)
	s.searchDoors(t, api, m, found)
	backup := process(t, nil, 0, "backup", "--data-dir="+m.dataDir)
	found.Search("backup", backup.out)
	found.Search("backup's messages", []byte(backup.err))
	restored := filepath.Join(t.TempDir(), "restored")
	process(t, backup.out, 0, "restore", "--data-dir="+restored)
	held := process(t, nil, 0, "quarantine", "--data-dir="+m.dataDir, "--limit=10000", "-o", "json")
	found.Search("quarantine command", held.out)
	if err := m.stop(); err != nil {
		t.Error(err)
	}
	found.Search("log", []byte(m.log.String()))
	url := newDatabase(t)
	copied := process(t, nil, 0, "copy", "--from=embedded", "--data-dir="+restored, "--to="+url)
	found.Search("copy's messages", append(copied.out, copied.err...))
	searchDatabase(t, url, found)
	searchFolder(t, m.dataDir, found)
	for _, dir := range []string{m.dataDir, restored} {
		searchDuckDB(t, filepath.Join(dir, "events.duckdb"), found)
	}
	s.judge(t, found)
}

// judge tells what was found of the secrets.
func (s *sown) judge(t *testing.T, found *canarytest.Finder) {
	t.Helper()
	all := found.Found()
	for n, secret := range slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return strings.Compare(s.corpus.Canaries[a]+a, s.corpus.Canaries[b]+b)
	}) {
		if n >= mostTold {
			t.Errorf("and %d others", len(all)-n)
			return
		}
		t.Errorf("the secret of %s is in %s", s.corpus.Canaries[secret], all[secret][0])
	}
}

// searchFolder looks into all files below a folder.
func searchFolder(t *testing.T, dir string, found *canarytest.Finder) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		found.Search("the file "+strings.TrimPrefix(path, dir), data)
		return nil
	})
	if err != nil || files < 3 {
		t.Errorf("%d files, %v", files, err)
	}
}

// stored is how many events of a source there are.
func (s *sown) stored(t *testing.T, m *operator, source string) int64 {
	t.Helper()
	answer := s.get(t, "http://"+m.pages+"/api/v1/audit-logs?range=last_hour&count=true&limit=1&source="+source+everyStage)
	return matchedIn(t, answer)
}
