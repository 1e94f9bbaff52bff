package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
)

const (
	connections = 12
	batchItems  = 400
	ingestFor   = 20 * time.Second
)

// ingest is how many events a second are acknowledged end to end: a TLS POST of
// 400, decoded, redacted, classified, committed, answered. The senders share
// the machine with the operator.
func (o *operator) ingest(b *testing.B) {
	s, err := o.connect(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	o.send(b, s)
	o.reportMemory(b)
}

// ingestWithQueries is the same while somebody looks at the page all the time.
func (o *operator) ingestWithQueries(b *testing.B) {
	s, err := o.connect(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if _, err := o.page(ctx, "/security/audit-logs?method_exclude=GET"); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	o.send(b, s)
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
	o.reportMemory(b)
}

// sender posts as an API server does.
type sender struct {
	client *http.Client
	url    string
	token  string
}

// connect takes the credentials that the operator makes for an AuditSource.
func (o *operator) connect(ctx context.Context) (*sender, error) {
	source := &v1alpha1.AuditSource{ObjectMeta: metav1.ObjectMeta{Name: "bench"}, Spec: v1alpha1.AuditSourceSpec{Cluster: "bench"}}
	if err := client.IgnoreAlreadyExists(o.api.Create(ctx, source)); err != nil {
		return nil, err
	}
	var secret corev1.Secret
	if err := await(ctx, time.Minute, func(ctx context.Context) error {
		if err := o.api.Get(ctx, client.ObjectKeyFromObject(source), source); err != nil {
			return err
		}
		if source.Status.SecretRef == nil {
			return errors.New("the AuditSource has no credentials")
		}
		return o.api.Get(ctx, client.ObjectKey{Namespace: source.Status.SecretRef.Namespace, Name: source.Status.SecretRef.Name}, &secret)
	}); err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(secret.Data["ca.crt"]) {
		return nil, errors.New("the Secret's ca.crt holds no certificate")
	}
	return &sender{
		client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: authorities}, MaxIdleConnsPerHost: connections,
		}},
		url: source.Status.Endpoint, token: string(secret.Data["token"]),
	}, nil
}

// send posts for a while and reports the rate and the longest wait.
func (o *operator) send(b *testing.B, s *sender) {
	generator := audittest.New(audittest.Options{Seed: uint64(time.Now().UnixNano()), Start: time.Now().Add(-time.Minute), Rate: 50_000})
	var acknowledged, putOff, longest atomic.Int64
	end := time.Now().Add(ingestFor)
	began := time.Now()
	var group errgroup.Group
	for i := range connections {
		body := audittest.NewBody(generator.Batch(batchItems), byte(i))
		group.Go(func() error {
			for time.Now().Before(end) {
				sent := time.Now()
				status, err := s.post(b.Context(), body.Renew())
				took := time.Since(sent).Milliseconds()
				for old := longest.Load(); took > old && !longest.CompareAndSwap(old, took); old = longest.Load() {
				}
				switch {
				case err != nil:
					return err
				case status == http.StatusServiceUnavailable:
					putOff.Add(1)
				case status != http.StatusOK:
					return fmt.Errorf("the collector answers %d", status)
				default:
					acknowledged.Add(batchItems)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(acknowledged.Load())/time.Since(began).Seconds(), "events/s")
	b.ReportMetric(float64(longest.Load()), "longest-ms")
	b.ReportMetric(float64(putOff.Load()), "put-off")
}

func (s *sender) post(ctx context.Context, body []byte) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	response, err := s.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}
