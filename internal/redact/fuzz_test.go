package redact

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzText looks for a text in which suspicious sees nothing and the finder
// something.
func FuzzText(f *testing.F) {
	for _, text := range []string{
		`PGPASSWORD=x psql`, `mysql -p'a b' -h x`, `curl -u a:b 'https://a:b@c/?sig=d'`, "a: b\npassword: |\n  x\n", `{"password":"x"}`, "-----BEGIN PRIVATE KEY-----\nx", `Authorization: Bearer x`, `a:b@tcp(c)`, `eyJhbGciOiJIUzI1NiJ9.e30.x`,
		`password=\"a\" b='c`, `--password "x`, `IDENTIFIED BY 'x'`, `spec.env[0].value: Invalid value: "x"`, `token=[redacted]`, `a=$(TOKEN) token=$(TOKEN)`, `[{"name":"token","value":1}]`, "---\n---\ntoken: x\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		defer noFailure(t)
		Text(Text(text))
		if !suspicious([]byte(text)) {
			fd := finder{redactor: &redactor{}, text: []byte(text)}
			fd.find()
			if out, changed := fd.cut(); changed {
				t.Errorf("%q is not suspicious, but becomes %q", text, out)
			}
		}
	})
}

// FuzzBody looks for a value that is no JSON when it was redacted, once or twice.
func FuzzBody(f *testing.F) {
	for _, v := range []string{
		`{"spec":{"containers":[{"env":[{"name":"X","value":"hunter2"},{"value" : 7}],"args":["--api-key=hunter2","a=b"]}]}}`, `[{"op":"add","path":"/data/x","value":[{"value":1}]},{"a":{"value":1}}]`,
		`{"data":{"x":[]},"stringData":"x","a":{"binaryData":1},"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}}`, `{"kind":"ConfigMap","data":{"a":1,"b":[1,{"c":"d"}]}}`,
		`{"requestURI":"/x?token=a&b=\u0026","\u0074oken":1,"b":"to\u006ben=abc\n","é":"é=\ud83d\ude00"}`, "{\"a\":\"\xff\\ud800\",\"\xfftoken\":1}", `"secret-x=1 y"`, ` [ 1.50 , -0e+1 , null,true,"" ,{}, [ ] ] `, `7`,
		`{"a":{"requestObject":{"a":{}},"b":[{"responseObject":null},"token=1","token=abcdefghij"]}}`, `{"command":["mysql"],"args":["-px"],"args":["-py"]}`, `[{"op":"add","path":"/spec/env/0/value/a~1b","value":{"a":1}}]`,
	} {
		f.Add([]byte(v), uint8(0))
	}
	f.Fuzz(func(t *testing.T, v []byte, kind uint8) {
		defer noFailure(t)
		p := Policy{KeepConfigMapValues: kind&8 != 0}
		out := p.Body(bytes.Clone(v), Kind(kind%4))
		if len(v) == 0 || !jsontext.Value(v).IsValid(lax...) {
			return
		}
		if !out.IsValid(lax...) {
			t.Fatalf("%q becomes %q", v, out)
		}
		if again := p.Body(bytes.Clone(out), Kind(kind%4)); !again.IsValid(lax...) {
			t.Errorf("%q becomes %q and then %q", v, out, again)
		}
	})
}

// FuzzURI looks for a URI whose parameters are others afterwards.
func FuzzURI(f *testing.F) {
	for _, uri := range []string{
		"/api/v1/namespaces/shop/pods/web/exec?command=mysql&command=--password&command=hunter2", "/x?api_\u212aey=1&TOKEN=2&x=secret%3dy&%zz", "*", "/?\x7f", "/a b?=&&", "/x?command=PASSWORD%3dabc&q=to\u212aen%3Da", "http://a:b@host/api/v1", "/x;jsessionid=a?b#token=c", "/%74oken=x",
	} {
		f.Add(uri, false)
	}
	f.Fuzz(func(t *testing.T, uri string, drop bool) {
		defer noFailure(t)
		p := Policy{DropExecArguments: drop}
		once := p.URI(uri)
		if strings.Count(uri, "?") == 1 && strings.Count(once, "&") > strings.Count(uri, "&") {
			t.Errorf("%q becomes %q", uri, once)
		}
	})
}

// FuzzArguments looks for a command line that changes without saying so.
func FuzzArguments(f *testing.F) {
	for _, words := range []string{`["mysql","-p","x"]`, `["sh","-c","curl -u a:b x"]`, `["x","--password","-x1"]`, `["curl","-u","a:b","-H","Authorization: x"]`, `["a","--from-literal","b=c"]`} {
		f.Add([]byte(words))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		defer noFailure(t)
		var words []string
		if json.Unmarshal(in, &words) != nil {
			return
		}
		before := append([]string(nil), words...)
		if changed := (Policy{}).Arguments(words); changed == slices.Equal(before, words) {
			t.Errorf("%q becomes %q, said to be changed: %t", before, words, changed)
		}
	})
}
