package dashboard_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/webtest"
)

// However many forms arrive slowly or never, others sign in meanwhile.
func TestSlowFormsHoldNoPlaces(t *testing.T) {
	b := world.NewBrowser(t)
	address := strings.TrimPrefix(b.Base, "http://")
	for range 20 { // more than there are places
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST /login HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n", address); err != nil {
			t.Fatal(err)
		}
		// The server says so when it begins to read the form.
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
			t.Fatalf("the server says %q, %v", line, err)
		}
		if _, err := io.WriteString(conn, "token="); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Login(t, world.Tokens[webtest.InShop], ""); got.Status != http.StatusSeeOther || got.Header.Get("Set-Cookie") == "" {
		t.Errorf("a log-in beside slow ones answers %d: %s", got.Status, got.Body)
	}
}
