package dashboard_test

import (
	"testing"

	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// world is what all tests read.
var world webtest.World

func TestMain(m *testing.M) { browsertest.Main(m, &world) }

// The users, and their names for short.
const (
	everywhere = webtest.Everywhere
	inShop     = webtest.InShop
	nobody     = webtest.Nobody
)
