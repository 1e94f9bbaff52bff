package storeurl

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidate(t *testing.T) {
	for store, want := range map[string]struct{ valid, database bool }{
		"embedded":               {true, false},
		"postgres://":            {true, true},
		"postgresql://audit@db/": {true, true},
		"":                       {false, false},
		"Embedded":               {false, false},
		"/data":                  {false, false},
		"mysql://u:hunter2@h/d":  {false, false},
	} {
		if err := Validate(store); (err == nil) != want.valid || IsDatabase(store) != want.database {
			t.Errorf("%q: %v, a database: %t", store, err, IsDatabase(store))
		}
	}
}

func TestRedact(t *testing.T) {
	got := Redact([]string{"audit.tar", "postgres://u:hunter2@h/d", "--to=postgres://u:hunter2@h/d"})
	if d := cmp.Diff([]string{"audit.tar", "postgres://…", "--to=postgres://…"}, got); d != "" {
		t.Error(d)
	}
}
