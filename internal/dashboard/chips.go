package dashboard

import (
	"slices"
	"strings"

	"github.com/porter-dev/audit-operator/internal/query"
)

// A chip is one part of the filter, such as "Method excludes GET": a field
// and a way to match it, with its values and the list without them all.
type chip struct {
	Label, Mode string
	Values      []chipValue
	Without     string
}

// chipValue is one value of a chip, with the list that lacks it.
type chipValue struct {
	Text    string
	Window  *query.Window // instead of the text, where it is one of given times
	Open    bool          // the window ends now
	Without string
}

func chips(a address, names map[string]string) []chip {
	f := a.Filter
	all := parameters(f)
	without := func(drop func(parameter) bool) string {
		return listLink(encode(append(slices.DeleteFunc(slices.Clone(all), drop), live(a)...)...))
	}
	var out []chip
	many := manyLinks(len(all), len(a.link()))
	for _, p := range all {
		only := func(q parameter) bool { return q == p }
		named := func(q parameter) bool { return q.Name == p.Name }
		isTime := func(q parameter) bool { return q.Name == "range" || q.Name == "from" || q.Name == "to" }
		switch p.Name {
		case "search":
			out = append(out, chip{Label: "Search", Mode: "contains", Values: []chipValue{{Text: p.Value}}, Without: without(named)})
		case "dry_run":
			text := map[string]string{"true": "only dry runs", "false": "no dry runs"}[p.Value]
			out = append(out, chip{Label: "Dry run", Mode: "is", Values: []chipValue{{Text: text}}, Without: without(named)})
		case "truncated":
			text := map[string]string{"true": "only truncated events", "false": "only whole events"}[p.Value]
			out = append(out, chip{Label: "Truncated", Mode: "is", Values: []chipValue{{Text: text}}, Without: without(named)})
		case "range":
			out = append(out, chip{Label: "Date range", Mode: "is", Values: []chipValue{{Text: rangeLabel(f.Range)}}, Without: without(isTime)})
		case "from":
			out = append(out, chip{Label: "Date range", Mode: "is", Values: []chipValue{{Window: &a.Window, Open: f.Range.To.IsZero()}}, Without: without(isTime)})
		case "to": // in the chip of from
		default:
			v := chipValue{Text: readable(strings.TrimSuffix(p.Name, exclude), p.Value)}
			if !many {
				v.Without = without(only)
			}
			name, excluded := strings.CutSuffix(p.Name, exclude)
			if name == string(query.ByResourceType) {
				v.Text = nameOf(names, p.Value)
			}
			label, mode := query.FieldOf(name).Label, "is any of"
			if excluded {
				mode = "excludes"
			}
			if last := len(out) - 1; last >= 0 && out[last].Label == label && out[last].Mode == mode {
				out[last].Values = append(out[last].Values, v)
				continue
			}
			out = append(out, chip{Label: label, Mode: mode, Values: []chipValue{v}, Without: without(named)})
		}
	}
	return out
}

// live is what links keep of the address beside the filter.
func live(a address) []parameter {
	if !a.Live {
		return nil
	}
	return []parameter{{liveParameter, "1"}}
}
