// Package tidy holds the project's own rules, kept by tests: no tool knows them.
package tidy

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

const (
	module = "github.com/kasi-collections/kasi/"
	root   = "../../.."
)

// sourceFile is one Go file of the project.
type sourceFile struct {
	path string // from the module's root
	top  string // its top-level directory
	test bool
	ast  *ast.File
	text []byte
	set  *token.FileSet
}

func (f sourceFile) generated() bool { return ast.IsGenerated(f.ast) }

func (f sourceFile) imports() []string {
	var list []string
	for _, spec := range f.ast.Imports {
		path, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
		list = append(list, path)
	}
	return list
}

// eachFile calls do for the files of the project that people write: not for what is built, fetched or recorded.
func eachFile(t *testing.T, do func(path string, text []byte)) {
	require.FileExists(t, filepath.Join(root, "go.mod"))
	apart := []string{"node_modules", "bin", "testdata", "target", "jars"}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || slices.Contains(apart, d.Name())) {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() || columns(path) == 0 {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		path, err = filepath.Rel(root, path)
		do(filepath.ToSlash(path), text)
		return err
	}))
}

// columns is the most that a line of the file may have, a tab counted as one; 0 where nobody reads it line by line.
func columns(path string) int {
	if filepath.Base(path) == "Makefile" {
		return 140
	}
	switch filepath.Ext(path) {
	case ".go":
		return 120
	case ".md", ".yaml", ".yml", ".sql", ".sh":
		return 140
	}
	return 0
}

func sourceFiles(t *testing.T) []sourceFile {
	var files []sourceFile
	eachFile(t, func(path string, text []byte) {
		if filepath.Ext(path) != ".go" {
			return
		}
		f := sourceFile{path: path, test: strings.HasSuffix(path, "_test.go"), text: text, set: token.NewFileSet()}
		f.top, _, _ = strings.Cut(path, "/")
		var err error
		f.ast, err = parser.ParseFile(f.set, path, text, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	})
	return files
}

// problemsIn walks over the files and reports every node for which wrong names a problem, with its place.
func problemsIn(t *testing.T, in func(sourceFile) bool, wrong func(f sourceFile, n ast.Node) string) {
	count := 0
	for _, f := range sourceFiles(t) {
		if !in(f) {
			continue
		}
		count++
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if n != nil {
				if problem := wrong(f, n); problem != "" {
					t.Errorf("%s:%d: %s", f.path, f.set.Position(n.Pos()).Line, problem)
				}
			}
			return true
		})
	}
	require.NotZero(t, count, "the rule looked at no file")
}

// selector is the package and name of an expression such as time.Now.
func selector(n ast.Node) (pkg, name string) {
	if sel, ok := n.(*ast.SelectorExpr); ok {
		if id, ok := sel.X.(*ast.Ident); ok {
			return id.Name, sel.Sel.Name
		}
	}
	return "", ""
}

// Money is integer cents or a decimal, never a float: the packages that handle money do not name the types at all.
func TestNoFloatsWhereMoneyIs(t *testing.T) {
	in := func(f sourceFile) bool {
		return !f.test && !f.generated() && slices.Contains([]string{"schemas", "processors", "streams", "sinks", "api"},
			f.top)
	}
	problemsIn(t, in, func(_ sourceFile, n ast.Node) string {
		if id, ok := n.(*ast.Ident); ok && slices.Contains([]string{
			"float32", "float64", "ParseFloat", "NewFromFloat", "NewFromFloat32", "InexactFloat64", "Float64", "Float32",
		}, id.Name) {
			return id.Name + ": use integer cents, or decimal.Decimal"
		}
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.FLOAT {
			return lit.Value + ": a float constant; use integers or decimal.Decimal"
		}
		return ""
	})
}

// Time is data: what decides reads it from the records.
func TestNoClockInProcessors(t *testing.T) {
	in := func(f sourceFile) bool { return f.top == "processors" || f.top == "schemas" }
	clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTicker", "NewTimer"}
	problemsIn(t, in, func(_ sourceFile, n ast.Node) string {
		if pkg, name := selector(n); pkg == "time" && slices.Contains(clock, name) {
			return "time." + name + ": the processors read no clock"
		}
		return ""
	})
}

// TLS and logins come from cmd/internal/connect: whoever makes a client elsewhere is given its options, or is reached
// over loopback.
func TestConnectionsAreSecuredInOnePlace(t *testing.T) {
	may := map[string][]string{
		"kgo.SeedBrokers": {
			"cmd/internal/connect/", "sinks/clickhouse/sink.go", "sinks/webhooks/webhooks.go", "streams/embedded/",
			"streams/feed/producer.go", "streams/kafkatest/", "streams/records/", "streams/stage/config.go",
		},
		"clickhouse.Options": {"cmd/internal/connect/", "sinks/clickhouse/chtest/", "sinks/clickhouse/embedded/"},
		"http.Client":        {"cmd/internal/connect/", "cmd/internal/demo/", "sinks/webhooks/deliver.go"},
		"http.DefaultClient": {"cmd/internal/verify/"},
	}
	in := func(f sourceFile) bool {
		return !f.test && !f.generated() && !strings.HasPrefix(f.path, "cmd/kasilab/")
	}
	problemsIn(t, in, func(f sourceFile, n ast.Node) string {
		if made, ok := n.(*ast.CompositeLit); ok {
			n = made.Type
		} else if pkg, name := selector(n); pkg != "kgo" && name != "DefaultClient" {
			return "" // the name of a type that nothing is made of here
		}
		pkg, name := selector(n)
		places, rule := may[pkg+"."+name]
		if !rule || slices.ContainsFunc(places, func(p string) bool { return strings.HasPrefix(f.path, p) }) {
			return ""
		}
		return pkg + "." + name + ": take the client or its options of cmd/internal/connect"
	})
}

// Processors and schemas are pure: no Kafka, no SQL, no randomness, no input or output besides go:embed. The simulated
// people and the backtest draw their chances from a seed.
func TestProcessorsArePure(t *testing.T) {
	forbidden := []string{
		"database/sql", "net", "os", "io/ioutil", "math/rand", "crypto/rand", "log", "syscall", "github.com/twmb/franz-go",
		"github.com/ClickHouse", "github.com/pressly/goose",
	}
	for _, f := range sourceFiles(t) {
		if f.test || f.top != "processors" && f.top != "schemas" || strings.HasPrefix(f.path, "schemas/catalog/") {
			continue // the catalogue's generator writes files
		}
		for _, path := range f.imports() {
			for _, bad := range forbidden {
				seeded := path == "math/rand/v2" && (strings.HasPrefix(f.path, "processors/people/") ||
					strings.HasPrefix(f.path, "processors/arena/backtest/"))
				if (path == bad || strings.HasPrefix(path, bad+"/")) && !seeded {
					t.Errorf("%s imports %s", f.path, path)
				}
			}
		}
	}
}

// Imports go one way: schemas <- processors <- streams <- cmd, schemas <- sinks <- cmd, schemas <- api <- cmd.
func TestImportsBetweenFolders(t *testing.T) {
	may := map[string][]string{
		"schemas":    {},
		"processors": {"schemas"},
		"streams":    {"schemas", "processors"},
		"sinks":      {"schemas"},
		"api":        {"schemas"},
		"cmd":        {"schemas", "processors", "streams", "sinks", "api"},
	}
	seen := map[string]bool{}
	for _, f := range sourceFiles(t) {
		allowed, known := may[f.top]
		if !known {
			t.Errorf("%s: Go code in a directory that has no place in the tree", f.path)
		}
		seen[f.top] = true
		for _, path := range f.imports() {
			own, inside := strings.CutPrefix(path, module)
			top, _, _ := strings.Cut(own, "/")
			if inside && !f.test && top != f.top && !slices.Contains(allowed, top) {
				t.Errorf("%s imports %s: %s may import %v", f.path, path, f.top, allowed)
			}
			if inside && f.test && f.top != "cmd" && top == "cmd" {
				t.Errorf("%s imports %s: only cmd may", f.path, path)
			}
		}
	}
	require.Len(t, seen, len(may))
}

// Each package has a row of testdata/imports.txt that says what of ours it may import. Rows stand in layers: a package
// imports only what stands above it. Tests may import more.
func TestImportsBetweenPackages(t *testing.T) {
	imports := map[string][]string{}
	for _, f := range sourceFiles(t) {
		if f.test {
			continue
		}
		dir := filepath.ToSlash(filepath.Dir(f.path))
		all := imports[dir]
		for _, path := range f.imports() {
			if own, inside := strings.CutPrefix(path, module); inside && !slices.Contains(all, own) {
				all = append(all, own)
			}
		}
		slices.Sort(all)
		imports[dir] = all
	}
	table, err := os.ReadFile("testdata/imports.txt")
	require.NoError(t, err)
	row := func(dir string) string { return strings.TrimSpace(dir + ": " + strings.Join(imports[dir], " ")) }
	above := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		dir, _, _ := strings.Cut(line, ":")
		switch _, there := imports[dir]; {
		case above[dir]:
			t.Errorf("testdata/imports.txt has two rows of %s", dir)
		case !there:
			t.Errorf("testdata/imports.txt: there is no package %s any more; remove its row", dir)
		case line != row(dir):
			t.Errorf("testdata/imports.txt: %s imports other packages; where that is right, its row is\n%s", dir, row(dir))
		}
		for _, other := range imports[dir] {
			if !above[other] {
				t.Errorf("testdata/imports.txt: %s imports %s, whose row must stand above", dir, other)
			}
		}
		above[dir] = true
	}
	for _, dir := range slices.Sorted(maps.Keys(imports)) {
		if !above[dir] {
			t.Errorf("testdata/imports.txt has no row of %s; where its imports are right, add below them\n%s", dir, row(dir))
		}
	}
}

// Nothing of the tests is in the shipped binary.
func TestNoTestingIsShipped(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/kasi")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Contains(t, string(out), module+"streams\n")
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		for _, bad := range []string{
			"testing", "github.com/stretchr/testify", "github.com/testcontainers", "pgregory.net/rapid",
			module + "cmd/kasilab", module + "streams/kafkatest", module + "sinks/clickhouse/chtest",
		} {
			if path == bad || strings.HasPrefix(path, bad+"/") {
				t.Errorf("cmd/kasi links %s: go list -deps ./cmd/kasi", path)
			}
		}
	}
}

// A line is read without scrolling: 120 columns of Go, 140 of the rest. Generated files are as they come.
func TestLinesFitTheScreen(t *testing.T) {
	eachFile(t, func(path string, text []byte) {
		if bytes.Contains(text[:min(len(text), 1000)], []byte("DO NOT EDIT")) {
			return
		}
		n := 0
		for line := range bytes.Lines(text) {
			n++
			wide := utf8.RuneCount(bytes.TrimRight(line, "\n"))
			if wide > columns(path) {
				t.Errorf("%s:%d: %d columns; the most is %d", path, n, wide, columns(path))
			}
		}
	})
}

// Nothing unfinished, nothing hidden: no skipped tests, no notes of work left undone, no init functions, no sleeping
// tests.
func TestNothingUnfinished(t *testing.T) {
	left := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X:"}
	for _, f := range sourceFiles(t) {
		for _, word := range left {
			if i := bytes.Index(f.text, []byte(word)); i >= 0 && !f.generated() {
				t.Errorf("%s:%d: %s", f.path, 1+bytes.Count(f.text[:i], []byte("\n")), word)
			}
		}
	}
	in := func(f sourceFile) bool { return !f.generated() }
	problemsIn(t, in, func(f sourceFile, n ast.Node) string {
		if fn, ok := n.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			return "an init function: wire things where they are used"
		}
		pkg, name := selector(n)
		if f.test && (pkg == "t" || pkg == "b" || pkg == "f") && strings.HasPrefix(name, "Skip") {
			return "a skipped test"
		}
		if f.test && pkg == "time" && name == "Sleep" && !strings.Contains(f.path, "streams/sim/") { // there time is virtual
			return "a test that sleeps: wait for what must happen"
		}
		return ""
	})
}
