package power

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// block is how much of the end of what was written is torn: a sector's write is whole or not, a page's is not.
const block = 4096

// rebuild makes the backing directory what it was at the last fsync of each file and directory, and adds by chance what
// the disk had written of the rest.
func (d *Disk) rebuild() error {
	next := filepath.Join(d.dir, "next")
	at, err := d.whereabouts()
	if err != nil {
		return err
	}
	root, err := inode(d.live)
	if err != nil {
		return err
	}
	r := &rebuilding{Disk: d, at: at, namesLost: d.rng.IntN(2) == 0, torn: map[uint64]bool{}}
	if err := r.dir(root, next); err != nil {
		return err
	}
	for _, path := range []string{d.live, d.gone} {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return errors.Join(err, os.Rename(next, d.live), os.Mkdir(d.gone, 0o755))
}

// whereabouts are the paths of all inodes.
func (d *Disk) whereabouts() (map[uint64]string, error) {
	at := map[uint64]string{}
	for _, top := range []string{d.live, d.gone} {
		err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			ino, err := inode(path)
			at[ino] = path
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return at, nil
}

type rebuilding struct {
	*Disk
	at        map[uint64]string
	namesLost bool
	torn      map[uint64]bool
}

func (r *rebuilding) dir(ino uint64, to string) error {
	from, ok := r.at[ino]
	if !ok {
		return fmt.Errorf("directory %s, inode %d, is nowhere", to, ino)
	}
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, st.Mode().Perm()); err != nil {
		return err
	}
	children, changed := r.dirs[ino]
	lost := r.namesLost
	if r.o.Strict {
		lost = changed && r.rng.IntN(2) == 0
	}
	if !changed || !lost {
		if children, err = list(from); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(children)) {
		if err := r.child(children[name], filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

func (r *rebuilding) child(ino uint64, to string) error {
	from, ok := r.at[ino]
	if !ok {
		return fmt.Errorf("%s, inode %d, is nowhere", to, ino)
	}
	st, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if st.IsDir() {
		return r.dir(ino, to)
	}
	if err := os.Link(from, to); err != nil {
		return err
	}
	f := r.files[ino]
	if f == nil || !st.Mode().IsRegular() || r.torn[ino] {
		return nil
	}
	r.torn[ino] = true
	return r.tear(f, to, st.Size())
}

// tear leaves a file as it was when it was last fsynced, and by chance with some of the bytes that were added since:
// none of them, or all but a part of the last block, or any length.
func (r *rebuilding) tear(f *unsynced, path string, size int64) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, u := range slices.Backward(f.undo) {
		if _, err := file.WriteAt(u.bytes, u.at); err != nil {
			return err
		}
	}
	left, added := f.size, size-f.size
	switch r.rng.IntN(3) {
	case 0:
	case 1:
		left += max(0, added-r.rng.Int64N(block)-1)
	case 2:
		left += r.rng.Int64N(max(1, added))
	}
	return file.Truncate(left)
}
