package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/porter-dev/audit-operator/hack/devenv/process"
)

// State is what one run must know of those before it. It lies in state.json.
type State struct {
	Ports     Ports                     `json:"ports"`
	Processes map[string]process.Record `json:"processes"`
}

// Ports are chosen once, so that what is written down stays true.
type Ports struct {
	Etcd            int `json:"etcd"`
	EtcdPeer        int `json:"etcdPeer"`
	APIServer       int `json:"apiserver"`
	SampleAPIServer int `json:"sampleAPIServer"`
	// Of the operator's replicas: one, or two over PostgreSQL.
	Replicas [2]ReplicaPorts `json:"replicas"`
}

// ReplicaPorts are what one replica of the operator listens on.
type ReplicaPorts struct {
	Ingest    int `json:"ingest"`
	Dashboard int `json:"dashboard"`
	Health    int `json:"health"`
}

func readState(path string) (State, error) {
	state := State{Processes: map[string]process.Record{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err != nil {
		return state, err
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return state, fmt.Errorf("%s is damaged (%w); end what it names by hand and remove it", path, err)
	}
	if state.Processes == nil {
		state.Processes = map[string]process.Record{}
	}
	return state, nil
}

// write replaces the file at once: half a state would lose processes.
func (s State) write(path string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(data, '\n'))
}

// writeFile writes a file that only the user may read, at once.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	partial := path + ".partial"
	if err := os.WriteFile(partial, data, 0o600); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

// choose asks the kernel for free ports where none is chosen yet. All are held
// until the last one is known, so that no two are the same.
func (p *Ports) choose() error {
	ports := []*int{&p.Etcd, &p.EtcdPeer, &p.APIServer, &p.SampleAPIServer}
	for i := range p.Replicas {
		r := &p.Replicas[i]
		ports = append(ports, &r.Ingest, &r.Dashboard, &r.Health)
	}
	for _, port := range ports {
		if *port != 0 {
			continue
		}
		listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return fmt.Errorf("choose a free port: %w", err)
		}
		defer func(held net.Listener) { held.Close() }(listener)
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return nil
}

// ErrLocked means that another command works on the same folder.
var ErrLocked = errors.New("another command works on this environment")

const lockFile = "lock"

// Lock keeps other commands off the folder until release is called.
func Lock(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { file.Close() }, nil
}
