package cli

import (
	"strings"
	"testing"
)

// What is asked the wrong way is refused, with what is allowed.
func TestQuarantineCommandLine(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--limit=0"}, 2, "from 1 to 10000"}, {[]string{"--limit=10001"}, 2, "from 1 to 10000"}, {[]string{"--output=xml"}, 2, "neither table nor json"},
		{[]string{"--store=mysql://x"}, 2, "--store"}, {[]string{"more"}, 2, "unexpected arguments"},
		{[]string{"--data-dir=" + t.TempDir()}, 1, "there is no store"},
	} {
		code, out, messages := runCommand(t, nil, append([]string{"quarantine"}, tt.args...)...)
		if code != tt.code || len(out) > 0 || !strings.Contains(messages, tt.want) {
			t.Errorf("%v ends with %d, %q and %q; want %d and %q", tt.args, code, out, messages, tt.code, tt.want)
		}
	}
}
