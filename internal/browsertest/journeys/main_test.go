package journeys

import (
	"testing"

	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// world is what all tests read.
var world webtest.World

func TestMain(m *testing.M) { browsertest.Main(m, &world) }

const (
	list     = "/security/audit-logs"
	events   = list + "/events/"
	entrance = list + "?method_exclude=GET"
)
