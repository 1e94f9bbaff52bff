package redact

import "testing"

func TestNames(t *testing.T) {
	for v, list := range map[verdict][]string{
		secretName: {
			"password", "DB_PASSWORD", "dbPassword", "db.password", "Password1", "passwd", "pass", "dbPass", "DB_PASS", "userpass", "pwd", "user-pwd", "passcode", "passphrase",
			"token", "authToken", "X-Auth-Token", "tokens", "secret", "clientSecret", "secretKey", "apiKey", "api-key", "API_KEY", "x-api-key", "accessKey", "awsSecretAccessKey", "privateKey",
			"client-key-data", "encryptionKey", "signingKey", "dsn", "DATABASE_DSN", "connectionString", "databaseURL", "DATABASE_URL", "database-url", "REDIS_URL", "credentials", "dbCreds",
			"Authorization", "Proxy-Authorization", "cookie", "Set-Cookie", ".dockerconfigjson", ".dockercfg", "kubeconfig", "tls.key", "jwt", "secretId", "openshift.io/token-secret.value", "Ocp-Apim-Subscription-Key",
			"to\u212aen", "PRIVATE_KEY_PEM", "accountKey", "requirepass",
		},
		secretText: {"auth", "Auth", "id_rsa", "PGPASS"},
		secretMap:  {"secrets"},
		plainName: {
			"image", "replicas", "compass-needle", "passive", "author", "authority", "monkey", "keyboard", "patch", "spinning", "rbac.authorization.k8s.io/aggregate-to-admin", "scopes.authorization.openshift.io",
			"authorization.k8s.io/decision", "", "-", "token.example.com/colour", "assert", "design", "saltstack", "description",
		},
		aboutSecret: {
			"secretName", "secretKeyRef", "imagePullSecrets", "automountServiceAccountToken", "serviceAccountToken", "accessKeyId", "bearerTokenFile", "tokenFile", "tls-private-key-file", "passwordSecretRef",
			"tokenExpirationSeconds", "secretNamespace", "token-ttl", "secrets-owner", "agent-inject-secret-db", "maxTokens", "secretStoreRef", "bypass", "credential-id", "authentication.kubernetes.io/credential-id",
		},
	} {
		for _, name := range list {
			if got := names.judge([]byte(name)); got != v {
				t.Errorf("%q is judged %d, want %d", name, got, v)
			}
		}
	}
}

func TestParameters(t *testing.T) {
	for _, name := range []string{"code", "sig", "jwt", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "access_token", "id_token", "client_assertion", "auth", "key", "api_key", "session", "SAMLResponse", "code_verifier", "password"} {
		if !names.isSecretParameter([]byte(name)) {
			t.Errorf("the parameter %q is no secret", name)
		}
	}
	for _, name := range []string{"limit", "continue", "watch", "resourceVersion", "fieldSelector", "labelSelector", "dryRun", "command", "container", "stdin", "tty", "fieldManager", "force", "timeout", "pretty", "X-Amz-Date", "X-Amz-Expires", "tailLines"} {
		if names.isSecretParameter([]byte(name)) {
			t.Errorf("the parameter %q is a secret", name)
		}
	}
}

// A name of any length is judged by its end, at the bound and beyond it.
func TestLongNames(t *testing.T) {
	for _, n := range []int{40, maxName - 8, maxName - 7, maxName, 10 * maxName} {
		name := make([]byte, 0, n+8)
		for range n {
			name = append(name, 'x')
		}
		if got := names.judge(append(name, "Password"...)); got != secretName {
			t.Errorf("after %d bytes a password is judged %d", n, got)
		}
	}
}
