package audit_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/audit"
)

func TestKeyHash(t *testing.T) {
	key := audit.Key{1, 2, 3}
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("text"))
	if got, want := key.Hash([]byte("text")), [16]byte(mac.Sum(nil)); got != want {
		t.Errorf("Hash is %x, want the first half of HMAC-SHA-256, %x", got, want)
	}
	if key.Hash([]byte("text")) == (audit.Key{}).Hash([]byte("text")) {
		t.Error("the hash doesn't depend on the key")
	}
	for _, verb := range []string{"%v", "%s", "%+v", "%#v"} {
		if s := fmt.Sprintf(verb, key); strings.ContainsAny(s, "123") {
			t.Errorf("%s prints the key: %s", verb, s)
		}
	}
}
