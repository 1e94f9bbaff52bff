package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/query"
)

// maxBody bounds the bodies that requests may have.
const maxBody = 64 << 10

// porterFilter is the filter in the bodies of Porter's API. An absent list, an
// empty one and null select everything.
type porterFilter struct {
	StartDate *string `json:"start_date"`
	EndDate   *string `json:"end_date"`
	StartTime *string `json:"start_time"`
	EndTime   *string `json:"end_time"`

	Actors         []string `json:"actors"`
	Methods        []string `json:"methods"`
	Actions        []string `json:"actions"`
	StatusCodes    []code   `json:"status_codes"`
	IPs            []string `json:"ips"`
	ResourceTypes  []string `json:"resource_types"`
	ApplicationIDs []code   `json:"application_ids"`
	ClusterIDs     []code   `json:"cluster_ids"`

	ActorsExclude         []string `json:"actors_exclude"`
	MethodsExclude        []string `json:"methods_exclude"`
	ActionsExclude        []string `json:"actions_exclude"`
	StatusCodesExclude    []code   `json:"status_codes_exclude"`
	IPsExclude            []string `json:"ips_exclude"`
	ResourceTypesExclude  []string `json:"resource_types_exclude"`
	ApplicationIDsExclude []code   `json:"application_ids_exclude"`
	ClusterIDsExclude     []code   `json:"cluster_ids_exclude"`

	Path      string  `json:"path"`
	Search    string  `json:"search"`
	Source    *string `json:"source"`     // the client
	ActorType *string `json:"actor_type"` // of export.PorterActorType
}

// code is a string, which may be written as a number.
type code string

// UnmarshalJSONFrom reads either.
func (c *code) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	switch kind := d.PeekKind(); kind {
	case '"', '0':
		token, err := d.ReadToken()
		*c = code(token.String())
		return err
	default:
		return fmt.Errorf("%s is no string and no number", kind)
	}
}

// decodeBody reads a body of one JSON object. What it does not know it refuses
// by name: a member that was ignored could widen the answer.
func decodeBody[T any](w http.ResponseWriter, r *http.Request) (T, error) {
	var out T
	if r.URL.RawQuery != "" {
		return out, invalidBody("", "the address must have no parameters; they belong into the body")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return out, problem.Problem{Kind: problem.TooLarge, Status: http.StatusRequestEntityTooLarge, Title: "Too large",
			Detail: fmt.Sprintf("The body must have at most %d bytes.", maxBody)}
	case err != nil:
		return out, invalidBody("", "the body could not be read to its end")
	case jsontext.Value(body).Kind() != '{':
		return out, invalidBody("", "the body must be a JSON object, like {}")
	}
	if err := json.Unmarshal(body, &out, json.RejectUnknownMembers(true)); err != nil {
		return *new(T), bodyError(err)
	}
	return out, nil
}

func invalidBody(name, reason string) error {
	return problem.InvalidFields(problem.Field{Name: name, Reason: reason})
}

// bodyError says what is wrong with a body, and nothing of Go.
func bodyError(err error) error {
	var syntactic *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &semantic):
		return invalidBody(query.Shorten(semantic.JSONPointer.LastToken()), "is no field of the body; see docs/spec/api.md, or "+v1+"openapi.json")
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntactic):
		return invalidBody(query.Shorten(syntactic.JSONPointer.LastToken()), "may be given once")
	case errors.As(err, &syntactic):
		return invalidBody("", fmt.Sprintf("the body is not JSON, at byte %d", syntactic.ByteOffset))
	case errors.As(err, &semantic):
		first, _, _ := strings.Cut(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/")
		return invalidBody(query.Shorten(first), mustNotBe(semantic.JSONKind))
	}
	return invalidBody("", "the body can't be read")
}

func mustNotBe(kind jsontext.Kind) string {
	what, ok := map[jsontext.Kind]string{
		'n': "null", 't': "true", 'f': "false", '"': "a string", '0': "a number like this one", '[': "a list", '{': "an object",
	}[kind]
	if !ok {
		return "must hold strings or numbers" // code says so
	}
	return "must not be " + what + " here"
}

// porterType is the resource type whose names application_ids are.
const porterType = "application"

// question returns what the body asks about a project: the namespace of that
// name, or everything where it is query.NoNamespace.
func (f *porterFilter) question(project string, now time.Time) (question, error) {
	p := &parameters{values: url.Values{}}
	if project != query.NoNamespace {
		p.values.Set("namespace", project)
	}
	f.lists(p)
	f.applications(p)
	f.singles(p)
	if f.Search != "" {
		p.values.Set("search", f.Search)
	}
	f.times(p)
	q := question{Filter: p.filter(), asked: now}
	if len(p.errs) == 0 {
		p.resolve(&q)
	}
	return q, f.named(errors.Join(p.errs...))
}

// lists turns the body's lists into the parameters of a URL.
func (f *porterFilter) lists(p *parameters) {
	for _, list := range []struct {
		name, parameter    string
		included, excluded []string
	}{
		{"actors", "actor", f.Actors, f.ActorsExclude},
		{"methods", "method", f.Methods, f.MethodsExclude},
		{"actions", "action", f.Actions, f.ActionsExclude},
		{"status_codes", "status_code", texts(f.StatusCodes), texts(f.StatusCodesExclude)},
		{"ips", "ip", f.IPs, f.IPsExclude},
		{"resource_types", "resource_type", f.ResourceTypes, f.ResourceTypesExclude},
		{"application_ids", "resource_name", texts(f.ApplicationIDs), texts(f.ApplicationIDsExclude)},
		{"cluster_ids", "cluster", texts(f.ClusterIDs), texts(f.ClusterIDsExclude)},
	} {
		p.list(list.name, list.parameter, list.included)
		p.list(list.name+"_exclude", list.parameter+"_exclude", list.excluded)
	}
}

// singles turns into parameters what the body has one of.
func (f *porterFilter) singles(p *parameters) {
	switch path := strings.TrimSpace(f.Path); {
	case path == "":
	case path[0] != '/' && path != "*":
		p.wrong("path", query.Shorten(path), "must begin with /, like /api/v1/namespaces/shop/pods, or /api/v1/namespaces/shop/* for all that begin so")
	default:
		p.values.Set("path", path)
	}
	if f.Source != nil {
		if *f.Source != audit.ClientCLI {
			p.wrong("source", query.Shorten(*f.Source), "must be cli: no other client has a name in Porter's API; leave it out for all")
		}
		p.values.Set("client", audit.ClientCLI)
	}
	if f.ActorType == nil {
		return
	}
	switch *f.ActorType {
	case export.PorterToken:
		p.values["actor_kind"] = export.PorterTokenKinds
	case export.PorterUser:
		// What has no kind is a user's too, as entries have it.
		p.values["actor_kind_exclude"] = export.PorterTokenKinds
	default:
		p.wrong("actor_type", query.Shorten(*f.ActorType), "must be user or api_token; leave it out for both")
	}
}

// list takes the values of a list over. In a URL an empty value means nothing;
// in a list it is a script's variable that was not set, and would ask for more
// than was meant.
func (p *parameters) list(name, parameter string, values []string) {
	if slices.Contains(values, "") {
		p.wrong(name, "", "must not hold an empty value")
		return
	}
	if len(values) > 0 {
		p.values[parameter] = values
	}
}

// applications sees to it that names of applications select nothing else of
// the same name.
func (f *porterFilter) applications(p *parameters) {
	p.writtenOut("application_ids", f.ApplicationIDs)
	p.writtenOut("application_ids_exclude", f.ApplicationIDsExclude)
	only := slices.Compact(slices.Sorted(slices.Values(f.ResourceTypes)))
	switch {
	case len(f.ApplicationIDs) > 0 && len(only) > 0 && !slices.Contains(only, porterType):
		p.wrong("application_ids", "", "can't be together with resource_types that lack application: no event is both")
	case len(f.ApplicationIDs) > 0:
		p.values["resource_type"] = []string{porterType}
	case len(f.ApplicationIDsExclude) > 0 && !slices.Equal(only, []string{porterType}):
		p.wrong("application_ids_exclude", "", `needs "resource_types": ["application"], or other things of the same name would be missing too`)
	}
}

func (p *parameters) writtenOut(name string, ids []code) {
	for _, id := range ids {
		if strings.Contains(string(id), "*") {
			p.wrong(name, query.Shorten(string(id)), "must be written out: * has no meaning here")
		}
	}
}

func texts(codes []code) []string {
	out := make([]string, len(codes))
	for i, c := range codes {
		out[i] = string(c)
	}
	return out
}

// times takes the range over. A date without a time is the whole day, in UTC.
func (f *porterFilter) times(p *parameters) {
	from, start := p.oneOf("start_date", f.StartDate, "start_time", f.StartTime, 0)
	to, end := p.oneOf("end_date", f.EndDate, "end_time", f.EndTime, 24*time.Hour)
	switch {
	case !to.IsZero() && from.IsZero() && start == "":
		p.wrong("start_date", "", "is required where "+end+" is given")
		return
	case !to.IsZero() && !from.IsZero() && !from.Before(to):
		p.wrong(start, from.Format(time.RFC3339Nano), "must be before "+end)
		return
	}
	if !from.IsZero() {
		p.values.Set("from", from.Format(time.RFC3339Nano))
	}
	if !to.IsZero() {
		p.values.Set("to", to.Format(time.RFC3339Nano))
	}
}

// oneOf reads one of two fields for a time, and returns the name of that which
// was given. A date means its midnight, plus whole.
func (p *parameters) oneOf(dateName string, date *string, timeName string, at *string, whole time.Duration) (t time.Time, name string) {
	name = dateName
	switch {
	case date != nil && at != nil:
		p.wrong(timeName, "", "must not be together with "+dateName)
		return time.Time{}, name
	case at != nil:
		name = timeName
	case date == nil:
		return time.Time{}, ""
	}
	v := *cmp.Or(at, date)
	t, err := time.Parse(time.DateOnly, v)
	if err == nil {
		t = t.Add(whole)
	} else if t, err = time.Parse(time.RFC3339Nano, v); err != nil {
		p.wrong(name, query.Shorten(v), "is no time; use RFC 3339 like 2026-11-01T00:00:00Z, or a date like 2026-11-01 for the whole day in UTC")
		return time.Time{}, name
	}
	if t = t.UTC(); t.Year() < 1970 || t.Year() > 9999 {
		p.wrong(name, query.Shorten(v), "must be from 1970 to 9999")
		return time.Time{}, name
	}
	return t, name
}

// named calls what is wrong with a filter by the names of the body.
func (f *porterFilter) named(err error) error {
	if err == nil {
		return nil
	}
	p := problem.Of(err)
	for i, wrong := range p.Fields {
		name, excluded := strings.CutSuffix(wrong.Name, "_exclude")
		switch body, ok := porterFields[name]; {
		case name == "from" && f.StartTime != nil:
			p.Fields[i].Name = "start_time"
		case name == "to" && f.EndTime != nil:
			p.Fields[i].Name = "end_time"
		case ok && excluded:
			p.Fields[i].Name = body + "_exclude"
		case ok:
			p.Fields[i].Name = body
		}
	}
	return p
}

// porterFields are the names in the body of a filter's parameters.
var porterFields = map[string]string{
	"resource_type": "resource_types", "actor": "actors", "method": "methods", "action": "actions", "ip": "ips",
	"status_code": "status_codes", "resource_name": "application_ids", "cluster": "cluster_ids", "namespace": "project",
	"from": "start_date", "to": "end_date", "client": "source", "actor_kind": "actor_type",
}
