package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/snapshot"
)

// everyEvent is the query for all that the API server has sent.
const everyEvent = "every-event"

func (d *demo) createEveryEvent(ctx context.Context) error {
	q := &v1alpha1.ClusterAuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: everyEvent}}
	q.Spec.Stages = audit.Stages
	q.Spec.TimeRange = &v1alpha1.TimeRange{From: &metav1.Time{Time: d.began.Add(-time.Minute)}}
	q.Spec.Preview = ptr.To(int32(0))
	q.Spec.SnapshotHistoryLimit = ptr.To(int32(1))
	return d.api.Create(ctx, q)
}

// answer is a snapshot, downloaded.
type answer struct {
	v1alpha1.Snapshot
	records map[string]snapshot.Record
}

// ask has every-event run anew and returns all that it finds.
func (d *demo) ask(ctx context.Context) (*answer, error) {
	q := &v1alpha1.ClusterAuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: everyEvent}}
	requested := time.Now().Format(time.RFC3339Nano)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.ReconcileRequestAnnotation, requested)
	if err := d.api.Patch(ctx, q, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		return nil, err
	}
	err := poll(ctx, time.Minute, func(ctx context.Context) error {
		if err := d.api.Get(ctx, client.ObjectKeyFromObject(q), q); err != nil {
			return err
		}
		if q.Status.LastHandledReconcileAt != requested {
			return fmt.Errorf("the operator has not carried out the request for %s", everyEvent)
		}
		return ready(q)
	})
	if err != nil {
		return nil, err
	}
	return d.download(ctx, q)
}

// ready says why a query has no answer to its present spec.
func ready(q v1alpha1.Query) error {
	condition := meta.FindStatusCondition(q.GetConditions(), v1alpha1.ReadyCondition)
	switch {
	case condition == nil || q.GetStatus().ObservedGeneration != q.GetGeneration():
		return fmt.Errorf("%s: the operator has not looked at it", nameOf(q))
	case condition.Status != metav1.ConditionTrue:
		return fmt.Errorf("%s is not ready: %s: %s", nameOf(q), condition.Reason, condition.Message)
	case q.GetStatus().Snapshot == nil:
		return fmt.Errorf("%s is ready without a snapshot", nameOf(q))
	}
	return nil
}

func nameOf(q v1alpha1.Query) string {
	return strings.TrimPrefix(client.ObjectKeyFromObject(q).String(), "/")
}

// download gets a query's snapshot as its readers do, and checks that the
// bytes are those of the status.
func (d *demo) download(ctx context.Context, q v1alpha1.Query) (*answer, error) {
	s := q.GetStatus().Snapshot
	if s.Truncated {
		return nil, fmt.Errorf("%s matched %d events and keeps only %d, too few to compare", nameOf(q), s.Matched, s.Stored)
	}
	address, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.JoinPath("ndjson").String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+d.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", request.URL, response.Status)
	}
	d.downloads++
	sum := sha256.Sum256(body)
	if digest := "sha256:" + hex.EncodeToString(sum[:]); digest != s.Digest {
		return nil, fmt.Errorf("%s: the download's digest is %s, the status says %s", nameOf(q), digest, s.Digest)
	}
	a := &answer{Snapshot: *s, records: map[string]snapshot.Record{}}
	for line := range bytes.Lines(body) {
		record, err := snapshot.ParseRecord(line)
		if err != nil {
			return nil, fmt.Errorf("%s: a line of the download: %w", nameOf(q), err)
		}
		a.records[trace(record.Source, record.AuditID, record.Stage, record.StageAt.Time)] = record
	}
	if n := int64(len(a.records)); n != s.Matched || n != s.Stored {
		return nil, fmt.Errorf("%s: the download holds %d events, the status says that %d matched and %d are stored",
			nameOf(q), n, s.Matched, s.Stored)
	}
	return a, nil
}

// queries returns the sample queries, every one that there is.
func (d *demo) queries(ctx context.Context) ([]v1alpha1.Query, error) {
	var clusterWide v1alpha1.ClusterAuditLogQueryList
	if err := d.api.List(ctx, &clusterWide); err != nil {
		return nil, err
	}
	var namespaced v1alpha1.AuditLogQueryList
	if err := d.api.List(ctx, &namespaced); err != nil {
		return nil, err
	}
	var all []v1alpha1.Query
	for i := range clusterWide.Items {
		if q := &clusterWide.Items[i]; q.Name != everyEvent {
			all = append(all, q)
		}
	}
	for i := range namespaced.Items {
		all = append(all, &namespaced.Items[i])
	}
	return all, nil
}
