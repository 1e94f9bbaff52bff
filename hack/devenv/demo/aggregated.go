package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/hack/devenv/cluster"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
)

// passThrough has alice send a request that kube-apiserver passes on, and looks
// for it in the log of everything: it must be there once from each of the two,
// and each event's page must link the other.
func (d *demo) passThrough(ctx context.Context) error {
	if err := d.createFlunder(ctx); err != nil {
		return err
	}
	d.say("201  alice creates a flunder in shop, which kube-apiserver passes on to sample-apiserver")
	var ends []snapshot.Record
	err := poll(ctx, time.Minute, func(ctx context.Context) error {
		all, err := d.ask(ctx)
		if err != nil {
			return err
		}
		ends, err = flunderEnds(all)
		return err
	})
	if err != nil {
		return err
	}
	for i, end := range ends {
		other := ends[len(ends)-1-i]
		page, err := d.page(ctx, eventPath(end), d.token)
		if err != nil {
			return err
		}
		if !strings.Contains(page, eventPath(other)) {
			return fmt.Errorf("the page of %s's event %s does not link %s's event %s", end.Source, end.ID, other.Source, other.ID)
		}
		d.say("%-16s %s %s %d by %s, audit ID %s", end.Source, end.Method, end.Path, end.StatusCode, end.Actor, end.AuditID)
	}
	d.say("each one's page links the other: %s%s", d.cluster.DashboardURL(), eventPath(ends[0]))
	return nil
}

func (d *demo) createFlunder(ctx context.Context) error {
	const flunder = `{"apiVersion": "wardle.example.com/v1beta1", "kind": "Flunder", "metadata": {"name": "passed-on"}}`
	return d.cast.alice.RESTClient().Post().AbsPath("/apis/wardle.example.com/v1beta1/namespaces/shop/flunders").
		SetHeader("Content-Type", "application/json").Body([]byte(flunder)).Do(ctx).Error()
}

// flunderEnds returns the events that tell of the created flunder, one for each
// API server.
func flunderEnds(all *answer) ([]snapshot.Record, error) {
	bySource := map[string][]snapshot.Record{}
	for _, r := range all.records {
		if r.Resource == "flunders" && r.Verb == "create" && r.Namespace == "shop" && r.Stage == audit.StageResponseComplete {
			bySource[r.Source] = append(bySource[r.Source], r)
		}
	}
	var ends []snapshot.Record
	var problems []error
	for _, s := range cluster.APIServers {
		found := bySource[s.Source()]
		if len(found) != 1 {
			problems = append(problems, fmt.Errorf("%d events of %s tell of the flunder's creation, want one", len(found), s))
			continue
		}
		ends = append(ends, found[0])
	}
	if len(problems) == 0 && ends[0].AuditID != ends[1].AuditID {
		problems = append(problems, fmt.Errorf("the request has two audit IDs: %s and %s", ends[0].AuditID, ends[1].AuditID))
	}
	return ends, errors.Join(problems...)
}

func eventPath(r snapshot.Record) string { return query.AuditLogsPath + "/events/" + r.ID }

// errStatus is an answer other than 200.
type errStatus int

func (e errStatus) Error() string { return fmt.Sprintf("the dashboard answers %d", int(e)) }

// page gets a page of the dashboard.
func (d *demo) page(ctx context.Context, path, token string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.cluster.DashboardURL()+path, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", errStatus(response.StatusCode)
	}
	return string(body), nil
}
