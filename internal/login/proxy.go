package login

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/http/httpguts"

	"github.com/porter-dev/audit-operator/internal/auth"
)

// Proxy says which proxies may name the user of a request, and how.
type Proxy struct {
	// Trusted has the addresses that the proxies connect from.
	Trusted []netip.Prefix
	// UserHeader holds the name, GroupHeader a group; it may come several times.
	UserHeader, GroupHeader string
	// GroupSeparator stands between the groups of one header; none if empty.
	GroupSeparator string
}

// The headers of Kubernetes' own front proxies.
const (
	UserHeader  = "X-Remote-User"
	GroupHeader = "X-Remote-Group"
)

// Validate says what is wrong with the options, field by field.
func (p *Proxy) Validate(wrong func(field, problem string)) {
	for _, prefix := range p.Trusted {
		if !prefix.IsValid() || prefix.Bits() == 0 {
			wrong("Trusted", "give ranges of addresses, like 10.0.3.0/24, and not all that there are")
			break
		}
		if prefix.Addr().Is4In6() { // no address is one, once it is unmapped
			wrong("Trusted", "give ranges of IPv4 as such, like 10.0.3.0/24 instead of ::ffff:10.0.3.0/120")
			break
		}
	}
	for field, name := range map[string]string{"UserHeader": p.UserHeader, "GroupHeader": p.GroupHeader} {
		switch canonical := http.CanonicalHeaderKey(name); {
		case !httpguts.ValidHeaderFieldName(name):
			wrong(field, "give the name of a header, like X-Remote-User")
		case slices.Contains([]string{"Authorization", "Cookie", "Host", "X-Forwarded-For", "Forwarded", "X-Real-Ip"}, canonical):
			wrong(field, "give a header that the proxy sets and clients don't, like X-Remote-User")
		}
	}
	if strings.EqualFold(p.UserHeader, p.GroupHeader) {
		wrong("GroupHeader", "give another header than that of the user")
	}
}

// proxy reads what trusted proxies say.
type proxy struct {
	Proxy
	now func() time.Time
	log logr.Logger

	mu      sync.Mutex
	told    time.Time // when ignored headers were last logged
	ignored int       // since
}

// caller returns who a trusted proxy says sends the request, and false if none
// says anything. Only the address that the connection comes from counts: every
// header can be made up.
func (p *proxy) caller(r *http.Request) (auth.User, bool, error) {
	names, groups := r.Header[http.CanonicalHeaderKey(p.UserHeader)], r.Header[http.CanonicalHeaderKey(p.GroupHeader)]
	switch {
	case len(names) == 0 && len(groups) == 0:
		return auth.User{}, false, nil
	case !p.trusts(r.RemoteAddr):
		p.tell(r.RemoteAddr)
		return auth.User{}, false, nil
	case len(names) == 0:
		return auth.User{}, true, &Refused{"The proxy names groups and no user."}
	case len(names) > 1:
		return auth.User{}, true, &Refused{fmt.Sprintf("The request names its user %d times. The proxy must replace what a client sends in the header %s.", len(names), p.UserHeader)}
	}
	if p.GroupSeparator != "" {
		var all []string
		for _, value := range groups {
			for _, group := range strings.Split(value, p.GroupSeparator) {
				if group = strings.TrimSpace(group); group != "" {
					all = append(all, group)
				}
			}
		}
		groups = all
	}
	user, err := identity(names[0], groups)
	return user, true, err
}

func (p *Proxy) trusts(peer string) bool {
	from, ok := addressOf(peer)
	return ok && p.contains(from)
}

func (p *Proxy) contains(address netip.Addr) bool {
	return slices.ContainsFunc(p.Trusted, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}

// ClientAddress returns the address that a request comes from. Trusted proxies
// say in X-Forwarded-For who is before them; anybody else is where the connection
// comes from. A nil Proxy trusts none.
func (p *Proxy) ClientAddress(r *http.Request) string {
	at, ok := addressOf(r.RemoteAddr)
	if !ok {
		return r.RemoteAddr
	}
	// The last is what the nearest proxy has added; what is before the first that
	// nobody trusts can be made up.
	before := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(before) - 1; i >= 0 && p != nil && p.contains(at); i-- {
		next, ok := addressOf(strings.TrimSpace(before[i]))
		if !ok {
			break
		}
		at = next
	}
	return at.String()
}

// addressOf reads an address, which may have a port.
func addressOf(text string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(text)
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), true
}

// tell logs that headers were ignored, at most once a minute, since anybody can
// send them.
func (p *proxy) tell(peer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ignored++
	if now := p.now(); p.told.IsZero() || now.Sub(p.told) >= time.Minute {
		p.log.Info("Ignored headers that name a user, of an address that is none of a trusted proxy", "from", peer, "ignored", p.ignored)
		p.told, p.ignored = now, 0
	}
}
