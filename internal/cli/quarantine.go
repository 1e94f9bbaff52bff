package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/porter-dev/audit-operator/internal/maintenance"
	"github.com/porter-dev/audit-operator/internal/quarantine"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/storecopy"
	"github.com/porter-dev/audit-operator/internal/storeurl"
	"github.com/porter-dev/audit-operator/internal/version"
)

// maxQuarantineItems is how many items the command lists at most.
const maxQuarantineItems = 10000

// quarantineRequest says what to list.
type quarantineRequest struct {
	store, dataDir string
	source         string
	limit          int
	output         string
}

func quarantineCommand(s Streams) *cobra.Command {
	var o quarantineRequest
	cmd := &cobra.Command{
		Use: "quarantine", Short: "List what sources sent and no event could be made of",
		Long: `List what sources sent and no event could be made of, the newest first: source,
time, size, reason, and what is left of it. Nothing secret is in quarantine.

Where a manager runs on the folder of the embedded store, it answers; where none
runs, the command opens the folder itself. A database is asked directly.`,
		Example: "  kubectl exec -n audit-system audit-operator-0 -- /manager quarantine --data-dir=/data\n" +
			"  manager quarantine --store=postgres://audit@db.example.com/audit --source=control-plane-1 --output=json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), s) },
	}
	cmd.Flags().StringVar(&o.store, "store", storeurl.Embedded, "embedded, or the URL of a database")
	cmd.Flags().StringVar(&o.dataDir, "data-dir", "data", "folder of the embedded store")
	cmd.Flags().StringVar(&o.source, "source", "", "list what this source sent; without it, what all did")
	cmd.Flags().IntVar(&o.limit, "limit", 100, fmt.Sprintf("how many items to list at most, from 1 to %d", maxQuarantineItems))
	cmd.Flags().StringVarP(&o.output, "output", "o", "table", "table, or json, which has what is left of each item")
	return cmd
}

func (o *quarantineRequest) validate() error {
	switch {
	case o.output != "table" && o.output != "json":
		return fmt.Errorf("--output: %q is neither table nor json", o.output)
	case o.limit < 1 || o.limit > maxQuarantineItems:
		return fmt.Errorf("--limit: give from 1 to %d", maxQuarantineItems)
	}
	if err := storeurl.Validate(o.store); err != nil {
		return fmt.Errorf("--store: %w", err)
	}
	return nil
}

func (o *quarantineRequest) run(ctx context.Context, s Streams) error {
	if err := o.validate(); err != nil {
		return usageError{err}
	}
	list, end, err := o.lister(ctx, s)
	if err != nil {
		return err
	}
	defer end()
	write, finish := tableOfQuarantine(s.Out)
	if o.output == "json" {
		write, finish = jsonOfQuarantine(s.Out)
	}
	req := quarantine.Request{Source: o.source}
	for left := o.limit; ; {
		req.Limit = min(left, store.MaxQuarantinePage)
		page, err := list(ctx, req)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if err := write(&page.Items[i]); err != nil {
				return err
			}
		}
		if left, req.Cursor = left-len(page.Items), page.Next; left <= 0 || page.Next == "" {
			return finish(page.Next != "")
		}
	}
}

// quarantineLister answers one page.
type quarantineLister func(ctx context.Context, req quarantine.Request) (quarantine.Page, error)

// lister returns who answers: the database, the manager that runs or, where none
// does, this process. The end closes what was opened.
func (o *quarantineRequest) lister(ctx context.Context, s Streams) (list quarantineLister, end func(), err error) {
	if storeurl.IsDatabase(o.store) {
		opened, err := storecopy.OpenDatabase(ctx, o.store, 0, logTo(s.Err))
		if err != nil {
			return nil, nil, err
		}
		return listOf(opened), func() { _ = opened.Close() }, nil
	}
	asked := func(ctx context.Context, req quarantine.Request) (page quarantine.Page, err error) {
		err = maintenance.Ask(ctx, o.dataDir, maintenance.QuarantinePath, req, &page)
		return page, err
	}
	if _, err = asked(ctx, quarantine.Request{Limit: 1}); !errors.Is(err, maintenance.ErrNoManager) {
		return asked, func() {}, err
	}
	opened, failure := openFolder(ctx, embedded.Options{Dir: o.dataDir, Version: version.Version, Log: logTo(s.Err)})
	if failure != nil {
		return nil, nil, fmt.Errorf("%w, and the store can't be opened instead: %w", err, failure)
	}
	return listOf(opened), func() { _ = opened.Close() }, nil
}

func listOf(s quarantine.Store) quarantineLister {
	return func(ctx context.Context, req quarantine.Request) (quarantine.Page, error) {
		return quarantine.List(ctx, s, req)
	}
}

// tableOfQuarantine writes for people. Reasons may quote what a client sent,
// which is no business of a terminal.
func tableOfQuarantine(out io.Writer) (write func(*quarantine.Item) error, finish func(more bool) error) {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	items := 0
	write = func(i *quarantine.Item) error {
		if items++; items == 1 {
			fmt.Fprintln(table, "RECEIVED\tSOURCE\tSIZE\tHASH\tREASON")
		}
		_, err := fmt.Fprintf(table, "%s\t%s\t%d\t%.12s\t%s\n", i.ReceivedAt.Format(time.RFC3339), printable(i.Source), i.Size, i.Hash, printable(i.Reason))
		return err
	}
	finish = func(more bool) error {
		switch {
		case items == 0:
			fmt.Fprintln(table, "Nothing is in quarantine.")
		case more:
			fmt.Fprintln(table, "There are more: give a larger --limit, or a --source.")
		}
		return table.Flush()
	}
	return write, finish
}

// printable writes what can't be seen as escapes.
func printable(text string) string {
	quoted := strconv.QuoteToGraphic(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// jsonOfQuarantine writes one document for programs.
func jsonOfQuarantine(out io.Writer) (write func(*quarantine.Item) error, finish func(more bool) error) {
	before := `{"items":[`
	write = func(i *quarantine.Item) error {
		encoded, err := json.Marshal(i)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n%s", before, encoded)
		before = ","
		return err
	}
	finish = func(more bool) error {
		if before != "," {
			fmt.Fprint(out, before)
		}
		_, err := fmt.Fprintf(out, "\n],\"more\":%t}\n", more)
		return err
	}
	return write, finish
}
