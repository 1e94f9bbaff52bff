package webhook_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit/audittest"
)

// BenchmarkIngest posts lists of 400 events over connections that are kept
// open, each as soon as the last one is answered: TLS, decoding, redaction,
// classification, the durable commit. The client and its TLS are in the numbers.
func BenchmarkIngest(b *testing.B) {
	const items = 400
	for _, connections := range []int{1, 4, 16} {
		b.Run(fmt.Sprint("connections=", connections), func(b *testing.B) {
			svc := serve(b, 0)
			svc.client.Transport.(*http.Transport).MaxIdleConnsPerHost = connections
			generator := audittest.New(audittest.Options{Seed: 1})
			bodies := make([][]byte, b.N)
			for i := range bodies {
				bodies[i] = generator.Batch(items)
			}
			took := make([]time.Duration, b.N)
			var next atomic.Int64
			var group sync.WaitGroup
			b.ResetTimer()
			before := processorTime(b)
			for range connections {
				group.Go(func() {
					for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
						began := time.Now()
						if err := svc.deliver(b.Context(), bodies[i]); err != nil {
							b.Error(err)
						}
						took[i] = time.Since(began)
					}
				})
			}
			group.Wait()
			b.StopTimer()
			events := float64(items * b.N)
			b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(processorTime(b)-before)/events, "cpu-ns/event")
			slices.Sort(took)
			b.ReportMetric(took[len(took)-1].Seconds()*1000, "slowest-ms")
		})
	}
}

// deliver posts a body and returns nil when it is acknowledged.
func (s *service) deliver(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"kube-apiserver", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return err
}

func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
