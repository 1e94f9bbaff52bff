package postgres

import "fmt"

// Describe says which database a URL means, and as whom, without the password.
func Describe(url string) string {
	config, err := poolConfig(url)
	if err != nil {
		return "PostgreSQL" // whoever connects says what is wrong with the URL
	}
	t := targetOf(config.ConnConfig)
	return fmt.Sprintf("the database %q of %s as %q", t.database, t.servers, t.user)
}
