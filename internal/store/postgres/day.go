package postgres

import "time"

// dayNumber is a UTC day as days since the Unix epoch.
type dayNumber int32

func dayOf(t time.Time) dayNumber { return dayNumber(floorDiv(t.Unix(), 24*60*60)) }

func floorDiv(a, b int64) int64 {
	if a%b < 0 {
		return a/b - 1
	}
	return a / b
}

// start is the midnight that begins the day.
func (d dayNumber) start() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }
