package power

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// node is a file or a directory of the disk. What it does not override reads, or changes what no fsync is needed for.
type node struct {
	*fs.LoopbackNode
	m *mount
}

// WrapChild implements fs.NodeWrapChilder.
func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	loopback, ok := ops.(*fs.LoopbackNode)
	if !ok {
		return ops
	}
	return &node{LoopbackNode: loopback, m: n.m}
}

func (n *node) path(names ...string) string {
	return filepath.Join(append([]string{n.m.live, n.Path(n.Root())}, names...)...)
}

// Mkdir implements fs.NodeMkdirer.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (in *fs.Inode,
	errno syscall.Errno,
) {
	err := n.m.change(func() error {
		if in, errno = n.LoopbackNode.Mkdir(ctx, name, mode, out); errno != 0 {
			return errno
		}
		return n.m.made(n.path(name))
	}, n.path())
	return in, fs.ToErrno(err)
}

// Symlink implements fs.NodeSymlinker.
func (n *node) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (in *fs.Inode,
	errno syscall.Errno,
) {
	err := n.m.change(func() error {
		in, errno = n.LoopbackNode.Symlink(ctx, target, name, out)
		return orNil(errno)
	}, n.path())
	return in, fs.ToErrno(err)
}

// Link implements fs.NodeLinker.
func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (in *fs.Inode,
	errno syscall.Errno,
) {
	err := n.m.change(func() error {
		in, errno = n.LoopbackNode.Link(ctx, target, name, out)
		return orNil(errno)
	}, n.path())
	return in, fs.ToErrno(err)
}

// Rmdir implements fs.NodeRmdirer.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return fs.ToErrno(n.m.change(func() error { return n.m.remove(n.path(name), true) }, n.path()))
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return fs.ToErrno(n.m.change(func() error { return n.m.remove(n.path(name), false) }, n.path()))
}

// Rename implements fs.NodeRenamer. What it replaces is removed first; nobody sees that, because the kernel holds both
// directories.
func (n *node) Rename(ctx context.Context, name string, newParent fs.InodeEmbedder, newName string,
	flags uint32,
) syscall.Errno {
	to, ok := newParent.(*node)
	if !ok {
		return syscall.EXDEV
	}
	return fs.ToErrno(n.m.change(func() error {
		if st, err := os.Lstat(to.path(newName)); err == nil && flags == 0 {
			if err := n.m.remove(to.path(newName), st.IsDir()); err != nil {
				return err
			}
		}
		return orNil(n.LoopbackNode.Rename(ctx, name, newParent, newName, flags))
	}, n.path(), to.path()))
}

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (in *fs.Inode,
	fh fs.FileHandle, _ uint32, errno syscall.Errno,
) {
	err := n.m.change(func() error {
		if in, fh, _, errno = n.LoopbackNode.Create(ctx, name, flags|syscall.O_EXCL, mode, out); errno != 0 {
			return errno
		}
		if made, ok := fh.(fs.FileReleaser); ok {
			if errno := made.Release(ctx); errno != 0 {
				return errno
			}
		}
		if err := n.m.made(n.path(name)); err != nil {
			return err
		}
		f, err := open(n.m, n.path(name), flags)
		fh = f
		return err
	}, n.path())
	return in, fh, 0, fs.ToErrno(err)
}

// Open implements fs.NodeOpener.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_TRUNC != 0 {
		return nil, 0, syscall.EINVAL // the kernel truncates by itself
	}
	f, err := open(n.m, n.path(), flags)
	if err != nil {
		return nil, 0, fs.ToErrno(err)
	}
	return f, 0, 0
}

// Setattr implements fs.NodeSetattrer.
func (n *node) Setattr(ctx context.Context, fh fs.FileHandle, in *fuse.SetAttrIn,
	out *fuse.AttrOut,
) syscall.Errno {
	set := func() error { return orNil(n.LoopbackNode.Setattr(ctx, fh, in, out)) }
	size, ok := in.GetSize()
	if !ok {
		return fs.ToErrno(set())
	}
	f, ok := fh.(*file)
	if !ok {
		var err error
		if f, err = open(n.m, n.path(), syscall.O_RDWR); err != nil {
			return fs.ToErrno(err)
		}
		defer f.Release(ctx) //nolint:errcheck // it was opened for this one change
	}
	return fs.ToErrno(n.m.write(f.fd, int64(size), 1<<62, func() error {
		return errors.Join(unix.Ftruncate(f.fd, int64(size)), set())
	}))
}

// Fsync implements fs.NodeFsyncer for directories too.
func (n *node) Fsync(_ context.Context, fh fs.FileHandle, _ uint32) syscall.Errno {
	if f, ok := fh.(*file); ok {
		return fs.ToErrno(n.m.synced(f.ino))
	}
	ino, err := inode(n.path())
	if err != nil {
		return fs.ToErrno(err)
	}
	return fs.ToErrno(n.m.synced(ino))
}

// OpendirHandle implements fs.NodeOpendirHandler.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	fh, fuseFlags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	stream, ok := fh.(dirStream)
	if !ok {
		return nil, 0, syscall.ENOTSUP
	}
	return &directory{stream, n}, fuseFlags, 0
}

// CopyFileRange implements fs.NodeCopyFileRanger: the kernel copies by reading and writing instead.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64,
	uint64,
) (uint32, syscall.Errno) {
	return 0, syscall.ENOTSUP
}

// directory is an open directory: its fsync is the node's.
type directory struct {
	dirStream
	n *node
}

type dirStream interface {
	fs.FileReaddirenter
	fs.FileSeekdirer
	fs.FileReleasedirer
}

// Fsyncdir implements fs.FileFsyncdirer.
func (d *directory) Fsyncdir(ctx context.Context, flags uint32) syscall.Errno {
	return d.n.Fsync(ctx, nil, flags)
}

// file is an open file. It can be read whatever it was opened for, to keep what is overwritten.
type file struct {
	m   *mount
	fd  int
	ino uint64
}

func open(m *mount, path string, flags uint32) (*file, error) {
	how := syscall.O_RDONLY
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		how = syscall.O_RDWR
	}
	fd, err := unix.Open(path, how|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return &file{m, fd, st.Ino}, err
}

// Read implements fs.FileReader.
func (f *file) Read(_ context.Context, buf []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return fuse.ReadResultFd(uintptr(f.fd), off, len(buf)), 0
}

// Write implements fs.FileWriter.
func (f *file) Write(_ context.Context, data []byte, off int64) (written uint32, _ syscall.Errno) {
	err := f.m.write(f.fd, off, int64(len(data)), func() error {
		n, err := unix.Pwrite(f.fd, data, off)
		written = uint32(max(n, 0))
		return err
	})
	return written, fs.ToErrno(err)
}

// Allocate implements fs.FileAllocater.
func (f *file) Allocate(_ context.Context, off, size uint64, mode uint32) syscall.Errno {
	return fs.ToErrno(f.m.write(f.fd, int64(off), int64(size), func() error {
		return unix.Fallocate(f.fd, mode, int64(off), int64(size))
	}))
}

// Getattr implements fs.FileGetattrer.
func (f *file) Getattr(_ context.Context, out *fuse.AttrOut) syscall.Errno {
	var st syscall.Stat_t
	err := syscall.Fstat(f.fd, &st)
	out.FromStat(&st)
	return fs.ToErrno(err)
}

// Lseek implements fs.FileLseeker.
func (f *file) Lseek(_ context.Context, off uint64, whence uint32) (uint64, syscall.Errno) {
	n, err := unix.Seek(f.fd, int64(off), int(whence))
	return uint64(n), fs.ToErrno(err)
}

// Flush implements fs.FileFlusher: a close makes nothing durable.
func (f *file) Flush(context.Context) syscall.Errno { return 0 }

// Release implements fs.FileReleaser.
func (f *file) Release(context.Context) syscall.Errno { return fs.ToErrno(unix.Close(f.fd)) }

func orNil(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
