package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running server: the postmaster, whose children serve the
// connections.
type process struct {
	command *exec.Cmd
	ended   chan struct{} // closed once it has
}

// postgres starts the server, which ends when the test binary does.
func (h *home) postgres() (*process, error) {
	log, err := os.OpenFile(h.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// No context ends it, but stop and kill.
	p := &process{command: h.command(context.Background(), "postgres", "-D", h.data()), ended: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = log, log
	p.command.SysProcAttr.Pdeathsig = syscall.SIGQUIT // an immediate shutdown
	started := make(chan error)
	go func() {
		// What counts as the parent's death is that of the thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.command.Start()
		started <- err
		if err == nil {
			_ = p.command.Wait() // its state says how it ended
			close(p.ended)
		}
	}()
	return p, <-started
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) state() *os.ProcessState { return p.command.ProcessState }

// stop ends the server in one of pg_ctl's modes.
func (p *process) stop(mode string) error {
	signals := map[string]os.Signal{"fast": syscall.SIGINT, "immediate": syscall.SIGQUIT}
	signal, known := signals[mode]
	if !known {
		return fmt.Errorf("mode is %q; give fast or immediate", mode)
	}
	if err := p.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("the PostgreSQL server does not stop"), p.kill())
	}
}

// kill ends the postmaster and its children by SIGKILL. The postmaster is held
// first, so that it can neither make children nor wonder at their deaths.
func (p *process) kill() error {
	if err := p.command.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	children, err := p.children()
	for _, child := range children {
		if killed := syscall.Kill(child, syscall.SIGKILL); killed != nil && !errors.Is(killed, syscall.ESRCH) {
			err = errors.Join(err, killed)
		}
	}
	err = errors.Join(err, p.command.Process.Kill())
	<-p.ended
	return errors.Join(err, gone(children))
}

func (p *process) children() ([]int, error) {
	pid := strconv.Itoa(p.command.Process.Pid)
	data, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		return nil, err
	}
	var children []int
	for field := range strings.FieldsSeq(string(data)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		children = append(children, child)
	}
	return children, nil
}

// gone waits until no process has the ids any more, or is only left as a name.
func gone(pids []int) error {
	return await(context.Background(), 10*time.Second, func() error {
		for _, pid := range pids {
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil {
				continue
			}
			text := string(data)
			if fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]); len(fields) > 0 && fields[0] != "Z" && fields[0] != "X" {
				return fmt.Errorf("process %d does not end", pid)
			}
		}
		return nil
	})
}
