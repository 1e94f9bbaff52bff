package torture

import (
	"errors"
	"testing"
)

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		verdict verdict
		good    bool
	}{
		{verdict{stored: 3}, true},
		{verdict{stored: 3, lost: 1}, false},
		{verdict{stored: 3, twice: 1}, false},
		{verdict{stored: 3, alien: 1}, false},
		{verdict{stored: 3, alien: -1}, false},
		{verdict{stored: 3, lost: 1, alien: -1}, false},
		{verdict{stored: 3, problem: errors.New("unreadable")}, false},
	} {
		if got := tt.verdict.good(); got != tt.good {
			t.Errorf("good is %t for %+v, want %t", got, tt.verdict, tt.good)
		}
	}
}
