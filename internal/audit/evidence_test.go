package audit

import (
	"bytes"
	"strings"
	"testing"
)

// evidence is what an auditor needs, in the bodies of requests: texts that must
// stay, after a | the whole object where that is more.
var evidence = []string{
	// Which Secret a Pod uses.
	`{"spec":{"volumes":[{"name":"a","secret":{"secretName":"db-credentials"}}]}}`, `{"spec":{"volumes":[{"secret":{"secretName":"x","items":[{"key":"tls.key","path":"a/tls.key","mode":256}],"defaultMode":420,"optional":true}}]}}`,
	`{"spec":{"volumes":[{"projected":{"sources":[{"secret":{"name":"db-password","items":[{"key":"password","path":"p"}]}},{"serviceAccountToken":{"audience":"vault","expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt"}}]}}]}}`,
	`{"spec":{"containers":[{"envFrom":[{"secretRef":{"name":"db-credentials"}},{"configMapRef":{"name":"settings"}}]}]}}`, `{"spec":{"containers":[{"env":[{"name":"DB_PASSWORD","valueFrom":{"secretKeyRef":{"name":"db","key":"password","optional":false}}}]}]}}`,
	`{"spec":{"containers":[{"env":[{"name":"NODE","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"spec.nodeName"}}}]}]}}`, `{"spec":{"imagePullSecrets":[{"name":"registry-credentials"}]}}`, `{"kind":"ServiceAccount","secrets":[{"name":"builder-token-x7k2p"}],"imagePullSecrets":[{"name":"builder-dockercfg-x"}]}`,
	`{"spec":{"automountServiceAccountToken":false}}`, `{"spec":{"volumes":[{"csi":{"driver":"secrets-store.csi.k8s.io","volumeAttributes":{"secretProviderClass":"vault-db"},"nodePublishSecretRef":{"name":"x"}}}]}}`, `{"spec":{"tls":[{"hosts":["a.example"],"secretName":"a-tls"}]}}`,
	`{"spec":{"bearerTokenSecret":{"name":"prom-token","key":"token"}}}`, `{"spec":{"basicAuth":{"username":{"name":"a","key":"user"},"password":{"name":"a","key":"pass"}}}}`, `{"spec":{"passwordSecretRef":{"name":"db","key":"pw","namespace":"shop"}}}`, `{"spec":{"secretStoreRef":{"kind":"ClusterSecretStore","name":"vault"}}}`,
	`{"spec":{"data":[{"secretKey":"","remoteRef":{"key":"prod/db","property":"password","version":"3"}}]}}`, `{"spec":{"dataFrom":[{"extract":{"key":"prod/db"}}],"target":{"name":"db","creationPolicy":"Owner"}}}`, `{"spec":{"credentialsSecretRef":{"name":"aws"}}}`, `{"spec":{"bearerTokenFile":"/var/run/secrets/kubernetes.io/serviceaccount/token"}}`,
	// Rights.
	`{"metadata":{"labels":{"rbac.authorization.k8s.io/aggregate-to-admin":"true","kubernetes.io/bootstrapping":"rbac-defaults"},"annotations":{"rbac.authorization.kubernetes.io/autoupdate":"true"}}}`, `{"rules":[{"apiGroups":[""],"resources":["secrets","serviceaccounts/token"],"resourceNames":["db-password"],"verbs":["get","list"]}]}`,
	`{"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"secret-reader"},"subjects":[{"kind":"ServiceAccount","name":"token-refresher","namespace":"shop"}]}`, `{"spec":{"user":"oidc:alice@example.com","groups":["oidc:admins"],"resourceAttributes":{"resource":"secrets","verb":"get","name":"db-password"}}}`,
	`{"spec":{"extra":{"scopes.authorization.openshift.io":["user:full"]}}}`, `{"spec":{"nonResourceAttributes":{"path":"/token","verb":"get"}}}`,
	// What a workload is.
	`{"spec":{"replicas":3,"selector":{"matchLabels":{"app":"token-service"}}}}`, `{"spec":{"containers":[{"name":"a","image":"registry.example.com/shop/web:1.2@sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90","imagePullPolicy":"Always"}]}}`, `{"spec":{"containers":[{"command":["/bin/sh","-c","exec nginx -g 'daemon off;'"]}]}}`,
	`{"spec":{"containers":[{"args":["--secrets=db-credentials","--tls-private-key-file=/certs/tls.key","--token-auth-file=/x","--authorization-mode=Node,RBAC","--v=2"]}]}}`, `{"spec":{"containers":[{"args":["-p","8080","-u","www"],"command":["server"]}]}}`, `{"spec":{"containers":[{"command":["mysql","-h","db","-u","root","shop"]}]}}`,
	`{"spec":{"containers":[{"command":["docker","run","-p","80:80","nginx"]}]}}`, `{"spec":{"containers":[{"command":["curl","-fsS","http://localhost:8080/healthz"]}]}}`, `{"spec":{"containers":[{"args":["--password=$(DB_PASSWORD)","--user","app"]}]}}`, `{"spec":{"containers":[{"args":["--service-account-signing-key-file=/k","--secret-name","x","--credentials-path","/y"]}]}}`,
	`{"livenessProbe":{"httpGet":{"path":"/healthz","port":8080,"httpHeaders":[{"name":"Host","value":"a.example"}]},"periodSeconds":10}}`, `{"spec":{"containers":[{"ports":[{"containerPort":5432,"name":"postgres","protocol":"TCP"}],"resources":{"limits":{"cpu":"1","memory":"1Gi"}}}]}}`, `{"spec":{"hostNetwork":true,"hostPID":true,"securityContext":{"runAsUser":0,"privileged":true}}}`,
	`{"spec":{"hostPath":{"path":"/etc/kubernetes/pki"}}}`, `{"spec":{"schedule":"*/5 * * * *","suspend":false}}`, `{"status":{"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady","message":"kubelet is posting ready status"}]}}`,
	// Patches.
	`[{"op":"replace","path":"/spec/replicas","value":5}]`, `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"nginx:1.27"}]`, `[{"op":"add","path":"/metadata/labels/team","value":"payments"}]`, `[{"op":"add","path":"/spec/template/spec/hostNetwork","value":true}]`, `[{"op":"remove","path":"/metadata/finalizers"}]`,
	`[{"op":"test","path":"/metadata/resourceVersion","value":"123"},{"op":"add","path":"/spec/template/spec/volumes/0","value":{"name":"x","secret":{"secretName":"db"}}}]`, `[{"op":"add","path":"/spec/template/spec/containers/0/env/0","value":{"name":"A","valueFrom":{"secretKeyRef":{"name":"a","key":"b"}}}}]`, `[{"op":"add","path":"/spec/tolerations","value":[{"operator":"Exists"}]}]`,
	`[{"op":"replace","path":"/metadata/annotations/deployment.kubernetes.io~1revision","value":"3"}]`, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-11-23T11:00:00Z"}}}}}`,
	// Identifiers that are no secrets.
	`{"spec":{"accessKeyId":"AKIAIOSFODNN7EXAMPLE"}}`, `{"spec":{"clientId":"0oa1b2c3","tenantId":"72f988bf-86f1-41af-91ab-2d7cd011db47"}}`, `{"spec":{"tokenURL":"https://idp.example/token","authURL":"https://idp.example/auth","issuerURL":"https://idp.example"}}`, `{"metadata":{"uid":"4a1de6d3-3dd2-4c11-9c5c-7c5bd8ee1f28","resourceVersion":"8812312","generation":3}}`,
	`{"spec":{"tokenTTL":"1h","passwordPolicy":"strong","secretType":"Opaque","tokenExpirationSeconds":3600}}`, `{"webhooks":[{"name":"a.example","clientConfig":{"service":{"name":"x","namespace":"y","path":"/validate"}},"failurePolicy":"Fail"}]}`, `{"spec":{"groups":["a"],"username":"alice@example.com","signerName":"kubernetes.io/kube-apiserver-client","expirationSeconds":3600,"usages":["client auth"]}}`,
	`{"spec":{"holderIdentity":"kube-scheduler-1_5f7","leaseDurationSeconds":15,"renewTime":"2026-11-23T11:00:00.000000Z"}}`, `{"spec":{"clusterIP":"10.0.0.1","ports":[{"port":443,"targetPort":"https"}],"externalIPs":["203.0.113.9"]}}`, `{"spec":{"repoURL":"https://git.example/team/app.git","targetRevision":"main","path":"deploy"}}`, `{"spec":{"url":"ssh://git@git.example/team/app.git"}}`,
	`{"spec":{"image":{"repository":"quay.io/x/password-manager","tag":"v1.0.0"}}}`, `{"metadata":{"name":"oauth-token-controller","namespace":"secret-manager","labels":{"app.kubernetes.io/name":"vault"}}}`, `{"metadata":{"managedFields":[{"manager":"kubectl","operation":"Apply","fieldsV1":{"f:data":{"f:password":{}}}}]}}`,
	`{"spec":{"ca":"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"}}`, `{"spec":{"environment":"production","env":"prod","region":"eu-1"}}`, `{"spec":{"ingressClassName":"nginx","rules":[{"host":"login.example.com","http":{"paths":[{"path":"/oauth/token","pathType":"Prefix"}]}}]}}`, `{"spec":{"finalizers":["kubernetes"],"deletionPolicy":"Retain"}}`,
	`{"propagationPolicy":"Background","gracePeriodSeconds":0,"preconditions":{"uid":"4a1de6d3-3dd2-4c11-9c5c-7c5bd8ee1f28"}}`, `{"spec":{"hard":{"count/secrets":"10","pods":"4"}}}`, `{"data":{"spec":{"template":{"spec":{"containers":[{"image":"a:1"}]}}}}}`,
}

// messages stay in annotations, messages and user agents.
var messages = []string{
	`RBAC: allowed by ClusterRoleBinding "system:token-cleaner" of ClusterRole "secret-reader" to ServiceAccount "token-refresher/shop"`, `secrets "db-password" is forbidden: User "oidc:alice@example.com" cannot get resource "secrets" in API group "" in the namespace "shop"`, `secrets "db-password" not found`, `Error: secret "registry-credentials" not found`,
	`MountVolume.SetUp failed for volume "default-token-x7k2p" : secret "default-token-x7k2p" not found`, `couldn't find key password in Secret shop/db`, `Failed to pull image "registry.example.com/x:1.2@sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90": rpc error: code = NotFound desc = failed`, `Back-off restarting failed container mysql in pod mysql-0_shop(4a1de6d3-3dd2-4c11-9c5c-7c5bd8ee1f28)`,
	`kubectl/v1.37.2 (linux/amd64) kubernetes/9f3b2c1`, `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36`, `Started container mysql`, `Created pod: token-service-5d4f8c7b9-abcde`, `Scaled up replica set web-6b474476c4 to 3 from 1`, `Readiness probe failed: HTTP probe failed with statuscode: 503`, `Get "https://10.0.0.1:8443/healthz": dial tcp 10.0.0.1:8443: connect: connection refused`,
	`Basic authentication is disabled`, `the Bearer token has expired`, `no token provided`, `invalid bearer token, service account token has expired`, `authentication failed: token: expired`, `Unauthorized`, `update of service account tokens is forbidden`, `system:serviceaccount:kube-system:token-cleaner`, `X509SHA256=ea676268c71eb961cae5f1a68dc8717be7d1bcb40517e72a5f910ebd76c2bc21`, `JTI=4a1de6d3-3dd2-4c11-9c5c-7c5bd8ee1f28`,
	`curl/8.7.1`, `redis/7.2 mysql/8.0`, `created by alice@example.com at 2026-11-23T11:00:00Z`, `ssh://git@git.example/team/app.git`, `https://grafana.example.com/d/abc?orgId=1&from=now-1h&to=now`, `--secrets=db-credentials --bearer-token-file=/var/run/token`,
}

// requests stay as they are.
var requests = []string{
	`/api/v1/namespaces/shop/pods/web-0/exec?command=sh&command=-c&command=ls+-la+%2Fvar%2Flib&container=web&stdin=true&stdout=true&tty=true`, `/api/v1/namespaces/shop/pods/web-0/exec?command=cat&command=%2Fetc%2Fpasswd`, `/api/v1/namespaces/shop/pods/web-0/exec?command=mysql&command=-h&command=db&command=-u&command=root`, `/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&limit=500&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTIzNDUsInN0YXJ0Ijoic2hvcC93ZWIifQ`,
	`/api/v1/secrets?labelSelector=owner%3Dhelm%2Cname%3Dtoken-service`, `/api/v1/namespaces/shop/secrets/db-password`, `/apis/apps/v1/namespaces/shop/deployments/token-service?fieldManager=kubectl-client-side-apply&fieldValidation=Strict&dryRun=All`, `/api/v1/namespaces/shop/serviceaccounts/builder/token`, `/api/v1/namespaces/shop/services/https:web:443/proxy/metrics`,
	`/apis/oauth.openshift.io/v1/oauthaccesstokens/sha256~2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90`, `/api/v1/watch/secrets?resourceVersion=123&timeoutSeconds=300&allowWatchBookmarks=true`, `/openapi/v3/apis/apps/v1?hash=`, `/healthz?verbose`, `/apis/authentication.k8s.io/v1/tokenreviews`, `/api/v1/nodes/n1/proxy/containerLogs/shop/web-0/web?tailLines=100&follow=true`,
}

// leastEvidence is how many things must survive at least.
const leastEvidence = 100

// What an auditor needs stays, in each of the places where it may stand.
func TestEvidence(t *testing.T) {
	d := newDecoder(t)
	evidence := append(corpus("evidence/objects"), evidence...)
	messages := append(corpus("evidence/messages"), messages...)
	requests := append(corpus("evidence/requests"), requests...)
	if n := len(evidence) + len(messages) + len(requests); n < leastEvidence {
		t.Fatalf("%d pieces of evidence, want at least %d", n, leastEvidence)
	}
	kept := func(in, want string) {
		t.Helper()
		if e := one(t, d, in); !bytes.Contains(e.Raw, []byte(want)) {
			t.Errorf("%s is lost:\n%s", want, e.Raw)
		}
	}
	for _, object := range evidence {
		kept(change(t, `"responseStatus"`, `"requestObject":`+object+`,"responseStatus"`), `"requestObject":`+object)
		kept(change(t, `"responseStatus"`, `"responseObject":{"items":[`+object+`]},"responseStatus"`), `"responseObject":{"items":[`+object+`]}`)
		text := quotedText(object)
		kept(change(t, `"responseStatus"`, `"requestObject":{"metadata":{"annotations":{"a":`+text+`}}},"responseStatus"`), `{"a":`+strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(text)+`}`)
	}
	for _, message := range messages {
		text := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(quotedText(message))
		kept(change(t, `"annotations":{`, `"annotations":{"a.example/note":`+text+`,`), `"a.example/note":`+text)
		kept(change(t, `{"metadata":{},"code":200}`, `{"code":403,"message":`+text+`}`), `"message":`+text)
		kept(change(t, `"responseStatus"`, `"requestObject":{"kind":"Event","note":`+text+`},"responseStatus"`), `"note":`+text)
		kept(change(t, `"kubectl/v1.37.2"`, text), `"userAgent":`+text)
	}
	for _, uri := range requests {
		e := one(t, d, change(t, `/apis/apps/v1/namespaces/shop/deployments/web/scale?dryRun=All`, uri))
		if e.Path != uri || !bytes.Contains(e.Raw, []byte(uri)) {
			t.Errorf("%s becomes %s", uri, e.Path)
		}
	}
}
