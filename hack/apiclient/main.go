// Command apiclient asks the API with a client that oapi-codegen has generated
// from internal/httpapi/openapi.yaml, and prints the answers as JSON. The client
// is not kept here, so this does not compile by itself: TestGeneratedClient
// generates it beside a copy of this file, builds both and runs them.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	_ "github.com/oapi-codegen/runtime" // what the generated client needs
)

func main() {
	if err := run(context.Background(), os.Getenv("AUDIT"), os.Getenv("TOKEN")); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// answers is what is printed.
type answers struct {
	Events   []string      `json:"events"` // names of resources
	Deleted  int           `json:"deleted"`
	Facet    []string      `json:"facet"`
	Entries  []PorterEntry `json:"entries"`
	Second   []string      `json:"second"` // IDs of the second page
	Export   string        `json:"export"`
	Problem  string        `json:"problem"`
	Snapshot bool          `json:"snapshot"`
}

func run(ctx context.Context, base, token string) error {
	c, err := NewClientWithResponses(base, WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	if err != nil {
		return err
	}
	var out answers
	for _, ask := range []func(context.Context, *ClientWithResponses, *answers) error{events, porter, refused} {
		if err := ask(ctx, c, &out); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func events(ctx context.Context, c *ClientWithResponses, out *answers) error {
	types := ResourceType{"application"}
	listed, err := c.ListEventsWithResponse(ctx, &ListEventsParams{ResourceType: &types})
	if err != nil {
		return err
	}
	if listed.JSON200 == nil {
		return fmt.Errorf("list events: %s", listed.Body)
	}
	for _, e := range listed.JSON200.Items {
		out.Events = append(out.Events, *e.ResourceName)
	}
	deleted := Method{"DELETE"}
	none, err := c.ListEventsWithResponse(ctx, &ListEventsParams{Method: &deleted})
	if err != nil {
		return err
	}
	if none.JSON200 == nil {
		return fmt.Errorf("list deletions: %s", none.Body)
	}
	out.Deleted = len(none.JSON200.Items)
	one, err := c.GetEventWithResponse(ctx, listed.JSON200.Items[0].Id, &GetEventParams{})
	if err != nil {
		return err
	}
	if one.JSON200 == nil || one.JSON200.Id != listed.JSON200.Items[0].Id {
		return fmt.Errorf("get an event: %s", one.Body)
	}
	facet, err := c.CountEventsByValueWithResponse(ctx, "resource_type", &CountEventsByValueParams{})
	if err != nil {
		return err
	}
	if facet.JSON200 == nil {
		return fmt.Errorf("count values: %s", facet.Body)
	}
	for _, v := range facet.JSON200.Values {
		out.Facet = append(out.Facet, v.Value)
	}
	snapshots, err := c.ListSnapshotsWithResponse(ctx, &ListSnapshotsParams{})
	if err != nil {
		return err
	}
	if snapshots.JSON200 == nil {
		return fmt.Errorf("list snapshots: %s", snapshots.Body)
	}
	out.Snapshot = len(snapshots.JSON200.Items) > 0
	return nil
}

func porter(ctx context.Context, c *ClientWithResponses, out *answers) error {
	var created, class Code
	if err := created.FromCode1(201); err != nil {
		return err
	}
	if err := class.FromCode0("4xx"); err != nil {
		return err
	}
	codes, path, limit, source := Codes{created, class}, "/path-of-shop-*", 2, "cli"
	body := PorterQuery{StatusCodes: &codes, Path: &path, Limit: &limit, Source: &source}
	for page := 1; page <= 2; page++ {
		body.Page = &page
		found, err := c.QueryProjectWithResponse(ctx, "shop", body)
		if err != nil {
			return err
		}
		if found.JSON200 == nil {
			return fmt.Errorf("query a project: %s", found.Body)
		}
		if page == 1 {
			out.Entries = found.JSON200.Entries
			continue
		}
		for _, e := range found.JSON200.Entries {
			out.Second = append(out.Second, e.Id)
		}
	}
	file, err := c.ExportProjectWithResponse(ctx, "shop", PorterExport{Path: &path})
	if err != nil {
		return err
	}
	if file.StatusCode() != http.StatusOK {
		return fmt.Errorf("export a project: %s", file.Body)
	}
	out.Export = string(file.Body)
	return nil
}

// refused asks what is answered with a problem.
func refused(ctx context.Context, c *ClientWithResponses, out *answers) error {
	wrong := Method{"FETCH"}
	answer, err := c.ListEventsWithResponse(ctx, &ListEventsParams{Method: &wrong})
	if err != nil {
		return err
	}
	if answer.ApplicationproblemJSON400 == nil {
		return fmt.Errorf("a wrong method: %s", answer.Body)
	}
	out.Problem = string(answer.ApplicationproblemJSON400.Type)
	return nil
}
