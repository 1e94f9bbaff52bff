package audit

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What is wrong in a part that a client may write costs that part at most.
func TestDefects(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	for name, tc := range map[string]struct {
		old, new string
		raw      string // what the raw holds
		marked   bool
	}{
		"a label twice":              {`"responseStatus"`, `"requestObject":{"metadata":{"labels":{"a":"1","a":"2"}}},"responseStatus"`, `"labels":{"a":"1","a":"2"}`, false},
		"a label twice in an answer": {`"responseStatus"`, `"responseObject":{"labels":{"a":"1","\u0061":"2"}},"responseStatus"`, `"labels":{"a":"1","a":"2"}`, false},
		"a secret twice":             {`"responseStatus"`, `"requestObject":{"token":"hunter2","x":1,"token":"hunter2"},"responseStatus"`, `{"token":"[redacted]","x":1,"token":"[redacted]"}`, false},
		"data twice":                 {`"responseStatus"`, `"requestObject":{"data":{"a":"hunter2","a":"hunter2"},"data":"hunter2"},"responseStatus"`, `{"data":"[redacted]","data":"[redacted]"}`, false},
		"bad UTF-8":                  {`"responseStatus"`, "\"requestObject\":{\"a\":\"\xff\"},\"responseStatus\"", "{\"a\":\"\uFFFD\"}", false},
		"bad UTF-8 makes names one":  {`"extra":{`, "\"extra\":{\"\xfe\":[\"1\"],\"\xff\":[\"2\"],", "\"\uFFFD\":[\"1\"],\"\uFFFD\":[\"2\"]", false},
		"half a surrogate":           {`"responseStatus"`, `"requestObject":{"a":"\ud83d"},"responseStatus"`, "{\"a\":\"\uFFFD\"}", false},
		"deep":                       {`"responseStatus"`, `"requestObject":` + deep(maxBodyDepth) + `,"responseStatus"`, deep(maxBodyDepth), false},
		"too deep":                   {`"responseStatus"`, `"requestObject":` + deep(maxBodyDepth+1) + `,"responseStatus"`, `"requestObject":"[unreadable: 10002 bytes`, true},
		"as deep as none reads":      {`"responseStatus"`, `"responseObject":{"a":` + deep(20000) + `},"responseStatus"`, `"responseObject":"[unreadable: 40006 bytes`, true},
		"deep and unheard":           {`"responseStatus"`, `"unheard":` + deep(20000) + `,"responseStatus"`, `"unheard":"[unreadable: `, true},
		"no JSON":                    {`"responseStatus"`, `"requestObject":{"token":hunter2},"responseStatus"`, `"requestObject":"[unreadable: 17 bytes`, true},
		"control character":          {`"responseStatus"`, "\"requestObject\":{\"a\":\"\x01hunter2\"},\"responseStatus\"", `"requestObject":"[unreadable: `, true},
		"a number beyond all":        {`"responseStatus"`, `"requestObject":{"a":1e999999,"b":-0.0e-0},"responseStatus"`, `{"a":1e999999,"b":-0.0e-0}`, false},
		"no number":                  {`"responseStatus"`, `"requestObject":{"a":01},"responseStatus"`, `"requestObject":"[unreadable: 8 bytes`, true},
		"status twice":               {`{"metadata":{},"code":200}`, `{"metadata":{},"metadata":{},"code":200}`, `{"metadata":{},"metadata":{},"code":200}`, false},
		"annotation twice":           {`"annotations":{`, `"annotations":{"a":"1","a":"2",`, `"annotations":{"a":"1","a":"2",`, false},
		"annotation of no text":      {`"annotations":{`, `"annotations":{"a":{"token":"hunter2"},`, `"annotations":{"a":"[unreadable: 19 bytes`, true},
		"annotations of no object":   {`{"authorization.k8s.io/decision":"allow"}`, `["hunter2"]`, `"annotations":{"[left out]":"[unreadable: 11 bytes`, true},
		"extra of no list":           {`"extra":{`, `"extra":{"a":"hunter2","b":[1,"x",null],`, `"a":["[unreadable: 9 bytes`, true},
		"extra of other things":      {`"extra":{`, `"extra":{"b":[1,"x",null],`, `,"x",""]`, true},
		"bad escape in a name":       {`"userAgent":"kubectl`, `"userAgent":"kubectl\x`, `"userAgent":"kubectl` + "\uFFFD" + `x`, true},
		"bad UTF-8 in an agent":      {`"userAgent":"kubectl`, "\"userAgent\":\"kubectl\xff", "\"userAgent\":\"kubectl\uFFFD", false},
		"unknown of a user":          {`"user":{`, `"user":{"more":{"a":1,"a":2},`, `"more":{"a":1,"a":2}`, false},
		"unknown of a reference":     {`"objectRef":{`, `"objectRef":{"more":nul,`, `"more":"[unreadable: 3 bytes`, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(t)
			in := change(t, tc.old, tc.new)
			e, usual := one(t, d, `{"items":[`+in+`]}`), one(t, d, deployment)
			if !bytes.Contains(e.Raw, []byte(tc.raw)) || bytes.Contains(e.Raw, []byte("hunter2")) {
				t.Errorf("the raw is %.2000s", e.Raw)
			}
			if e.Truncated != tc.marked {
				t.Errorf("Truncated is %t", e.Truncated)
			}
			if !jsontext.Value(e.Raw).IsValid(laxOptions) {
				t.Error("the raw is not JSON")
			}
			if diff := cmp.Diff(usual, e, cmpopts.IgnoreFields(Event{}, "ID", "IPs", "Raw", "RawSHA256", "Truncated", "UserAgent")); diff != "" {
				t.Error(diff)
			}
			if again := one(t, d, in); again.ID != e.ID {
				t.Error("a line of the same event has another ID")
			}
		})
	}
}

// A refusal quotes the object; one that can't be read is not kept for a secret.
func TestDefectiveStatusOfASecret(t *testing.T) {
	in := change(t, `"resource":"deployments"`, `"resource":"secrets"`, `"apiGroup":"apps",`, ``,
		`{"metadata":{},"code":200}`, `{"message":"hunter2","message":"hunter2","code":422}`)
	if e := one(t, newDecoder(t), in); bytes.Contains(e.Raw, []byte("hunter2")) || e.StatusCode != 422 {
		t.Errorf("code %d in %s", e.StatusCode, e.Raw)
	}
}

// Who sent too much has bodies left out and texts cut, and every row.
func TestAllowRaw(t *testing.T) {
	d := newDecoder(t)
	var asked []string
	allow := true
	d.AllowRaw = func(identity string, bytes int) bool { asked = append(asked, identity); return allow }
	long := strings.Repeat("x", FreeRawBytes)
	fat := func(pairs ...string) string {
		return change(t, append([]string{`"responseStatus"`, `"requestObject":{"a":"` + long + `"},"responseStatus"`}, pairs...)...)
	}
	one(t, d, deployment)
	if len(asked) != 0 {
		t.Errorf("an event of %d bytes needs an allowance", len(deployment))
	}
	for _, tc := range []struct {
		identity string
		in       string
	}{
		{"alice@example.com", fat()},
		{"alice@example.com", fat(`"sourceIPs"`, `"impersonatedUser":{"username":"bob"},"sourceIPs"`)},
		{SharedIdentity, fat(`"code":200`, `"code":403`)},
		{SharedIdentity, fat(`"code":200`, `"code":401`)},
		{SharedIdentity, fat(`alice@example.com`, `system:anonymous`)},
		{SharedIdentity, fat(`"username":"alice@example.com",`, ``)},
		{"system:serviceaccount:shop", fat(`alice@example.com`, `system:serviceaccount:shop:a`)},
		{"system:serviceaccount:shop", fat(`alice@example.com`, `system:serviceaccount:shop:b`)},
		{"system:node:n1", fat(`alice@example.com`, `system:node:n1`)},
	} {
		asked, allow = nil, true
		whole := one(t, d, tc.in)
		if len(asked) != 1 || asked[0] != tc.identity {
			t.Errorf("the raw is asked for by %q, want %q", asked, tc.identity)
		}
		if whole.Truncated || !bytes.Contains(whole.Raw, []byte(long)) {
			t.Errorf("an event that is allowed was cut: %s", whole.Raw)
		}
		allow = false
		cut := one(t, d, tc.in)
		if !cut.Truncated || len(cut.Raw) > FreeRawBytes || !bytes.Contains(cut.Raw, []byte(`"requestObject":"[left out: `)) {
			t.Errorf("one that is not has %s", cut.Raw)
		}
		if diff := cmp.Diff(whole, cut, cmpopts.IgnoreFields(Event{}, "IPs", "Raw", "RawSHA256", "Truncated")); diff != "" {
			t.Error(diff)
		}
	}
	allow = false
	e := one(t, d, change(t, "?dryRun=All", "?dryRun=All&a="+strings.Repeat("x", 5000)))
	if !e.Truncated || !bytes.Contains(e.Raw, []byte(`x[cut: 50`)) || len(e.Raw) > 5200 {
		t.Errorf("a long text that is not allowed is %s", e.Raw)
	}
}

// A body has one mark, however it came to be left out.
func TestBodyMark(t *testing.T) {
	body := `{"a": "\u0026\u003c\/` + strings.Repeat("x", 4000) + `",` + "\n" + `"b":[1, true,{}]}`
	in := change(t, `"responseStatus"`, `"requestObject":`+body+`,"responseStatus"`)
	marked := func(most int, allow bool) string {
		t.Helper()
		d := newDecoder(t)
		d.MaxItemBytes = most
		d.AllowRaw = func(string, int) bool { return allow }
		raw := one(t, d, in).Raw
		at := bytes.Index(raw, []byte(`"requestObject":"[left out`))
		if at < 0 {
			t.Fatalf("no mark in %s", raw)
		}
		return string(raw[at : at+100])
	}
	want := marked(1<<20, false)
	for _, most := range []int{1 << 10, 2 << 10, 4050, 4500} {
		if got := marked(most, true); got != want {
			t.Errorf("at a bound of %d the mark is %s, want %s", most, got, want)
		}
	}
}

// In whatever pieces a value comes, its copy is the same and valid; and nothing
// that is no value harms.
func FuzzCondense(f *testing.F) {
	for _, s := range []string{
		deployment, `{"requestObject":{"a":[1,2,{"b":"\u0026\n"}]},"x":{"y":[[],{}]},"annotations":{"a":"b","c":"d"}}`, `{"a":1,"b":2,"verb":"\ud83d\ude00é"}`,
		`[1,[2,[3,[4,[5,[6,[7,[8,[9,[10]]]]]]]]]]`, `{"user":{"extra":{"a":["b","c"],"d":["e"]}},"unheard":12345678901234567890}`, `"text"`, `{"a" : [ ] , "b" : { } }`, `{`, `"\`, `{,}`,
	} {
		f.Add([]byte(s), uint8(7), uint8(20))
	}
	f.Fuzz(func(t *testing.T, in []byte, piece, most uint8) {
		to := extent{text: int(most), container: int(most) / 2, body: int(most), total: 1 << 10}
		whole, cut := condense(Key{}, in, to)
		c := condenser{extent: to}
		for rest := in; len(rest) > 0; {
			n := min(len(rest), int(piece)+1)
			c.write(rest[:n])
			rest = rest[n:]
		}
		if !jsontext.Value(in).IsValid(laxOptions) {
			return
		}
		// Where a text is cut may depend on the pieces, whether it is does not.
		if pieces, pieceCut := c.end(); cut != pieceCut || !cut && !bytes.Equal(whole, pieces) {
			t.Fatalf("%q at once is %q, in pieces %q", in, whole, pieces)
		}
		if !jsontext.Value(whole).IsValid(laxOptions) {
			t.Fatalf("%q becomes %q", in, whole)
		}
		if cut {
			return
		}
		a, b := canonical(in), canonical(whole)
		if a != b {
			t.Fatalf("%s becomes %s", a, b)
		}
	})
}
