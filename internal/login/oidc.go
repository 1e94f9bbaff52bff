package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/porter-dev/audit-operator/internal/auth"
)

const (
	attemptVersion = 1
	// attemptLasts is how long somebody may take to sign in at the provider.
	attemptLasts = 10 * time.Minute
	// attemptsMost bounds how many log-ins a browser may have begun at once.
	attemptsMost = 4
)

// attempt is a log-in that a browser has begun. It is kept in a cookie of its
// own, so that two tabs don't disturb each other, and is good for one answer.
type attempt struct {
	Version  int    `json:"v"`
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Next     string `json:"next,omitempty"`
	Began    int64  `json:"began"` // in Unix seconds
}

func (a attempt) valid(now time.Time) bool {
	began := time.Unix(a.Began, 0)
	return a.Version == attemptVersion && a.State != "" && a.Nonce != "" && a.Verifier != "" &&
		!began.After(now.Add(skew)) && now.Before(began.Add(attemptLasts))
}

func (l *Login) attemptPrefix() string { return l.prefixed("audit-login-") }

// attemptCookie is the name of the cookie of the attempt with a state.
func (l *Login) attemptCookie(state string) string {
	sum := sha256.Sum256([]byte(state))
	return l.attemptPrefix() + hex.EncodeToString(sum[:8])
}

// Provider returns what people call the identity provider, and false if there is
// none.
func (l *Login) Provider() (name string, ok bool) {
	if l.oidc == nil {
		return "", false
	}
	return l.oidc.Name, true
}

// Begin sends the browser to the identity provider, to come back to CallbackPath
// and go on at next, if that is Local. It fails with ErrProvider, and answers
// then nothing.
func (l *Login) Begin(w http.ResponseWriter, r *http.Request, next string) error {
	if l.oidc == nil {
		return ErrProvider
	}
	known, err := l.oidc.ask(r.Context())
	if err != nil {
		return err
	}
	if !Local(next) {
		next = ""
	}
	now := l.opts.Now()
	a := attempt{Version: attemptVersion, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: next, Began: now.Unix()}
	name := l.attemptCookie(a.State)
	value, err := l.cookies.encode(name, a)
	if err != nil { // the address is too long
		a.Next = ""
		if value, err = l.cookies.encode(name, a); err != nil {
			return err
		}
	}
	l.dropAttempts(w, r, now)
	l.setCookie(w, name, value, attemptLasts)
	w.Header().Set("Location", known.oauth.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)))
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// dropAttempts makes room for one more attempt among the browser's cookies, of
// which servers take only so many bytes.
func (l *Login) dropAttempts(w http.ResponseWriter, r *http.Request, now time.Time) {
	type begun struct {
		name string
		at   int64
	}
	var live []begun
	for _, cookie := range r.Cookies() {
		if !strings.HasPrefix(cookie.Name, l.attemptPrefix()) {
			continue
		}
		var a attempt
		if !l.cookies.decode(cookie.Name, cookie.Value, &a) || !a.valid(now) {
			l.setCookie(w, cookie.Name, "", -1)
			continue
		}
		live = append(live, begun{cookie.Name, a.Began})
	}
	slices.SortFunc(live, func(a, b begun) int { return int(b.at - a.at) })
	for _, old := range live[min(len(live), attemptsMost-1):] {
		l.setCookie(w, old.name, "", -1)
	}
}

// Finish takes the browser that comes back from the identity provider, begins a
// session and returns whose it is and where to go on, which is empty or Local.
// It fails with *Refused, and with ErrProvider; no error holds a secret.
func (l *Login) Finish(w http.ResponseWriter, r *http.Request) (user auth.User, next string, err error) {
	if l.oidc == nil {
		return auth.User{}, "", ErrProvider
	}
	a, err := l.answered(w, r)
	if err != nil {
		l.refused(r, OIDC)
		return auth.User{}, "", err
	}
	if user, err = l.oidc.redeem(r, a); err == nil {
		err = l.begin(w, r, user, ofIdentity(user, l.oidc.by, l.opts.Now(), l.opts.Lifetime))
	}
	switch {
	case errors.Is(err, ErrTooLong):
		err = &Refused{"You are in more groups than fit into a browser's cookie. An administrator can have the provider send fewer, such as those of this application alone."}
	case err == nil:
		return user, a.Next, nil
	}
	var refused *Refused
	if errors.As(err, &refused) {
		l.opts.Log.Info("Refused a log-in by OpenID Connect", "reason", refused.Reason)
		l.refused(r, OIDC)
	}
	return auth.User{}, a.Next, err
}

// answered returns the attempt that a request answers, which can't be answered
// again.
func (l *Login) answered(w http.ResponseWriter, r *http.Request) (attempt, error) {
	var a attempt
	state := r.URL.Query().Get("state")
	name := l.attemptCookie(state)
	cookie, err := r.Cookie(name)
	if err == nil {
		l.setCookie(w, name, "", -1)
	}
	if err != nil || !l.cookies.decode(name, cookie.Value, &a) || !a.valid(l.opts.Now()) || !same(a.State, state) {
		return attempt{}, &Refused{"This log-in was begun in another browser, is over already, or took longer than ten minutes. Begin again."}
	}
	return a, nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// redeem asks the provider who has signed in.
func (p *provider) redeem(r *http.Request, a attempt) (auth.User, error) {
	answer := r.URL.Query()
	if iss := answer.Get("iss"); answer.Has("iss") && iss != p.IssuerURL {
		return auth.User{}, &Refused{"The answer is of another provider than the one that was asked."}
	}
	if answer.Has("error") {
		return auth.User{}, p.refusal(answer.Get("error"), answer.Get("error_description"))
	}
	code := answer.Get("code")
	if code == "" {
		return auth.User{}, &Refused{"The provider's answer is no answer. Begin again."}
	}
	known, err := p.ask(r.Context())
	if err != nil {
		return auth.User{}, err
	}
	config := known.oauth
	if config.ClientSecret, err = p.secret(); err != nil {
		p.log.Error(err, "Could not read the secret of the identity provider's client")
		return auth.User{}, ErrProvider
	}
	ctx := oidc.ClientContext(r.Context(), known.client)
	tokens, err := config.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return auth.User{}, p.notRedeemed(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" {
		p.log.Info("The identity provider sends no ID token", "issuer", p.IssuerURL)
		return auth.User{}, ErrProvider
	}
	return p.verify(ctx, known, raw, tokens.AccessToken, a.Nonce)
}

// verify checks an ID token and returns whose it is.
func (p *provider) verify(ctx context.Context, known *metadata, raw, access, nonce string) (auth.User, error) {
	token, err := known.verifier.Verify(ctx, raw)
	if err != nil {
		p.log.Error(brief(err), "Refused an ID token", "issuer", p.IssuerURL)
		return auth.User{}, &Refused{"The provider's answer can't be verified, or is over already. Begin again; if it happens again, an administrator finds the reason in the operator's log."}
	}
	var party struct {
		Authorized string `json:"azp"`
	}
	var claims map[string]json.RawMessage
	if err := errors.Join(token.Claims(&claims), token.Claims(&party)); err != nil {
		return auth.User{}, &Refused{"The provider's answer can't be read."}
	}
	now := p.now()
	switch {
	case !same(token.Nonce, nonce):
		return auth.User{}, &Refused{"The provider's answer belongs to another log-in. Begin again."}
	case token.AccessTokenHash != "" && token.VerifyAccessToken(access) != nil:
		return auth.User{}, &Refused{"The provider's answer is of two log-ins. Begin again."}
	case len(token.Audience) > 1 && party.Authorized != p.ClientID:
		return auth.User{}, &Refused{"The provider's answer is meant for another application."}
	case token.IssuedAt.Before(now.Add(-attemptLasts)) || token.IssuedAt.After(now.Add(skew)):
		return auth.User{}, &Refused{"The provider's answer is of another time: its clock and the operator's are minutes apart."}
	}
	return p.user(claims)
}

// user returns whom claims name, as kube-apiserver reads them.
func (p *provider) user(claims map[string]json.RawMessage) (auth.User, error) {
	var name string
	if err := json.Unmarshal(claims[p.UsernameClaim], &name); err != nil || name == "" {
		return auth.User{}, &Refused{fmt.Sprintf("The provider doesn't say who you are: the claim %s of its answer is missing or is no text.", p.UsernameClaim)}
	}
	if p.UsernameClaim == "email" {
		var verified bool
		if err := json.Unmarshal(claims["email_verified"], &verified); err != nil || !verified {
			return auth.User{}, &Refused{"The provider has not verified that the email address is yours. Verify it there, then sign in again."}
		}
	}
	groups, err := p.groups(claims)
	if err != nil {
		return auth.User{}, err
	}
	return identity(p.prefix()+name, groups)
}

// groups returns the groups that claims hold: a list, one, or none.
func (p *provider) groups(claims map[string]json.RawMessage) ([]string, error) {
	raw, ok := claims[p.GroupsClaim]
	if !ok || string(raw) == "null" {
		var elsewhere map[string]json.RawMessage
		if json.Unmarshal(claims["_claim_names"], &elsewhere) == nil && elsewhere[p.GroupsClaim] != nil {
			return nil, &Refused{"You are in more groups than the provider puts into its answer. An administrator can have it send fewer, such as those of this application alone."}
		}
		return nil, nil
	}
	var groups []string
	if err := json.Unmarshal(raw, &groups); err != nil {
		var one string
		if json.Unmarshal(raw, &one) != nil {
			return nil, &Refused{fmt.Sprintf("The claim %s of the provider's answer is neither a text nor a list of texts.", p.GroupsClaim)}
		}
		groups = []string{one}
	}
	for i, group := range groups {
		if strings.TrimSpace(group) == "" {
			return nil, &Refused{"One of the groups that you were given is empty."}
		}
		groups[i] = p.GroupsPrefix + group
	}
	return groups, nil
}

var errorCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// refusal says what an error of the provider's means to the person. Its own
// words go to the log alone: any site can send a browser here with words.
func (p *provider) refusal(code, description string) error {
	if !errorCode.MatchString(code) {
		code = "unknown"
	}
	p.log.Info("The identity provider refused a log-in", "error", code, "description", fmt.Sprintf("%.300s", description))
	switch code {
	case "access_denied":
		return &Refused{"The provider did not let you in, or you ended the log-in there. If you should have access to this application, ask who gives it."}
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return &Refused{"The provider wants you to sign in there again. Begin again."}
	case "temporarily_unavailable", "server_error":
		return ErrProvider
	}
	return &Refused{fmt.Sprintf("The provider refuses the log-in (%s). An administrator finds the reason in the operator's log.", code)}
}

// notRedeemed says why a code gave no token. The error that it is made of may
// quote what was sent, so it is not passed on.
func (p *provider) notRedeemed(err error) error {
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused):
		code := refused.ErrorCode
		if !errorCode.MatchString(code) {
			code = "unknown"
		}
		p.log.Info("The identity provider redeemed no code", "issuer", p.IssuerURL, "status", refused.Response.StatusCode, "error", code)
		if code == "invalid_grant" {
			return &Refused{"The provider's answer was used already, or is over. Begin again."}
		}
	default:
		p.log.Error(brief(err), "Could not ask the identity provider for a token", "issuer", p.IssuerURL)
	}
	return ErrProvider
}
