package login

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/auth"
)

func TestIdentity(t *testing.T) {
	for name, tt := range map[string]struct {
		name   string
		groups []string
		want   auth.User
		wrong  string
	}{
		"name":            {"alice", nil, auth.User{Name: "alice"}, ""},
		"groups":          {"alice", []string{"b", "a", "b"}, auth.User{Name: "alice", Groups: []string{"a", "b"}}, ""},
		"distinguished":   {"alice", []string{"cn=a,ou=b"}, auth.User{Name: "alice", Groups: []string{"cn=a,ou=b"}}, ""},
		"nobody":          {"", nil, auth.User{}, "is empty"},
		"blank":           {" \t", nil, auth.User{}, "is empty"},
		"anonymous":       {"system:anonymous", nil, auth.User{}, "begins with system:"},
		"service account": {"system:serviceaccount:a:b", nil, auth.User{}, "begins with system:"},
		"administrators":  {"alice", []string{"a", "system:masters"}, auth.User{}, "groups that you were given begins with system:"},
		"everybody":       {"alice", []string{"system:authenticated"}, auth.User{}, "begins with system:"},
		"blank group":     {"alice", []string{""}, auth.User{}, "is empty"},
		"control":         {"alice\x1b[0m", nil, auth.User{}, "no name may hold"},
		"line":            {"alice", []string{"a\nb"}, auth.User{}, "no name may hold"},
		"not UTF-8":       {"ali\xffce", nil, auth.User{}, "no name may hold"},
		"long":            {strings.Repeat("a", 513), nil, auth.User{}, "longer than 512"},
		"many groups":     {"alice", make([]string, 1001), auth.User{}, "more than 1000 groups"},
	} {
		got, err := identity(tt.name, tt.groups)
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if tt.wrong == "" && err != nil || tt.wrong != "" && (!errors.Is(err, auth.ErrUnauthenticated) || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%s: error %v, want it to say %q", name, err, tt.wrong)
		}
	}
}

func oidcOptions() OIDCOptions {
	return OIDCOptions{
		Name: "Example", IssuerURL: "https://id.example.com", ClientID: "audit", RedirectURL: "https://audit.example.com" + CallbackPath,
		Scopes: []string{"openid"}, UsernameClaim: "sub", GroupsClaim: "groups",
	}
}

// Claims become names by the rules of kube-apiserver, but for addresses that
// nobody has verified.
func TestClaims(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*OIDCOptions)
		claims string
		want   auth.User
		wrong  string
	}{
		"subject":               {nil, `{"sub":"7"}`, auth.User{Name: "https://id.example.com#7"}, ""},
		"no prefix":             {func(o *OIDCOptions) { o.UsernamePrefix = "-" }, `{"sub":"7"}`, auth.User{Name: "7"}, ""},
		"prefix":                {func(o *OIDCOptions) { o.UsernamePrefix = "oidc:" }, `{"sub":"7"}`, auth.User{Name: "oidc:7"}, ""},
		"email":                 {func(o *OIDCOptions) { o.UsernameClaim = "email" }, `{"sub":"7","email":"a@b.c","email_verified":true}`, auth.User{Name: "a@b.c"}, ""},
		"email, not so":         {func(o *OIDCOptions) { o.UsernameClaim = "email" }, `{"email":"a@b.c","email_verified":false}`, auth.User{}, "not verified"},
		"email, unsaid":         {func(o *OIDCOptions) { o.UsernameClaim = "email" }, `{"email":"a@b.c"}`, auth.User{}, "not verified"},
		"email, in words":       {func(o *OIDCOptions) { o.UsernameClaim = "email" }, `{"email":"a@b.c","email_verified":"true"}`, auth.User{}, "not verified"},
		"other claim":           {func(o *OIDCOptions) { o.UsernameClaim = "upn" }, `{"upn":"al"}`, auth.User{Name: "https://id.example.com#al"}, ""},
		"claim missing":         {func(o *OIDCOptions) { o.UsernameClaim = "upn" }, `{"sub":"7"}`, auth.User{}, "the claim upn"},
		"claim empty":           {nil, `{"sub":""}`, auth.User{}, "the claim sub"},
		"claim no text":         {nil, `{"sub":7}`, auth.User{}, "the claim sub"},
		"claim null":            {nil, `{"sub":null}`, auth.User{}, "the claim sub"},
		"groups":                {func(o *OIDCOptions) { o.GroupsPrefix = "g:" }, `{"sub":"7","groups":["b","a"]}`, auth.User{Name: "https://id.example.com#7", Groups: []string{"g:a", "g:b"}}, ""},
		"one group":             {nil, `{"sub":"7","groups":"a"}`, auth.User{Name: "https://id.example.com#7", Groups: []string{"a"}}, ""},
		"groups null":           {nil, `{"sub":"7","groups":null}`, auth.User{Name: "https://id.example.com#7"}, ""},
		"groups of numbers":     {nil, `{"sub":"7","groups":[7]}`, auth.User{}, "The claim groups"},
		"groups elsewhere":      {nil, `{"sub":"7","_claim_names":{"groups":"src1"}}`, auth.User{}, "more groups than the provider puts"},
		"empty group":           {func(o *OIDCOptions) { o.GroupsPrefix = "g:" }, `{"sub":"7","groups":[""]}`, auth.User{}, "is empty"},
		"masters":               {nil, `{"sub":"7","groups":["system:masters"]}`, auth.User{}, "begins with system:"},
		"masters, prefixed":     {func(o *OIDCOptions) { o.GroupsPrefix = "g:" }, `{"sub":"7","groups":["system:masters"]}`, auth.User{Name: "https://id.example.com#7", Groups: []string{"g:system:masters"}}, ""},
		"masters, put together": {func(o *OIDCOptions) { o.GroupsPrefix = "sys" }, `{"sub":"7","groups":["tem:masters"]}`, auth.User{}, "begins with system:"},
		"component":             {func(o *OIDCOptions) { o.UsernamePrefix = "-" }, `{"sub":"system:admin"}`, auth.User{}, "begins with system:"},
	} {
		o := oidcOptions()
		if tt.change != nil {
			tt.change(&o)
		}
		var claims map[string]json.RawMessage
		if err := json.Unmarshal([]byte(tt.claims), &claims); err != nil {
			t.Fatal(err)
		}
		got, err := newProvider(o, time.Now, logr.Discard()).user(claims)
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if tt.wrong == "" && err != nil || tt.wrong != "" && (!errors.Is(err, auth.ErrUnauthenticated) || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%s: error %v, want it to say %q", name, err, tt.wrong)
		}
	}
}

func TestOptionsOfProvider(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*OIDCOptions)
		wrong  string // the field; empty if nothing is
	}{
		"good":             {func(*OIDCOptions) {}, ""},
		"on loopback":      {func(o *OIDCOptions) { o.IssuerURL = "http://127.0.0.1:5556" }, ""},
		"plain":            {func(o *OIDCOptions) { o.IssuerURL = "http://id.example.com" }, "IssuerURL"},
		"like loopback":    {func(o *OIDCOptions) { o.IssuerURL = "http://localhost.example.com" }, "IssuerURL"},
		"with a password":  {func(o *OIDCOptions) { o.IssuerURL = "https://a:b@id.example.com" }, "IssuerURL"},
		"with a query":     {func(o *OIDCOptions) { o.IssuerURL = "https://id.example.com?x" }, "IssuerURL"},
		"no client":        {func(o *OIDCOptions) { o.ClientID = "" }, "ClientID"},
		"no way back":      {func(o *OIDCOptions) { o.RedirectURL = "" }, "RedirectURL"},
		"no openid":        {func(o *OIDCOptions) { o.Scopes = []string{"email"} }, "Scopes"},
		"system prefix":    {func(o *OIDCOptions) { o.UsernamePrefix = "system:" }, "UsernamePrefix"},
		"system groups":    {func(o *OIDCOptions) { o.GroupsPrefix = "system:serviceaccounts:" }, "GroupsPrefix"},
		"no secret":        {func(o *OIDCOptions) { o.ClientSecretFile = "/nowhere" }, "ClientSecretFile"},
		"no certificates":  {func(o *OIDCOptions) { o.CAFile = "identity_test.go" }, "CAFile"},
		"no name":          {func(o *OIDCOptions) { o.Name = " " }, "Name"},
		"no user's claim":  {func(o *OIDCOptions) { o.UsernameClaim = "" }, "UsernameClaim"},
		"no groups' claim": {func(o *OIDCOptions) { o.GroupsClaim = "" }, "GroupsClaim"},
	} {
		o := oidcOptions()
		tt.change(&o)
		var got []string
		o.Validate(func(field, _ string) { got = append(got, field) })
		if strings.Join(got, " ") != tt.wrong {
			t.Errorf("%s: wrong is %q, want %q", name, got, tt.wrong)
		}
	}
}

func TestProxyHeaders(t *testing.T) {
	options := Proxy{Trusted: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/64")}, UserHeader: UserHeader, GroupHeader: GroupHeader}
	trusted := "10.1.2.3:4000"
	for name, tt := range map[string]struct {
		peer      string
		separator string
		header    http.Header
		named     bool
		want      auth.User
		wrong     string
	}{
		"named":             {trusted, "", http.Header{"X-Remote-User": {"alice"}, "X-Remote-Group": {"b", "a,c"}}, true, auth.User{Name: "alice", Groups: []string{"a,c", "b"}}, ""},
		"groups in one":     {trusted, ",", http.Header{"X-Remote-User": {"alice"}, "X-Remote-Group": {"b, a", "c,"}}, true, auth.User{Name: "alice", Groups: []string{"a", "b", "c"}}, ""},
		"over IPv6":         {"[fd00::7%eth0]:4000", "", http.Header{"X-Remote-User": {"alice"}}, true, auth.User{Name: "alice"}, ""},
		"mapped":            {"[::ffff:10.1.2.3]:4000", "", http.Header{"X-Remote-User": {"alice"}}, true, auth.User{Name: "alice"}, ""},
		"nothing":           {trusted, "", http.Header{}, false, auth.User{}, ""},
		"of a stranger":     {"10.2.0.1:4000", "", http.Header{"X-Remote-User": {"alice"}}, false, auth.User{}, ""},
		"forwarded":         {"10.2.0.1:4000", "", http.Header{"X-Remote-User": {"alice"}, "X-Forwarded-For": {"10.1.2.3"}, "X-Real-Ip": {"10.1.2.3"}, "Forwarded": {"for=10.1.2.3"}}, false, auth.User{}, ""},
		"of no address":     {"@", "", http.Header{"X-Remote-User": {"alice"}}, false, auth.User{}, ""},
		"twice":             {trusted, "", http.Header{"X-Remote-User": {"alice", "root"}}, true, auth.User{}, "2 times"},
		"empty":             {trusted, "", http.Header{"X-Remote-User": {""}}, true, auth.User{}, "is empty"},
		"groups alone":      {trusted, "", http.Header{"X-Remote-Group": {"a"}}, true, auth.User{}, "no user"},
		"component":         {trusted, "", http.Header{"X-Remote-User": {"system:admin"}}, true, auth.User{}, "begins with system:"},
		"masters":           {trusted, "", http.Header{"X-Remote-User": {"alice"}, "X-Remote-Group": {"system:masters"}}, true, auth.User{}, "begins with system:"},
		"masters among all": {trusted, ",", http.Header{"X-Remote-User": {"alice"}, "X-Remote-Group": {"a, system:masters"}}, true, auth.User{}, "begins with system:"},
	} {
		p := &proxy{Proxy: options, now: time.Now, log: logr.Discard()}
		p.GroupSeparator = tt.separator
		got, named, err := p.caller(&http.Request{RemoteAddr: tt.peer, Header: tt.header})
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" || named != tt.named {
			t.Errorf("%s: named %t %s", name, named, diff)
		}
		if tt.wrong == "" && err != nil || tt.wrong != "" && (!errors.Is(err, auth.ErrUnauthenticated) || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%s: error %v, want it to say %q", name, err, tt.wrong)
		}
	}
}

// Anybody can send headers, so lines about them are few, and hold no name.
func TestIgnoredHeadersAreToldOfSeldom(t *testing.T) {
	var lines []string
	now := time.Unix(1_700_000_000, 0)
	p := &proxy{
		Proxy: Proxy{Trusted: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, UserHeader: UserHeader, GroupHeader: GroupHeader},
		now:   func() time.Time { return now },
		log:   funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}),
	}
	for range 100 {
		_, _, _ = p.caller(&http.Request{RemoteAddr: "10.2.0.1:1", Header: http.Header{"X-Remote-User": {"mallory"}}})
		now = now.Add(time.Second)
	}
	if all := strings.Join(lines, "\n"); len(lines) != 2 || !strings.Contains(lines[1], `"ignored"=60`) || strings.Contains(all, "mallory") {
		t.Errorf("the lines are\n%s", all)
	}
}

func TestOptionsOfProxies(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Proxy)
		wrong  string
	}{
		"good":            {func(*Proxy) {}, ""},
		"oauth2-proxy":    {func(p *Proxy) { p.UserHeader, p.GroupHeader = "X-Forwarded-Email", "X-Forwarded-Groups" }, ""},
		"everybody":       {func(p *Proxy) { p.Trusted = append(p.Trusted, netip.MustParsePrefix("0.0.0.0/0")) }, "Trusted"},
		"everybody, IPv6": {func(p *Proxy) { p.Trusted = append(p.Trusted, netip.MustParsePrefix("::/0")) }, "Trusted"},
		"IPv4 as IPv6":    {func(p *Proxy) { p.Trusted = append(p.Trusted, netip.MustParsePrefix("::ffff:10.0.0.0/104")) }, "Trusted"},
		"no header":       {func(p *Proxy) { p.UserHeader = "" }, "UserHeader"},
		"no name":         {func(p *Proxy) { p.GroupHeader = "X Group" }, "GroupHeader"},
		"credentials":     {func(p *Proxy) { p.UserHeader = "authorization" }, "UserHeader"},
		"address":         {func(p *Proxy) { p.UserHeader = "x-forwarded-for" }, "UserHeader"},
		"one for both":    {func(p *Proxy) { p.GroupHeader = "x-remote-USER" }, "GroupHeader"},
	} {
		p := Proxy{Trusted: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, UserHeader: UserHeader, GroupHeader: GroupHeader}
		tt.change(&p)
		var got []string
		p.Validate(func(field, _ string) { got = append(got, field) })
		if strings.Join(got, " ") != tt.wrong {
			t.Errorf("%s: wrong is %q, want %q", name, got, tt.wrong)
		}
	}
}
