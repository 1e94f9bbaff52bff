package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// change makes another event of the usual one. It fails where nothing changes.
func change(t testing.TB, pairs ...string) string {
	t.Helper()
	out := deployment
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(out, pairs[i]) {
			t.Fatalf("no %s to replace", pairs[i])
		}
		out = strings.Replace(out, pairs[i], pairs[i+1], 1)
	}
	return out
}

func one(t testing.TB, d *Decoder, in string) *Event {
	t.Helper()
	events, quarantined := decode(t, d, in)
	for _, q := range quarantined {
		t.Fatalf("quarantined: %s", q.Reason)
	}
	if len(events) != 1 {
		t.Fatalf("%d events of one", len(events))
	}
	return events[0]
}

// ands is what an API server writes of so many ampersands.
func ands(n int) string { return strings.Repeat(`\u0026`, n) }

// An event of any size is a row, of which what the server wrote is whole and
// the rest bounded, and its ID is that of the event as a whole.
func TestAnySize(t *testing.T) {
	const mega = 1 << 20
	x := strings.Repeat("x", mega)
	for name, tc := range map[string]struct {
		pairs     []string
		whole     bool // its raw holds all of it
		truncated bool
	}{
		"URI of &":             {[]string{`?dryRun=All`, `?dryRun=All` + ands(200_000)}, true, true},
		"URI of 1 MB of &":     {[]string{`?dryRun=All`, `?` + ands(mega) + `dryRun=All`}, false, true},
		"URI of p":             {[]string{`?dryRun=All`, `?dryRun=All&p=` + x}, false, true},
		"audit ID":             {[]string{`"a1"`, `"` + x + `"`}, false, true},
		"user agent":           {[]string{`kubectl/v1.37.2`, `kubectl/v1.37.2 ` + x}, false, true},
		"X-Forwarded-For":      {[]string{`"203.0.113.9"`, `"203.0.113.9"` + strings.Repeat(`,"10.1.1.1"`, 200_000)}, false, true},
		"X-Forwarded-For junk": {[]string{`"203.0.113.9"`, `"` + x + `","203.0.113.9"`}, false, true},
		"refusal":              {[]string{`{"metadata":{},"code":200}`, `{"metadata":{},"message":"` + x + ` is no name","reason":"Invalid","details":{"name":"` + x + `","causes":[{"message":"` + x + `"}]},"code":200}`}, false, true},
		"many causes":          {[]string{`{"metadata":{},"code":200}`, `{"details":{"causes":[{"message":"x"}` + strings.Repeat(`,{"message":"`+x[:1000]+`"}`, 3000) + `]},"code":200}`}, false, true},
		"status beyond all":    {[]string{`{"metadata":{},"code":200}`, `{"message":"x","details":{"causes":[{"message":"x"}` + strings.Repeat(`,{"message":"`+x[:10_000]+`"}`, 2000) + `]},"code":200}`}, false, true},
		"request body":         {[]string{`"responseStatus"`, `"requestObject":{"a":"` + x + `"},"responseStatus"`}, false, true},
		"both bodies":          {[]string{`"requestReceived`, `"requestObject":{"a":["` + x + `"]},"responseObject":{"b":"` + x + x + x + `"},"requestReceived`}, false, true},
		"a body of numbers":    {[]string{`"requestReceived`, `"requestObject":[` + strings.Repeat("1,", mega) + `2],"requestReceived`}, false, true},
		"a body of brackets":   {[]string{`"requestReceived`, `"requestObject":` + strings.Repeat("[", mega) + strings.Repeat("]", mega) + `,"requestReceived`}, false, true},
		"impersonated extra":   {[]string{`"sourceIPs"`, `"impersonatedUser":{"username":"alice@example.com","extra":{"a":["` + x + `"]}},"sourceIPs"`, `"username":"alice@example.com"`, `"username":"bob"`}, false, true},
		"many extras":          {[]string{`"extra":{`, `"extra":{` + members(100_000, `["v"]`)}, false, true},
		"many groups":          {[]string{`"groups":["dev"`, `"groups":["dev"` + strings.Repeat(`,"group"`, 200_000)}, false, true},
		"many annotations":     {[]string{`"annotations":{`, `"annotations":{` + members(100_000, `"v"`)}, false, true},
		"annotation":           {[]string{`"allow"`, `"allow","z":"` + x + x + `"`}, false, true},
		"what nobody knows":    {[]string{`"responseStatus"`, `"unheard":"` + x + `","responseStatus"`}, false, true},
		"many unknown":         {[]string{`"level"`, members(100_000, `"`+x[:20]+`"`) + `"level"`}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			in := change(t, tc.pairs...)
			small, d := newDecoder(t), newDecoder(t)
			small.MaxItemBytes = 64 << 20
			whole := one(t, small, in)
			for how, delivery := range map[string]string{"line": in, "list": `{"items":[` + in + `]}`, "text": string(quoteText(in))} {
				e := one(t, d, delivery)
				if e.ID != whole.ID && name != "status beyond all" { // which is more than is held
					t.Errorf("%s: the ID is another one where the event is cut", how)
				}
				if len(e.Raw) > DefaultMaxItemBytes {
					t.Errorf("%s: a raw of %d bytes", how, len(e.Raw))
				}
				if !json.Valid(e.Raw) {
					t.Errorf("%s: the raw is not JSON: %.300s", how, e.Raw)
				}
				if tc.whole && !bytes.Equal(e.Raw, whole.Raw) {
					t.Errorf("%s: the raw could be whole, and is not", how)
				}
				if e.Truncated != tc.truncated {
					t.Errorf("%s: Truncated is %t", how, e.Truncated)
				}
				bounded(t, e)
				usual := one(t, d, deployment)
				ignored := cmpopts.IgnoreFields(Event{}, "ID", "AuditID", "Path", "UserAgent", "IPs", "Raw", "RawSHA256", "Truncated", "CredentialID", "ActedVia", "ActedViaGroups")
				switch name {
				case "many groups":
					usual.Groups = e.Groups
				case "impersonated extra":
					usual.Groups = nil
				}
				if strings.HasSuffix(name, "of &") {
					// As for the API server: Go reads no query of more than 10,000 parameters.
					usual.DryRun = DryRunFalse
				}
				if diff := cmp.Diff(usual, e, ignored); diff != "" {
					t.Errorf("%s: what the server wrote has changed: %s", how, diff)
				}
				if e.IPs[len(e.IPs)-1] != usual.IPs[1] {
					t.Errorf("%s: the last address is %s", how, e.IPs[len(e.IPs)-1])
				}
			}
		})
	}
}

func members(n int, value string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"m%d":%s,`, i, value)
	}
	return b.String()
}

// bounded checks every text of a row.
func bounded(t testing.TB, e *Event) {
	t.Helper()
	for name, text := range map[string]string{
		"AuditID": e.AuditID, "Level": e.Level, "Stage": e.Stage, "Actor": e.Actor, "ActedVia": e.ActedVia, "CredentialID": e.CredentialID,
		"Verb": e.Verb, "Action": e.Action, "APIGroup": e.APIGroup, "APIVersion": e.APIVersion, "Resource": e.Resource,
		"Subresource": e.Subresource, "Namespace": e.Namespace, "ResourceName": e.ResourceName,
	} {
		if n := utf8.RuneCountInString(text); n > MaxExactText {
			t.Errorf("%s has %d characters", name, n)
		}
	}
	for _, groups := range [][]string{e.Groups, e.ActedViaGroups} {
		if len(groups) > MaxGroups || len(strings.Join(groups, "")) > MaxGroupBytes {
			t.Errorf("%d groups of %d bytes", len(groups), len(strings.Join(groups, "")))
		}
	}
	if len(e.Path) > MaxPath || len(e.UserAgent) > MaxUserAgent || len(e.IPs) > 2*MaxEndIPs {
		t.Errorf("a path of %d bytes, a user agent of %d, %d addresses", len(e.Path), len(e.UserAgent), len(e.IPs))
	}
}

// Each text of a row is as it came up to its bound, and beyond it ends in the
// hash of the whole.
func TestCutTexts(t *testing.T) {
	text := func(n int) string { return strings.Repeat("é", n) }
	exact := map[string]struct {
		old, format string
		of          func(*Event) string
	}{
		"audit ID":      {`"a1"`, `"%s"`, func(e *Event) string { return e.AuditID }},
		"level":         {`"level":"Metadata"`, `"level":"%s"`, func(e *Event) string { return e.Level }},
		"actor":         {`alice@example.com`, `%s`, func(e *Event) string { return e.Actor }},
		"acted via":     {`{"username":"alice@example.com"`, `{"username":"%s"`, func(e *Event) string { return e.ActedVia }},
		"credential":    {`X509SHA256=ab`, `%s`, func(e *Event) string { return e.CredentialID }},
		"verb":          {`"verb":"patch"`, `"verb":"%s"`, func(e *Event) string { return e.Verb }},
		"group":         {`"apiGroup":"apps"`, `"apiGroup":"%s"`, func(e *Event) string { return e.APIGroup }},
		"version":       {`"apiVersion":"v1"`, `"apiVersion":"%s"`, func(e *Event) string { return e.APIVersion }},
		"resource":      {`"resource":"deployments"`, `"resource":"%s"`, func(e *Event) string { return e.Resource }},
		"subresource":   {`"subresource":"scale"`, `"subresource":"%s"`, func(e *Event) string { return e.Subresource }},
		"resource name": {`"name":"web"`, `"name":"%s"`, func(e *Event) string { return e.ResourceName }},
		"namespace":     {`/namespaces/shop/`, `/namespaces/%s/`, func(e *Event) string { return e.Namespace }},
	}
	for name, tc := range exact {
		t.Run(name, func(t *testing.T) {
			row := func(value string) *Event {
				t.Helper()
				pairs := []string{tc.old, fmt.Sprintf(tc.format, value)}
				if name == "acted via" {
					pairs = append(pairs, `"sourceIPs"`, `"impersonatedUser":{"username":"bob"},"sourceIPs"`)
				}
				return one(t, newDecoder(t), change(t, pairs...))
			}
			longest := text(MaxExactText)
			if e := row(longest); tc.of(e) != longest || e.Truncated && name != "subresource" { // of which the action is made
				t.Errorf("the longest text was cut: %s", tc.of(e))
			}
			tooLong, other := text(MaxExactText+1), text(MaxExactText)+"e"
			e := row(tooLong)
			if got, want := tc.of(e), text(MaxExactText-cutEnd)+"~"; !strings.HasPrefix(got, want) || !e.Truncated || !IsCut(got) || utf8.RuneCountInString(got) != MaxExactText {
				t.Errorf("%d characters are %q, Truncated is %t", MaxExactText+1, got, e.Truncated)
			}
			if tc.of(e) == tc.of(row(other)) {
				t.Error("two texts of one beginning are the same")
			}
			if !bytes.Contains(e.Raw, []byte(tooLong)) {
				t.Error("the raw has not the whole text")
			}
			bounded(t, e)
		})
	}
	sum := (Key{}).Hash([]byte(text(MaxExactText + 1)))
	if e := one(t, newDecoder(t), change(t, `"a1"`, `"`+text(MaxExactText+1)+`"`)); !strings.HasSuffix(e.AuditID, "~"+hex.EncodeToString(sum[:])) {
		t.Errorf("%s does not end in the keyed hash", e.AuditID)
	}
	for name, tc := range map[string]struct {
		old  string
		then string
		most int
		of   func(*Event) string
	}{
		"path":       {"/apis/apps/v1/namespaces/shop/deployments/web/scale?dryRun=All", "&p=", MaxPath, func(e *Event) string { return e.Path }},
		"user agent": {"kubectl/v1.37.2", "", MaxUserAgent, func(e *Event) string { return e.UserAgent }},
	} {
		longest := tc.old + tc.then
		longest += strings.Repeat("x", tc.most-len(longest))
		if e := one(t, newDecoder(t), change(t, tc.old, longest)); tc.of(e) != longest || e.Truncated {
			t.Errorf("the longest %s was cut", name)
		}
		if e := one(t, newDecoder(t), change(t, tc.old, longest+"x")); len(tc.of(e)) != tc.most || !e.Truncated || !utf8.ValidString(tc.of(e)) || e.Client != ClientCLI || e.DryRun != DryRunTrue {
			t.Errorf("a longer %s is %q", name, tc.of(e))
		}
	}
}

func TestAddresses(t *testing.T) {
	for n, want := range map[int]int{1: 1, 29: 29, 30: 30, 31: 30, 500: 30} {
		var texts []string
		for i := range n {
			texts = append(texts, fmt.Sprintf("10.0.%d.%d", i/250, i%250))
		}
		var r room
		ips, cut := addresses(&r, texts)
		if len(ips) != want || cut != (n > 30) || ips[0].String() != texts[0] || ips[len(ips)-1].String() != texts[n-1] {
			t.Errorf("of %d addresses %d are kept, cut is %t", n, len(ips), cut)
		}
		if n > 30 && ips[15].String() != texts[n-15] {
			t.Errorf("of %d addresses the 16th that is kept is %s", n, ips[15])
		}
		junk := append([]string{"nowhere"}, texts...)
		junk = append(junk, "unknown", "2001:db8::1%eth0")
		if ips, _ = addresses(&r, junk); ips[0].String() != texts[0] || ips[len(ips)-1] != netip.MustParseAddr("2001:db8::1") {
			t.Errorf("beside what is none, the addresses are %s", ips)
		}
	}
}

func TestIsCut(t *testing.T) {
	c := cutter{}
	cut := c.exact(strings.Repeat("x", 1000))
	for text, want := range map[string]bool{
		cut: true, cut[1:]: false, cut + "0": false, "": false, strings.Repeat("x", 256): false,
		strings.Repeat("x", 223) + "~" + strings.Repeat("G", 32): false, strings.Repeat("é", 223) + "~" + strings.Repeat("0", 32): true,
	} {
		if IsCut(text) != want {
			t.Errorf("IsCut(%q) is %t", text, !want)
		}
	}
}

// A line that is broken costs itself alone, wherever it ends.
func TestBrokenLines(t *testing.T) {
	lines := []string{deployment, `{"kind":"Event","apiVersion":"audit.k8s.io/v1",` + deployment[1:], `{"items":[` + deployment + `]}`, `[` + deployment + `]`}
	for _, whole := range lines {
		for cut := 1; cut < len(whole); cut++ {
			in := whole + "\n" + whole[:cut] + "\n" + whole + "\n" + whole
			events, quarantined := decode(t, newDecoder(t), in)
			// A list may be broken behind its event.
			if len(events) < 3 || len(events)+len(quarantined) < 4 || len(quarantined) > 1 {
				t.Fatalf("%d events and %d quarantined, where a line is %s", len(events), len(quarantined), whole[:cut])
			}
		}
	}
}
