package process

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What a running manager logs, with everything that may be said being said, is
// JSON and holds no secret that passed through its hands.
func TestLog(t *testing.T) {
	api := startAPIServer(t)
	m := api.startManager(t, "--zap-log-level=10")
	person := api.serviceAccount(t, "person")
	api.grant(t, "person", rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{"audit.porter.run"}, Resources: []string{"auditlogqueries/events"}})
	source := api.connect(t, m, "talkative")
	secrets := map[string]string{
		"the source's token": source, "a wrong token of a source": "wrong-" + source[:20], "a person's token": person, "a wrong token": "mistyped-token-of-somebody",
		"the header": "Bearer ", "a body": "hunter2-in-a-body",
	}
	for _, tt := range []struct {
		method, url, token, body string
	}{
		{http.MethodPost, m.deliveries("talkative"), source, delivery("a")},
		{http.MethodPost, m.deliveries("talkative"), source, `{"items":[{"hunter2-in-a-body":1}]}`},
		{http.MethodPost, m.deliveries("talkative"), source, `{"items":[{"hunter2-in-a-body`},
		{http.MethodPost, m.deliveries("talkative"), secrets["a wrong token of a source"], delivery("a")},
		{http.MethodGet, "http://" + m.pages + "/security/audit-logs", person, ""},
		{http.MethodGet, "http://" + m.pages + "/security/audit-logs", secrets["a wrong token"], ""},
		{http.MethodGet, "http://" + m.ingest + "/", person, ""},         // not TLS
		{http.MethodGet, "http://" + m.metrics + "/metrics", person, ""}, // not TLS; the standard library logs it
		{http.MethodGet, "https://" + m.metrics + "/metrics", person, ""},
	} {
		if _, _, err := request(t, tt.method, tt.url, tt.token, strings.NewReader(tt.body)); err != nil {
			t.Logf("%s: %v", tt.url, err)
		}
	}
	secrets["a cookie"] = m.logIn(t, person)
	var held corev1.SecretList
	if err := api.client.List(t.Context(), &held, client.InNamespace(m.namespace)); err != nil {
		t.Fatal(err)
	}
	for _, secret := range held.Items {
		for key, value := range secret.Data {
			if key != "policy.yaml" && key != "ca.crt" && !strings.HasSuffix(key, ".crt") {
				secrets["the Secret's "+secret.Name+" "+key] = string(value)
			}
		}
	}
	if len(held.Items) < 3 {
		t.Errorf("the manager keeps %d Secrets only", len(held.Items))
	}
	if err := m.stop(); err != nil {
		t.Error(err)
	}

	text := m.log.String()
	if !strings.Contains(text, "TLS handshake error") {
		t.Error("what the standard library logs is missing")
	}
	dumped := undump(text)
	for name, secret := range secrets {
		if strings.Contains(dumped, hex.EncodeToString([]byte(secret))) {
			t.Errorf("a dump in the log holds %s", name)
		}
		written, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{secret, strings.Trim(string(written), `"`), base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))} {
			if strings.Contains(text, form) {
				t.Errorf("the log holds %s", name)
			}
		}
	}
	for _, private := range []string{"PRIVATE KEY", "Authorization", "Set-Cookie"} {
		if strings.Contains(text, private) {
			t.Errorf("the log holds %q", private)
		}
	}
	checkLines(t, text)
}

var dumpLine = regexp.MustCompile(`[0-9a-f]{8}  ((?:[0-9a-f]{2} +)+)\|`)

// undump returns what the text's hex dumps show, as hexadecimal digits in one piece.
func undump(text string) string {
	var digits strings.Builder
	for _, line := range dumpLine.FindAllStringSubmatch(text, -1) {
		digits.WriteString(strings.ReplaceAll(line[1], " ", ""))
	}
	return digits.String()
}

// checkLines checks each line's form, and that no body of a request is logged.
func checkLines(t *testing.T, text string) {
	t.Helper()
	loggers := map[string]bool{}
	for line := range strings.Lines(text) {
		var entry struct {
			Level, TS, Msg, Logger string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Level == "" || entry.TS == "" || entry.Msg == "" {
			t.Errorf("the line %q lacks a level, ts or msg (%v)", line, err)
		}
		if strings.HasSuffix(entry.Msg, "Request Body") || strings.HasSuffix(entry.Msg, "Response Body") {
			t.Errorf("the logger %q logs bodies: %q", entry.Logger, entry.Msg)
		}
		loggers[entry.Logger] = true
	}
	for _, name := range []string{"", "collector", "controller-runtime.metrics"} {
		if !loggers[name] {
			t.Errorf("no line is of the logger %q; there are %v", name, loggers)
		}
	}
}

// logIn opens a session as a browser does, reads a page, and returns the cookie.
func (m *operator) logIn(t *testing.T, token string) (cookie string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := http.Client{Jar: jar}
	form := url.Values{"token": {token}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+m.pages+"/login", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cookies := jar.Cookies(r.URL)
	if resp.StatusCode != http.StatusOK || len(cookies) != 1 {
		t.Fatalf("log-in: status %d, %d cookies", resp.StatusCode, len(cookies))
	}
	return cookies[0].Value
}
