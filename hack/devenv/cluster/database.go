package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
)

// database is where the operator keeps its events; the zero one is a folder.
type database struct {
	superuser       *url.URL // of the server
	owner, operator string   // URLs of the database, by who comes to it
}

func (d database) used() bool { return d.superuser != nil }

// UsePostgres has the operator keep its events in a PostgreSQL server, which
// the URL is of for a superuser, and run in two replicas.
func (c *Cluster) UsePostgres(superuser string) error {
	u, err := url.Parse(superuser)
	if err != nil {
		return errors.New("the server's URL is malformed") // the error would hold its password
	}
	c.database.superuser = u
	return nil
}

// Replicas is how many of the operator there are.
func (c *Cluster) Replicas() int {
	if c.database.used() {
		return len(c.state.Ports.Replicas)
	}
	return 1
}

func (c *Cluster) databasePhases() []phase {
	if !c.database.used() {
		return nil
	}
	return []phase{
		{"Make the roles and the database in PostgreSQL", c.makeDatabase},
		{"Migrate the database", c.migrate},
	}
}

// makeDatabase does what the handbook tells a database's administrator.
func (c *Cluster) makeDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.database.superuser.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	passwords := ""
	for _, role := range []string{"audit_owner", "audit_operator"} {
		password := rand.Text()
		if _, err := conn.Exec(ctx, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", role, password)); err != nil {
			return err
		}
		passwords += fmt.Sprintf("*:*:*:%s:%s\n", role, password)
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE audit OWNER audit_owner TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		return err
	}
	file := c.path("pgpass")
	as := func(role string) string {
		u := *c.database.superuser
		u.User, u.Path = url.User(role), "/audit"
		parameters := u.Query()
		parameters.Set("passfile", file)
		u.RawQuery = parameters.Encode()
		return u.String()
	}
	c.database.owner, c.database.operator = as("audit_owner"), as("audit_operator")
	return writeFile(file, []byte(passwords))
}

func (c *Cluster) migrate(ctx context.Context) error {
	_, err := c.command(ctx, c.path("bin", "manager"), "migrate", "--store="+c.database.owner, "--operator-role=audit_operator")
	return err
}
