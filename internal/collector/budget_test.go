package collector_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// drip is a delivery that goes on after begun until it is told to end.
type drip struct {
	begin sync.Once
	begun chan<- struct{}
	end   <-chan struct{}
}

func (d *drip) Read(p []byte) (int, error) {
	first := false
	d.begin.Do(func() { first = true })
	if first {
		d.begun <- struct{}{}
		return copy(p, "["), nil
	}
	<-d.end
	return 0, io.ErrUnexpectedEOF
}

// A source that sends slowly holds little, and never what others need.
func TestDrips(t *testing.T) {
	events := embeddedtest.Open(t, embedded.Options{})
	c := collector.New(collector.Options{Writer: events, Classifier: classifier(t), MaxBytesInFlight: 64 << 20})
	begun, end := make(chan struct{}), make(chan struct{})
	var drips sync.WaitGroup
	slow := collector.Source{Name: "slow", Cluster: "c"}
	// Half of the memory is one source's, and each of its deliveries begins with 1 MiB.
	for range 32 {
		drips.Go(func() {
			if _, err := c.Ingest(t.Context(), slow, &drip{begun: begun, end: end}); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("a delivery that broke off: %v", err)
			}
		})
		<-begun
	}
	if _, err := c.Ingest(t.Context(), slow, strings.NewReader("[]")); !errors.Is(err, store.ErrOverloaded) {
		t.Errorf("one more delivery of the source: %v, want ErrOverloaded", err)
	}
	honest := audittest.New(audittest.Options{Seed: 1}).Batch(4000)
	if got, err := c.Ingest(t.Context(), collector.Source{Name: "honest", Cluster: "c"}, bytes.NewReader(honest)); err != nil || got.Stored != 4000 {
		t.Errorf("another source: %+v, %v", got, err)
	}
	close(end)
	drips.Wait()
	if _, err := c.Ingest(t.Context(), slow, strings.NewReader("[]")); err != nil {
		t.Errorf("after they ended: %v", err)
	}
}

// What a delivery holds is bounded by what was reserved for it: one that needs
// more while there is none commits what it has, and then waits for a while. It
// is put off after that, and complete when it comes again.
func TestDeliveryOutgrowsTheBudget(t *testing.T) {
	events := embeddedtest.Open(t, embedded.Options{})
	c := collector.New(collector.Options{Writer: events, Classifier: classifier(t), MaxBytesInFlight: 8 << 20})
	begun, end := make(chan struct{}), make(chan struct{})
	var drips sync.WaitGroup
	source := collector.Source{Name: "large", Cluster: "c"}
	for range 3 {
		drips.Go(func() { _, _ = c.Ingest(t.Context(), source, &drip{begun: begun, end: end}) })
		<-begun
	}
	many := audittest.New(audittest.Options{Seed: 1}).Batch(2000)
	if got, err := c.Ingest(t.Context(), source, bytes.NewReader(many)); err != nil || got.Stored+got.Duplicate != 2000 {
		t.Errorf("a delivery that needs little at once: %+v, %v", got, err)
	}
	item := audittest.New(audittest.Options{Seed: 2}).Item()
	large := append([]byte(`{"requestObject":["`+strings.Repeat("x", 3<<20)+`"],`), item[1:]...)
	body := audittest.List(audittest.New(audittest.Options{Seed: 3}).Item(), large)
	impatient, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.Ingest(impatient, source, bytes.NewReader(body)); !errors.Is(err, store.ErrOverloaded) {
		t.Errorf("a delivery that needs more than is left: %v, want ErrOverloaded", err)
	}
	patient := make(chan error, 1)
	go func() {
		got, err := c.Ingest(t.Context(), source, bytes.NewReader(body))
		if err == nil && got.Stored+got.Duplicate != 2 {
			err = fmt.Errorf("of 2 events %+v", got)
		}
		patient <- err
	}()
	close(end)
	drips.Wait()
	if err := <-patient; err != nil {
		t.Errorf("one that waits until the others have ended: %v", err)
	}
}
