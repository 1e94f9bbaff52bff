package faultfs

import (
	"path"
	"slices"
	"syscall"
)

// Op is what a fault strikes.
type Op string

// The operations that can fail. Resize is truncation, to any size; Name stands
// for making, removing and renaming.
const (
	Write   Op = "write"
	Resize  Op = "resize"
	Sync    Op = "fsync"
	Name    Op = "name"
	SyncDir Op = "fsync of a directory"
)

// Fault makes operations fail until Heal.
type Fault struct {
	Op Op
	// Glob is matched with the base name of the file, as by path.Match; empty
	// means every file.
	Glob string
	// After is how many operations succeed before.
	After int
	Errno syscall.Errno
	// Hang has operations wait for Heal before they fail, or succeed without
	// an Errno.
	Hang bool

	struck int
}

// Inject makes operations fail, beside those that do already.
func (f *FS) Inject(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range faults {
		f.faults = append(f.faults, &fault)
	}
}

// Heal makes everything work again. It returns how often operations failed or
// hung.
func (f *FS) Heal() (struck int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.faults {
		struck += fault.struck
	}
	f.faults = nil
	f.healed.Broadcast()
	return struck
}

// Struck returns how often operations failed or hung since the last Heal.
func (f *FS) Struck() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.faults {
		n += fault.struck
	}
	return n
}

// CutAfter has the power go after a number of operations on the files that a
// glob names, as a Fault's does: from then on nothing that a process does
// reaches the disk, and it gets EIO until Cut.
func (f *FS) CutAfter(operations int, glob string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.counted, f.counting = operations, glob, true
}

// Off reports whether the power has gone.
func (f *FS) Off() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.off()
}

func (f *FS) off() bool { return f.counting && f.left <= 0 }

// fails returns the error that an operation is to have, or 0. While it hangs, mu
// is not held.
func (f *FS) fails(op Op, name string) syscall.Errno {
	if f.off() {
		return syscall.EIO
	}
	if matches(f.counted, name) {
		f.left--
	}
	for _, fault := range f.faults {
		if fault.Op != op {
			continue
		}
		if !matches(fault.Glob, name) {
			continue
		}
		if fault.After > 0 {
			fault.After--
			continue
		}
		fault.struck++
		for fault.Hang && slices.Contains(f.faults, fault) {
			f.healed.Wait()
		}
		return fault.Errno
	}
	return 0
}

func matches(glob, name string) bool {
	matched, _ := path.Match(glob, path.Base(name))
	return matched || glob == ""
}
