package power

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// cannot tells, and says, that this machine cannot mount a disk of ours: then nothing is shown.
func cannot(t *testing.T) bool {
	t.Helper()
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err == nil && os.Getuid() == 0 {
		require.NoError(t, fuse.Close())
		return false
	}
	t.Logf("NOTHING IS SHOWN about power cuts: it needs root and /dev/fuse (%v)", err)
	return true
}

func disk(t *testing.T, o DiskOptions) *Disk {
	t.Helper()
	d, err := NewDisk(t.TempDir(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func (d *Disk) in(name string) string { return filepath.Join(d.Path(), name) }

func write(t *testing.T, path, text string, flags int, sync bool) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flags, 0o600)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	if sync {
		require.NoError(t, f.Sync())
	}
	require.NoError(t, f.Close())
}

func syncDir(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "(nothing)"
	}
	require.NoError(t, err)
	return string(b)
}

func nobody() {}

// What was fsynced is there after any cut; of what was added, a beginning at most; an overwritten place is as it was.
func TestCutForgetsWhatWasNotSynced(t *testing.T) {
	if cannot(t) {
		return
	}
	lengths := map[int]bool{}
	d := disk(t, DiskOptions{Seed: 1})
	for n := range 30 {
		name := d.in(fmt.Sprint("log", n))
		write(t, name, "durable", os.O_APPEND, true)
		write(t, name, " and lost", os.O_APPEND, false)
		write(t, name, "DUR", 0, false)
		require.Equal(t, "DURable and lost", read(t, name), "as long as there is power")
		require.NoError(t, d.Cut(nobody))
		after := read(t, name)
		require.Equal(t, "durable and lost"[:len(after)], after)
		require.GreaterOrEqual(t, len(after), len("durable"))
		require.Less(t, len(after), len("durable and lost"))
		lengths[len(after)] = true
	}
	require.Greater(t, len(lengths), 3, "torn at different lengths")
}

// A truncation that was not fsynced is undone too.
func TestCutUndoesATruncation(t *testing.T) {
	if cannot(t) {
		return
	}
	d := disk(t, DiskOptions{Seed: 2})
	write(t, d.in("a"), "durable", 0, true)
	write(t, d.in("a"), "n", os.O_TRUNC, false)
	require.Equal(t, "n", read(t, d.in("a")))
	require.NoError(t, d.Cut(nobody))
	require.Equal(t, "durable", read(t, d.in("a")))
}

// Names that were made, renamed and removed: by chance they are as they were at the last fsync or as they were last.
func TestCutForgetsNames(t *testing.T) {
	if cannot(t) {
		return
	}
	for _, strict := range []bool{false, true} {
		d := disk(t, DiskOptions{Seed: 3, Strict: strict})
		seen := map[string]int{}
		for n := range 20 {
			dir := d.in(fmt.Sprint("d", n))
			require.NoError(t, os.Mkdir(dir, 0o700))
			syncDir(t, d.Path())
			write(t, dir+"/old", "1", 0, true)
			write(t, dir+"/gone", "2", 0, true)
			write(t, dir+"/target", "3", 0, true)
			syncDir(t, dir)
			require.NoError(t, os.Rename(dir+"/old", dir+"/target"))
			require.NoError(t, os.Remove(dir+"/gone"))
			require.NoError(t, d.Cut(nobody))
			seen[read(t, dir+"/old")+read(t, dir+"/gone")+read(t, dir+"/target")]++
		}
		require.Len(t, seen, 2)
		require.Positive(t, seen["123"], "forgotten")
		require.Positive(t, seen["(nothing)(nothing)1"], "kept")
	}
}

// A journal keeps all names at any fsync; POSIX promises only those of the directory that was fsynced.
func TestFsyncOfAFileKeepsNamesInAJournalOnly(t *testing.T) {
	if cannot(t) {
		return
	}
	for _, strict := range []bool{false, true} {
		d, lost := disk(t, DiskOptions{Seed: 4, Strict: strict}), 0
		for n := range 10 {
			name := d.in(fmt.Sprint("f", n))
			write(t, name, "synced", 0, true)
			require.NoError(t, d.Cut(nobody))
			if read(t, name) != "synced" {
				lost++
			}
		}
		require.Equal(t, strict, lost > 0, "%d lost", lost)
	}
}

// A directory that was made, filled, fsynced and renamed, as ClickHouse does with a part.
func TestDirectoriesSurviveWhereTheyWereSynced(t *testing.T) {
	if cannot(t) {
		return
	}
	d := disk(t, DiskOptions{Seed: 5, Strict: true})
	for n := range 10 {
		tmp, part := d.in("tmp"), d.in(fmt.Sprint("part", n))
		require.NoError(t, os.Mkdir(tmp, 0o700))
		write(t, tmp+"/data", "rows", 0, true)
		syncDir(t, tmp)
		require.NoError(t, os.Rename(tmp, part))
		syncDir(t, d.Path())
		require.NoError(t, d.Cut(nobody))
		require.Equal(t, "rows", read(t, part+"/data"))
		require.NoError(t, os.RemoveAll(part))
	}
}

// A file can be mapped, as engines do.
func TestMapped(t *testing.T) {
	if cannot(t) {
		return
	}
	d := disk(t, DiskOptions{Seed: 6})
	write(t, d.in("a"), "mapped", 0, true)
	f, err := os.OpenFile(d.in("a"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	b, err := syscall.Mmap(int(f.Fd()), 0, 6, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	require.NoError(t, err)
	require.Equal(t, "mapped", string(b))
	copy(b, "M")
	require.NoError(t, f.Sync())
	copy(b, "LOST")
	require.NoError(t, syscall.Munmap(b))
	require.NoError(t, d.Cut(nobody))
	require.Equal(t, "Mapped", read(t, d.in("a")))
}
