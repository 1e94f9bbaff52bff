package auth_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/porter-dev/audit-operator/internal/auth"
)

// Who makes tokens up, as many as the API server may be asked about, keeps
// nobody waiting who is signed in.
func TestStrangersWaitAlone(t *testing.T) {
	config, client := apiServer(t)
	token := serviceAccount(t, client, "signed-in")
	bind(t, client, "signed-in", "a")
	rare := rest.CopyConfig(config)
	rare.QPS, rare.Burst = 0.001, 2
	strangers, err := kubernetes.NewForConfig(rare)
	if err != nil {
		t.Fatal(err)
	}
	later := newClock()
	opts := options()
	opts.Strangers, opts.Now = strangers, later.now
	a := auth.New(client, opts)
	user := authenticate(t, a, token) // one of the two questions
	await(t, client, user, "a")

	if _, err := a.Authenticate(t.Context(), "made-up"); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Fatalf("a made-up token: %v", err)
	}
	for i := range 5 {
		// There is no question left; a stranger waits for one, here for no time at all.
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.Authenticate(gone, fmt.Sprint("made-up-", i)); !errors.Is(err, auth.ErrNoAnswer) {
			t.Errorf("one more made-up token: %v", err)
		}
		later.add(11 * time.Second) // all answers are over
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		again, err := a.Authenticate(ctx, token)
		if err == nil {
			_, err = a.Scope(ctx, again, "a")
		}
		cancel()
		if err != nil || again.Name != user.Name {
			t.Fatalf("who is signed in is told: %v", err)
		}
	}
}

// A token that was good and is refused is a stranger's again.
func TestRevokedTokensAreStrangers(t *testing.T) {
	config, client := apiServer(t)
	token := serviceAccount(t, client, "leaving")
	strangers, questions := watched(t, config, nil)
	later := newClock()
	opts := options()
	opts.Strangers, opts.Now = strangers, later.now
	a := auth.New(client, opts)
	authenticate(t, a, token)
	authenticate(t, a, token)
	later.add(11 * time.Second)
	authenticate(t, a, token)
	if asked := questions(); len(asked) != 1 {
		t.Fatalf("of a good token strangers' client asked %v", asked)
	}
	if err := client.CoreV1().ServiceAccounts("a").Delete(t.Context(), "leaving", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	// The API server keeps its own answers for some seconds.
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := auth.New(client, options()).Authenticate(t.Context(), token); errors.Is(err, auth.ErrUnauthenticated) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the token of an account that is gone is good")
		}
	}
	for range 3 {
		later.add(11 * time.Second)
		if _, err := a.Authenticate(t.Context(), token); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("a token whose account is gone: %v", err)
		}
	}
	if asked := questions(); len(asked) != 2 {
		t.Errorf("of a token that is refused, strangers' client asked %v", asked)
	}
}
