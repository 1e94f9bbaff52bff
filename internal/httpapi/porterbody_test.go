package httpapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/problem"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func post(t testing.TB, body string) (http.ResponseWriter, *http.Request) {
	t.Helper()
	return httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
}

func read(t testing.TB, project, body string) (question, error) {
	t.Helper()
	parsed, err := decodeBody[porterQuery](post(t, body))
	if err != nil {
		return question{}, err
	}
	return parsed.question(project, now)
}

// A body is the filter that a URL writes so.
func TestPorterBody(t *testing.T) {
	for body, want := range map[string]string{
		`{}`: "namespace=shop",
		` {"actors": null, "methods": [], "search": "  ", "path": ""} `:        "namespace=shop",
		`{"actors":["alice","bob*"],"actors_exclude":["eve"]}`:                 "actor=alice&actor=bob%2A&actor_exclude=eve&namespace=shop",
		`{"methods":["post"],"methods_exclude":["GET"]}`:                       "method=POST&method_exclude=GET&namespace=shop",
		`{"actions":["application.delete"],"actions_exclude":["cluster.*"]}`:   "action=application.delete&action_exclude=cluster.%2A&namespace=shop",
		`{"status_codes":[403,"2xx","500"],"status_codes_exclude":[404]}`:      "status_code=403&status_code=2xx&status_code=500&status_code_exclude=404&namespace=shop",
		`{"ips":["10.1.2.3/8"],"ips_exclude":["::1"]}`:                         "ip=10.0.0.0%2F8&ip_exclude=%3A%3A1&namespace=shop",
		`{"resource_types":["project"],"resource_types_exclude":["cluster"]}`:  "resource_type=project&resource_type_exclude=cluster&namespace=shop",
		`{"application_ids":["checkout",7]}`:                                   "resource_type=application&resource_name=checkout&resource_name=7&namespace=shop",
		`{"application_ids":["a"],"resource_types":["project","application"]}`: "resource_type=application&resource_name=a&namespace=shop",
		`{"application_ids_exclude":["a"],"resource_types":["application"]}`:   "resource_type=application&resource_name_exclude=a&namespace=shop",
		`{"application_ids":["a"],"application_ids_exclude":["b"]}`:            "resource_type=application&resource_name=a&resource_name_exclude=b&namespace=shop",
		`{"cluster_ids":["prod",3],"cluster_ids_exclude":["dev"]}`:             "cluster=prod&cluster=3&cluster_exclude=dev&namespace=shop",
		`{"path":"/api/v1/pods"}`:                                              "namespace=shop&path=%2Fapi%2Fv1%2Fpods",
		`{"path":" /api/v1/* "}`:                                               "namespace=shop&path=%2Fapi%2Fv1%2F%2A",
		`{"path":"*"}`:                                                         "namespace=shop&path=%2A",
		`{"path":"/api?watch=true"}`:                                           "namespace=shop&path=%2Fapi%3Fwatch%3Dtrue",
		`{"path":null,"source":null,"actor_type":null,"page":null}`:            "namespace=shop",
		`{"source":"cli"}`:                                    "client=cli&namespace=shop",
		`{"actor_type":"api_token"}`:                          "namespace=shop&actor_kind=service_account&actor_kind=node&actor_kind=token",
		`{"actor_type":"user"}`:                               "namespace=shop&actor_kind_exclude=service_account&actor_kind_exclude=node&actor_kind_exclude=token",
		`{"search":" Billing "}`:                              "namespace=shop&search=Billing",
		`{"start_date":"2026-11-01"}`:                         "namespace=shop&from=2026-11-01T00%3A00%3A00Z",
		`{"start_date":"2026-11-01","end_date":"2026-11-01"}`: "namespace=shop&from=2026-11-01T00%3A00%3A00Z&to=2026-11-02T00%3A00%3A00Z",
		`{"start_time":"2026-11-01T02:00:00+02:00","end_time":"2026-11-01T01:00:00.5Z"}`: "namespace=shop&from=2026-11-01T00%3A00%3A00Z&to=2026-11-01T01%3A00%3A00.5Z",
		`{"start_date":"2026-11-01T05:00:00Z","end_time":"2026-11-02T00:00:00Z"}`:        "namespace=shop&from=2026-11-01T05%3A00%3A00Z&to=2026-11-02T00%3A00%3A00Z",
	} {
		q, err := read(t, "shop", body)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if diff := cmp.Diff(want, q.Encode()); diff != "" || !q.Window.From.Before(q.Window.To) {
			t.Errorf("%s: window %v, %s", body, q.Window, diff)
		}
	}
	if q, err := read(t, "-", `{}`); err != nil || q.Encode() != "" {
		t.Errorf("the whole cluster: %q, %v", q.Encode(), err)
	}
}

func TestPorterBodyRefuses(t *testing.T) {
	for body, want := range map[string]problem.Field{
		``:                        {Reason: "the body must be a JSON object"},
		`[]`:                      {Reason: "the body must be a JSON object"},
		`null`:                    {Reason: "the body must be a JSON object"},
		`{"actors":["a"]} {}`:     {Reason: "the body is not JSON, at byte 17"},
		`{"actors":["a"`:          {Reason: "the body is not JSON, at byte"},
		"{\"actors\":[\"\xff\"]}": {Reason: "the body is not JSON, at byte"},
		`{"colour":"red"}`:        {Name: "colour", Reason: "is no field of the body"},
		`{"Actors":["a"]}`:        {Name: "Actors", Reason: "is no field of the body"},
		`{"page":"2"}`:            {Name: "page", Reason: "must not be a string here"},
		`{"page":1e19}`:           {Name: "page", Reason: "must not be a number like this one"},
		`{"page":1.5}`:            {Name: "page", Reason: "must not be a number like this one"},
		`{"page":[1]}`:            {Name: "page", Reason: "must not be a list here"},
		`{"page":1,"page":2}`:     {Name: "page", Reason: "may be given once"},
		`{"path":"apis"}`:         {Name: "path", Value: "apis", Reason: "must begin with /"},
		`{"path":"**"}`:           {Name: "path", Value: "**", Reason: "must begin with /"},
		`{"path":"/a*/b"}`:        {Name: "path", Value: "/a*/b", Reason: "may have one *"},
		`{"path":"/a**"}`:         {Name: "path", Value: "/a**", Reason: "may have one *"},
		`{"path":"/\u0000"}`:      {Name: "path", Value: "/\x00", Reason: "must be UTF-8 without NUL"},
		`{"path":["/apis"]}`:      {Name: "path", Reason: "must not be a list here"},
		`{"path":"/` + strings.Repeat("x", 256) + `"}`: {Name: "path", Value: "/" + strings.Repeat("x", 63) + "…", Reason: "must have at most 256 characters"},
		`{"source":"ui"}`:                                        {Name: "source", Value: "ui", Reason: "must be cli"},
		`{"source":"CLI"}`:                                       {Name: "source", Value: "CLI", Reason: "must be cli"},
		`{"source":""}`:                                          {Name: "source", Reason: "must be cli"},
		`{"source":["cli"]}`:                                     {Name: "source", Reason: "must not be a list here"},
		`{"source":"cli","source":"cli"}`:                        {Name: "source", Reason: "may be given once"},
		`{"actor_type":"service_account"}`:                       {Name: "actor_type", Value: "service_account", Reason: "must be user or api_token"},
		`{"actor_type":""}`:                                      {Name: "actor_type", Reason: "must be user or api_token"},
		`{"actors":["a"],"actors":[]}`:                           {Name: "actors", Reason: "may be given once"},
		`{"actors":"a"}`:                                         {Name: "actors", Reason: "must not be a string here"},
		`{"actors":[7]}`:                                         {Name: "actors", Reason: "must not be a number like this one here"},
		`{"status_codes":[true]}`:                                {Name: "status_codes", Reason: "must hold strings or numbers"},
		`{"limit":1.5}`:                                          {Name: "limit", Reason: "must not be a number like this one here"},
		`{"search":["a"]}`:                                       {Name: "search", Reason: "must not be a list here"},
		`{"actors":[""]}`:                                        {Name: "actors", Reason: "must not hold an empty value"},
		`{"actors_exclude":["a",null]}`:                          {Name: "actors_exclude", Reason: "must not hold an empty value"},
		`{"status_codes_exclude":[""]}`:                          {Name: "status_codes_exclude", Reason: "must not hold an empty value"},
		`{"methods":["FETCH"]}`:                                  {Name: "methods", Value: "FETCH", Reason: "is no method"},
		`{"methods_exclude":["FETCH"]}`:                          {Name: "methods_exclude", Value: "FETCH", Reason: "is no method"},
		`{"status_codes":[2e2]}`:                                 {Name: "status_codes", Value: "2e2", Reason: "is no status code"},
		`{"ips":["x"]}`:                                          {Name: "ips", Value: "x", Reason: "is no address"},
		`{"cluster_ids":["a*"]}`:                                 {Name: "cluster_ids", Value: "a*", Reason: "must be written out"},
		`{"application_ids":["a*"]}`:                             {Name: "application_ids", Value: "a*", Reason: "must be written out"},
		`{"application_ids_exclude":["a"]}`:                      {Name: "application_ids_exclude", Reason: `needs "resource_types": ["application"]`},
		`{"start_date":""}`:                                      {Name: "start_date", Reason: "is no time"},
		`{"start_date":"yesterday"}`:                             {Name: "start_date", Value: "yesterday", Reason: "is no time"},
		`{"start_date":"0001-01-01"}`:                            {Name: "start_date", Value: "0001-01-01", Reason: "must be from 1970"},
		`{"end_date":"2026-11-01"}`:                              {Name: "start_date", Reason: "is required where end_date is given"},
		`{"end_time":"2026-11-01T00:00:00Z"}`:                    {Name: "start_date", Reason: "is required where end_time is given"},
		`{"start_date":"2027-01-01"}`:                            {Name: "start_date", Value: "2027-01-01T00:00:00Z", Reason: "must be before the end"},
		`{"start_time":"2027-01-01"}`:                            {Name: "start_time", Value: "2027-01-01T00:00:00Z", Reason: "must be before the end"},
		`{"start_date":"2026-11-02","end_date":"2026-11-01"}`:    {Name: "start_date", Value: "2026-11-02T00:00:00Z", Reason: "must be before end_date"},
		`{"start_date":"2026-11-02","start_time":"2026-11-02"}`:  {Name: "start_time", Reason: "must not be together with start_date"},
		`{"application_ids":["a"],"resource_types":["project"]}`: {Name: "application_ids", Reason: "can't be together with resource_types"},
		`{"application_ids_exclude":["a"],"resource_types":["application","project"]}`: {Name: "application_ids_exclude", Reason: `needs "resource_types"`},
	} {
		_, err := read(t, "shop", body)
		var p problem.Problem
		if !errors.As(err, &p) || p.Kind != problem.Invalid || len(p.Fields) != 1 {
			t.Errorf("%s: %v, %+v", body, err, p.Fields)
			continue
		}
		if got := p.Fields[0]; got.Name != want.Name || got.Value != want.Value || !strings.HasPrefix(got.Reason, want.Reason) {
			t.Errorf("%s: got %+v, want %+v", body, got, want)
		}
	}
	if _, err := read(t, "shop*", `{}`); problem.Of(err).Fields[0].Name != "project" {
		t.Errorf("got %v", err)
	}
	if _, err := read(t, "shop", `{"search":"`+strings.Repeat("x", maxBody)+`"}`); problem.Of(err).Kind != problem.TooLarge {
		t.Errorf("a large body: %v", err)
	}
}

// Whatever a body is, it is refused, or asks about its project, in a filter
// that a URL can write.
func FuzzPorterBody(f *testing.F) {
	for _, body := range []string{
		`{}`, `{"actors":["a*"],"methods_exclude":["GET"],"status_codes":[403,"5xx"],"start_date":"2026-11-01","limit":5}`,
		`{"application_ids":["a",7],"cluster_ids_exclude":[1],"search":"x","end_time":"2026-11-01T00:00:00Z","start_time":"2026-10-01T00:00:00+01:00"}`,
		`{"actors":null,"path":"","ips":["::ffff:10.0.0.1/104"]}`, `{"a":1}`, `[`, `{"path":"/api/*","source":"cli","actor_type":"user","page":3}`, "{\"search\":\"\\u0000\"}",
	} {
		f.Add(body, "shop")
	}
	f.Fuzz(func(t *testing.T, body, project string) {
		q, err := read(t, project, body)
		if err != nil {
			p := problem.Of(err)
			if p.Status < 400 || p.Status >= 500 || p.Kind == problem.Invalid && len(p.Fields) == 0 {
				t.Fatalf("%+v", p)
			}
			return
		}
		if err := q.Validate(); err != nil || !q.Window.From.Before(q.Window.To) {
			t.Fatalf("%v, window %v", err, q.Window)
		}
		switch {
		case project == "-" || project == "":
			if len(q.Namespaces) > 0 {
				t.Fatalf("namespaces %q", q.Namespaces)
			}
		case len(q.Namespaces) != 1 || q.Namespaces[0] != project:
			t.Fatalf("namespaces %q of the project %q", q.Namespaces, project)
		}
	})
}
