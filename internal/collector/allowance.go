package collector

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// DefaultRawBytesPerHour is how much of raw events is kept as it is in an
	// hour for one identity of a source, of events that are larger than usual.
	// URLs of 900 KB ten times a second would fill 20 GiB in an hour otherwise.
	DefaultRawBytesPerHour = 64 << 20
	// maxIdentities bounds those of a source that are counted by themselves in
	// an hour; all others together are one more.
	maxIdentities = 4096
)

// allowance bounds the raw of each identity by the hour. Beyond it an event is
// stored all the same, its bodies left out and its texts cut.
type allowance struct {
	perHour int64
	now     func() time.Time

	mu      sync.Mutex
	hour    time.Time
	sources map[string]map[[sha256.Size]byte]int64
}

func newAllowance(perHour int64, now func() time.Time) *allowance {
	if perHour <= 0 {
		perHour = DefaultRawBytesPerHour
	}
	return &allowance{perHour: perHour, now: now}
}

// take reports whether a raw may be kept as it is, and counts it if so.
func (a *allowance) take(source, identity string, bytes int) bool {
	// An identity may be a long text, and there may be many.
	key := sha256.Sum256([]byte(identity))
	a.mu.Lock()
	defer a.mu.Unlock()
	if hour := a.now().Truncate(time.Hour); !hour.Equal(a.hour) {
		a.hour, a.sources = hour, map[string]map[[sha256.Size]byte]int64{}
	}
	taken := a.sources[source]
	if taken == nil {
		taken = map[[sha256.Size]byte]int64{}
		a.sources[source] = taken
	}
	if _, known := taken[key]; !known && len(taken) >= maxIdentities {
		key = [sha256.Size]byte{} // all others; no text has this hash
	}
	if taken[key]+int64(bytes) > a.perHour {
		return false
	}
	taken[key] += int64(bytes)
	return true
}
