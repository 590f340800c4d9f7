package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// libraryEnv overrides where the library is looked for.
const libraryEnv = "KASI_LIBCHDB"

// libraryInTree is where `make setup` (npm ci --prefix deploy/chdb) puts the library.
const libraryInTree = "deploy/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"

// FindLibrary returns the path of libchdb.so: KASI_LIBCHDB if set, else what `make setup` installed under the working directory or the executable's
// directory or a parent of either, else a libchdb.so beside the executable. The error names every place looked at and the ways out.
func FindLibrary() (string, error) {
	if path := os.Getenv(libraryEnv); path != "" {
		return checkLibrary(path, libraryEnv)
	}
	candidates := libraryCandidates()
	for _, path := range candidates {
		if isFile(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("the embedded ClickHouse needs libchdb.so, which is not installed. Get it with `make setup`, or set %s to where it is, "+
		"or use a ClickHouse server with --clickhouse-addr. Looked at:\n  %s", libraryEnv, strings.Join(candidates, "\n  "))
}

func checkLibrary(path, from string) (string, error) {
	if !isFile(path) {
		return "", fmt.Errorf("%s names %s, where there is no libchdb.so: get it with `make setup`, or use a ClickHouse server with --clickhouse-addr", from, path)
	}
	return filepath.Abs(path)
}

func libraryCandidates() []string {
	var places []string
	if dir, err := os.Getwd(); err == nil {
		places = append(places, withParents(dir)...)
	}
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		places = append(places, withParents(dir)...)
		for i, p := range places {
			places[i] = filepath.Join(p, libraryInTree)
		}
		return unique(append(places, filepath.Join(dir, "libchdb.so"), filepath.Join(dir, "..", "lib", "kasi", "libchdb.so")))
	}
	for i, p := range places {
		places[i] = filepath.Join(p, libraryInTree)
	}
	return unique(places)
}

// withParents returns dir and every directory above it.
func withParents(dir string) []string {
	out := []string{dir}
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		out = append(out, parent)
	}
	return out
}

func unique(in []string) []string {
	seen := make(map[string]bool, len(in))
	var out []string
	for _, s := range in {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
