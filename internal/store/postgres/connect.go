package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// poolConfig reads a URL, and the PG* variables for what it leaves out.
func poolConfig(url string) (*pgxpool.Config, error) {
	return pgxpool.ParseConfig(url)
}
