// Command manager is the audit operator: it collects the audit events of API
// servers, answers AuditLogQueries, and serves the dashboard.
package main

import (
	"os"

	"github.com/porter-dev/audit-operator/internal/cli"
	"github.com/porter-dev/audit-operator/internal/manager"
)

func main() { os.Exit(cli.Main(os.Args[1:], cli.Standard(), manager.Main)) }
