package faultfs

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is an inode as the kernel knows it.
type node struct {
	fs.Inode
	fs    *FS
	inode *inode
}

var (
	_ fs.NodeStatfser  = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeLinker    = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReleaser  = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFlusher   = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
)

// Statfs implements fs.NodeStatfser.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	free := uint64(max(n.fs.capacity-n.fs.used, 0)) / pageSize
	*out = fuse.StatfsOut{Bsize: pageSize, Frsize: pageSize, NameLen: 255, Blocks: uint64(n.fs.capacity) / pageSize, Bfree: free, Bavail: free}
	return 0
}

func (n *node) attributes(i *inode, out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink = i.number, i.mode, 1
	out.Size, out.Blksize = uint64(len(i.file.data)), pageSize
	out.Blocks = uint64(pages(int64(len(i.file.data)))) / 512
}

// Getattr implements fs.NodeGetattrer.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	n.attributes(n.inode, &out.Attr)
	return 0
}

// Setattr implements fs.NodeSetattrer, for sizes and modes.
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if mode, ok := in.GetMode(); ok {
		n.inode.mode = n.inode.mode&syscall.S_IFMT | mode&0o7777
	}
	if size, ok := in.GetSize(); ok {
		if errno := n.truncate(int64(size)); errno != 0 {
			return errno
		}
	}
	n.attributes(n.inode, &out.Attr)
	return 0
}

func (n *node) truncate(size int64) syscall.Errno {
	if errno := n.fs.fails(Resize, n.Path(nil)); errno != 0 {
		return errno
	}
	if errno := n.fs.resize(n.inode, size); errno != 0 {
		return errno
	}
	n.inode.file.truncate(size)
	return 0
}

// handle is an open file. It has something in it, so that each has an address
// of its own.
type handle struct{ _ byte }

// Open implements fs.NodeOpener.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if flags&syscall.O_TRUNC != 0 {
		if errno := n.truncate(0); errno != 0 {
			return nil, 0, errno
		}
	}
	n.inode.open++
	return &handle{}, 0, 0
}

// Release implements fs.NodeReleaser.
func (n *node) Release(context.Context, fs.FileHandle) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	n.inode.open--
	n.fs.forget(n.inode)
	return 0
}

// Read implements fs.NodeReader.
func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if offset >= int64(len(n.inode.file.data)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, n.inode.file.data[offset:])]), 0
}

// Write implements fs.NodeWriter.
func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if errno := n.fs.fails(Write, n.Path(nil)); errno != 0 {
		return 0, errno
	}
	if errno := n.fs.resize(n.inode, max(offset+int64(len(data)), int64(len(n.inode.file.data)))); errno != 0 {
		return 0, errno
	}
	n.inode.file.write(data, offset)
	return uint32(len(data)), 0
}

// Flush implements fs.NodeFlusher: closing a file makes nothing durable.
func (n *node) Flush(context.Context, fs.FileHandle) syscall.Errno { return 0 }

// Fsync implements fs.NodeFsyncer, for files and directories.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if n.inode.isDir() {
		if errno := n.fs.fails(SyncDir, n.Path(nil)); errno != 0 {
			return errno
		}
		n.inode.names.sync()
		return 0
	}
	if errno := n.fs.fails(Sync, n.Path(nil)); errno != 0 {
		if !n.fs.off() {
			n.inode.file.syncFailed()
		}
		return errno
	}
	n.inode.file.sync()
	return 0
}
