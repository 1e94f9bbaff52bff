package audit

import (
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// wireEvent is an event as API servers write it (audit.k8s.io/v1, with its
// fields in that order), as far as this package reads it. What it doesn't know
// it keeps. parser reads it, and append writes it.
type wireEvent struct {
	Kind                     wireText            `json:"kind"`
	APIVersion               wireText            `json:"apiVersion"`
	Level                    string              `json:"level"`
	AuditID                  string              `json:"auditID"`
	Stage                    string              `json:"stage"`
	RequestURI               string              `json:"requestURI"`
	Verb                     string              `json:"verb"`
	User                     wireUser            `json:"user"`
	ImpersonatedUser         *wireUser           `json:"impersonatedUser"`
	AuthenticationMetadata   *wireAuthentication `json:"authenticationMetadata"`
	SourceIPs                []string            `json:"sourceIPs"`
	UserAgent                string              `json:"userAgent"`
	ObjectRef                *wireObjectRef      `json:"objectRef"`
	ResponseStatus           jsontext.Value      `json:"responseStatus"`
	RequestObject            jsontext.Value      `json:"requestObject"`
	ResponseObject           jsontext.Value      `json:"responseObject"`
	RequestReceivedTimestamp wireText            `json:"requestReceivedTimestamp"`
	StageTimestamp           wireText            `json:"stageTimestamp"`
	Annotations              textMap             `json:"annotations"`
	Unknown                  jsontext.Value      `json:",embed"`
}

type wireUser struct {
	Username string         `json:"username"`
	UID      string         `json:"uid"`
	Groups   []string       `json:"groups"`
	Extra    listMap        `json:"extra"`
	Unknown  jsontext.Value `json:",embed"`
}

// wireAuthentication says how the request was authenticated, from v1.35 on.
type wireAuthentication struct {
	// ImpersonationConstraint is the verb by which a constrained impersonation
	// was allowed.
	ImpersonationConstraint string         `json:"impersonationConstraint"`
	Unknown                 jsontext.Value `json:",embed"`
}

type wireObjectRef struct {
	Resource        string         `json:"resource"`
	Namespace       string         `json:"namespace"`
	Name            string         `json:"name"`
	UID             string         `json:"uid"`
	APIGroup        string         `json:"apiGroup"`
	APIVersion      string         `json:"apiVersion"`
	ResourceVersion string         `json:"resourceVersion"`
	Subresource     string         `json:"subresource"`
	Unknown         jsontext.Value `json:",embed"`
}

// textMap is an object of texts, and listMap one of lists of them, sorted by
// name: a Go map would have to be made for each event.
type (
	textMap []textMember
	listMap []listMember

	textMember struct{ name, value string }
	listMember struct {
		name   string
		values []string
	}
)

// UnmarshalJSONFrom reads an object.
func (m *textMap) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	var members map[string]string
	err := json.UnmarshalDecode(dec, &members)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		*m = append(*m, textMember{name, members[name]})
	}
	return err
}

// UnmarshalJSONFrom reads an object.
func (m *listMap) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	var members map[string][]string
	err := json.UnmarshalDecode(dec, &members)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		*m = append(*m, listMember{name, members[name]})
	}
	return err
}

// first returns the first value under a name; "" when there is none.
func (m listMap) first(name string) string {
	for _, member := range m {
		if member.name == name && len(member.values) > 0 {
			return member.values[0]
		}
	}
	return ""
}

// wireText is a value that ought to be a string, but was seen to be something else.
type wireText jsontext.Value

// UnmarshalJSON keeps any value.
func (t *wireText) UnmarshalJSON(b []byte) error {
	*t = append((*t)[:0], b...)
	return nil
}

func (t wireText) text() (string, bool) {
	var s string
	if len(t) == 0 || t[0] != '"' {
		return "", false
	}
	if t.isPlain() {
		return string(unquoted(t)), true
	}
	return s, json.Unmarshal(t, &s, parseOptions) == nil
}

// isPlain reports whether it is a string of printable ASCII without escapes.
func (t wireText) isPlain() bool {
	return len(t) >= 2 && t[0] == '"' && plainLength(t[1:]) == len(t)-2
}

// timeLayouts are the forms in which times were seen; those without a zone are
// in UTC.
var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999",
}

// time returns the time in whole microseconds of UTC, or zero if it is none.
func (t wireText) time() time.Time {
	if at, ok := microTime(unquoted(t)); ok {
		return at
	}
	s, ok := t.text()
	if !ok {
		return time.Time{}
	}
	for _, layout := range timeLayouts {
		// A year before 1970 is a clock that was never set, or no year at all.
		if at, err := time.Parse(layout, s); err == nil && at.Year() >= 1970 && at.Year() <= 9999 {
			return at.UTC().Truncate(time.Microsecond)
		}
	}
	return time.Time{}
}

// microTime reads a time in the form in which API servers write it.
func microTime(s []byte) (at time.Time, ok bool) {
	const form = "YYYY-MM-DDTHH:MM:SS.000000Z"
	if len(s) != len(form) || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[19] != '.' || s[26] != 'Z' {
		return time.Time{}, false
	}
	ok = true
	number := func(digits []byte) (n int) {
		for _, c := range digits {
			ok = ok && '0' <= c && c <= '9'
			n = 10*n + int(c-'0')
		}
		return n
	}
	year, month, day := number(s[:4]), time.Month(number(s[5:7])), number(s[8:10])
	hour, minute, second, micro := number(s[11:13]), number(s[14:16]), number(s[17:19]), number(s[20:26])
	if !ok || year < 1970 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	at = time.Date(year, month, day, hour, minute, second, 1000*micro, time.UTC)
	// Date takes an hour, day or month that does not exist for a later one.
	return at, at.Day() == day && at.Month() == month
}
