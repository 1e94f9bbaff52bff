package audit

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/redact"
)

// In the forms below, and in those of testdata/canaries, CANARY stands for a
// secret. The files have one form a line.

//go:embed testdata/canaries/*.txt testdata/evidence/*.txt
var corpora embed.FS

// corpus returns the lines of a file of forms.
func corpus(name string) []string {
	text, err := corpora.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		panic(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// commandLines are what a shell is given.
var commandLines = []string{
	`PGPASSWORD=CANARY psql -h db`, `export DB_PASSWORD='CANARY' && ./run`, `mysql -pCANARY -h db shop`, `mysql -h db -u root -p'CANARY' shop`, `/usr/bin/mysqldump --password=CANARY shop`, `mysqladmin --password CANARY ping`,
	`mysql -p CANARY`, `mariadb -uroot -pCANARY`, `redis-cli -a CANARY ping`, `redis-cli -h r --pass CANARY ping`, `redis-cli -u redis://:CANARY@r:6379/0`, `redis-cli AUTH CANARY`, `redis-cli config set requirepass CANARY`,
	`curl -u admin:CANARY https://x.example`, `curl -uadmin:CANARY https://x.example`, `curl --user admin:CANARY https://x.example`, `curl -H 'Authorization: Bearer CANARY' https://x.example`, `curl -H "X-Api-Key: CANARY" https://x.example`, `curl -s https://admin:CANARY@x.example/y`,
	`curl --header "Authorization: Basic CANARY" x`, `curl 'https://x.example/?access_token=CANARY&a=b'`, `curl -d '{"password":"CANARY"}' x`, `curl -d 'user=a&password=CANARY' x`, `curl -b 'session=CANARY' x`, `curl --oauth2-bearer CANARY x`,
	`wget --http-password=CANARY x`, `wget --header='Authorization: Bearer CANARY' x`, `sshpass -p CANARY ssh a@b`, `sshpass -pCANARY ssh a@b`, `docker login -u a -p CANARY registry.example`, `helm registry login -u a --password CANARY x`,
	`mongosh -u a -p CANARY`, `mongodump --uri 'mongodb://a:CANARY@m1,m2/db'`, `psql 'host=db user=a password=CANARY dbname=x'`, `psql postgres://a:CANARY@db/x`, `psql -c "ALTER USER a WITH PASSWORD 'CANARY'"`, `mysql -e "CREATE USER a IDENTIFIED BY 'CANARY'"`,
	`mysql -e "SET PASSWORD FOR a = 'CANARY'"`, `ldapsearch -x -D cn=a -w CANARY`, `openssl enc -k CANARY`, `openssl rsa -passin pass:CANARY`, `vault login CANARY`, `vault kv put secret/x value=CANARY`, `kubectl create secret generic x --from-literal=a=CANARY`,
	`kubectl --token CANARY get pods`, `kubectl create secret docker-registry x --docker-password=CANARY`, `htpasswd -b /etc/f admin CANARY`, `rabbitmqctl change_password guest CANARY`, `rabbitmqctl add_user a CANARY`, `java -Dspring.datasource.password=CANARY -jar x`,
	`aws configure set aws_secret_access_key CANARY`, `AWS_SECRET_ACCESS_KEY=CANARY aws s3 ls`, `etcdctl --user root:CANARY get x`, `smbclient -U a%CANARY //x/y`, `sqlcmd -S x -U sa -P CANARY`, `env API_KEY=CANARY ./x`, `./x --client-secret=CANARY`, `./x --api-key CANARY`, `./x -token CANARY`, `./x --token="CANARY"`,
	`git clone https://CANARY@git.example/x`, `git clone https://a:CANARY@git.example/x`, `cqlsh -u a -p CANARY`, `keytool -storepass CANARY -list`, `bash -c "redis-cli -a CANARY"`, `sh -c 'sh -c "mysql -pCANARY"'`, `timeout 5 mysql -pCANARY`, `cat x | mysql -pCANARY`, `true; mysql -pCANARY`, `true && curl -u a:CANARY x`,
	`mysql -pCANARY>/dev/null`, `PASSWORD=CANARY; export PASSWORD`, `argocd login x --username a --password CANARY`, `oc login -u a -p CANARY`, `twine upload -u a -p CANARY`, `zip -P CANARY x`, `7z x -pCANARY`, `ncftpput -p CANARY x`, `snmpwalk -A CANARY x`, `curl -sSLu a:CANARY x`, `echo CANARY | docker login --password-stdin`, `echo root:CANARY | chpasswd`, `ssh-keygen -N CANARY -f x`, "mysql -h db \\\n  -u root \\\n  -pCANARY",
}

// lists are command lines as lists of words.
var lists = [][]string{
	{"mysql", "-pCANARY", "shop"}, {"mysql", "-p", "CANARY"}, {"/usr/bin/mysqldump", "--password", "CANARY"}, {"redis-cli", "-a", "CANARY"}, {"redis-cli", "-aCANARY"}, {"x", "--password", "CANARY"}, {"x", "--password=CANARY"}, {"x", "-token", "CANARY"},
	{"curl", "-u", "a:CANARY", "https://x"}, {"curl", "-H", "Authorization: Bearer CANARY"}, {"curl", "--header", "X-Auth-Token: CANARY"}, {"curl", "https://a:CANARY@x/"}, {"sh", "-c", "PGPASSWORD=CANARY psql"}, {"env", "SECRET_KEY=CANARY", "x"}, {"x", "DSN=CANARY"},
	{"x", "--dsn=a:CANARY@tcp(db:3306)/x"}, {"x", "--api-key", "CANARY"}, {"x", "--db-pass", "CANARY"}, {"docker", "login", "-p", "CANARY"}, {"sshpass", "-p", "CANARY", "ssh"}, {"x", "--password", "two words CANARY"}, {"psql", "password=CANARY host=x"}, {"x", `{"password":"CANARY"}`},
	{"mysql", "-p two CANARY"}, {"x", "--from-literal=a=CANARY"}, {"x", "--from-literal", "a=CANARY"}, {"vault", "kv", "put", "secret/x", "a=CANARY"}, {"htpasswd", "-b", "f", "u", "CANARY"}, {"x", "--config", "db:\n  password: CANARY\n"}, {"x", "--connection-string", "Server=x;Password=CANARY;User=a"},
	{"nice", "mysql", "-pCANARY"}, {"curl", "-sku", "a:CANARY"}, {"mongo", "--host", "x", "-p", "CANARY"}, {"x", "--encryption-key=CANARY"}, {"x", "--basic-auth-password", "CANARY"}, {"x", "-e", "TOKEN=CANARY"},
}

// texts are what stands in messages, annotations and values.
var texts = []string{
	`dial postgres://app:CANARY@db:5432/x failed`, `connect to amqp://a:CANARY@mq/%2f`, `redis://:CANARY@r:6379`, `GET https://x.example/?sig=CANARY&a=b: 403`, `https://x.example/cb?code=CANARY`, `https://CANARY@sentry.example/1`, `user:CANARY@tcp(db:3306)/x`, `mongodb+srv://a:CANARY@m.example/x?w=1`,
	`postgres://a:CANARY/x@db/x`, `Server=db;User Id=a;Password=CANARY;`, `AccountName=a;AccountKey=CANARY;EndpointSuffix=x`, `Endpoint=sb://x/;SharedAccessKeyName=a;SharedAccessKey=CANARY`, `host=db password=CANARY`, `password: CANARY`, `the password is set: password="CANARY"`,
	`invalid token: token=CANARY`, `Authorization: Bearer CANARY`, `got header "Authorization: Basic CANARY"`, `sent Bearer CANARY to x`, `Cookie: a=b; session=CANARY`, `{"password":"CANARY"}`, `{"a":{"clientSecret":"CANARY"}}`, `[{"name":"API_TOKEN","value":"CANARY"}]`, `{"auths":{"r.example":{"auth":"CANARY"}}}`,
	`{"auths":{"r.example":{"username":"a","password":"CANARY"}}}`, `{"a":"{\"token\":\"CANARY\"}"}`, "db:\n  user: a\n  password: CANARY\n", "a: b\nenv:\n- name: X\n  value: CANARY\n", "users:\n- name: a\n  user:\n    token: CANARY\n", "users:\n- name: a\n  user:\n    client-key-data: CANARY\n",
	"password: |\n  CANARY\n  more\nuser: a\n", "x: 1\n---\napiKey: CANARY\n", "a: b\n# password: CANARY\n", "{{ x }}\npassword: CANARY\n", "{{ if }}\npassword: |\n  CANARY\n", "[db]\nuser = a\npassword = CANARY\n", "spring.datasource.password=CANARY\nx=y\n", "machine x login a password=CANARY",
	"-----BEGIN RSA PRIVATE KEY-----\nCANARY\n-----END RSA PRIVATE KEY-----\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY\n", "ghp_CANARYCANARYCANARY", "token ghp_CANARYCANARYCANARY is bad", "glpat-CANARYCANARY", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJCANARY.CANARYCANARY", "xoxb-1234-CANARY",
	"kind: Secret\nstringData:\n  a: CANARY\n", `{"kind":"Secret","data":{"a":"CANARY"}}`, `helm install x --set db.password=CANARY`, `exec [sh -c mysql -pCANARY] failed`, `Liveness probe failed: redis-cli -a CANARY ping: refused`, `command "curl -u a:CANARY x" exited with 1`, "global:\n  postgresql:\n    auth:\n      postgresPassword: CANARY\n",
	"extraEnvVars:\n  - name: A\n    value: CANARY\n", "env:\n  A: CANARY\n", `PASSWORD 'CANARY'`, `{"items":[{"kind":"Secret","stringData":{"a":"CANARY"}}]}`, "clientSecret: \"CANARY\"\nx: y\n", "$2y$10$CANARYCANARYCANARY", `export TOKEN="CANARY"`, `{"connectionString":"CANARY"}`, `<db><password>CANARY</password></db>`, `post to https://hooks.slack.com/services/T0/B0/CANARYCANARY`, `databaseURL: CANARY`,
	"a:\n  - --password\n  - CANARY\nargs:\n  - --password\n  - CANARY\n",
}

// uris are paths with queries.
var uris = []string{
	`/api/v1/namespaces/a/pods/b/exec?command=mysql&command=-pCANARY`, `/api/v1/namespaces/a/pods/b/exec?command=redis-cli&command=-a&command=CANARY`, `/api/v1/namespaces/a/pods/b/exec?command=x&command=--password&command=CANARY`, `/x?code=CANARY`, `/x?sig=CANARY`, `/x?jwt=CANARY`, `/x?X-Amz-Signature=CANARY`,
	`/x?X-Amz-Security-Token=CANARY`, `/x?access_token=CANARY`, `/x?id_token=CANARY`, `/x?api_key=CANARY`, `/x?apikey=CANARY`, `/x?key=CANARY`, `/x?auth=CANARY`, `/x?password=CANARY`, `/x?pwd=CANARY`, `/x?client_secret=CANARY`, `/x?client_assertion=CANARY`, `/x?session=CANARY`, `/x?SAMLResponse=CANARY`, `/x?code_verifier=CANARY`,
	`/x?a=password%3DCANARY`, `/x?url=https%3A%2F%2Fa%3ACANARY%40x%2F`, `/x?a=%257B%2522password%2522%253A%2522CANARY%2522%257D`, `/x?q=Bearer+CANARY`, `/x?%zz=CANARY`, `/x?a;token=CANARY`, `http://a:CANARY@x/api`, `/api/v1/namespaces/a/services/b/proxy/x;jsessionid=CANARY`, `/api/v1/namespaces/a/services/b/proxy/?token=CANARY`,
	`/x/ghp_CANARYCANARYCANARY/y`, `/x?a=ghp_CANARYCANARYCANARY`, `/api/v1/nodes/n/proxy/run/a/b/c?cmd=mysql+-pCANARY`, `/api/v1/namespaces/a/pods/b/exec?command=curl&command=-u&command=a%3ACANARY`, `/x?PASSWORD=CANARY`, `/x?to%6ben=CANARY`, `/x?x-goog-signature=CANARY`, `/x#access_token=CANARY`, `/x?a=b#id_token=CANARY`,
	`/x?redirect=%2Fcb%3Fcode%3DCANARY`, `/api/v1/namespaces/a/pods/b/attach?command=sh&command=-c&command=curl+-H+%27Authorization%3A+Bearer+CANARY%27+x`, `/x?ticket=CANARY&a=b`, `/x?state=CANARY`, `/x?passcode=CANARY`,
}

// objects are bodies.
var objects = []string{
	`{"spec":{"containers":[{"env":[{"name":"X","value":"CANARY"}]}]}}`, `{"spec":{"template":{"spec":{"initContainers":[{"env":[{"value":"CANARY","name":"X"}]}]}}}}`, `{"spec":{"extraEnvVars":[{"name":"A","value":"CANARY"}]}}`, `{"spec":{"values":{"env":{"A":"CANARY"}}}}`, `{"spec":{"params":[{"name":"dbPassword","value":"CANARY"}]}}`,
	`{"parameters":[{"name":"API_KEY","value":"CANARY"}]}`, `{"spec":{"params":[{"value":["CANARY"],"name":"token"}]}}`, `{"kind":"Secret","data":{"a":"CANARY"}}`, `{"kind":"List","items":[{"kind":"Secret","stringData":{"a":"CANARY"}}]}`, `{"kind":"SecretList","items":[{"data":{"a":{"b":"CANARY"}}}]}`, `{"kind":"ConfigMap","data":{"a":"CANARY"}}`,
	`{"kind":"ConfigMapList","items":[{"data":{"a":"CANARY"},"binaryData":{"b":"CANARY"}}]}`, `{"kind":"VaultSecret","spec":{"data":{"a":{"b":"CANARY"}}}}`, `{"kind":"SealedSecret","spec":{"encryptedData":{"a":"CANARY"}}}`, `{"kind":"SopsSecret","spec":{"secretTemplates":[{"stringData":{"a":"CANARY"}}]}}`, `{"spec":{"credentials":{"a":"CANARY","b":{"c":"CANARY"}}}}`,
	`{"spec":{"secrets":{"db":"CANARY"}}}`, `{"spec":{"tokens":["CANARY"]}}`, `{"spec":{"password":123456,"pin":"CANARY"}}`, `{"spec":{"auth":{"password":"CANARY"}}}`, `{"spec":{"dockerconfigjson":"CANARY",".dockerconfigjson":"CANARY"}}`, `{"livenessProbe":{"httpGet":{"httpHeaders":[{"name":"Authorization","value":"CANARY"}]}}}`,
	`{"readinessProbe":{"httpGet":{"httpHeaders":[{"name":"X-Anything","value":"CANARY"}]}}}`, `{"lifecycle":{"preStop":{"exec":{"command":["redis-cli","-a","CANARY"]}}}}`, `{"lifecycle":{"postStart":{"httpGet":{"httpHeaders":[{"value":"CANARY","name":"Cookie"}]}}}}`, `{"startupProbe":{"exec":{"command":["sh","-c","mysqladmin ping -pCANARY"]}}}`,
	`{"spec":{"containers":[{"args":["-pCANARY"],"command":["mysql"]}]}}`, `{"spec":{"containers":[{"command":["/usr/bin/redis-cli"],"args":["-a","CANARY"]}]}}`, `[{"op":"add","path":"/data/password","value":"CANARY"}]`, `[{"op":"add","path":"/data/x","value":"CANARY"}]`, `[{"op":"add","path":"/spec/template/spec/containers/0/env/0","value":{"name":"X","value":"CANARY"}}]`,
	`[{"op":"add","path":"/spec/template/spec/containers/0/env/-","value":{"name":"X","value":"CANARY"}}]`, `[{"value":"CANARY","op":"replace","path":"/spec/template/spec/containers/0/env/3/value"}]`, `[{"op":"add","path":"/spec/template/spec/containers/0/env","value":[{"name":"X","value":"CANARY"}]}]`, `[{"op":"replace","path":"/spec/template/spec/containers/0/args/1","value":"CANARY"}]`,
	`[{"op":"add","path":"/spec/template/spec/containers/0/args","value":["--password","CANARY"]}]`, `[{"op":"add","path":"","value":{"kind":"Secret","data":{"a":"CANARY"}}}]`, `[{"op":"test","path":"/spec/credentials/db","value":"CANARY"}]`, `[{"op":"add","path":"/metadata/annotations/example.com~1token","value":"CANARY"}]`, `[{"op":"add","path":"/stringData","value":{"a":"CANARY"}}]`,
	`[{"op":"replace","path":"/spec/parameters/2/value","value":"CANARY"}]`, `[{"op":"add","path":"/spec/password","value":{"x":"CANARY"}}]`, `{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"kind\":\"Secret\",\"data\":{\"a\":\"CANARY\"}}"}}}`, `{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"CANARY"}}}`,
	`{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"kind\":\"Deployment\",\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"env\":[{\"name\":\"A\",\"value\":\"CANARY\"}]}]}}}}"}}}`, `{"metadata":{"annotations":{"example.com/api-key":"CANARY"}}}`, `{"users":[{"user":{"token":"CANARY","client-key-data":"CANARY"}}]}`,
	`{"users":[{"user":{"auth-provider":{"config":{"refresh-token":"CANARY"}}}}]}`, `{"spec":{"valuesContent":"db:\n  password: CANARY\n"}}`, `{"spec":{"source":{"helm":{"parameters":[{"name":"db.password","value":"CANARY"}],"values":"a:\n  token: CANARY\n"}}}}`, `{"spec":{"url":"https://a:CANARY@x.example/r.git"}}`, `{"status":{"token":"CANARY"}}`, `{"spec":{"token":["CANARY",{"a":"CANARY"}]}}`,
	`{"spec":{"storage":{"s3":{"accessKeyId":"AK","secretAccessKey":"CANARY"}}}}`, `{"spec":{"basicAuth":"CANARY"}}`, `{"spec":{"userData":"CANARY"}}`, `{"spec":{"dsn":"CANARY"}}`, `{"spec":{"encryptionKey":"CANARY","signingKey":"CANARY"}}`, `{"spec":{"env":["A=CANARY"]}}`, `{"a":{"requestObject":{"x":"CANARY"}}}`, `{"\u0074oken":"CANARY"}`, `{"pass\u0077ord":"CANARY"}`,
	`{"webhook":{"url":"https://x.example/?token=CANARY"}}`, `{"spec":{"tls":{"key":"-----BEGIN EC PRIVATE KEY-----\nCANARY\n-----END EC PRIVATE KEY-----"}}}`, `{"kind":"Template","parameters":[{"name":"DB_PASSWORD","default":"CANARY"}]}`, `{"spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"name":"A","value":"CANARY"}],"$setElementOrder/env":[{"name":"A"}]}]}}}}`,
	`{"spec":{"extraArgs":{"oidc-client-secret":"CANARY"}}}`, `{"spec":{"extraArgs":[{"name":"token","value":"CANARY"}]}}`, `{"spec":{"env":{"prod":{"A":"CANARY"}}}}`, `{"data":"CANARY"}`, `{"data":{"a":"CANARY"}}`, `{"spec":{"script":"#!/bin/sh\nexport TOKEN=CANARY\ncurl -u a:CANARY x\n"}}`,
}

// canary returns the n-th secret, which occurs nowhere else.
func canary(n int) string {
	r := rand.New(rand.NewPCG(uint64(n), 14))
	return "Zq" + strconv.FormatUint(r.Uint64()|1<<60, 36) + "7x"
}

func quotedText(text string) string {
	q, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(q)
}

// planted is one secret in one place of what is delivered.
type planted struct {
	form, carrier string
	delivery      string
}

// plant returns deliveries with CANARY in all places and forms.
func plant() (all []planted) {
	add := func(form, carrier, delivery string) { all = append(all, planted{form, carrier, delivery}) }
	event := func(old, new string) string {
		if !strings.Contains(deployment, old) {
			panic(old)
		}
		return strings.Replace(deployment, old, new, 1)
	}
	body := func(object string) string {
		return event(`"responseStatus"`, `"requestObject":`+object+`,"responseStatus"`)
	}
	inText := func(form, text string) {
		q := quotedText(text)
		add(form, "message", event(`"responseStatus"`, `"responseObject":{"kind":"Event","message":`+q+`},"responseStatus"`))
		add(form, "status", event(`{"metadata":{},"code":200}`, `{"metadata":{},"message":`+q+`,"code":500}`))
		add(form, "annotation", event(`"annotations":{`, `"annotations":{"example.com/note":`+q+`,`))
		add(form, "object's annotation", body(`{"metadata":{"annotations":{"example.com/note":`+q+`}}}`))
		add(form, "extra", event(`"extra":{`, `"extra":{"example.com/note":[`+q+`],`))
		add(form, "envelope", `{"log":`+q+`}`)
		add(form, "quarantine", `{"note":`+q+`}`)
		add(form, "unknown", event(`"verb"`, `"unheard":{"a":[`+q+`]},"verb"`))
		if !strings.Contains(text, "\n") {
			add(form, "agent", event(`"kubectl/v1.37.2"`, q))
		}
	}
	for _, line := range slices.Concat(commandLines, corpus("canaries/commands")) {
		inText(line, line)
		add(line, "args", body(`{"spec":{"containers":[{"args":["sh","-c",`+quotedText(line)+`]}]}}`))
		add(line, "command", body(`{"spec":{"containers":[{"livenessProbe":{"exec":{"command":["/bin/bash","-ec",`+quotedText(line)+`]}}}]}}`))
		add(line, "exec", event(`/apis/apps/v1/namespaces/shop/deployments/web/scale?dryRun=All`, `/api/v1/namespaces/a/pods/b/exec?command=sh&command=-c&command=`+escapeQuery(line)))
		add(line, "patch", body(`[{"op":"add","path":"/spec/template/spec/containers/0/command","value":["sh","-c",`+quotedText(line)+`]}]`))
		add(line, "yaml", body(`{"spec":{"values":`+quotedText("args:\n  - sh\n  - -c\n  - "+quotedText(line)+"\n")+`}}`))
	}
	for _, words := range lists {
		list, err := json.Marshal(words)
		if err != nil {
			panic(err)
		}
		form := string(list)
		add(form, "args", body(`{"spec":{"containers":[{"args":`+form+`}]}}`))
		add(form, "probe", body(`{"livenessProbe":{"exec":{"command":`+form+`}}}`))
		query := ""
		for _, word := range words {
			query += "&command=" + escapeQuery(word)
		}
		add(form, "exec", event(`/apis/apps/v1/namespaces/shop/deployments/web/scale?dryRun=All`, `/api/v1/namespaces/a/pods/b/exec?container=c`+query))
		add(form, "yaml", body(`{"spec":{"values":`+quotedText("args: "+form+"\nx: y\n")+`}}`))
	}
	for _, text := range slices.Concat(texts, corpus("canaries/texts")) {
		inText(text, text)
		encoded := "BASE64" + text
		add(encoded, "base64", body(`{"spec":{"blob":"`+encoded+`"}}`))
	}
	for _, uri := range slices.Concat(uris, corpus("canaries/uris")) {
		add(uri, "requestURI", event(`/apis/apps/v1/namespaces/shop/deployments/web/scale?dryRun=All`, uri))
		add(uri, "quarantine", `{"requestURI":`+quotedText(uri)+`}`)
	}
	for _, object := range slices.Concat(objects, corpus("canaries/objects")) {
		add(object, "request", body(object))
		add(object, "response", event(`"responseStatus"`, `"responseObject":{"items":[`+object+`]},"responseStatus"`))
		add(object, "quarantine", `{"object":`+object+`}`)
		add(object, "text", `{"log":`+quotedText(`{"a":`+object+`}`)+`}`)
		add(object, "text in an annotation", body(`{"metadata":{"annotations":{"a":`+quotedText(object)+`}}}`))
		add(object, "webhook's patch", event(`"annotations":{`, `"annotations":{"patch.webhook.admission.k8s.io/round_0_index_0":`+quotedText(`{"patch":[{"op":"add","path":"","value":`+object+`}]}`)+`,`))
	}
	secret := event(`"resource":"deployments","namespace":"shop","name":"web","apiGroup":"apps"`, `"resource":"secrets"`)
	add("secret", "request", strings.Replace(secret, `"responseStatus"`, `"requestObject":{"a":"CANARY"},"responseStatus"`, 1))
	add("secret", "log", `{"log":`+quotedText(strings.Replace(secret, `"responseStatus"`, `"requestObject":{"a":"CANARY"},"responseStatus"`, 1))+`}`)
	configMap := strings.Replace(secret, `"secrets"`, `"configmaps"`, 1)
	add("configmap", "merge patch", strings.Replace(configMap, `"responseStatus"`, `"requestObject":{"data":{"a":"CANARY"}},"responseStatus"`, 1))
	add("configmap", "json patch", strings.Replace(configMap, `"responseStatus"`, `"requestObject":[{"op":"add","path":"/data/a","value":"CANARY"}],"responseStatus"`, 1))
	add("configmap", "refusal", strings.Replace(configMap, `{"metadata":{},"code":200}`, `{"message":"a CANARY","code":422}`, 1))
	add("data", "record", `{"data":{"a":"CANARY"}}`)
	add("data", "list", `[{"data":{"a":"CANARY"}}]`)
	add("refusal", "env", event(`{"metadata":{},"code":200}`, `{"message":"Pod \"a\" is invalid: spec.containers[0].env[0].value: Invalid value: \"CANARY\": bad","code":422}`))
	add("refusal", "field", event(`{"metadata":{},"code":200}`, `{"message":"spec.dbPassword: Invalid value: \"CANARY\": bad","code":422}`))
	return all
}

func escapeQuery(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; strings.IndexByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// sow writes a secret for CANARY, and Base64 of it where that is asked for.
func (p planted) sow(secret string) string {
	delivery := p.delivery
	if _, text, ok := strings.Cut(p.form, "BASE64"); ok {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(text, "CANARY", secret)))
		return strings.ReplaceAll(delivery, p.form, encoded)
	}
	return strings.ReplaceAll(delivery, "CANARY", secret)
}

// stays reports whether a secret is in anything that is kept of a delivery.
func stays(item Item, form, secret string) bool {
	var kept []byte
	if e := item.Event; e != nil {
		kept = fmt.Appendf(nil, "%s %+v", e.Raw, *e)
	} else {
		kept = fmt.Appendf(nil, "%s %s", item.Quarantined.Redacted, item.Quarantined.Reason)
	}
	if bytes.Contains(kept, []byte(secret)) {
		return true
	}
	_, text, ok := strings.Cut(form, "BASE64")
	return ok && bytes.Contains(kept, []byte(base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(text, "CANARY", secret)))))
}

// leastCanaries is how many places and forms are tried at least.
const leastCanaries = 300

// No secret of any form stays, wherever it stands and however it comes.
func TestCanaries(t *testing.T) {
	d := newDecoder(t)
	all := plant()
	if len(all) < leastCanaries {
		t.Fatalf("%d canaries, want at least %d", len(all), leastCanaries)
	}
	found := 0
	for n, p := range all {
		secret := canary(n)
		in := p.sow(secret)
		if !strings.Contains(in, secret) && !strings.Contains(p.form, "BASE64") {
			t.Fatalf("nothing is planted in %s", in)
		}
		items := 0
		if err := d.Decode(strings.NewReader(in), func(i Item) error {
			items++
			if stays(i, p.form, secret) {
				found++
				t.Errorf("%s stays of %q in %s", secret, p.form, p.carrier)
			}
			return nil
		}); err != nil || items == 0 {
			t.Fatalf("%d items of %s: %v", items, in, err)
		}
	}
	t.Logf("%d of %d canaries stayed", found, len(all))
}

// A canary that stays is seen: those that no rule can know, as the page says.
func TestCanariesAreFound(t *testing.T) {
	d := newDecoder(t)
	for _, text := range append(corpus("canaries/unknown"), "the swordfish is CANARY", "CANARY") {
		secret := canary(1)
		in := change(t, `"annotations":{`, `"annotations":{"a":`+quotedText(strings.ReplaceAll(text, "CANARY", secret))+`,`)
		if !stays(Item{Event: one(t, d, in)}, "", secret) {
			t.Errorf("%q is not found in what keeps it", text)
		}
	}
}

// Under Drop no argument of a command stays, whatever it is.
func TestExecArgumentsDropped(t *testing.T) {
	d := newDecoder(t)
	d.Redaction = redact.Policy{DropExecArguments: true}
	e := one(t, d, change(t, "/apis/apps/v1/namespaces/shop/deployments/web/scale?dryRun=All", "/api/v1/namespaces/a/pods/b/exec?command=cat&command=%2Fetc%2Fshadow&container=c&command=x"))
	if want := "/api/v1/namespaces/a/pods/b/exec?command=cat&command=%5Bredacted%5D&container=c&command=%5Bredacted%5D"; e.Path != want || bytes.Contains(e.Raw, []byte("shadow")) {
		t.Errorf("the path is %s, want %s, in %s", e.Path, want, e.Raw)
	}
}

// Under Keep the values of ConfigMaps stay, as far as no other rule takes them out.
func TestConfigMapValuesKept(t *testing.T) {
	d := newDecoder(t)
	in := change(t, `"resource":"deployments","namespace":"shop","name":"web","apiGroup":"apps"`, `"resource":"configmaps"`,
		`"responseStatus"`, `"requestObject":{"kind":"ConfigMap","data":{"colour":"blue","password":"hunter2","app.yaml":"a: b\ntoken: hunter2\n"}},"responseStatus"`)
	if raw := one(t, d, in).Raw; bytes.Contains(raw, []byte("blue")) || !bytes.Contains(raw, []byte(`"data":{"colour":"[redacted]"`)) {
		t.Errorf("by default there is %s", raw)
	}
	d.Redaction = redact.Policy{KeepConfigMapValues: true}
	if raw := one(t, d, in).Raw; !bytes.Contains(raw, []byte(`"colour":"blue"`)) || !bytes.Contains(raw, []byte("a: b")) || bytes.Contains(raw, []byte("hunter2")) {
		t.Errorf("under Keep there is %s", raw)
	}
}
