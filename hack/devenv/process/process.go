// Package process runs programs in the background and stops them again, only
// ever signalling those that it started itself.
package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Spec is a program to run.
type Spec struct {
	Name   string
	Binary string
	Args   []string
	Log    string   // what it prints is appended here
	Inputs []string // files that it reads once, at its start
}

// Record is a program that was started. A pid alone may be another's by now,
// so the time of its start, as the kernel tells it, belongs to its identity.
type Record struct {
	PID    int    `json:"pid"`
	Start  string `json:"start"`
	Digest string `json:"digest"`
}

// Digest covers everything that a running program would have to be restarted
// for: its binary, arguments and inputs.
func (s Spec) Digest() (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q\n", s.Args)
	for _, path := range append([]string{s.Binary}, s.Inputs...) {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%q\n", path)
		_, err = io.Copy(hash, file)
		file.Close()
		if err != nil {
			return "", fmt.Errorf("read %s: %w", path, err)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Start runs the program in a session of its own, so that it outlives this
// program and a Ctrl-C in its terminal.
func Start(s Spec) (Record, error) {
	digest, err := s.Digest()
	if err != nil {
		return Record{}, fmt.Errorf("start %s: %w", s.Name, err)
	}
	if err := os.MkdirAll(filepath.Dir(s.Log), 0o700); err != nil {
		return Record{}, err
	}
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return Record{}, err
	}
	defer log.Close()
	// No context ends it: it runs until it is stopped by its Record.
	command := exec.CommandContext(context.Background(), s.Binary, s.Args...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return Record{}, fmt.Errorf("start %s: %w", s.Name, err)
	}
	record := Record{PID: command.Process.Pid, Digest: digest}
	// Read before anything waits for the process: until then its entry stays,
	// even where it has ended already.
	record.Start, _, err = stat(record.PID)
	go func() {
		// Its exit shows in /proc; waiting only keeps it from staying a zombie.
		_ = command.Wait()
	}()
	if err != nil {
		return Record{}, errors.Join(fmt.Errorf("start %s: %w", s.Name, err), command.Process.Kill())
	}
	return record, nil
}

// Alive reports whether the very process that was started still runs.
func (r Record) Alive() bool {
	if r.PID <= 0 {
		return false
	}
	start, state, err := stat(r.PID)
	return err == nil && start == r.Start && state != "Z" && state != "X"
}

// Stop asks the process to end, and ends it when it has not by the deadline.
// It reports whether it had to.
func (r Record) Stop(deadline time.Duration) (killed bool, err error) {
	if !r.Alive() {
		return false, nil
	}
	if err := r.signal(syscall.SIGTERM); err != nil {
		return false, err
	}
	if r.ended(deadline) {
		return false, nil
	}
	if err := r.signal(syscall.SIGKILL); err != nil {
		return true, err
	}
	if !r.ended(10 * time.Second) {
		return true, fmt.Errorf("process %d does not end", r.PID)
	}
	return true, nil
}

func (r Record) signal(signal syscall.Signal) error {
	err := syscall.Kill(r.PID, signal)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("send %v to process %d: %w", signal, r.PID, err)
	}
	return nil
}

func (r Record) ended(within time.Duration) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); ; <-tick.C {
		if !r.Alive() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// stat returns a process's start, in clock ticks since the machine's, and its
// state. The boot id makes the start unique over restarts of the machine.
func stat(pid int) (start, state string, err error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", "", err
	}
	// The second field is the program's name in parentheses, which may itself
	// hold blanks and parentheses; the state is field 3, the start field 22.
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return "", "", fmt.Errorf("/proc/%d/stat is not as expected: %q", pid, text)
	}
	return strings.TrimSpace(string(boot)) + "/" + fields[19], fields[0], nil
}
