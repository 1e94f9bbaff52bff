// Package faultfs is a file system that fails on demand and loses, at a power
// cut, what no fsync made durable: data and sizes until the file's fsync, names
// until the directory's. It lies in memory and is mounted by FUSE, so any
// process can be run on it.
//
// It promises no more than POSIX does. A disk may keep any part of what was not
// synced, and so does Cut with a source of chance; a failed fsync loses what it
// was to write, as on Linux, and the next one does not bring it back.
package faultfs

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// FS is one file system. The zero value is not usable; see New.
type FS struct {
	mu       sync.Mutex
	root     *inode
	numbers  uint64
	used     int64 // bytes of live files, in whole pages
	capacity int64
	faults   []*Fault
	healed   sync.Cond // signalled by Heal
	counting bool      // down to the power cut
	left     int
	counted  string // the glob of what counts
	server   *fuse.Server
	dir      string
	uid, gid uint32 // who owns everything; 0 for who mounts it
}

// inode is a file or a directory, whatever its names.
type inode struct {
	number uint64
	mode   uint32
	file   content
	names  names // of a directory
	links  int
	open   int
}

func (i *inode) isDir() bool { return i.mode&syscall.S_IFDIR != 0 }

// New returns an empty file system of a size in bytes.
func New(capacity int64) *FS {
	f := &FS{capacity: capacity}
	f.healed.L = &f.mu
	f.root = f.newInode(syscall.S_IFDIR|0o755, nil)
	return f
}

func (f *FS) newInode(mode uint32, data []byte) *inode {
	f.numbers++
	i := &inode{number: f.numbers, mode: mode, file: newContent(data)}
	if i.isDir() {
		i.names = newNames(map[string]*inode{})
	}
	return i
}

// GiveTo has everything belong to a user, which only root can do. Others than
// root can use the file system then. Call it before Mount.
func (f *FS) GiveTo(uid, gid uint32) { f.uid, f.gid = uid, gid }

// Mount makes the file system appear at an empty directory. It needs root, or
// fusermount.
func (f *FS) Mount(dir string) error {
	valid := time.Hour // nobody changes it but through the kernel
	server, err := fs.Mount(dir, &node{fs: f, inode: f.root}, &fs.Options{
		EntryTimeout: &valid, AttrTimeout: &valid,
		RootStableAttr: &fs.StableAttr{Ino: f.root.number},
		UID:            f.uid, GID: f.gid,
		MountOptions: fuse.MountOptions{
			AllowOther: f.uid != 0, FsName: "faultfs", Name: "faultfs", DirectMount: true, MaxWrite: 1 << 20, DisableXAttrs: true,
		},
	})
	if err != nil {
		return fmt.Errorf("mount a FUSE file system (needs /dev/fuse and root, or fusermount): %w", err)
	}
	f.server, f.dir = server, dir
	return nil
}

// Unmount takes it away again. No process may use it any more.
func (f *FS) Unmount() error {
	if f.server == nil {
		return nil
	}
	// A process that was killed lets go of its files a moment after it ended.
	for end := time.Now().Add(10 * time.Second); ; {
		err := f.server.Unmount()
		if err == nil {
			f.server = nil
			return nil
		}
		if time.Now().After(end) {
			return errors.Join(err, syscall.Unmount(f.dir, syscall.MNT_DETACH))
		}
		<-time.After(50 * time.Millisecond)
	}
}

// Cut is a power cut: what it leaves is all there is, and durable. Without a
// source of chance nothing is left that was not synced. The file system must
// not be mounted.
func (f *FS) Cut(chance *rand.Rand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used, f.counting = 0, false
	f.root = f.survivor(f.root, map[*inode]*inode{}, chance)
}

func (f *FS) survivor(old *inode, known map[*inode]*inode, chance *rand.Rand) *inode {
	if kept := known[old]; kept != nil { // by two names, as when half a rename survives
		kept.links++
		return kept
	}
	kept := f.newInode(old.mode, old.file.survivor(chance))
	known[old] = kept
	kept.links = 1
	f.used += pages(int64(len(kept.file.data)))
	if old.isDir() {
		entries := map[string]*inode{}
		left := old.names.survivor(chance)
		for _, name := range slices.Sorted(maps.Keys(left)) {
			entries[name] = f.survivor(left[name], known, chance)
		}
		kept.names = newNames(entries)
	}
	return kept
}

// SetCapacity changes the size of the volume.
func (f *FS) SetCapacity(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.capacity = bytes
}

// Used returns how many bytes of the volume are taken.
func (f *FS) Used() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used
}

// resize takes space for a file, or gives it back.
func (f *FS) resize(i *inode, size int64) syscall.Errno {
	more := pages(size) - pages(int64(len(i.file.data)))
	if more > 0 && f.used+more > f.capacity {
		return syscall.ENOSPC
	}
	f.used += more
	return 0
}

// forget gives a file's space back when nothing refers to it any more. Its data
// stays: a power cut may bring the name back.
func (f *FS) forget(i *inode) {
	if i.links == 0 && i.open == 0 {
		f.used -= pages(int64(len(i.file.data)))
	}
}

func pages(size int64) int64 { return (size + pageSize - 1) / pageSize * pageSize }
