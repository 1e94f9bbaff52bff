package login

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-logr/logr"
	"golang.org/x/oauth2"
)

// ErrProvider means that the identity provider gives no answer that is of use.
var ErrProvider = errors.New("the identity provider gives no answer")

// OIDCOptions say which OpenID Connect provider people sign in with, and who
// they are then. Claims and prefixes mean what they mean to kube-apiserver.
type OIDCOptions struct {
	// Name is what people call the provider.
	Name string
	// IssuerURL is the provider's, as it calls itself; https, but on loopback.
	IssuerURL string
	ClientID  string
	// ClientSecretFile holds the client's secret, read at each log-in. A public
	// client has none.
	ClientSecretFile string
	// RedirectURL is where the provider sends browsers back: CallbackPath of the
	// dashboard.
	RedirectURL string
	Scopes      []string // openid among them
	// UsernameClaim holds the name. Where it is email, email_verified must be true.
	UsernameClaim string
	// UsernamePrefix stands before each name: "-" is none; "" is none before an
	// email address and IssuerURL with # before all else.
	UsernamePrefix string
	// GroupsClaim holds a group or a list of them; who has none is in none.
	GroupsClaim  string
	GroupsPrefix string
	// CAFile has the certificates that the provider's is checked against, instead
	// of the system's.
	CAFile string
}

// Paths of the log-in by OpenID Connect.
const (
	BeginPath    = "/login/oidc"
	CallbackPath = "/login/oidc/callback"
)

// Validate says what is wrong with the options, field by field.
func (o *OIDCOptions) Validate(wrong func(field, problem string)) {
	if u, err := url.Parse(o.IssuerURL); err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		wrong("IssuerURL", "give the https URL of the provider as it calls itself, like https://id.example.com/realms/main")
	}
	if o.ClientID == "" {
		wrong("ClientID", "give the ID under which the provider knows the dashboard")
	}
	if o.RedirectURL == "" {
		wrong("RedirectURL", "is needed, for the provider sends browsers back there")
	}
	if o.UsernameClaim == "" {
		wrong("UsernameClaim", "give a claim, like sub or email")
	}
	if o.GroupsClaim == "" {
		wrong("GroupsClaim", "give a claim, like groups")
	}
	if strings.TrimSpace(o.Name) == "" || len(o.Name) > 60 {
		wrong("Name", "give what people call the provider, in at most 60 bytes")
	}
	if !slices.Contains(o.Scopes, oidc.ScopeOpenID) {
		wrong("Scopes", "give scopes with openid among them, like openid,email,groups")
	}
	for field, prefix := range map[string]string{"UsernamePrefix": o.UsernamePrefix, "GroupsPrefix": o.GroupsPrefix} {
		if strings.HasPrefix(prefix, reserved) {
			wrong(field, "must not begin with system:, which is for Kubernetes' own")
		}
	}
	if o.ClientSecretFile != "" {
		if _, err := o.secret(); err != nil {
			wrong("ClientSecretFile", err.Error())
		}
	}
	if o.CAFile != "" {
		if _, err := o.roots(); err != nil {
			wrong("CAFile", err.Error())
		}
	}
}

// prefix stands before each name.
func (o *OIDCOptions) prefix() string {
	switch {
	case o.UsernamePrefix == "-", o.UsernamePrefix == "" && o.UsernameClaim == "email":
		return ""
	case o.UsernamePrefix == "":
		return o.IssuerURL + "#"
	}
	return o.UsernamePrefix
}

// secret reads the client's secret, and returns nothing for a public client.
func (o *OIDCOptions) secret() (string, error) {
	if o.ClientSecretFile == "" {
		return "", nil
	}
	content, err := os.ReadFile(o.ClientSecretFile)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(content), "\r\n")
	if secret == "" || len(secret) > 4096 {
		return "", fmt.Errorf("%s: give a file that holds the secret and nothing else", o.ClientSecretFile)
	}
	return secret, nil
}

func (o *OIDCOptions) roots() (*x509.CertPool, error) {
	if o.CAFile == "" {
		return nil, nil
	}
	content, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s: it holds no certificate in PEM", o.CAFile)
	}
	return pool, nil
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

const (
	// metadataLast is how long what the provider says of itself is believed.
	// Unknown signing keys are looked up at once.
	metadataLast = time.Hour
	// staleWait is how long a log-in waits for news where something is known.
	staleWait = time.Second
	// retryAfter is how long a provider that failed is left alone.
	retryAfter = 2 * time.Second
	// providerTimeout bounds each question to the provider, answerMost its answer.
	providerTimeout = 10 * time.Second
	answerMost      = 1 << 20
)

// provider finds out about the identity provider when somebody wants to sign in.
type provider struct {
	OIDCOptions
	by  string // names the configuration, see session.By
	now func() time.Time
	log logr.Logger

	mu      sync.Mutex
	asking  chan struct{} // closed when what is asked now is answered; nil if nothing is
	known   *metadata
	tried   time.Time // last
	failure error     // of the last try
}

// metadata is what is known of the provider.
type metadata struct {
	learnt   time.Time
	client   *http.Client
	oauth    oauth2.Config // without the secret
	verifier *oidc.IDTokenVerifier
}

func newProvider(o OIDCOptions, now func() time.Time, log logr.Logger) *provider {
	parts, _ := json.Marshal([]string{o.IssuerURL, o.ClientID, o.UsernameClaim, o.prefix(), o.GroupsClaim, o.GroupsPrefix}) // strings are always JSON
	sum := sha256.Sum256(parts)
	return &provider{OIDCOptions: o, by: hex.EncodeToString(sum[:8]), now: now, log: log}
}

// ask returns what is known of the provider, and has it asked where that is old.
// What is known stays in use while the provider is away or slow.
func (p *provider) ask(ctx context.Context) (*metadata, error) {
	asking, known := p.begin(ctx)
	if asking != nil {
		var late <-chan time.Time
		if known != nil {
			patience := time.NewTimer(staleWait)
			defer patience.Stop()
			late = patience.C
		}
		select {
		case <-asking:
		case <-late:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil {
		return p.known, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrProvider, p.failure)
}

// begin begins to ask the provider if what is known is missing or old and nobody
// asks. It returns what is closed when the answer is there, if anybody needs it.
func (p *provider) begin(ctx context.Context) (asking <-chan struct{}, known *metadata) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.known != nil && now.Sub(p.known.learnt) < metadataLast {
		return nil, p.known
	}
	if p.asking == nil && (p.failure == nil || now.Sub(p.tried) >= retryAfter) {
		p.asking = make(chan struct{})
		// Who asked may go away; the answer is for all.
		go p.learn(context.WithoutCancel(ctx), now)
	}
	return p.asking, p.known
}

func (p *provider) learn(ctx context.Context, now time.Time) {
	learnt, err := p.discover(ctx, now)
	if err != nil {
		p.log.Error(err, "Could not ask the identity provider about itself", "issuer", p.IssuerURL)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tried, p.failure = now, err; err == nil {
		p.known = learnt
	}
	close(p.asking)
	p.asking = nil
}

func (p *provider) discover(ctx context.Context, now time.Time) (*metadata, error) {
	roots, err := p.roots()
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Timeout: providerTimeout,
		Transport: bounded{&http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			DialContext: (&net.Dialer{Timeout: providerTimeout}).DialContext, TLSHandshakeTimeout: providerTimeout, IdleConnTimeout: time.Minute, MaxIdleConns: 4,
		}},
		// A redirect could carry the secret or the code elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the provider redirects to another address")
		},
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, client), p.IssuerURL)
	if err != nil {
		return nil, brief(err)
	}
	var more struct {
		Keys    string   `json:"jwks_uri"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, brief(err)
	}
	endpoint := found.Endpoint()
	for _, address := range []string{endpoint.AuthURL, endpoint.TokenURL, more.Keys} {
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "https" && !strings.HasPrefix(p.IssuerURL, "http:") {
			return nil, errors.New("the provider has an endpoint without https, or none for authorization, tokens or keys")
		}
	}
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if p.ClientSecretFile == "" || len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &metadata{
		learnt: now, client: client,
		oauth: oauth2.Config{ClientID: p.ClientID, Endpoint: endpoint, RedirectURL: p.RedirectURL, Scopes: p.Scopes},
		// What has just been issued is seldom over; a minute is for clocks that differ.
		verifier: found.Verifier(&oidc.Config{ClientID: p.ClientID, Now: func() time.Time { return p.now().Add(-time.Minute) }}),
	}, nil
}

// bounded cuts answers off that are longer than a provider's ever are.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, answerMost), resp.Body}
	}
	return resp, err
}

// brief keeps a whole answer, which an error may quote, out of the log.
func brief(err error) error {
	if text := err.Error(); len(text) > 300 {
		return fmt.Errorf("%.300s…", text)
	}
	return err
}
