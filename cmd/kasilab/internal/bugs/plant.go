package bugs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// errStale tells that the tree has moved on and the list has not.
var errStale = errors.New("does not apply any more")

// planted is the contents of the files that the bug changes, by absolute path. The tree is only read.
func planted(root string, b *bug) (map[string]string, error) {
	files := map[string]string{}
	for _, e := range b.edits() {
		name := filepath.Join(root, e.File)
		text, read := files[name]
		if !read {
			raw, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errStale, err)
			}
			text = string(raw)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("%w: %s holds the old text %d times, not once:\n%s", errStale, e.File, n, e.Old)
		}
		files[name] = strings.Replace(text, e.Old, e.New, 1)
	}
	return files, nil
}

// plant writes the changed files and the overlay that puts them in place of the tree's into dir, and returns the
// overlay's name.
func plant(root, dir string, b *bug) (overlay string, err error) {
	files, err := planted(root, b)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, text := range files {
		copied := filepath.Join(dir, strconv.Itoa(len(replace))+"_"+filepath.Base(name))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[name] = copied
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}
