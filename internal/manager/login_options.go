package manager

import (
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/porter-dev/audit-operator/internal/login"
)

// loginOptions say how people prove who they are. A token always works.
type loginOptions struct {
	lifetime time.Duration
	oidc     login.OIDCOptions
	proxies  []string
	proxy    login.Proxy
}

func (o *loginOptions) flags(flags *pflag.FlagSet) {
	flags.DurationVar(&o.lifetime, "session-lifetime", login.Lifetime, "how long a browser stays signed in at most, from 5m to 24h")
	flags.StringVar(&o.oidc.IssuerURL, "oidc-issuer-url", "", "https URL of the OpenID Connect provider; disabled if empty")
	flags.StringVar(&o.oidc.ClientID, "oidc-client-id", "", "ID under which the provider knows the dashboard")
	flags.StringVar(&o.oidc.ClientSecretFile, "oidc-client-secret-file", "", "file that holds the client's secret; none for a public client")
	flags.StringSliceVar(&o.oidc.Scopes, "oidc-scopes", []string{"openid", "profile", "email"}, "what the provider is asked for; openid must be there")
	flags.StringVar(&o.oidc.UsernameClaim, "oidc-username-claim", "sub", "claim that holds the user's name; an email address must be verified")
	flags.StringVar(&o.oidc.UsernamePrefix, "oidc-username-prefix", "", "prefix added to user names; - disables it; by default the issuer's URL and #, and none for email addresses")
	flags.StringVar(&o.oidc.GroupsClaim, "oidc-groups-claim", "groups", "claim that holds the user's groups")
	flags.StringVar(&o.oidc.GroupsPrefix, "oidc-groups-prefix", "", "prefix added to group names")
	flags.StringVar(&o.oidc.CAFile, "oidc-ca-file", "", "CA certificates that the provider's is verified against; the system's if empty")
	flags.StringVar(&o.oidc.Name, "oidc-name", "single sign-on", "what people call the provider; the log-in page says: Sign in with …")
	flags.StringSliceVar(&o.proxies, "proxy-trusted-cidrs", nil, "addresses of proxies that may name a request's user, like 10.0.3.0/24")
	flags.StringVar(&o.proxy.UserHeader, "proxy-user-header", login.UserHeader, "header in which a trusted proxy names the user")
	flags.StringVar(&o.proxy.GroupHeader, "proxy-group-header", login.GroupHeader, "header in which a trusted proxy names a group of the user; it may come several times")
	flags.StringVar(&o.proxy.GroupSeparator, "proxy-group-separator", "", "separator of the groups in one header; a header is one group if empty")
}

// loginFlags are the flags of the options' fields.
var loginFlags = map[string]string{
	"Name": "oidc-name", "IssuerURL": "oidc-issuer-url", "ClientID": "oidc-client-id", "ClientSecretFile": "oidc-client-secret-file",
	"RedirectURL": "dashboard-url", "Scopes": "oidc-scopes", "UsernameClaim": "oidc-username-claim", "UsernamePrefix": "oidc-username-prefix",
	"GroupsClaim": "oidc-groups-claim", "GroupsPrefix": "oidc-groups-prefix", "CAFile": "oidc-ca-file",
	"Trusted": "proxy-trusted-cidrs", "UserHeader": "proxy-user-header", "GroupHeader": "proxy-group-header",
}

// validate checks the options, and completes them by the dashboard's address.
func (o *loginOptions) validate(dashboardURL string, changed func(flag string) bool, wrong func(flag, problem string)) {
	if o.lifetime < 5*time.Minute || o.lifetime > login.MaxLifetime {
		wrong("session-lifetime", "give from 5m to 24h")
	}
	field := func(field, problem string) { wrong(loginFlags[field], problem) }
	without := func(prefix, needed string) {
		for _, flag := range loginFlags {
			if strings.HasPrefix(flag, prefix) && changed(flag) {
				wrong(flag, "has no effect without --"+needed)
			}
		}
	}
	if o.oidc.IssuerURL == "" {
		without("oidc-", "oidc-issuer-url")
	} else {
		if dashboardURL != "" {
			o.oidc.RedirectURL = strings.TrimSuffix(dashboardURL, "/") + login.CallbackPath
		}
		o.oidc.Validate(field)
	}
	if len(o.proxies) == 0 {
		without("proxy-", "proxy-trusted-cidrs")
		if changed("proxy-group-separator") {
			wrong("proxy-group-separator", "has no effect without --proxy-trusted-cidrs")
		}
		return
	}
	for _, cidr := range o.proxies {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(cidr))
		if err != nil {
			wrong("proxy-trusted-cidrs", "give ranges of addresses, like 10.0.3.0/24 or fd00:3::/64, or 10.0.3.7/32 for one")
			return
		}
		o.proxy.Trusted = append(o.proxy.Trusted, prefix)
	}
	o.proxy.Validate(field)
}

// providers returns what package login takes: nil for what is not used.
func (o *loginOptions) providers() (*login.OIDCOptions, *login.Proxy) {
	var oidc *login.OIDCOptions
	var proxy *login.Proxy
	if o.oidc.IssuerURL != "" {
		oidc = &o.oidc
	}
	if len(o.proxy.Trusted) > 0 {
		proxy = &o.proxy
	}
	return oidc, proxy
}
