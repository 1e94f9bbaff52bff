package config_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
)

const (
	shop = "shop"
	// slow is when a step has failed, and refused when it has failed because
	// the API server refused the operator something meanwhile.
	slow    = time.Minute
	refused = 5 * time.Second
)

// scenario is one run of everything that the operator does with its rights.
type scenario struct {
	t          *testing.T
	o          *operator
	backend    backend
	dir        string // that it may write to
	kubeconfig string
	from       int64 // where its part of the audit log begins
	refused    []permission
	source     *v1alpha1.AuditSource
	queries    []v1alpha1.Query
}

type step struct {
	name string
	do   func(*scenario) error
}

// steps are in the order in which someone who installs it would see them.
var steps = []step{
	{"becomes ready", (*scenario).starts},
	{"makes the built-in resource types", (*scenario).makesTypes},
	{"issues a source's credentials", (*scenario).issuesCredentials},
	{"takes a delivery", (*scenario).takesDelivery},
	{"changes a source's credentials", (*scenario).changesCredentials},
	{"replaces a lost Secret", (*scenario).replacesSecret},
	{"answers queries of both kinds", (*scenario).answersQueries},
	{"records Events", (*scenario).recordsEvents},
	{"counts what goes on, in one Event", (*scenario).countsEvents},
	{"lets a viewer log in, and nobody else", (*scenario).letsViewersIn},
	{"serves metrics to who may get them", (*scenario).servesMetrics},
	{"removes a deleted query's snapshots", (*scenario).removesSnapshots},
}

// newScenario begins on an API server that holds nothing of the operator's.
func newScenario(t *testing.T, kubeconfig string, newBackend func(*testing.T) backend) *scenario {
	t.Helper()
	reset(t)
	s := &scenario{t: t, backend: newBackend(t), dir: t.TempDir(), kubeconfig: kubeconfig}
	_, s.from = operatorRequests(t, 0)
	s.o = s.startOperator(freeAddresses(t))
	return s
}

// await tries until it succeeds, and gives up early where the operator has
// ended or lacks a right.
func (s *scenario) await(try func() error) error {
	began := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if ended := s.o.alive(); ended != nil {
			return ended
		}
		s.readLog()
		if waited := time.Since(began); waited > slow || len(s.refused) > 0 && waited > refused {
			return err
		}
		<-tick.C
	}
}

func (s *scenario) readLog() {
	requests, next := operatorRequests(s.t, s.from)
	s.from = next
	for _, r := range requests {
		if r.refused {
			s.refused = append(s.refused, r.permission)
		}
	}
}

func (s *scenario) get(o client.Object) error {
	return world.admin.Get(s.t.Context(), client.ObjectKeyFromObject(o), o)
}

// condition is nil when it has the status, else it says what is.
func condition(all []metav1.Condition, kind string) error {
	switch c := meta.FindStatusCondition(all, kind); {
	case c == nil:
		return fmt.Errorf("no condition %s", kind)
	case c.Status != metav1.ConditionTrue:
		return fmt.Errorf("%s is %s: %s", kind, c.Status, c.Message)
	}
	return nil
}

func (s *scenario) becomesReady() error {
	return s.await(func() error {
		return s.answers(http.DefaultClient, "http://"+s.o.health+"/readyz", "", http.StatusOK, "")
	})
}

func (s *scenario) makesTypes() error {
	return s.await(func() error {
		for _, builtIn := range audit.BuiltInResourceTypes() {
			object := crdconv.ResourceTypeObject(builtIn)
			if err := s.get(object); err != nil {
				return err
			}
			if err := condition(object.Status.Conditions, v1alpha1.ReadyCondition); err != nil {
				return fmt.Errorf("%s: %w", object.Name, err)
			}
		}
		return nil
	})
}

func (s *scenario) issuesCredentials() error {
	s.source = &v1alpha1.AuditSource{ObjectMeta: metav1.ObjectMeta{Name: "control-plane-1"}}
	s.source.Spec = v1alpha1.AuditSourceSpec{Cluster: "cluster", Auth: v1alpha1.TokenAuth}
	if err := world.admin.Create(s.t.Context(), s.source); err != nil {
		return err
	}
	return s.await(func() error {
		if err := s.get(s.source); err != nil {
			return err
		}
		return condition(s.source.Status.Conditions, v1alpha1.ReadyCondition)
	})
}

func (s *scenario) secret() (*corev1.Secret, error) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "audit-source-" + s.source.Name}}
	return secret, s.get(secret)
}

// takesDelivery posts an event as an API server does that has the Secret's files.
func (s *scenario) takesDelivery() error {
	return s.await(func() error {
		secret, err := s.secret()
		if err != nil {
			return err
		}
		dir := s.t.TempDir()
		for file, data := range secret.Data {
			if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
				return err
			}
		}
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "kubeconfig"))
		if err != nil {
			return err
		}
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			return err
		}
		return s.answers(client, config.Host, eventList(time.Now()), http.StatusOK, "")
	})
}

func eventList(at time.Time) string {
	return fmt.Sprintf(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"level":"Metadata","auditID":"%[1]d",`+
		`"stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/configmaps/prices","verb":"update",`+
		`"user":{"username":"alice@example.com"},"sourceIPs":["10.0.0.9"],`+
		`"objectRef":{"resource":"configmaps","namespace":"shop","name":"prices","apiVersion":"v1"},"responseStatus":{"code":200},`+
		`"requestReceivedTimestamp":%[2]q,"stageTimestamp":%[2]q}]}`, at.UnixNano(), at.UTC().Format("2006-01-02T15:04:05.000000Z"))
}

func (s *scenario) changesCredentials() error {
	patch := client.MergeFrom(s.source.DeepCopy())
	s.source.Spec.Auth = v1alpha1.ClientCertificateAuth
	if err := world.admin.Patch(s.t.Context(), s.source, patch); err != nil {
		return err
	}
	err := s.await(func() error {
		secret, err := s.secret()
		if err == nil && len(secret.Data[corev1.TLSCertKey]) == 0 {
			err = errors.New("the Secret holds no certificate")
		}
		return err
	})
	return errors.Join(err, s.takesDelivery())
}

func (s *scenario) replacesSecret() error {
	secret, err := s.secret()
	if err != nil {
		return err
	}
	if err := world.admin.Delete(s.t.Context(), secret); err != nil {
		return err
	}
	return s.takesDelivery()
}

func (s *scenario) answersQueries() error {
	s.queries = []v1alpha1.Query{
		&v1alpha1.AuditLogQuery{ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: "changes"}},
		// The operator's own records of log-ins and downloads are none of what was sent.
		&v1alpha1.ClusterAuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: "all-changes"}, Spec: v1alpha1.ClusterAuditLogQuerySpec{
			Exclude: &v1alpha1.ClusterTerms{Terms: v1alpha1.Terms{Clients: []string{"operator"}}},
		}},
	}
	for _, q := range s.queries {
		if err := world.admin.Create(s.t.Context(), q); err != nil {
			return err
		}
	}
	for _, q := range s.queries {
		if err := s.await(func() error {
			if err := s.get(q); err != nil {
				return err
			}
			return condition(q.GetStatus().Conditions, v1alpha1.ReadyCondition)
		}); err != nil {
			return fmt.Errorf("%s: %w", q.GetName(), err)
		}
		if matched := q.GetStatus().Snapshot.Matched; matched != 3 {
			return fmt.Errorf("%s matched %d events of 3", q.GetName(), matched)
		}
	}
	return nil
}

// event awaits one that says the reason of an object of the name.
func (s *scenario) event(object, reason string, is func(eventsv1.Event) bool) error {
	return s.await(func() error {
		var list eventsv1.EventList
		if err := world.admin.List(s.t.Context(), &list); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Regarding.Name == object && e.Reason == reason && is(e) {
				return nil
			}
		}
		return fmt.Errorf("no such Event %s of %s", reason, object)
	})
}

func (s *scenario) recordsEvents() error {
	for _, q := range s.queries {
		if err := s.event(q.GetName(), v1alpha1.ReasonSnapshotTaken, func(eventsv1.Event) bool { return true }); err != nil {
			return err
		}
	}
	return nil
}

// countsEvents has a Secret of another's in the way, which the operator tells
// again and again.
func (s *scenario) countsEvents() error {
	conflict := &v1alpha1.AuditSource{ObjectMeta: metav1.ObjectMeta{Name: "conflict"}}
	conflict.Spec.Cluster = "cluster"
	anothers := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "audit-source-conflict"}}
	ctx := s.t.Context()
	if err := errors.Join(world.admin.Create(ctx, anothers), world.admin.Create(ctx, conflict)); err != nil {
		return err
	}
	err := s.event(conflict.Name, v1alpha1.ReasonSecretConflict, func(e eventsv1.Event) bool { return e.Series != nil })
	return errors.Join(err, world.admin.Delete(ctx, conflict), world.admin.Delete(ctx, anothers))
}

func (s *scenario) letsViewersIn() error {
	// Also without a name, where the namespaces of the viewer are looked for.
	page := "http://" + s.o.dashboard + "/security/audit-logs"
	for account, want := range map[string]int{"viewer": http.StatusOK, "stranger": http.StatusForbidden} {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return err
		}
		browser := &http.Client{Jar: jar}
		form := url.Values{"token": {token(s.t, shop, account)}}
		if err := s.await(func() error {
			login, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.o.dashboard+"/login", strings.NewReader(form.Encode()))
			if err != nil {
				return err
			}
			login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			resp, err := browser.Do(login)
			if err != nil {
				return err
			}
			resp.Body.Close()
			text := ""
			if want == http.StatusOK {
				text = "prices"
			}
			return errors.Join(s.answers(browser, page+"?namespace="+shop, "", want, text), s.answers(browser, page, "", want, text))
		}); err != nil {
			return fmt.Errorf("%s: %w", account, err)
		}
	}
	return nil
}

func (s *scenario) servesMetrics() error {
	config := &rest.Config{BearerToken: token(s.t, shop, "scraper"), TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	scraper, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	address := "https://" + s.o.metrics + "/metrics"
	return s.await(func() error {
		return errors.Join(
			s.answers(scraper, address, "", http.StatusOK, "audit_events_total"),
			s.answers(stranger, address, "", http.StatusUnauthorized, ""))
	})
}

func (s *scenario) removesSnapshots() error {
	for _, q := range s.queries {
		id := q.GetStatus().Snapshot.ID
		if !s.backend.hasSnapshot(s, id) {
			return fmt.Errorf("%s has no snapshot in the store", q.GetName())
		}
		if err := world.admin.Delete(s.t.Context(), q); err != nil {
			return err
		}
		if err := s.await(func() error {
			if err := s.get(q); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s is still there (%w)", q.GetName(), errors.Join(err))
			}
			return nil
		}); err != nil {
			return err
		}
		if s.backend.hasSnapshot(s, id) {
			return fmt.Errorf("the snapshot of %s outlived the query", q.GetName())
		}
	}
	return nil
}

// answers asks, by POST where there is a body, and is nil when the answer is
// of the status and holds the text.
func (s *scenario) answers(c *http.Client, address, body string, status int, text string) error {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != status:
		return fmt.Errorf("%s answers %d, not %d: %s", r.URL.Path, resp.StatusCode, status, first(got))
	case !strings.Contains(string(got), text):
		return fmt.Errorf("%s does not hold %q", r.URL.Path, text)
	}
	return nil
}

func first(answer []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(answer)), "\n")
	return line
}
