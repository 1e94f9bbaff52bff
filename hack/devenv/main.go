// Command devenv runs the dev environment and the demo: see make help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/porter-dev/audit-operator/hack/devenv/cluster"
	"github.com/porter-dev/audit-operator/hack/devenv/demo"
)

const usage = `Usage, from the repository's top folder:
  go run ./hack/devenv up         start the control plane and the operator
  go run ./hack/devenv down       stop them and remove what they left
  go run ./hack/devenv demo       show the main job in an environment of its own
  go run ./hack/devenv demo -once check the results and end
  go run ./hack/devenv demo -store=postgres
                                  the same with two replicas over PostgreSQL
`

func main() {
	log.SetLogger(logr.Discard()) // controller-runtime's client has nothing to add to the errors
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		report(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(out, usage)
		return errors.New("no command given")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	dir := flags.String("dir", ".dev", "the environment's folder (up, down)")
	once := flags.Bool("once", false, "check the results and end (demo)")
	store := flags.String("store", "embedded", "embedded or postgres, which hack/postgres.sh finds (demo)")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if *store != "embedded" && *store != "postgres" {
		return fmt.Errorf("-store is %q; give embedded or postgres", *store)
	}
	switch args[0] {
	case "up":
		return up(ctx, *dir, out)
	case "down":
		return down(*dir, out)
	case "demo":
		return demo.Run(ctx, ".", demo.Options{Once: *once, Postgres: *store == "postgres"}, out)
	}
	fmt.Fprint(out, usage)
	return fmt.Errorf("unknown command %q", args[0])
}

func up(ctx context.Context, dir string, out io.Writer) error {
	c, err := cluster.Open(".", dir, out)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Up(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, `
The control plane and the operator run.
  kubectl     export PATH=%s:$PATH KUBECONFIG=%s
  dashboard   %s
  sign in     kubectl create token %s -n %s --duration=8h
  logs        %s/logs
  stop        make dev-down
`, c.KubectlPath(), c.Kubeconfig(), c.DashboardURL(), cluster.AuditorName, cluster.AuditorNamespace, c.Dir())
	return nil
}

func down(dir string, out io.Writer) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(out, "Nothing runs.")
		return nil
	}
	c, err := cluster.Open(".", dir, out)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Down(); err != nil {
		return err
	}
	fmt.Fprintln(out, "Everything is stopped and removed.")
	return nil
}

// report says what went wrong, what the process concerned said about it, and
// what to do next.
func report(w io.Writer, err error) {
	fmt.Fprintf(w, "\nerror: %v\n", err)
	var failed *cluster.ProcessError
	switch {
	case errors.As(err, &failed):
		fmt.Fprintf(w, "\nThe end of %s:\n%s\n\nRun the same again once that is mended. If nothing helps, "+
			"make dev-down removes everything and make dev-up begins anew.\n", failed.Log, failed.Tail(25))
	case errors.Is(err, cluster.ErrLocked):
		fmt.Fprintln(w, "Wait until it has finished, then run this again.")
	}
}
