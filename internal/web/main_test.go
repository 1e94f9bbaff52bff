package web_test

import (
	"testing"

	"github.com/porter-dev/audit-operator/internal/webtest"
)

// world is what all tests read.
var world webtest.World

func TestMain(m *testing.M) { webtest.Main(m, &world) }
