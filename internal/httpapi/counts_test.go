package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type histogram struct {
	Width   string `json:"width"`
	Buckets []struct {
		Start time.Time `json:"start"`
		Count int64     `json:"count"`
	} `json:"buckets"`
	about
	Matched int64 `json:"matched"`
}

type facet struct {
	Dimension string `json:"dimension"`
	Values    []struct {
		Value string `json:"value"`
		Count int64  `json:"count"`
	} `json:"values"`
	More bool `json:"more"`
	about
}

// The histogram holds what the count counts, in buckets of the width.
func TestHistogram(t *testing.T) {
	p := newPrograms(t)
	for _, tt := range []struct {
		user, query, width string
		matched            int64
	}{
		{everywhere, "", "3h", 7},
		{everywhere, "?range=last_hour", "1m", 7},
		{everywhere, "?range=last_hour&width=1s", "1s", 7},
		{everywhere, "?range=last_24_hours", "15m", 7},
		{everywhere, "?range=last_30_days", "12h", 7},
		{everywhere, "?range=9000d", "24h", 7},
		{everywhere, "?range=9000d&width=24h", "24h", 7},
		{everywhere, "?range=1m", "1s", 0},
		{inShop, "?width=24h", "24h", 3},
		{inBoth, "?width=1h&resource_type=application", "1h", 2},
		{inShop, "?width=1h&actor=bob", "1h", 0},
	} {
		got := decode[histogram](t, p.get(t, tt.user, list+"/histogram"+tt.query))
		width, err := time.ParseDuration(got.Width)
		if err != nil || got.Width != tt.width || got.Matched != tt.matched || got.AsOf.IsZero() || got.Complete.Status == "" {
			t.Errorf("%s%s: %+v, %v", tt.user, tt.query, got, err)
		}
		sum := int64(0)
		for _, b := range got.Buckets {
			sum += b.Count
			if b.Count == 0 || !b.Start.Equal(b.Start.Truncate(width)) {
				t.Errorf("%s: bucket %+v", tt.query, b)
			}
		}
		if sum != got.Matched {
			t.Errorf("%s%s: the buckets hold %d of %d", tt.user, tt.query, sum, got.Matched)
		}
	}
	for query, want := range map[string]wrong{
		"width=2h":                   {"width", "2h", "is no width; use one of 1s, 5s, 15s, 30s, 1m, 5m, 15m, 30m, 1h, 3h, 6h, 12h, 24h"},
		"width=1s":                   {"width", "1s", "makes more than 5000 buckets of this time range; use 5m or wider"},
		"width=30s&range=2d":         {"width", "30s", "makes more than 5000 buckets of this time range; use 1m or wider"},
		"limit=5":                    {"limit", "", "is no parameter here"},
		"cursor=x":                   {"cursor", "", "is no parameter here"},
		"width=1h&to=x&from=&range=": {"to", "x", "is no time"},
	} {
		got := wantProblem(t, p.get(t, everywhere, list+"/histogram?"+query), http.StatusBadRequest, "invalid").Errors
		if len(got) != 1 || got[0].Parameter != want.Parameter || got[0].Value != want.Value || !strings.HasPrefix(got[0].Detail, want.Detail) {
			t.Errorf("%s: %+v, want %+v", query, got, want)
		}
	}
	wantProblem(t, p.get(t, nobody, list+"/histogram"), http.StatusForbidden, "forbidden")
	wantProblem(t, p.get(t, inShop, list+"/histogram?namespace=billing"), http.StatusForbidden, "forbidden")
}

func TestFacets(t *testing.T) {
	p := newPrograms(t)
	for _, tt := range []struct {
		user, query string
		values      []string
		more        bool
	}{
		{everywhere, "namespace", []string{"shop 4", "billing 1", "hostile 1"}, false},
		{everywhere, "namespace?limit=2", []string{"shop 4", "billing 1"}, true},
		{everywhere, "namespace?limit=3", []string{"shop 4", "billing 1", "hostile 1"}, false},
		{everywhere, "cluster?namespace=shop", []string{"own 3", "elsewhere 1"}, false},
		{everywhere, "status_code", []string{"201 7"}, false},
		{everywhere, "resource_name?contains=SHOP-", []string{"foreign-shop-app 1", "own-shop-app 1", "own-shop-env 1", "own-shop-project 1"}, false},
		{everywhere, "method?contains=os", []string{"POST 7"}, false},
		{everywhere, "ip?contains=.2.", []string{"192.0.2.7 7"}, false},
		{inShop, "resource_name?contains=billing", nil, false},
		{inShop, "resource_name?contains=%25", nil, false},
		{inShop, "namespace", []string{"shop 3"}, false},
		{inShop, "cluster", []string{"own 3"}, false},
		{inShop, "resource_name?namespace=shop", []string{"own-shop-app 1", "own-shop-env 1", "own-shop-project 1"}, false},
		{inBoth, "resource_type", []string{"application 2", "environment_group 1", "project 1"}, false},
		// The field's own terms do not count.
		{inBoth, "resource_type?resource_type=application", []string{"application 2", "environment_group 1", "project 1"}, false},
		{inBoth, "namespace?resource_type=application", []string{"billing 1", "shop 1"}, false},
	} {
		got := decode[facet](t, p.get(t, tt.user, list+"/facets/"+tt.query))
		var values []string
		for _, v := range got.Values {
			values = append(values, fmt.Sprintf("%s %d", v.Value, v.Count))
		}
		if diff := cmp.Diff(tt.values, values); diff != "" || got.More != tt.more || got.AsOf.IsZero() || got.Complete.Status == "" {
			t.Errorf("%s, %s: more %t, %s", tt.user, tt.query, got.More, diff)
		}
	}
	for _, dimension := range []string{"path", "search", "Actor", "actor_exclude", "x"} {
		wantProblem(t, p.get(t, everywhere, list+"/facets/"+dimension), http.StatusNotFound, "not-found")
	}
	for query, parameter := range map[string]string{"limit=0": "limit", "limit=501": "limit", "width=1h": "width", "method=x": "method", "contains=" + strings.Repeat("x", 256): "contains", "contains=%00": "contains"} {
		got := wantProblem(t, p.get(t, everywhere, list+"/facets/actor?"+query), http.StatusBadRequest, "invalid").Errors
		if len(got) != 1 || got[0].Parameter != parameter {
			t.Errorf("%s: %+v", query, got)
		}
	}
	wantProblem(t, p.get(t, nobody, list+"/facets/actor"), http.StatusForbidden, "forbidden")
	wantProblem(t, p.get(t, inShop, list+"/facets/namespace?namespace=billing"), http.StatusForbidden, "forbidden")
}
