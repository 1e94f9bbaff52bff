package cli

import (
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

func TestCopyCommandLine(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		in   string
		code int
		want string
	}{
		{[]string{"copy", "--help"}, "", 0, "--verify-only"},
		{[]string{"copy"}, "", 2, "--from: give embedded, or the URL of a database"},
		{[]string{"copy", "--from=embedded", "--to=mysql://u:secret@h/d"}, "", 2, "--to: give embedded, or the URL of a database"},
		{[]string{"copy", "--from=embedded", "--to=embedded"}, "", 2, "--from, --to: give two stores"},
		{[]string{"copy", "--from=-", "--to=-"}, "", 2, "only one URL can come from standard input"},
		{[]string{"copy", "--from=-", "--to=embedded"}, "secret", 2, "--from: give embedded"},
		{[]string{"copy", "--from=embedded", "--to=postgres://", "--event-retention=1m"}, "", 2, "--event-retention: give from 1h"},
		{[]string{"copy", "--from=embedded", "--to=postgres://u:secret@127.0.0.1:1/d", "--data-dir=" + dir}, "", 1, "--data-dir: there is no store"},
		{[]string{"copy", "--to=embedded", "--from=postgres://u:secret@127.0.0.1:1/d", "--data-dir=" + dir}, "", 1, "PostgreSQL does not listen at 127.0.0.1:1"},
		{[]string{"copy", "--to=embedded", "--from=" + postgrestest.Shared(t).Database(t), "--data-dir=" + dir}, "", 1, "run manager migrate"},
	} {
		code, out, messages := runCommand(t, []byte(tt.in), tt.args...)
		if code != tt.code || !strings.Contains(string(out)+messages, tt.want) || strings.Contains(string(out)+messages, "secret") {
			t.Errorf("%v ends with %d, want %d, and says, want %q:\n%s%s", tt.args, code, tt.code, tt.want, out, messages)
		}
	}
}
