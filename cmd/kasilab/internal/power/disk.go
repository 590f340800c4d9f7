// Package power plays a month on `kasi up` and cuts the power meanwhile. Its disk is a FUSE layer that keeps what was
// not fsynced only as long as there is power: a cut forgets it, and tears the end of what was being written.
package power

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// DiskOptions say what a disk forgets at a cut.
type DiskOptions struct {
	// Seed decides how much of what was not fsynced is left.
	Seed uint64
	// Strict keeps a new name, a rename or a removal only after an fsync of its directory, which is all that POSIX
	// promises. Otherwise any fsync keeps all names of before, as the journals of ext4 and XFS do.
	Strict bool
}

// Disk is a directory that loses at a cut what was not fsynced. It writes everything to its backing directory at once,
// and notes how to undo what is not durable yet.
type Disk struct {
	o               DiskOptions
	dir, live, gone string // gone holds what was removed and would be back after a cut
	mount           *mount

	mu  sync.Mutex
	rng *rand.Rand
	// All three are by inode number of the backing directory. files are those with bytes that were not fsynced. dirs are
	// the durable names of those directories that have others now, and refs counts the inodes in them.
	files map[uint64]*unsynced
	dirs  map[uint64]names
	refs  map[uint64]int
}

type names map[string]uint64

// unsynced is what a file was when it was last fsynced.
type unsynced struct {
	size int64
	undo []overwritten
}

type overwritten struct {
	at    int64
	bytes []byte
}

// mount is a disk between two cuts.
type mount struct {
	*Disk
	server *fuse.Server
	dead   bool // guarded by mu
}

// NewDisk makes a disk in dir, which is empty or missing, and mounts it. It needs /dev/fuse and root.
func NewDisk(dir string, o DiskOptions) (*Disk, error) {
	d := &Disk{
		o: o, dir: dir, live: filepath.Join(dir, "live"), gone: filepath.Join(dir, "gone"),
		rng: rand.New(rand.NewPCG(o.Seed, 1<<35)),
	}
	d.forget()
	for _, path := range []string{d.live, d.gone, d.Path()} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
	}
	return d, d.on()
}

// Path is where the disk is mounted.
func (d *Disk) Path() string { return filepath.Join(d.dir, "mnt") }

func (d *Disk) forget() {
	d.files, d.dirs, d.refs = map[uint64]*unsynced{}, map[uint64]names{}, map[uint64]int{}
}

func (d *Disk) on() error {
	root, err := fs.NewLoopbackRoot(d.live)
	if err != nil {
		return err
	}
	loopback, ok := root.(*fs.LoopbackNode)
	if !ok {
		return fmt.Errorf("go-fuse's loopback root is a %T", root)
	}
	m := &mount{Disk: d}
	n := &node{LoopbackNode: loopback, m: m}
	loopback.RootData.RootNode = n
	m.server, err = fs.Mount(d.Path(), n, &fs.Options{MountOptions: fuse.MountOptions{
		FsName: "power", Name: "power", DirectMountStrict: true, DisableXAttrs: true, MaxWrite: 1 << 20,
		Logger: log.New(io.Discard, "", 0), // it tells of each answer that nobody takes after a cut
	}})
	if err != nil {
		return fmt.Errorf("mount a disk that forgets at %s (it needs root and /dev/fuse): %w", d.Path(), err)
	}
	d.mount = m
	return nil
}

// Cut takes the power away. Nothing is written any more when kill is called: it sends kill -9 to every process that
// uses the disk, and must not wait for them, since some wait for the disk. Then the disk is what an operator finds when
// the power is back.
func (d *Disk) Cut(kill func()) error {
	if err := d.off(kill); err != nil {
		return err
	}
	if err := d.rebuild(); err != nil {
		return fmt.Errorf("rebuild what was durable: %w", err)
	}
	d.forget()
	return d.on()
}

func (d *Disk) off(kill func()) error {
	d.mu.Lock()
	kill()
	d.mount.dead = true
	d.mu.Unlock()
	if err := unix.Unmount(d.Path(), unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", d.Path(), err)
	}
	d.mount.server.Wait()
	return nil
}

// Close unmounts the disk; its files stay in the backing directory.
func (d *Disk) Close() error { return d.off(func() {}) }

// write makes a change to a file's bytes from at on, of which length may be overwritten.
func (m *mount) write(fd int, at, length int64, do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return syscall.EIO
	}
	if err := m.keepBytes(fd, at, length); err != nil {
		return err
	}
	return do()
}

func (d *Disk) keepBytes(fd int, at, length int64) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	f := d.files[st.Ino]
	if f == nil {
		f = &unsynced{size: st.Size}
		d.files[st.Ino] = f
	}
	length = min(length, f.size-at, st.Size-at)
	if length <= 0 {
		return nil
	}
	old := make([]byte, length)
	n, err := unix.Pread(fd, old, at)
	f.undo = append(f.undo, overwritten{at, old[:max(n, 0)]})
	return err
}

// synced makes a file's bytes, or a directory's names, durable.
func (m *mount) synced(ino uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return syscall.EIO
	}
	delete(m.files, ino)
	if m.o.Strict {
		return m.namesSynced(ino)
	}
	var errs []error
	for dir := range m.dirs {
		errs = append(errs, m.namesSynced(dir))
	}
	return errors.Join(errs...)
}

func (d *Disk) namesSynced(dir uint64) error {
	old := d.dirs[dir]
	delete(d.dirs, dir)
	var errs []error
	for _, ino := range old {
		if d.refs[ino]--; d.refs[ino] > 0 {
			continue
		}
		delete(d.refs, ino)
		path := d.grave(ino)
		if st, err := os.Lstat(path); err != nil {
			continue // it is where it was
		} else if st.IsDir() {
			errs = append(errs, d.namesSynced(ino))
		}
		errs = append(errs, os.Remove(path))
		delete(d.files, ino)
	}
	return errors.Join(errs...)
}

func (d *Disk) grave(ino uint64) string { return filepath.Join(d.gone, strconv.FormatUint(ino, 10)) }

// change changes the names of directories; their durable names are noted first.
func (m *mount) change(do func() error, dirs ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return syscall.EIO
	}
	for _, dir := range dirs {
		if err := m.keepNames(dir); err != nil {
			return err
		}
	}
	return do()
}

func (d *Disk) keepNames(dir string) error {
	ino, err := inode(dir)
	if err != nil || d.dirs[ino] != nil {
		return err
	}
	d.dirs[ino], err = list(dir)
	for _, child := range d.dirs[ino] {
		d.refs[child]++
	}
	return err
}

// made notes a new file or directory: it was empty when it was last durable.
func (d *Disk) made(path string) error {
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	ino, err := inode(path)
	if st.IsDir() {
		d.dirs[ino] = names{}
	} else {
		d.files[ino] = &unsynced{}
	}
	return err
}

// remove removes a file or an empty directory; one that is there again after a cut goes to its grave.
func (d *Disk) remove(path string, directory bool) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	if directory {
		if now, err := list(path); err != nil {
			return err
		} else if len(now) > 0 {
			return syscall.ENOTEMPTY
		}
	}
	if d.refs[st.Ino] > 0 {
		return os.Rename(path, d.grave(st.Ino))
	}
	if directory {
		return errors.Join(d.namesSynced(st.Ino), syscall.Rmdir(path))
	}
	if st.Nlink == 1 {
		delete(d.files, st.Ino)
	}
	return syscall.Unlink(path)
}

func inode(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return st.Ino, err
}

func list(dir string) (names, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := names{}
	for _, e := range entries {
		if out[e.Name()], err = inode(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return out, nil
}
