package demo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is the data directory of a demonstration: empty, finished, or left in the middle.
type Dir struct {
	Path string
	// Result is what an earlier run printed; nil where none has finished here.
	Result []byte
}

const (
	begunFile  = "begun.txt"
	resultFile = "result.txt"
)

// OpenDir looks at what is there. With fresh it removes what an earlier run left, and nothing that no demonstration
// made. A run that was interrupted is an error.
func OpenDir(path string, fresh bool) (*Dir, error) {
	_, err := os.Stat(filepath.Join(path, begunFile))
	begun := err == nil
	if fresh && begun {
		if err := os.RemoveAll(path); err != nil {
			return nil, fmt.Errorf("--fresh: %w", err)
		}
		begun = false
	}
	if entries, err := os.ReadDir(path); !begun && err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s holds data that is not a demonstration's; choose another --data-dir", path)
	}
	result, err := os.ReadFile(filepath.Join(path, resultFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if begun && err != nil {
		return nil, fmt.Errorf("%s holds a month that was interrupted, and its pretend bank ended with it: start afresh "+
			"with --fresh, or look at the data with `kasi up --calendar manual --data-dir %s`", path, path)
	}
	return &Dir{Path: path, Result: result}, os.MkdirAll(path, 0o700)
}

// Play runs a demonstration and keeps the result that it prints.
func (d *Dir) Play(out io.Writer, run func(out io.Writer, files string) error) error {
	if err := os.WriteFile(filepath.Join(d.Path, begunFile),
		[]byte("a demonstration's data: kasi demo --fresh removes this directory\n"), 0o600); err != nil {
		return err
	}
	kept, err := os.Create(filepath.Join(d.Path, "result.part"))
	if err != nil {
		return err
	}
	defer kept.Close()
	if err := run(io.MultiWriter(out, kept), filepath.Join(d.Path, "files")); err != nil {
		return err
	}
	return os.Rename(kept.Name(), filepath.Join(d.Path, resultFile))
}
