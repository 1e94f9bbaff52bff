package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
)

var (
	//go:embed roles/operator.sql
	operatorRights string
	//go:embed roles/reader.sql
	readerRights string
)

// Roles are what a migration grants rights to; empty for none.
type Roles struct {
	// Operator runs the operator: it can neither change nor delete an event.
	Operator string
	// Reader reads all events, by SQL.
	Reader string
}

// Grant gives the roles what they need of the schema as it is now, and takes
// nothing away. The URL is that of the role that owns the tables.
func Grant(ctx context.Context, url string, roles Roles) error {
	config, err := poolConfig(url)
	if err != nil {
		return err
	}
	t := targetOf(config.ConnConfig)
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return t.explain(err)
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is left to be written
	for _, grant := range []struct{ role, rights, name string }{
		{roles.Operator, operatorRights, "audit_operator"},
		{roles.Reader, readerRights, "audit_reader"},
	} {
		if grant.role == "" {
			continue
		}
		rights := strings.ReplaceAll(grant.rights, grant.name, pgx.Identifier{grant.role}.Sanitize())
		if err := grantAll(ctx, conn, rights); err != nil {
			return fmt.Errorf("grant rights to the role %q: %w", grant.role, t.explainGrant(err))
		}
	}
	return nil
}

// grantAll runs statements, all or none. They say :schema for the one that the
// tables are in, and :database.
func grantAll(ctx context.Context, conn *pgx.Conn, rights string) error {
	var schema, database string
	if err := conn.QueryRow(ctx, "SELECT current_schema(), current_database()").Scan(&schema, &database); err != nil {
		return err
	}
	names := strings.NewReplacer(":schema", pgx.Identifier{schema}.Sanitize(), ":database", pgx.Identifier{database}.Sanitize())
	_, err := conn.Exec(ctx, names.Replace(rights))
	return err
}

func (t target) explainGrant(err error) error {
	if failed := failedStatement(err); failed != nil && failed.Code == pgerrcode.UndefinedObject {
		return &explained{text: failed.Message + ": make it first, with CREATE ROLE … LOGIN PASSWORD '…'", cause: err}
	}
	return t.explain(err)
}
