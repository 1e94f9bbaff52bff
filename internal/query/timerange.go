package query

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Preset is a named time range that ends now. Its value is the URL's.
type Preset string

// The presets of a time range.
const (
	LastHour    Preset = "last_hour"
	Last24Hours Preset = "last_24_hours"
	Last7Days   Preset = "last_7_days"
	Last30Days  Preset = "last_30_days"
)

// Presets lists the presets, shortest first.
var Presets = []Preset{LastHour, Last24Hours, Last7Days, Last30Days}

// DefaultPreset is the time range of a filter that names none.
const DefaultPreset = Last7Days

var presetLengths = map[Preset]time.Duration{
	LastHour:    time.Hour,
	Last24Hours: 24 * time.Hour,
	Last7Days:   7 * 24 * time.Hour,
	Last30Days:  30 * 24 * time.Hour,
}

// TimeRange is at most one of a preset, a duration before now, and absolute
// times; the zero TimeRange is DefaultPreset. Without To, absolute times end
// now.
type TimeRange struct {
	Preset   Preset
	Duration string // like 90d, see ParseDuration
	From, To time.Time
}

// IsZero reports whether the range names nothing.
func (r TimeRange) IsZero() bool { return r == TimeRange{} }

// Resolve returns the window that the range means at the given time. It fails
// where Validate does and where an open range starts after now.
func (r TimeRange) Resolve(now time.Time) (Window, error) {
	if err := r.validate(); err != nil {
		return Window{}, err
	}
	now = now.UTC().Truncate(time.Microsecond)
	switch {
	case r.Duration != "":
		d, err := ParseDuration(r.Duration)
		if err != nil {
			return Window{}, err
		}
		return Window{From: now.Add(-d), To: now}, nil
	case !r.From.IsZero():
		to := now
		if !r.To.IsZero() {
			to = r.To.UTC().Truncate(time.Microsecond)
		}
		from := r.From.UTC().Truncate(time.Microsecond)
		if !from.Before(to) {
			return Window{}, &FieldError{Field: "from", Value: r.From.Format(time.RFC3339Nano), Problem: "must be before the end of the range, " + to.Format(time.RFC3339Nano)}
		}
		return Window{From: from, To: to}, nil
	}
	preset := r.Preset
	if preset == "" {
		preset = DefaultPreset
	}
	return Window{From: now.Add(-presetLengths[preset]), To: now}, nil
}

func (r TimeRange) validate() error {
	absolute := !r.From.IsZero() || !r.To.IsZero()
	kinds := 0
	for _, used := range []bool{r.Preset != "", r.Duration != "", absolute} {
		if used {
			kinds++
		}
	}
	if kinds > 1 {
		return &FieldError{Field: "range", Problem: "give one of a preset, a duration, or from and to, not several"}
	}
	if r.Preset != "" && presetLengths[r.Preset] == 0 {
		return &FieldError{Field: "range", Value: string(r.Preset), Problem: "is no preset; use last_hour, last_24_hours, last_7_days, last_30_days or a duration like 90d"}
	}
	if r.Duration != "" {
		if _, err := ParseDuration(r.Duration); err != nil {
			return err
		}
	}
	if !r.To.IsZero() && r.From.IsZero() {
		return &FieldError{Field: "from", Problem: "is required where to is given"}
	}
	if !r.To.IsZero() && !r.From.Before(r.To) {
		return &FieldError{Field: "from", Value: r.From.Format(time.RFC3339Nano), Problem: "must be before to, " + r.To.Format(time.RFC3339Nano)}
	}
	return nil
}

var durationPattern = regexp.MustCompile(`^([1-9][0-9]{0,4})([mhdw])$`)

// ParseDuration reads a duration of one number and one unit: m, h, d or w.
func ParseDuration(s string) (time.Duration, error) {
	parts := durationPattern.FindStringSubmatch(s)
	if parts == nil {
		return 0, &FieldError{Field: "range", Value: s, Problem: "is no duration; use 1 to 99999 and one of m, h, d, w, like 90d"}
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return 0, fmt.Errorf("duration %q: %w", s, err)
	}
	unit := map[string]time.Duration{
		"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
	}[parts[2]]
	// Multiplying first could overflow into a window that matches nothing.
	if time.Duration(n) > maxDuration/unit {
		return 0, &FieldError{Field: "range", Value: s, Problem: "is more than 100 years"}
	}
	return time.Duration(n) * unit, nil
}

const maxDuration = 36500 * 24 * time.Hour

// FieldError says which field of a filter is wrong and what is allowed. Its
// text is fit for users.
type FieldError struct {
	Field   string // the URL parameter's name
	Value   string // what was given; may be empty
	Problem string
}

func (e *FieldError) Error() string {
	if e.Value == "" {
		return e.Field + ": " + e.Problem
	}
	return fmt.Sprintf("%s: %q %s", e.Field, e.Value, e.Problem)
}
