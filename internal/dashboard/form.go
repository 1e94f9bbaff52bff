package dashboard

import (
	"slices"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
)

// form is the filter as the fields of an HTML form. Sending it unchanged gives
// the filter again: each value has a field, and empty fields mean nothing.
type form struct {
	Types    []choice
	Methods  choices
	Texts    []inputs
	Clients  choices
	Stages   choices
	Excluded []any // inputs and choices
	Search   string
	DryRun   []choice
	Range    []choice
	From, To moment
	// How many values each part that is folded away holds.
	TypesChosen, MoreChosen, ExcludeChosen int
}

// choice is a checkbox or an option.
type choice struct {
	Value, Label, Hint string
	On                 bool
}

// choices is a group of checkboxes.
type choices struct {
	Name, Label string
	Options     []choice
}

// inputs is a group of text fields: one for each value, and an empty one.
type inputs struct {
	Name, Label, Hint string
	Values            []string
}

// moment is a field for a date and time. What such a field can't hold exactly
// is shown as text, so that it stays what it was.
type moment struct{ Kind, Value string }

const timeField = "2006-01-02T15:04:05"

func newMoment(t time.Time) moment {
	switch {
	case t.IsZero():
		return moment{Kind: "datetime-local"}
	case t.Equal(t.Truncate(time.Second)):
		return moment{Kind: "datetime-local", Value: t.UTC().Format(timeField)}
	}
	return moment{Kind: "text", Value: rfc3339(t)}
}

// The names of the parameters in the form and on chips.
var labels = map[string]string{
	"resource_type": "Resource type", "actor": "Actor", "method": "Method", "action": "Action",
	"ip": "IP address", "status_code": "Status code", "resource_name": "Resource name", "cluster": "Cluster",
	"client": "Client", "stage": "Stage", "namespace": "Namespace",
	"search": "Search", "dry_run": "Dry run", "range": "Time", "from": "From", "to": "To",
}

var hints = map[string]string{
	"actor": "alice@example.com or system:serviceaccount:ci:*", "action": "application.delete", "ip": "192.0.2.7 or 10.0.0.0/8",
	"status_code": "403 or 5xx", "resource_name": "checkout or check*", "cluster": "a cluster's name", "namespace": "a name, or - for none",
}

const exclude = "_exclude"

// label names a parameter, excluded or not.
func label(parameter string) string {
	if name, ok := strings.CutSuffix(parameter, exclude); ok {
		return "Not " + strings.ToLower(labels[name][:1]) + labels[name][1:]
	}
	return labels[parameter]
}

var presetLabels = map[query.Preset]string{
	query.LastHour: "Last hour", query.Last24Hours: "Last 24 hours", query.Last7Days: "Last 7 days", query.Last30Days: "Last 30 days",
}

func newForm(f query.Filter, types []ResourceType) form {
	text := func(name string) inputs {
		return inputs{Name: name, Label: label(name), Hint: hints[strings.TrimSuffix(name, exclude)], Values: append(slices.Clone(f.Values(name)), "")}
	}
	group := func(name string, options []choice) choices {
		given := f.Values(name)
		out := choices{Name: name, Label: label(name)}
		for _, o := range options {
			o.On = slices.Contains(given, o.Value)
			out.Options = append(out.Options, o)
		}
		// Values that are no choice, such as a type whose definition is gone,
		// stay in the filter until they are unchecked.
		for _, v := range given {
			if !slices.ContainsFunc(options, func(o choice) bool { return o.Value == v }) {
				out.Options = append(out.Options, choice{Value: v, Label: v, On: true})
			}
		}
		return out
	}
	var typeChoices []choice
	for _, t := range types {
		typeChoices = append(typeChoices, choice{Value: t.Name, Label: t.DisplayName, Hint: t.Description})
	}
	methods, clients, stages := plain(audit.Methods), plain(audit.Clients), plain(audit.Stages)

	out := form{
		Types:   group("resource_type", typeChoices).Options,
		Methods: group("method", methods), Clients: group("client", clients), Stages: group("stage", stages),
		Texts: []inputs{
			text("actor"), text("action"), text("resource_name"), text("namespace"), text("ip"), text("status_code"), text("cluster"),
		},
		Excluded: []any{
			group("resource_type"+exclude, typeChoices), group("method"+exclude, methods),
			text("actor" + exclude), text("action" + exclude), text("resource_name" + exclude), text("namespace" + exclude),
			text("ip" + exclude), text("status_code" + exclude), text("cluster" + exclude),
			group("client"+exclude, clients), group("stage"+exclude, stages),
		},
		Search: f.Search, Range: ranges(f.Range), From: newMoment(f.Range.From), To: newMoment(f.Range.To),
		DryRun: []choice{
			{Label: "All requests", On: f.DryRun == nil},
			{Value: "true", Label: "Only dry runs", On: f.DryRun != nil && *f.DryRun},
			{Value: "false", Label: "No dry runs", On: f.DryRun != nil && !*f.DryRun},
		},
	}
	for _, p := range parameters(f) {
		switch {
		case p.Name == "resource_type":
			out.TypesChosen++
		case strings.HasSuffix(p.Name, exclude):
			out.ExcludeChosen++
		case p.Name != "search" && p.Name != "range":
			out.MoreChosen++
		}
	}
	return out
}

func plain(values []string) []choice {
	var out []choice
	for _, v := range values {
		out = append(out, choice{Value: v, Label: v})
	}
	return out
}

// ranges are the options of the time range. The first has no value, so that
// times given below it are not contradicted.
func ranges(r query.TimeRange) []choice {
	custom := !r.From.IsZero()
	first := choice{Label: presetLabels[query.DefaultPreset], On: r.IsZero()}
	if custom {
		first = choice{Label: "The times given", On: true}
	}
	out := []choice{first}
	for _, p := range query.Presets {
		if p != query.DefaultPreset || custom {
			out = append(out, choice{Value: string(p), Label: presetLabels[p], On: r.Preset == p})
		}
	}
	if r.Duration != "" {
		out = append(out, choice{Value: r.Duration, Label: "Last " + r.Duration, On: true})
	}
	return out
}

// A chip is one active value of the filter, with the list that lacks it.
type chip struct{ Label, Value, Without string }

func chips(f query.Filter, names map[string]string) []chip {
	all := parameters(f)
	var out []chip
	for i, p := range all {
		c := chip{Label: label(p.Name), Value: p.Value}
		rest := slices.Delete(slices.Clone(all), i, i+1)
		switch p.Name {
		case "resource_type", "resource_type" + exclude:
			c.Value = nameOf(names, p.Value)
		case "range":
			c.Value = "last " + p.Value
			if name := presetLabels[query.Preset(p.Value)]; name != "" {
				c.Value = name
			}
		case "from":
			// An end without a start is no range, so it goes too.
			rest = slices.DeleteFunc(rest, func(p parameter) bool { return p.Name == "to" })
		}
		c.Without = listLink(encode(rest...))
		out = append(out, c)
	}
	return out
}

func displayNames(types []ResourceType) map[string]string {
	names := map[string]string{}
	for _, t := range types {
		names[t.Name] = t.DisplayName
	}
	return names
}

func nameOf(names map[string]string, resourceType string) string {
	if name := names[resourceType]; name != "" {
		return name
	}
	return resourceType
}
