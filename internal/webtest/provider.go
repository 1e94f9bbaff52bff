package webtest

import (
	"bufio"
	"context"
	"encoding/json"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/login"
)

// The people of the OpenID Connect provider; all have the same password.
const (
	Ada      = "ada"  // in the groups shop-auditors and office
	Bo       = "bo"   // in no group: the claim is missing
	Cy       = "cy"   // with an address that is not verified
	Root     = "root" // in the group system:masters
	Password = "correct horse battery staple"
)

// Provider is a real OpenID Connect provider, as a process of its own.
type Provider struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	SecretFile   string
}

// NewProvider starts a provider on an address of loopback, which ends with the
// test. Browsers may come back to redirect.
func NewProvider(t testing.TB, address, redirect string) *Provider {
	t.Helper()
	program, err := exec.LookPath("oidcprovider")
	if err != nil {
		t.Fatalf("%v; run: export PATH=$(hack/oidcprovider.sh):$PATH", err)
	}
	p := &Provider{ClientID: "audit", ClientSecret: "a secret of the client", SecretFile: filepath.Join(t.TempDir(), "client-secret")}
	person := func(name string, verified bool, groups any) map[string]any {
		return map[string]any{"ID": "id-of-" + name, "Name": name, "Password": Password, "Email": name + "@example.com", "EmailVerified": verified, "Groups": groups}
	}
	config, err := json.Marshal(map[string]any{
		"ClientID": p.ClientID, "ClientSecret": p.ClientSecret, "RedirectURLs": []string{redirect},
		"Users": []any{
			person(Ada, true, []string{"shop-auditors", "office"}), person(Bo, true, nil), person(Cy, false, nil), person(Root, true, []string{"system:masters"}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "provider.json")
	for path, content := range map[string][]byte{path: config, p.SecretFile: []byte(p.ClientSecret + "\n")} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	process := exec.CommandContext(t.Context(), program, "-address", address, "-config", path)
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill() // it has ended
		_ = process.Wait()         // of the kill
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider does not start: %v", err)
	}
	p.Issuer = strings.TrimSpace(line)
	return p
}

// Options are those of a dashboard that people sign in to at the provider.
func (p *Provider) Options(dashboard string) *login.OIDCOptions {
	return &login.OIDCOptions{
		Name: "Example ID", IssuerURL: p.Issuer, ClientID: p.ClientID, ClientSecretFile: p.SecretFile, RedirectURL: dashboard + login.CallbackPath,
		Scopes: []string{"openid", "profile", "email"}, UsernameClaim: "email", UsernamePrefix: "oidc:", GroupsClaim: "groups", GroupsPrefix: "oidc:",
	}
}

// WithProvider returns a browser at a server of its own that lets people sign in
// at the provider, which comes with it. Change changes its options.
func (world *World) WithProvider(t testing.TB, change func(*login.Options)) (*Browser, *Provider) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String()
	p := NewProvider(t, "127.0.0.1:0", base+login.CallbackPath)
	server.Config.Handler = world.HandlerWith(t, world.Store, func(o *login.Options) {
		o.OIDC = p.Options(base)
		if change != nil {
			change(o)
		}
	})
	server.Start()
	t.Cleanup(server.Close)
	return BrowserAt(t, base), p
}

// BrowserAt returns a browser at an address, that follows no redirect by itself.
func BrowserAt(t testing.TB, base string) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &Browser{&http.Client{
		Jar: jar, Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, base}
}

var hiddenID = regexp.MustCompile(`name="id" value="([^"]+)"`)

// SignIn goes through the provider's own form and returns the path at which the
// browser comes back to the dashboard.
func (p *Provider) SignIn(t testing.TB, authorize, user, password string) string {
	t.Helper()
	b := BrowserAt(t, p.Issuer)
	follow := func(resp Answer) string {
		t.Helper()
		to, err := url.Parse(resp.Header.Get("Location"))
		if err != nil || resp.Status/100 != 3 {
			t.Fatalf("the provider answers %d: %s", resp.Status, resp.Body)
		}
		return to.RequestURI()
	}
	first, err := url.Parse(authorize)
	if err != nil || !strings.HasPrefix(authorize, p.Issuer+"/") {
		t.Fatalf("the dashboard sends browsers to %q (%v)", authorize, err)
	}
	form := b.Get(t, follow(b.Get(t, first.RequestURI())))
	id := hiddenID.FindStringSubmatch(form.Body)
	if id == nil {
		t.Fatalf("the provider shows no form: %s", form.Body)
	}
	done := b.Do(t, http.MethodPost, "/login/username", url.Values{"id": {html.UnescapeString(id[1])}, "username": {user}, "password": {password}}, nil)
	return follow(b.Get(t, follow(done)))
}

// Redeem sends a code to the provider's token endpoint, as who stole it would.
func (p *Provider) Redeem(t testing.TB, redirect, code, verifier string) int {
	t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}}
	if verifier != "" {
		form.Set("code_verifier", verifier)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(p.ClientID, url.QueryEscape(p.ClientSecret))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// FreeAddress returns an address of loopback that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Bind gives a user or a group the right to read the events of a namespace, until
// the test ends, and returns when it has effect.
func (world *World) Bind(t testing.TB, subject rbacv1.Subject, namespace string) {
	t.Helper()
	subject.APIGroup = rbacv1.GroupName
	bindings := world.Kube.RbacV1().RoleBindings(namespace)
	made, err := bindings.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "signed-in-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "audit-reader"},
		Subjects:   []rbacv1.Subject{subject},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(bindings.Delete(context.Background(), made.Name, metav1.DeleteOptions{})) })
	user := auth.User{Name: subject.Name}
	if subject.Kind == rbacv1.GroupKind {
		user = auth.User{Name: "anybody", Groups: []string{subject.Name}}
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, err := world.Auth().Scope(t.Context(), user, namespace)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the binding has no effect: %v", err)
		}
	}
}
