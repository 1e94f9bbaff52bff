package process

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/internal/credentials"
)

// behind returns the flag by which a manager reaches the API server through what
// says that its clock is so far behind.
func (a *apiServer) behind(t *testing.T, by time.Duration) (flag string) {
	t.Helper()
	const account = "operator-of-another-time"
	token := a.serviceAccount(t, account)
	a.grant(t, account, rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}})
	config, err := clientcmd.RESTConfigFromKubeConfig(a.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.CAData)
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
		ModifyResponse: func(answer *http.Response) error {
			answer.Header.Set("Date", time.Now().Add(-by).UTC().Format(http.TimeFormat))
			return nil
		},
	})
	t.Cleanup(func() {
		proxy.CloseClientConnections() // watches never end
		proxy.Close()
	})
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"it": {
			Server: proxy.URL, CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}),
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"it": {Token: token}},
		Contexts:  map[string]*clientcmdapi.Context{"it": {Cluster: "it", AuthInfo: "it"}}, CurrentContext: "it",
	})
	if err != nil {
		t.Fatal(err)
	}
	return "--kubeconfig=" + a.write(t, kubeconfig)
}

// What the intake is told reaches it: by which clock certificates are dated and
// events judged, and which namespaces are the platform's.
func TestIntakeIsToldClocksAndNamespaces(t *testing.T) {
	api := startAPIServer(t)
	const by = 12 * time.Hour
	namespace := strings.ToLower(t.Name())
	api.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	m := api.startManagerOn(t, namespace, t.TempDir(), api.behind(t, by), "--platform-namespaces=edge-*")
	secret := &corev1.Secret{}
	if err := api.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: credentials.AuthoritySecret}, secret); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(secret.Data[corev1.TLSCertKey])
	authority, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if ago := time.Since(authority.NotBefore); ago < by {
		t.Errorf("the authority is valid since %s ago; by the clock that is behind it should be %s at least", ago, by)
	}

	// By the operator's own clock this one is older than what is kept.
	token := api.connect(t, m, "edge")
	at := time.Now().Add(-720*time.Hour - by/2).UTC()
	event := fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"old","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/edge-1/deployments/gateway","verb":"delete",`+
		`"user":{"username":"alice@example.com"},"objectRef":{"resource":"deployments","namespace":"edge-1","name":"gateway","apiGroup":"apps","apiVersion":"v1"},"responseStatus":{"code":200},`+
		`"requestReceivedTimestamp":%[1]q,"stageTimestamp":%[1]q}`, at.Format("2006-01-02T15:04:05.000000Z"))
	m.post(t, "edge", token, event)
	reader := api.serviceAccount(t, "reader-of-old-events")
	api.grant(t, "reader-of-old-events", rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{"audit.porter.run"}, Resources: []string{"auditlogqueries/events"}})
	window := url.Values{"from": {at.Add(-time.Minute).Format(time.RFC3339)}, "to": {at.Add(time.Minute).Format(time.RFC3339)}}
	answer := m.await(t, "http://"+m.pages+"/api/v1/audit-logs?"+window.Encode(), reader, http.StatusOK)
	var got struct {
		Items []struct{ Action string }
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil || len(got.Items) != 1 || got.Items[0].Action != "addon.delete" {
		t.Errorf("the event is none of an add-on, or was judged by the operator's own clock: %v\n%s", err, answer)
	}
}
