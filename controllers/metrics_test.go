package controllers

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// What a user asked wrongly is no failure that anybody must be woken for.
func TestSnapshotMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	m := NewMetrics(registry)
	for _, err := range []error{
		nil, fmt.Errorf("take: %w", store.ErrUnavailable), errors.New("unknown"),
		&query.FieldError{Field: "from", Problem: "lies after to"}, &stalledError{reason: "r", message: "m"},
	} {
		m.took(time.Second, err)
	}
	(*Metrics)(nil).took(time.Second, nil)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, metric := range families[0].Metric {
		got[metric.Label[0].GetValue()] = metric.Histogram.GetSampleCount()
	}
	if diff := cmp.Diff(map[string]uint64{"taken": 1, "failed": 2}, got); diff != "" {
		t.Error(diff)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
