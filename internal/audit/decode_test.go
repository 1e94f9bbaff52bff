package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func newDecoder(t testing.TB) *Decoder {
	t.Helper()
	c, err := NewClassifier(BuiltInResourceTypes(), "system:serviceaccount:audit-system:audit-operator")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return &Decoder{Source: "s", Cluster: "c", Classifier: c, Now: func() time.Time { return now }}
}

func decode(t testing.TB, d *Decoder, in string) (events []*Event, quarantined []*Quarantined) {
	t.Helper()
	err := d.Decode(strings.NewReader(in), func(i Item) error {
		if i.Event != nil {
			events = append(events, i.Event)
		} else {
			quarantined = append(quarantined, i.Quarantined)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events, quarantined
}

const deployment = `{"level":"Metadata","auditID":"a1","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/shop/deployments/web/scale?dryRun=All","verb":"patch","user":{"username":"alice@example.com","groups":["dev"],"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=ab"]}},"sourceIPs":["203.0.113.9","::ffff:10.0.0.7"],"userAgent":"kubectl/v1.37.2","objectRef":{"resource":"deployments","namespace":"shop","name":"web","apiGroup":"apps","apiVersion":"v1","subresource":"scale"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-23T11:00:00.123456Z","stageTimestamp":"2026-11-23T11:00:00.223456Z","annotations":{"authorization.k8s.io/decision":"allow"}}`

func TestDecodeEvent(t *testing.T) {
	events, quarantined := decode(t, newDecoder(t), `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[`+deployment+`]}`)
	if len(events) != 1 || len(quarantined) != 0 {
		t.Fatalf("%d events, %d quarantined", len(events), len(quarantined))
	}
	want := &Event{
		Source: "s", Cluster: "c", AuditID: "a1", Level: "Metadata", Stage: StageResponseComplete,
		OccurredAt: time.Date(2026, 11, 23, 11, 0, 0, 123456000, time.UTC),
		StageAt:    time.Date(2026, 11, 23, 11, 0, 0, 223456000, time.UTC),
		Actor:      "alice@example.com", ActorKind: ActorUser, CredentialID: "X509SHA256=ab", Groups: []string{"dev"},
		Method: "PATCH", Verb: "patch", ResourceType: "application", Action: "application.scale",
		APIGroup: "apps", APIVersion: "v1", Resource: "deployments", Subresource: "scale", Namespace: "shop", ResourceName: "web",
		Path: "/apis/apps/v1/namespaces/shop/deployments/web/scale?dryRun=All", StatusCode: 200, DryRun: DryRunTrue,
		Client: ClientCLI, UserAgent: "kubectl/v1.37.2",
		IPs: []netip.Addr{netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("10.0.0.7")},
	}
	equalAddrs := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, events[0], equalAddrs, cmpopts.IgnoreFields(Event{}, "ID", "Raw", "RawSHA256")); diff != "" {
		t.Error(diff)
	}
}

// The same event comes as an item of a list and as a line of a log, with its
// members in any order and its times in any notation.
func TestIdentity(t *testing.T) {
	d := newDecoder(t)
	id := func(in string) ID {
		t.Helper()
		events, _ := decode(t, d, in)
		if len(events) != 1 {
			t.Fatalf("%d events in %s", len(events), in)
		}
		return events[0].ID
	}
	want := id(deployment)
	rest := deployment[1:]
	for name, same := range map[string]string{
		"in a list":           `{"items":[` + deployment + `],"kind":"EventList"}`,
		"kind and apiVersion": `{"kind":"Event","apiVersion":"audit.k8s.io/v1",` + rest,
		"kind is a number":    `{"kind":0,` + rest,
		"byte-order mark":     "\ufeff" + deployment + "\n",
		"bodies":              `{"requestObject":{"spec":{}},"responseObject":[],` + rest,
		"another zone":        strings.Replace(deployment, "11:00:00.123456Z", "12:00:00.123456+01:00", 1),
		"no T and no zone":    strings.Replace(deployment, "2026-11-23T11:00:00.123456Z", "2026-11-23 11:00:00.123456", 1),
		"order in a map":      strings.Replace(deployment, `{"metadata":{},"code":200}`, `{"code":200,"metadata":{}}`, 1),
		"as a string":         fmt.Sprintf("%q", deployment),
	} {
		if got := id(same); got != want {
			t.Errorf("%s: another id", name)
		}
	}
	for name, other := range map[string]string{
		"level":       strings.Replace(deployment, "Metadata", "Request", 1),
		"auditID":     strings.Replace(deployment, `"a1"`, `"a2"`, 1),
		"stage":       strings.Replace(deployment, "ResponseComplete", "Panic", 1),
		"requestURI":  strings.Replace(deployment, "?dryRun", "?dryrun", 1),
		"verb":        strings.Replace(deployment, `"patch"`, `"update"`, 1),
		"user":        strings.Replace(deployment, "alice", "bob", 1),
		"group":       strings.Replace(deployment, `"dev"`, `"dev","ops"`, 1),
		"extra":       strings.Replace(deployment, "X509SHA256=ab", "X509SHA256=cd", 1),
		"impersonate": strings.Replace(deployment, `"sourceIPs"`, `"impersonatedUser":{},"sourceIPs"`, 1),
		"constraint":  strings.Replace(deployment, `"sourceIPs"`, `"authenticationMetadata":{"impersonationConstraint":"impersonate:user-info"},"sourceIPs"`, 1),
		"ip":          strings.Replace(deployment, "203.0.113.9", "203.0.113.8", 1),
		"agent":       strings.Replace(deployment, "kubectl/", "kubectk/", 1),
		"name":        strings.Replace(deployment, `"name":"web"`, `"name":"wed"`, 1),
		"status":      strings.Replace(deployment, `"code":200`, `"code":201`, 1),
		"received":    strings.Replace(deployment, "00.123456", "00.123457", 1),
		"reached":     strings.Replace(deployment, "00.223456", "00.223457", 1),
		"annotation":  strings.Replace(deployment, `"allow"`, `"forbid"`, 1),
	} {
		if other == deployment {
			t.Fatalf("%s: nothing was replaced", name)
		}
		if got := id(other); got == want {
			t.Errorf("%s: the same id", name)
		}
	}
	d.Source = "other"
	if id(deployment) == want {
		t.Error("another source has the same id")
	}
	d.Source, d.Key = "s", Key{1}
	if id(deployment) == want {
		t.Error("another store's key gives the same id")
	}
}

// Who reads a quarantined item must not be able to try what was in it.
func TestQuarantinedHashIsKeyed(t *testing.T) {
	d := newDecoder(t)
	d.Key, d.MaxItemBytes = Key{1}, 64<<10
	for _, item := range []string{`{"password":"123456"}`, "not JSON", `{"a":"` + strings.Repeat("x", 3*d.MaxItemBytes) + `"}`} {
		_, quarantined := decode(t, d, item)
		if len(quarantined) != 1 {
			t.Fatalf("%.40s: %d quarantined", item, len(quarantined))
		}
		mac := hmac.New(sha256.New, d.Key[:])
		mac.Write([]byte(item))
		if got, want := quarantined[0].Hash, [32]byte(mac.Sum(nil)); got != want {
			t.Errorf("%.40s: the hash is %x, want HMAC-SHA-256 under the store's key, %x", item, got, want)
		}
	}
}

// failsOnce fails as a request's body that was cut off: once, and then it ends.
type failsOnce struct {
	io.Reader
	failed bool
}

func (f *failsOnce) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if errors.Is(err, io.EOF) && !f.failed {
		f.failed = true
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// A delivery that was cut off is never taken for a whole one, wherever that was.
func TestCutOff(t *testing.T) {
	body := `{"kind":"EventList","items":[` + deployment + `,{"log":"x"}]}` + "\n" + deployment + "\n"
	for n := range len(body) {
		err := newDecoder(t).Decode(&failsOnce{Reader: strings.NewReader(body[:n])}, func(Item) error { return nil })
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut off after %d bytes: %v", n, err)
		}
	}
}

func TestOneBadItemOf400(t *testing.T) {
	for bad, reason := range map[string]string{
		`{"level":"Metadata","stage":"ResponseComplete"}`:                        "neither requestReceivedTimestamp",
		`{"stage":"Half","stageTimestamp":"2026-11-23T11:00:00Z"}`:               "stage is none of",
		`{"kind":"Pod","stageTimestamp":"2026-11-23T11:00:00Z","stage":"Panic"}`: "kind is not Event",
		`{"user":"alice","password":"hunter2"}`:                                  "another type",
		`{"a":1,"a":2}`:                                                          "neither requestReceivedTimestamp",
		`{"verb":"a","verb":"b"}`:                                                "two members",
		`17`:                                                                     "not an object",
		`"hunter2"`:                                                              "not an event",
		`null`:                                                                   "not an object",
		fmt.Sprintf("%q", deployment+" hunter2"):                                 "not valid JSON",
		`{"requestObject":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`: "neither requestReceivedTimestamp",
		`{"requestObject":"` + strings.Repeat("x", DefaultMaxItemBytes) + `"}`:              "neither requestReceivedTimestamp",
	} {
		items := make([]string, 400)
		for i := range items {
			items[i] = strings.Replace(deployment, `"a1"`, fmt.Sprintf(`"a%d"`, i), 1)
		}
		items[137] = bad
		events, quarantined := decode(t, newDecoder(t), `{"kind":"EventList","items":[`+strings.Join(items, ",\n ")+`]}`)
		if len(events) != 399 || len(quarantined) != 1 {
			t.Fatalf("%.60s: %d events, %d quarantined", bad, len(events), len(quarantined))
		}
		q := quarantined[0]
		if !strings.Contains(q.Reason, reason) {
			t.Errorf("%.60s: reason %q, want one with %q", bad, q.Reason, reason)
		}
		if q.Size != int64(len(bad)) {
			t.Errorf("%.60s: size %d, want %d", bad, q.Size, len(bad))
		}
		if bytes.Contains(q.Redacted, []byte("hunter2")) || strings.Contains(q.Reason, "hunter2") {
			t.Errorf("%.60s: a secret stayed: %s", bad, q.Redacted)
		}
	}
}

func TestBrokenStreamSaysWhatWasTaken(t *testing.T) {
	_, quarantined := decode(t, newDecoder(t), `{"items":[`+deployment+`,{"verb":null},`+deployment+`,{"lev`)
	if len(quarantined) != 2 || !strings.Contains(quarantined[1].Reason, "after 3 complete items") {
		t.Errorf("quarantined %+v", quarantined)
	}
}

func TestBrokenStream(t *testing.T) {
	for name, tc := range map[string]struct {
		in                  string
		events, quarantined int
	}{
		"empty":                  {"", 0, 0},
		"white space":            {" \n\t", 0, 0},
		"empty list":             {`{"kind":"EventList","items":[]}`, 0, 0},
		"no items":               {`{"kind":"EventList"}`, 0, 1},
		"lines":                  {deployment + "\n" + deployment + "\n", 2, 0},
		"cut off in an item":     {`{"items":[` + deployment + `,{"level":"Met`, 1, 1},
		"cut off between":        {`{"items":[` + deployment + `,`, 1, 1},
		"cut off after":          {`{"items":[` + deployment, 1, 1},
		"no comma":               {`{"items":[` + deployment + deployment + `]}`, 2, 0},
		"text":                   {`hello`, 0, 1},
		"text after":             {deployment + ` }{`, 1, 1},
		"array of events":        {`[` + deployment + `,` + deployment + `]`, 2, 0},
		"array, one is wrong":    {`[` + deployment + `,7,{},"x",null,[` + deployment + `],` + deployment + `]`, 2, 5},
		"array, commas":          {`[,` + deployment + `,,` + deployment + `,]`, 2, 0},
		"array, then lines":      {"[" + deployment + "]\n" + deployment, 2, 0},
		"empty array":            {`[]`, 0, 0},
		"no items: null":         {`{"kind":"EventList","items":null}`, 0, 0},
		"nothing but null":       {`{"items":null}`, 0, 0},
		"items: nul":             {`{"items":nul}`, 0, 1},
		"lines with commas":      {deployment + ",\n" + deployment + ",\n", 2, 0},
		"a broken line":          {deployment + "\n" + deployment[:200] + "\n" + deployment + "\n", 2, 1},
		"a broken line first":    {deployment[:200] + "\n" + deployment + "\n" + deployment, 2, 1},
		"a line of text":         {deployment + "\nhello, world {\"a\":\n" + deployment + "\n", 2, 1},
		"a broken list":          {`{"items":[` + deployment + `,` + deployment[:300] + "\n" + `{"items":[` + deployment + "]}\n", 2, 1},
		"a broken array":         {`[` + deployment + `,` + deployment[:300] + "\n" + `[` + deployment + "]\n", 2, 1},
		"a line in a list":       {"[\n" + deployment + ",\n" + deployment[:300] + ",\n" + deployment + "\n]\n", 2, 1},
		"the rest of a line":     {deployment[300:] + "\n" + deployment + "\n", 1, 1},
		"lines by CR LF":         {deployment + "\r\n" + deployment[:200] + "\r\n" + deployment + "\r\n", 2, 1},
		"a list that is more":    {`{"auditID":"x","items":[` + deployment + `]}`, 1, 1},
		"a string without end":   {`"` + strings.Repeat("x", 2<<20), 0, 1},
		"nesting without end":    {strings.Repeat("[", 100000), 0, 1},
		"nesting in a list":      {`{"items":[` + strings.Repeat("{\"a\":", 100000), 0, 1},
		"two lists of one body":  {`{"items":[` + deployment + `]}{"items":[` + deployment + `]}`, 2, 0},
		"items that is no array": {`{"items":{}}`, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			events, quarantined := decode(t, newDecoder(t), tc.in)
			if len(events) != tc.events || len(quarantined) != tc.quarantined {
				t.Errorf("%d events and %d quarantined, want %d and %d", len(events), len(quarantined), tc.events, tc.quarantined)
			}
		})
	}
}

// A connection that breaks is no end: what came must not be acknowledged.
func TestReaderFails(t *testing.T) {
	broken := errors.New("connection reset")
	for cut := range len(deployment) + 12 {
		in := (`{"items":[` + deployment + `]}`)[:cut]
		err := newDecoder(t).Decode(io.MultiReader(strings.NewReader(in), failing{broken}), func(Item) error { return nil })
		if !errors.Is(err, broken) {
			t.Fatalf("after %d bytes: error %v, want the reader's", cut, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestRedaction(t *testing.T) {
	const secret = "hunter2"
	for name, change := range map[string][2]string{
		"secret's body":        {`"resource":"deployments","namespace":"shop","name":"web","apiGroup":"apps"`, `"resource":"secrets"`},
		"token in the query":   {`?dryRun=All`, `?access_token=hunter2`},
		"password of exec":     {`?dryRun=All`, `?command=mysql&command=--password%3Dhunter2`},
		"flag, then password":  {`?dryRun=All`, `?command=mysql&command=--password&command=hunter2`},
		"unreadable parameter": {`?dryRun=All`, `?a%zz=hunter2`},
		"webhook's patch":      {`"annotations":{`, `"annotations":{"patch.webhook.admission.k8s.io/round_0_index_0":"hunter2",`},
		"extra":                {`"extra":{`, `"extra":{"example.com/api-key":["hunter2"],`},
		"unknown member":       {`"verb":"patch"`, `"verb":"patch","authToken":"hunter2"`},
		"env":                  {`"verb":"patch"`, `"verb":"patch","requestObject":{"spec":{"containers":[{"env":[{"name":"X","value":"hunter2"}]}]}}`},
		"json patch":           {`"verb":"patch"`, `"verb":"patch","requestObject":[{"op":"add","path":"/data/x","value":"hunter2"}]`},
		"string data":          {`"verb":"patch"`, `"verb":"patch","responseObject":{"items":[{"stringData":{"x":"hunter2"}}]}`},
		"last applied":         {`"verb":"patch"`, `"verb":"patch","requestObject":{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"hunter2"}}}`},
		"argument":             {`"verb":"patch"`, `"verb":"patch","requestObject":{"args":["--api-key=hunter2"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			in := strings.Replace(deployment, change[0], change[1], 1)
			if name == "secret's body" {
				in = `{"requestObject":{"x":"hunter2"},"responseObject":"hunter2",` + strings.Replace(deployment, change[0], change[1], 1)[1:]
			}
			events, _ := decode(t, newDecoder(t), in)
			if len(events) != 1 {
				t.Fatalf("no event of %s", in)
			}
			if !strings.Contains(in, secret) {
				t.Fatal("the case has no secret")
			}
			if e := events[0]; bytes.Contains(e.Raw, []byte(secret)) || strings.Contains(e.Path, secret) {
				t.Errorf("a secret stayed: %s in %s", e.Path, e.Raw)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"items":[` + deployment + `]}`))
	f.Add([]byte(deployment + "\n" + `{"kind":0}`))
	f.Add([]byte(`["\u0000",{"a":[[[`))
	d := newDecoder(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		var ids []ID
		err := d.Decode(bytes.NewReader(in), func(i Item) error {
			switch {
			case (i.Event == nil) == (i.Quarantined == nil):
				t.Fatal("an item is an event or quarantined")
			case i.Event != nil:
				ids = append(ids, i.Event.ID)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// However the bytes arrive, they hold the same events.
		var again []ID
		err = d.Decode(iotest.OneByteReader(bytes.NewReader(in)), func(i Item) error {
			if i.Event != nil {
				again = append(again, i.Event.ID)
			}
			return nil
		})
		if diff := cmp.Diff(ids, again); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
	})
}
