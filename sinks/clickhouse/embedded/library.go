package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// libraryEnv overrides where the library is looked for.
const libraryEnv = "KASI_LIBCHDB"

// libraryInTree is where `make setup` (npm ci --prefix deploy/chdb) puts the library.
const libraryInTree = "deploy/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"

// FindLibrary returns the path of libchdb.so. That is KASI_LIBCHDB if set, else what `make setup` installed under the
// working directory, the executable's directory or a parent of either, else a libchdb.so beside the executable. The
// error names every place looked at and the ways out.
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
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("the embedded ClickHouse is packaged for Linux on x86-64 only: on this machine (%s/%s) use "+
			"a ClickHouse server with --clickhouse-addr, or set %s to a libchdb 26.7 made for it",
			runtime.GOOS, runtime.GOARCH, libraryEnv)
	}
	return "", fmt.Errorf("the embedded ClickHouse needs libchdb.so, which is not installed. Get it with `make "+
		"setup`, or set %s to where it is, or use a ClickHouse server with --clickhouse-addr. Looked at:\n  %s",
		libraryEnv, strings.Join(candidates, "\n  "))
}

func checkLibrary(path, from string) (string, error) {
	if !isFile(path) {
		return "", fmt.Errorf("%s names %s, where there is no libchdb.so: get it with `make setup`, or use a ClickHouse "+
			"server with --clickhouse-addr", from, path)
	}
	return filepath.Abs(path)
}

func libraryCandidates() []string {
	var starts, beside []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		starts = append(starts, dir)
		beside = []string{filepath.Join(dir, "libchdb.so"), filepath.Join(dir, "..", "lib", "kasi", "libchdb.so")}
	}
	var out []string
	for _, start := range starts {
		for _, dir := range withParents(start) {
			if path := filepath.Join(dir, libraryInTree); !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	return append(out, beside...)
}

// withParents returns dir and every directory above it.
func withParents(dir string) []string {
	out := []string{dir}
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		out = append(out, parent)
	}
	return out
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
