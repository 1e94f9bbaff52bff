package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func script(t *testing.T, text string) Spec {
	t.Helper()
	dir := t.TempDir()
	return Spec{Name: "script", Binary: "/bin/sh", Args: []string{"-c", text}, Log: filepath.Join(dir, "logs", "script.log")}
}

func start(t *testing.T, s Spec) Record {
	t.Helper()
	record, err := Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := record.Stop(0); err != nil {
			t.Error(err)
		}
	})
	return record
}

// awaitLog waits until the program has printed a text.
func awaitLog(t *testing.T, s Spec, want string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if data, err := os.ReadFile(s.Log); err == nil && strings.Contains(string(data), want) {
			return
		}
	}
	t.Fatalf("%s never held %q", s.Log, want)
}

func TestStopsWithinTheDeadline(t *testing.T) {
	spec := script(t, "echo up; exec sleep 600")
	record := start(t, spec)
	awaitLog(t, spec, "up")
	if !record.Alive() {
		t.Fatal("what was just started is not alive")
	}
	killed, err := record.Stop(20 * time.Second)
	if err != nil || killed {
		t.Errorf("Stop = %v, %v; want it to end by itself", killed, err)
	}
	if record.Alive() {
		t.Error("it is alive after Stop")
	}
	if killed, err := record.Stop(time.Second); err != nil || killed {
		t.Errorf("second Stop = %v, %v; want nothing to happen", killed, err)
	}
}

func TestKillsWhatDoesNotEnd(t *testing.T) {
	spec := script(t, "trap '' TERM; echo up; while :; do read -r line < /dev/zero; done")
	record := start(t, spec)
	awaitLog(t, spec, "up")
	killed, err := record.Stop(50 * time.Millisecond)
	if err != nil || !killed {
		t.Errorf("Stop = %v, %v; want it killed", killed, err)
	}
	if record.Alive() {
		t.Error("it is alive after Stop")
	}
}

func TestNeverSignalsAnotherProcessOfThePID(t *testing.T) {
	spec := script(t, "echo up; exec sleep 600")
	record := start(t, spec)
	awaitLog(t, spec, "up")
	for name, other := range map[string]Record{
		"another start": {PID: record.PID, Start: "another/1"},
		"no start":      {PID: record.PID},
		"no pid":        {Start: record.Start},
		"all processes": {PID: -1, Start: record.Start},
	} {
		if other.Alive() {
			t.Errorf("%s: alive", name)
		}
		if killed, err := other.Stop(0); err != nil || killed {
			t.Errorf("%s: Stop = %v, %v", name, killed, err)
		}
	}
	if !record.Alive() {
		t.Error("the process itself was ended")
	}
}

func TestNoticesAnEarlyEnd(t *testing.T) {
	record := start(t, script(t, "exit 3"))
	if !record.ended(20 * time.Second) {
		t.Error("a program that ended still counts as alive")
	}
}

func TestDigestCoversWhatNeedsARestart(t *testing.T) {
	dir := t.TempDir()
	input := filepath.Join(dir, "policy.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(input, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	digest := func(s Spec) string {
		t.Helper()
		d, err := s.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	write("one")
	spec := Spec{Binary: "/bin/sh", Args: []string{"a"}, Inputs: []string{input}}
	first := digest(spec)
	if digest(spec) != first {
		t.Error("the digest changes by itself")
	}
	write("two")
	if digest(spec) == first {
		t.Error("the digest does not cover the inputs")
	}
	write("one")
	spec.Args = []string{"b"}
	if digest(spec) == first {
		t.Error("the digest does not cover the arguments")
	}
	spec.Inputs = []string{filepath.Join(dir, "absent")}
	if _, err := spec.Digest(); err == nil {
		t.Error("an input that is absent is no error")
	}
}
