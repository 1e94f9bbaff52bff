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
	Search            string
	Live              bool
	Time              timeMenu
	Menus             []menu
	More              []menu
	DryRun, Truncated []choice
	// Kept are the parts of the filter that no menu has.
	Kept []parameter
	// MoreChosen is how many values the menus under More hold.
	MoreChosen int
}

// choice is a radio button.
type choice struct {
	Value, Label string
	On           bool
}

// menu is the menu of one field. Its rows are the choices there are, and the
// values that the filter has; those of the log are loaded when it opens.
type menu struct {
	Name, Label, Hint string
	Rows              []value
	Chosen            int    // values that the filter has
	Fixed             bool   // the rows are all there can be
	Path              string // the address of the log's values, without the filter; empty where nothing counts them
	Page              string // the same with the filter
	Longest           int    // the most characters of what may be typed
	Groups            []group
	// What is set once the log's values were looked up.
	Contains string
	Wrong    string // why what was typed can't be a value of the field
	More     bool   // the log has values that are not among the rows
	Most     int64  // the number of values that were looked for
}

// value is one value of a field, which the filter may include or exclude.
type value struct {
	Name, Value, Label, Hint string
	In, Out                  bool
	Counted                  bool
	Count                    int64
}

// group is several values that are chosen at once.
type group struct {
	Label, Hint string
	Link        string // to the list with all of them
}

// shells are the resources by which shells are reached.
func shells(f query.Filter) group {
	f.Resources = query.Canonical(string(query.ByResource), append(slices.Clone(f.Resources), query.ShellResources()...))
	return group{Label: "Shells", Hint: "exec, attach and whatever else reaches into what runs; with proxies, which may", Link: listLink(f.Encode())}
}

// timeMenu is the menu of time ranges.
type timeMenu struct {
	Label    string
	Options  []choice
	Custom   bool
	From, To moment
}

// moment is a field for a date and time. What such a field can't hold exactly
// is shown as text, so that it stays what it was.
type moment struct{ Kind, Value, UTC string }

const timeField = "2006-01-02T15:04:05"

func newMoment(t time.Time) moment {
	switch {
	case t.IsZero():
		return moment{Kind: "datetime-local"}
	case t.Equal(t.Truncate(time.Second)):
		return moment{Kind: "datetime-local", Value: t.UTC().Format(timeField), UTC: rfc3339(t)}
	}
	return moment{Kind: "text", Value: rfc3339(t), UTC: rfc3339(t)}
}

const exclude = "_exclude"

// barMenus are the menus of the bar. The resource types come first. The others
// are under More, but for fields that addresses alone have, which scripts ask
// for and chips show.
var barMenus = []query.Dimension{query.ByResourceType, query.ByActor, query.ByMethod, query.ByAction, query.ByIP, query.ByStatusCode}

var presetLabels = map[query.Preset]string{
	query.LastHour: "Last hour", query.Last24Hours: "Last 24 hours", query.Last7Days: "Last 7 days", query.Last30Days: "Last 30 days",
}

// rangeLabel names a range that ends now.
func rangeLabel(r query.TimeRange) string {
	switch {
	case r.Duration != "":
		return "Last " + r.Duration
	case r.Preset != "":
		return presetLabels[r.Preset]
	case !r.From.IsZero():
		return "Custom range"
	}
	return presetLabels[query.DefaultPreset]
}

var clientHints = map[string]string{
	audit.ClientCLI: "kubectl, helm, k9s and the like", audit.ClientController: "Controllers and operators",
	audit.ClientNode: "Kubelets", audit.ClientOperator: "This operator itself", audit.ClientOther: "Everything else",
}

var stageHints = map[string]string{
	audit.StageRequestReceived: "Before the request was handled; shown only when chosen", audit.StageResponseStarted: "Long-running requests, when they began",
	audit.StageResponseComplete: "Requests that were answered", audit.StagePanic: "Requests that failed inside the API server",
}

// choicesOf returns the values that a field may always have.
func choicesOf(d query.Dimension, types []ResourceType) []value {
	var out []value
	add := func(values []string, hints map[string]string) {
		for _, v := range values {
			out = append(out, value{Value: v, Label: v, Hint: hints[v]})
		}
	}
	switch d {
	case query.ByResourceType:
		for _, t := range types {
			out = append(out, value{Value: t.Name, Label: t.DisplayName, Hint: t.Description})
		}
	case query.ByMethod:
		add(audit.Methods, nil)
	case query.ByClient:
		add(audit.Clients, clientHints)
	case query.ByStage:
		add(audit.Stages, stageHints)
	case query.ByStatusCode:
		add([]string{"2xx", "3xx", "4xx", "5xx"}, map[string]string{
			"2xx": "Success", "3xx": "Redirection", "4xx": "Refused or wrong", "5xx": "Failed on the server",
		})
	}
	return out
}

// readable writes a value of a filter for people: a literal one without its =,
// so that it stays apart from the pattern that it looks like.
func readable(name, v string) string {
	if text, literal := query.IsLiteral(name, v); literal {
		return text + " (exactly)"
	}
	return v
}

// newMenu returns a field's menu with its choices. Values that are no choice,
// such as a type whose definition is gone, stay until they are removed.
func newMenu(field *query.Field, f query.Filter, types []ResourceType) menu {
	d, name := query.Dimension(field.Name), field.Name
	in, out := field.Values(&f.Terms), field.Values(&f.Exclude)
	m := menu{Name: name, Label: field.Label, Hint: field.Hint, Chosen: len(in) + len(out), Longest: 1 + field.MaxLength()}
	if !field.Uncounted {
		m.Path, m.Page = valuesPath+name, valuesLink(d, f)
	}
	if d == query.ByResource {
		m.Groups = []group{shells(f)}
	}
	m.Fixed = d == query.ByMethod || d == query.ByClient || d == query.ByStage
	choices := choicesOf(d, types)
	for _, v := range slices.Concat(in, out) {
		if !slices.ContainsFunc(choices, func(c value) bool { return c.Value == v }) {
			choices = append(choices, value{Value: v, Label: readable(name, v)})
		}
	}
	for _, v := range choices {
		v.Name, v.In, v.Out = name, slices.Contains(in, v.Value), slices.Contains(out, v.Value)
		m.Rows = append(m.Rows, v)
	}
	return m
}

func newForm(a address, types []ResourceType) form {
	f := a.Filter
	out := form{
		Search: strings.TrimSpace(f.Search), Live: a.Live, Time: newTimeMenu(f.Range),
		DryRun: []choice{
			{Label: "All requests", On: f.DryRun == nil},
			{Value: "true", Label: "Only dry runs", On: f.DryRun != nil && *f.DryRun},
			{Value: "false", Label: "No dry runs", On: f.DryRun != nil && !*f.DryRun},
		},
		Truncated: []choice{
			{Label: "All events", On: f.Truncated == nil},
			{Value: "true", Label: "Only truncated ones", On: f.Truncated != nil && *f.Truncated},
			{Value: "false", Label: "Only whole ones", On: f.Truncated != nil && !*f.Truncated},
		},
	}
	for _, d := range barMenus {
		out.Menus = append(out.Menus, newMenu(query.FieldOf(string(d)), f, types))
	}
	for _, field := range query.Fields {
		if field.Spec == "" || slices.Contains(barMenus, query.Dimension(field.Name)) {
			continue
		}
		m := newMenu(field, f, types)
		out.MoreChosen += m.Chosen
		out.More = append(out.More, m)
	}
	for _, p := range parameters(f) {
		if field := query.FieldOf(strings.TrimSuffix(p.Name, exclude)); field != nil && field.Spec == "" {
			out.Kept = append(out.Kept, p)
		}
	}
	for _, flag := range []*bool{f.DryRun, f.Truncated} {
		if flag != nil {
			out.MoreChosen++
		}
	}
	return out
}

func newTimeMenu(r query.TimeRange) timeMenu {
	out := timeMenu{Label: rangeLabel(r), Custom: !r.From.IsZero(), From: newMoment(r.From), To: newMoment(r.To)}
	for _, p := range query.Presets {
		on := r.Preset == p || p == query.DefaultPreset && r.IsZero()
		out.Options = append(out.Options, choice{Value: string(p), Label: presetLabels[p], On: on})
	}
	if r.Duration != "" {
		out.Options = append(out.Options, choice{Value: r.Duration, Label: rangeLabel(r), On: true})
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
