package store_test

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// What is within the bounds is kept as it is; what is beyond is cut, says so,
// and stays apart from what begins alike.
func TestBounded(t *testing.T) {
	at := audit.Event{Path: strings.Repeat("p", store.MaxPath), Actor: strings.Repeat("a", store.MaxText), IPs: make([]netip.Addr, store.MaxIPs)}
	if store.Bounded(&at) != &at {
		t.Error("an event at the bounds is cut")
	}
	beyond := audit.Event{Path: at.Path + "p", Actor: strings.Repeat("ü", store.MaxText)}
	for i := range store.MaxIPs + 7 {
		beyond.IPs = append(beyond.IPs, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	cut := store.Bounded(&beyond)
	if len(cut.Path) != store.MaxPath || len(cut.Actor) > store.MaxText || !utf8.ValidString(cut.Actor) || !cut.Truncated || beyond.Truncated {
		t.Errorf("a path of %d bytes and an actor of %d are left, truncated: %t", len(cut.Path), len(cut.Actor), cut.Truncated)
	}
	first, last := cut.IPs[0], cut.IPs[len(cut.IPs)-1]
	if len(cut.IPs) != store.MaxIPs || first != beyond.IPs[0] || last != beyond.IPs[store.MaxIPs+6] || len(beyond.IPs) != store.MaxIPs+7 {
		t.Errorf("%d addresses are left, from %s to %s", len(cut.IPs), first, last)
	}
	other := beyond
	other.Path += "q"
	if again := store.Bounded(&other); again.Path == cut.Path || again.Path[:4000] != cut.Path[:4000] {
		t.Errorf("two paths become %q and %q", cut.Path[4000:], again.Path[4000:])
	}
	if store.Bounded(cut) != cut {
		t.Error("what was cut is cut again")
	}
}

// Every text of an event is bounded, and counted, whichever are added.
func TestEveryTextIsBounded(t *testing.T) {
	fields := reflect.TypeFor[audit.Event]()
	for i := range fields.NumField() {
		if fields.Field(i).Type.Kind() != reflect.String {
			continue
		}
		var e audit.Event
		empty := store.EventBytes(&e)
		reflect.ValueOf(&e).Elem().Field(i).SetString(strings.Repeat("x", 1<<20))
		if store.EventBytes(&e) != empty+1<<20 {
			t.Errorf("EventBytes doesn't count %s", fields.Field(i).Name)
		}
		if n := len(reflect.ValueOf(store.Bounded(&e)).Elem().Field(i).String()); n > store.MaxPath {
			t.Errorf("%s keeps %d bytes", fields.Field(i).Name, n)
		}
	}
}

func TestRoom(t *testing.T) {
	e := audit.Event{Path: strings.Repeat("p", 1000)}
	for _, most := range []int{1, 3 * store.EventBytes(&e), 0, store.MaxAnswerBytes * 2} {
		room, taken := store.NewRoom(most), 0
		for room.Take(&e) {
			taken++
		}
		want := map[int]int{1: 1, 3 * store.EventBytes(&e): 3}[most]
		if want == 0 {
			want = store.MaxAnswerBytes / store.EventBytes(&e)
		}
		if taken != want {
			t.Errorf("room of %d bytes takes %d events, want %d", most, taken, want)
		}
	}
}
