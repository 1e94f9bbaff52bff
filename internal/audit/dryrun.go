package audit

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DryRun says whether a request was one that changes nothing.
type DryRun uint8

// Values of Event.DryRun. What is unknown is asked for with what is real: a
// filter must not hide a change because nobody could see what it was.
const (
	DryRunFalse DryRun = iota
	DryRunTrue
	DryRunUnknown // the options may have said so, and are not in the event
)

var dryRunTexts = []string{DryRunFalse: "false", DryRunTrue: "true", DryRunUnknown: "unknown"}

func (d DryRun) String() string { return dryRunTexts[d] }

// MarshalText writes what String returns.
func (d DryRun) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what String returns.
func (d *DryRun) UnmarshalText(text []byte) error {
	i := slices.Index(dryRunTexts, string(text))
	if i < 0 {
		return fmt.Errorf("dryRun: %.20q is none of %s", text, strings.Join(dryRunTexts, ", "))
	}
	*d = DryRun(i)
	return nil
}

// dryRun tells it of a request of an API server (see k8s.io/apiserver,
// endpoints/handlers). Reads have no such option, and what connects to a
// container ignores it. Create, update and patch take it from the query. A delete
// takes it from its body, and from the query only where it has no body: a real
// one can bear ?dryRun=All. An eviction takes it from either.
func (p *parser) dryRun(e *Event, query string) DryRun {
	w := &p.wire
	if e.Resource == "" || connects(e) {
		return DryRunFalse
	}
	switch e.Verb {
	case "delete", "deletecollection":
		switch {
		case !isEmptyValue(w.RequestObject):
			return dryRunOf(w.RequestObject)
		case (w.Level == "Request" || w.Level == "RequestResponse") && !w.lostBodies():
			return dryRunIn(query)
		}
		return DryRunUnknown
	case "create":
		if said := dryRunIn(query); e.Subresource != "eviction" || said == DryRunTrue {
			return said
		}
		if isEmptyValue(w.RequestObject) {
			return DryRunUnknown
		}
		var eviction struct {
			DeleteOptions jsontext.Value `json:"deleteOptions"`
		}
		if err := json.Unmarshal(w.RequestObject, &eviction, parseOptions); err != nil {
			return DryRunUnknown
		}
		return dryRunOf(eviction.DeleteOptions)
	case "update", "patch":
		return dryRunIn(query)
	}
	return DryRunFalse
}

// lostBodies reports whether an API server left the bodies out of an event that
// was too long for its webhook.
func (w *wireEvent) lostBodies() bool {
	return slices.ContainsFunc(w.Annotations, func(m textMember) bool { return m.name == "audit.k8s.io/truncated" })
}

// connects reports whether a request opens a stream to something, whatever its
// verb.
func connects(e *Event) bool {
	subresource, _, _ := strings.Cut(e.Subresource, "/")
	return subresource == "proxy" || shellSubresources[subresource]
}

// dryRunOf tells it of DeleteOptions.
func dryRunOf(options []byte) DryRun {
	if isEmptyValue(options) {
		return DryRunFalse
	}
	if options[0] == '{' && !bytes.Contains(options, []byte("dryRun")) && !bytes.Contains(options, []byte(`\`)) {
		return DryRunFalse
	}
	var of struct {
		DryRun []string `json:"dryRun"`
	}
	if err := json.Unmarshal(options, &of, parseOptions); err != nil {
		return DryRunUnknown
	}
	return dryRunOption(of.DryRun)
}

func dryRunIn(query string) DryRun {
	if !strings.Contains(query, "dryRun") && !strings.Contains(query, "%") {
		return DryRunFalse
	}
	values, _ := url.ParseQuery(query) // what is wrong in it the API server leaves out, too
	return dryRunOption(values["dryRun"])
}

// dryRunOption is true of the one value that API servers take.
func dryRunOption(values []string) DryRun {
	if slices.Contains(values, "All") {
		return DryRunTrue
	}
	return DryRunFalse
}
