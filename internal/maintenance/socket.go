// Package maintenance is the door through which commands reach the manager
// that runs: a Unix socket in its data directory. Whoever can open it can read
// the files beside it, so it asks nobody who they are. It speaks HTTP.
package maintenance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// The socket lies in a folder of its own, which nobody else may enter even
// while the socket is being made.
const (
	folderName = "control"
	socketName = "socket"
)

// SocketOf returns the socket of a data directory.
func SocketOf(dataDir string) string { return filepath.Join(dataDir, folderName, socketName) }

// ErrNoManager means that nobody listens at a data directory's socket.
var ErrNoManager = errors.New("no manager listens")

// listen makes the socket. It removes one that is there: the store's lock says
// that there is no other manager.
func listen(ctx context.Context, dataDir string) (net.Listener, error) {
	folder := filepath.Join(dataDir, folderName)
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	// Volumes may have been given to a group.
	if err := os.Chmod(folder, 0o700); err != nil {
		return nil, err
	}
	socket := SocketOf(dataDir)
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var listener net.Listener
	err := addressed(folder, func(path string) (err error) {
		listener, err = (&net.ListenConfig{}).Listen(ctx, "unix", path)
		return err
	})
	if err != nil {
		return nil, err
	}
	// The name that it was made by may not live as long.
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// dial connects to the manager of a data directory.
func dial(ctx context.Context, dataDir string) (net.Conn, error) {
	var conn net.Conn
	err := addressed(filepath.Join(dataDir, folderName), func(path string) (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", path)
		return err
	})
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w at %s", ErrNoManager, SocketOf(dataDir))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w; run this command as the user that the manager runs as", err)
	}
	return nil, err
}

// maxAddress is the longest path that every system takes as a socket's address.
const maxAddress = 100

// addressed calls use with a path of the folder's socket that is short enough.
func addressed(folder string, use func(path string) error) error {
	path := filepath.Join(folder, socketName)
	if len(path) <= maxAddress {
		return use(path)
	}
	opened, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer opened.Close()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", opened.Fd(), socketName))
}
