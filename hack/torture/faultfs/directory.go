package faultfs

import (
	"context"
	"path"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// child returns the kernel's node of a file in this directory.
func (n *node) child(ctx context.Context, i *inode, out *fuse.EntryOut) *fs.Inode {
	n.attributes(i, &out.Attr)
	return n.NewInode(ctx, &node{fs: n.fs, inode: i}, fs.StableAttr{Mode: i.mode, Ino: i.number})
}

// Lookup implements fs.NodeLookuper.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	i := n.inode.names.live[name]
	if i == nil {
		return nil, syscall.ENOENT
	}
	return n.child(ctx, i, out), 0
}

// Readdir implements fs.NodeReaddirer.
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	var entries []fuse.DirEntry
	for name, i := range n.inode.names.live {
		entries = append(entries, fuse.DirEntry{Name: name, Mode: i.mode, Ino: i.number})
	}
	return fs.NewListDirStream(entries), 0
}

// add makes a file or a directory.
func (n *node) add(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, *inode, syscall.Errno) {
	if errno := n.fs.fails(Name, path.Join(n.Path(nil), name)); errno != 0 {
		return nil, nil, errno
	}
	if n.inode.names.live[name] != nil {
		return nil, nil, syscall.EEXIST
	}
	i := n.fs.newInode(mode, nil)
	i.links = 1
	n.inode.names.add(name, i)
	return n.child(ctx, i, out), i, 0
}

// Mkdir implements fs.NodeMkdirer.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	made, _, errno := n.add(ctx, name, syscall.S_IFDIR|mode&0o7777, out)
	return made, errno
}

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, _ uint32, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	made, i, errno := n.add(ctx, name, syscall.S_IFREG|mode&0o7777, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	i.open++
	return made, &handle{}, 0, 0
}

// Link implements fs.NodeLinker.
func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if errno := n.fs.fails(Name, path.Join(n.Path(nil), name)); errno != 0 {
		return nil, errno
	}
	if n.inode.names.live[name] != nil {
		return nil, syscall.EEXIST
	}
	i := target.(*node).inode
	i.links++
	n.inode.names.add(name, i)
	return n.child(ctx, i, out), 0
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	i := n.inode.names.live[name]
	switch errno := n.fs.fails(Name, path.Join(n.Path(nil), name)); {
	case errno != 0:
		return errno
	case i == nil:
		return syscall.ENOENT
	case i.isDir() && len(i.names.live) > 0:
		return syscall.ENOTEMPTY
	}
	n.inode.names.remove(name)
	i.links--
	n.fs.forget(i)
	return 0
}

// Rmdir implements fs.NodeRmdirer.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno { return n.Unlink(ctx, name) }

// Rename implements fs.NodeRenamer, within a directory.
func (n *node) Rename(_ context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if newParent.EmbeddedInode() != n.EmbeddedInode() {
		return syscall.EXDEV
	}
	if flags != 0 {
		return syscall.EINVAL
	}
	if errno := n.fs.fails(Name, path.Join(n.Path(nil), newName)); errno != 0 {
		return errno
	}
	if n.inode.names.live[name] == nil {
		return syscall.ENOENT
	}
	if replaced := n.inode.names.live[newName]; replaced != nil {
		replaced.links--
		n.fs.forget(replaced)
	}
	n.inode.names.rename(name, newName)
	return 0
}
