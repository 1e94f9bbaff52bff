package retention

import (
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for given, valid := range map[time.Duration]bool{
		Min - 1: false, Min: true, Max: true, Max + 1: false, 0: false, -time.Hour: false,
	} {
		if err := Validate(given); (err == nil) != valid {
			t.Errorf("%s: %v", given, err)
		}
	}
}
