// Oidcprovider is an OpenID Connect provider for tests: the certified library
// zitadel/oidc with the log-in form and the memory of its example server, and
// with users, groups and clients from a file. It prints its issuer's URL when it
// answers, and runs until it is ended.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// config is the file.
type config struct {
	ClientID, ClientSecret string // without a secret the client is public
	RedirectURLs           []string
	Users                  []user
}

type user struct {
	ID, Name, Password, Email string
	EmailVerified             bool
	// Groups is left out of the ID token if it is null.
	Groups any
}

func main() {
	address := flag.String("address", "127.0.0.1:0", "where to listen, on loopback")
	path := flag.String("config", "", "file with clients and users")
	flag.Parse()
	if err := run(*address, *path); err != nil {
		fmt.Fprintln(os.Stderr, "oidcprovider:", err)
		os.Exit(1)
	}
}

func run(address, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var c config
	if err := json.Unmarshal(content, &c); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	issuer := "http://" + listener.Addr().String()
	client := storage.WebClient(c.ClientID, c.ClientSecret, c.RedirectURLs...)
	if c.ClientSecret == "" {
		client = storage.NativeClient(c.ClientID, c.RedirectURLs...)
	}
	storage.RegisterClients(client)
	keep := &memory{storage.NewStorage(users(c.Users)), users(c.Users)}
	handler := exampleop.SetupServer(issuer, keep, slog.New(slog.NewTextHandler(io.Discard, nil)), false)
	fmt.Println(issuer)
	return (&http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}).Serve(listener)
}

// memory adds to the example's that ID tokens hold what is asked for, groups
// among it.
type memory struct {
	*storage.Storage
	users users
}

func (m *memory) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	if err := m.Storage.SetUserinfoFromRequest(ctx, info, token, scopes); err != nil {
		return err
	}
	for _, u := range m.users {
		if u.ID == token.GetSubject() && u.Groups != nil {
			info.AppendClaims("groups", u.Groups)
		}
	}
	return nil
}

func (m *memory) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	client, err := m.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return assertive{client}, nil
}

// assertive is a client whose ID tokens hold the claims themselves.
type assertive struct{ op.Client }

func (assertive) IDTokenUserinfoClaimsAssertion() bool { return true }

// users are those of the file.
type users []user

func (all users) find(is func(user) bool) *storage.User {
	for _, u := range all {
		if is(u) {
			return &storage.User{ID: u.ID, Username: u.Name, Password: u.Password, FirstName: u.Name, Email: u.Email, EmailVerified: u.EmailVerified}
		}
	}
	return nil
}

func (all users) GetUserByID(id string) *storage.User {
	return all.find(func(u user) bool { return u.ID == id })
}

func (all users) GetUserByUsername(name string) *storage.User {
	return all.find(func(u user) bool { return u.Name == name })
}

func (users) ExampleClientID() string { return storage.ServiceUserID }
