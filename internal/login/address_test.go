package login

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestClientAddress(t *testing.T) {
	p := &Proxy{Trusted: []netip.Prefix{netip.MustParsePrefix("10.1.0.7/16"), netip.MustParsePrefix("fd00::/64")}}
	for _, tt := range []struct {
		proxy *Proxy
		peer  string
		said  []string // headers
		want  string
	}{
		{p, "192.0.2.7:4711", nil, "192.0.2.7"},
		{p, "192.0.2.7:4711", []string{"203.0.113.9"}, "192.0.2.7"}, // anybody can say that
		{p, "10.1.2.3:4711", nil, "10.1.2.3"},
		{p, "10.1.2.3:4711", []string{"203.0.113.9"}, "203.0.113.9"},
		{p, "[::ffff:10.1.2.3]:4711", []string{"203.0.113.9:80"}, "203.0.113.9"},
		{p, "[fd00::1]:4711", []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		{p, "10.1.2.3:4711", []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"}, // what the client said stands first
		{p, "10.1.2.3:4711", []string{"198.51.100.1", "203.0.113.9 , 10.1.9.9"}, "203.0.113.9"},
		{p, "10.1.2.3:4711", []string{"10.1.8.8, 10.1.9.9"}, "10.1.8.8"},
		{p, "10.1.2.3:4711", []string{"203.0.113.9, unknown"}, "10.1.2.3"},
		{p, "10.1.2.3:4711", []string{"203.0.113.9, _hidden, 10.1.9.9"}, "10.1.9.9"},
		{p, "10.1.2.3:4711", []string{""}, "10.1.2.3"},
		{p, "pipe", []string{"203.0.113.9"}, "pipe"},
		{nil, "10.1.2.3:4711", []string{"203.0.113.9"}, "10.1.2.3"},
	} {
		got := tt.proxy.ClientAddress(&http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.said}})
		if got != tt.want {
			t.Errorf("%s, which says %q: %s, want %s", tt.peer, tt.said, got, tt.want)
		}
	}
}
