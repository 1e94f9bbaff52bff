package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
)

// attack does one hostile thing, the n-th time, and says what became of it.
type attack struct {
	every time.Duration
	most  int // how often at most: the machine's disk is not what is tried
	do    func(ctx context.Context, n int) string
}

// repeat does a hostile thing until the context ends.
func repeat(ctx context.Context, counts *attackCounts, name string, a attack) {
	for n := range a.most {
		if ctx.Err() != nil {
			return
		}
		outcome := a.do(ctx, n)
		if ctx.Err() == nil {
			counts.add(strings.TrimRight(name, " 0123456789"), outcome)
		}
		pause(ctx, a.every)
	}
}

// searchers is how many ask at once in the name of one caller.
const searchers = 40

// attacks are all that is done at once.
func (s *tenantEnv) attacks() map[string]attack {
	out := map[string]attack{
		"anonymous &":          {every: 150 * time.Millisecond, most: 101, do: s.ampersands},
		"anonymous random URL": {every: 200 * time.Millisecond, most: 60, do: s.randomURL},
		"forged headers":       {every: 100 * time.Millisecond, most: 200, do: s.forgedHeaders},
		"delete a secret":      {every: time.Second, most: 20, do: s.deleteSecret},
		"label given twice":    {every: time.Second, most: 20, do: s.labelTwice},
		"greedy queries":       {every: time.Second, most: 100, do: s.greedyQueries},
		"queries in a loop":    {every: 10 * time.Millisecond, most: 5000, do: s.loopQueries},
		"finalizers away":      {every: 500 * time.Millisecond, most: 100, do: s.takeFinalizer},
		"forged cursor":        {every: 200 * time.Millisecond, most: 300, do: s.forgedCursor},
		"slow exports":         {every: 100 * time.Millisecond, most: 300, do: s.slowExport},
		"quarantine":           {every: time.Second, most: 60, do: s.readQuarantine},
	}
	for i := range searchers {
		out["search "+strconv.Itoa(i)] = attack{every: 5 * time.Millisecond, most: 10_000, do: s.search}
	}
	return out
}

// outcomeOf reads an answer and returns its status.
func outcomeOf(client *http.Client, request *http.Request) string {
	response, err := client.Do(request)
	if err != nil {
		return "no answer"
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // what is cut off is an outcome too
	return strconv.Itoa(response.StatusCode)
}

// anonymously sends a request to the API server without credentials.
func (s *tenantEnv) anonymously(ctx context.Context, path string, header http.Header) string {
	client, err := rest.HTTPClientFor(s.anonymous)
	if err != nil {
		return err.Error()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.host+path, nil)
	if err != nil {
		return err.Error()
	}
	request.Header = header
	return outcomeOf(client, request)
}

func (s *tenantEnv) ampersands(ctx context.Context, _ int) string {
	return s.anonymously(ctx, "/api/v1/namespaces/shop/configmaps/y?"+strings.Repeat("&", 900_000), http.Header{})
}

func (s *tenantEnv) randomURL(ctx context.Context, n int) string {
	chance := rand.New(rand.NewPCG(uint64(n), 1))
	noise := make([]byte, 900_000)
	for i := range noise {
		noise[i] = 'a' + byte(chance.IntN(26))
	}
	return s.anonymously(ctx, "/api/v1/namespaces/shop/configmaps/y?"+string(noise), http.Header{})
}

// forgedHeaders claims another's request id, many addresses and a long agent.
func (s *tenantEnv) forgedHeaders(ctx context.Context, n int) string {
	return s.anonymously(ctx, "/api/v1/namespaces/shop/configmaps/"+knownName(n), http.Header{
		"Audit-Id":        {"00000000-0000-4000-8000-000000000000"},
		"X-Forwarded-For": {strings.Repeat("10.1.2.3, ", 20_000) + "127.0.0.1"},
		"User-Agent":      {"audit-operator/" + strings.Repeat("x", 20_000)},
	})
}

// deleteSecret deletes with a URL that kube-apiserver writes with more than a
// megabyte.
func (s *tenantEnv) deleteSecret(ctx context.Context, n int) string {
	name := "crown-" + strconv.Itoa(n)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: attackerNamespace, Name: name}}
	if err := s.attacker.Create(ctx, secret); err != nil {
		return err.Error()
	}
	config, err := rest.HTTPClientFor(s.attackerRaw)
	if err != nil {
		return err.Error()
	}
	address := s.host + "/api/v1/namespaces/" + attackerNamespace + "/secrets/" + name + "?" + strings.Repeat("&", 200_000)
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, address, nil)
	if err != nil {
		return err.Error()
	}
	outcome := outcomeOf(config, request)
	s.note(http.MethodDelete, name, outcome == "200")
	return outcome
}

func (s *tenantEnv) labelTwice(ctx context.Context, n int) string {
	name := "twice-" + strconv.Itoa(n)
	if err := s.attacker.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: attackerNamespace, Name: name}}); err != nil {
		return err.Error()
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"1","a":"2"}}}`))
	err := s.attacker.Patch(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: attackerNamespace, Name: name}}, patch)
	s.note(http.MethodPatch, name, err == nil)
	return told(err)
}

// note remembers what the attacker did, which must be found as well.
func (s *tenantEnv) note(method, name string, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done {
		s.done = append(s.done, request{method, name})
	}
}

func told(err error) string {
	if err != nil {
		return "refused"
	}
	return "done"
}

// query creates or asks again one of the attacker's queries.
func (s *tenantEnv) query(ctx context.Context, name string, limit int) string {
	q := &v1alpha1.AuditLogQuery{ObjectMeta: metav1.ObjectMeta{Namespace: attackerNamespace, Name: name}}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{v1alpha1.ReconcileRequestAnnotation: time.Now().Format(time.RFC3339Nano)}},
		"spec":     map[string]any{"limit": limit, "snapshotHistoryLimit": 100, "stages": []string{"RequestReceived", "ResponseStarted", "ResponseComplete"}},
	})
	if err != nil {
		return err.Error()
	}
	err = s.attacker.Patch(ctx, q, client.RawPatch(types.MergePatchType, patch))
	if client.IgnoreNotFound(err) == nil && err != nil {
		err = s.attacker.Create(ctx, q)
	}
	return told(err)
}

func (s *tenantEnv) greedyQueries(ctx context.Context, _ int) (outcome string) {
	for i := range 3 {
		outcome = s.query(ctx, "greedy-"+strconv.Itoa(i), 50_000)
	}
	return outcome
}

func (s *tenantEnv) loopQueries(ctx context.Context, n int) string {
	return s.query(ctx, "loop-"+strconv.Itoa(n%40), 1000)
}

// takeFinalizer takes a finalizer away and deletes the query, which leaves its
// snapshots without an owner.
func (s *tenantEnv) takeFinalizer(ctx context.Context, n int) string {
	q := &v1alpha1.AuditLogQuery{ObjectMeta: metav1.ObjectMeta{Namespace: attackerNamespace, Name: "loop-" + strconv.Itoa(n%40)}}
	if err := s.attacker.Patch(ctx, q, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		return told(err)
	}
	return told(s.attacker.Delete(ctx, q))
}

// ask sends a question to the dashboard's address.
func (s *tenantEnv) ask(ctx context.Context, who, path string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.cluster.DashboardURL()+path, nil)
	if err == nil {
		request.Header.Set("Authorization", "Bearer "+s.tokens[who])
	}
	return request, err
}

func (s *tenantEnv) asAttacker(ctx context.Context, path string) string {
	request, err := s.ask(ctx, attacker, path)
	if err != nil {
		return err.Error()
	}
	return outcomeOf(http.DefaultClient, request)
}

func (s *tenantEnv) search(ctx context.Context, n int) string {
	return s.asAttacker(ctx, "/api/v1/audit-logs?namespace="+attackerNamespace+"&range=last_30_days&count=true&search=nothing-"+strconv.Itoa(n))
}

func (s *tenantEnv) forgedCursor(ctx context.Context, n int) string {
	cursor := fmt.Sprintf(`{"window":[%d,%d]}`, uint64(1)<<(n%63), uint64(1)<<62)
	return s.asAttacker(ctx, "/api/v1/audit-logs?namespace="+attackerNamespace+"&cursor="+url.QueryEscape(cursor))
}

func (s *tenantEnv) readQuarantine(ctx context.Context, _ int) string {
	return s.asAttacker(ctx, "/api/v1/quarantine")
}

// slowExport begins an export, and reads hardly any of it.
func (s *tenantEnv) slowExport(ctx context.Context, _ int) string {
	request, err := s.ask(ctx, attacker, "/api/v1/export?format=ndjson&namespace="+attackerNamespace)
	if err != nil {
		return err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "no answer"
	}
	defer response.Body.Close()
	_, _ = io.ReadFull(response.Body, make([]byte, 10))
	pause(ctx, 2*time.Second)
	return strconv.Itoa(response.StatusCode)
}
