package crdconv

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/porter-dev/audit-operator/internal/query"
)

// fields names the resource's field of each parameter that a FieldError names.
var fields = map[string]string{
	"resource_type": "resourceTypes",
	"actor":         "actors",
	"method":        "methods",
	"action":        "actions",
	"ip":            "ipAddresses",
	"status_code":   "statusCodes",
	"resource_name": "resourceNames",
	"cluster":       "clusters",
	"client":        "clients",
	"stage":         "stages",
	"namespace":     "namespaces",
	"search":        "search",
	"dry_run":       "dryRun",
	"range":         "timeRange",
	"from":          "timeRange.from",
	"to":            "timeRange.to",
}

// checked validates a filter, and names the resource's fields in the error.
func checked(f query.Filter) (query.Filter, error) {
	var err error
	if v, ok := any(&f).(interface{ Validate() error }); ok {
		err = v.Validate()
	}
	if err == nil {
		return f, nil
	}
	var wrong *query.FieldError
	if !errors.As(err, &wrong) {
		return query.Filter{}, err
	}
	renamed := *wrong
	name, excluded := strings.CutSuffix(wrong.Field, "_exclude")
	if field, ok := fields[name]; ok {
		renamed.Field = "spec." + field
		if excluded {
			renamed.Field = "spec.exclude." + field
		}
	}
	return query.Filter{}, &renamed
}

// parsePrefix reads an address or a CIDR range as a filter holds it.
func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		if addr.Zone() != "" {
			return netip.Prefix{}, errors.New("an address with a zone")
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	if addr := p.Addr(); addr.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, errors.New("a range wider than IPv4")
		}
		p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
