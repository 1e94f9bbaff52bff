package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/storeurl"
	"github.com/porter-dev/audit-operator/internal/version"
)

func migrateCommand(s Streams) *cobra.Command {
	var store string
	var roles postgres.Roles
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring a PostgreSQL database to the schema that this version needs",
		Long: `Bring a PostgreSQL database to the schema that this version needs, as the role
that owns the tables, and give other roles their rights: that of the operator,
which can neither change nor delete an event, and one for SQL by hand, which sees
every event. Both are made by an administrator.

Run it before each upgrade, as the Job in config/overlays/postgres does. Where
the schema is right it changes nothing. Several at once wait for each other. Each
migration happens as a whole or not at all, so that the same command goes on
where it was interrupted. The way back is a backup.`,
		Example: "  manager migrate --store=postgres://audit_owner@db.example.com/audit --operator-role=audit_operator\n" +
			"  PGHOST=db.example.com PGDATABASE=audit PGUSER=audit_owner PGPASSFILE=/secret/pgpass manager migrate",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return migrate(cmd.Context(), store, roles, s) },
	}
	cmd.Flags().StringVar(&store, "store", "postgres://", "URL of the database; what it leaves out comes from the PG* variables and the password file")
	cmd.Flags().StringVar(&roles.Operator, "operator-role", "", "role that the operator runs as, where it is not the one that migrates")
	cmd.Flags().StringVar(&roles.Reader, "reader-role", "", "role that may read all events by SQL, whatever its holder may see in Kubernetes")
	return cmd
}

func migrate(ctx context.Context, store string, roles postgres.Roles, s Streams) error {
	if !storeurl.IsDatabase(store) {
		return usageError{errors.New("--store: give the URL of a database, like postgres://audit_owner@db.example.com/audit")}
	}
	fmt.Fprintf(s.Err, "Migrating %s.\n", postgres.Describe(store))
	err := postgres.Migrate(ctx, store, logTo(s.Err))
	if err == nil {
		err = postgres.Grant(ctx, store, roles)
	}
	if err != nil {
		return fmt.Errorf("%w\nNothing is half done: run the same command again once that is mended", err)
	}
	fmt.Fprintf(s.Err, "The schema is the one that version %s needs.\n", version.Version)
	return nil
}
