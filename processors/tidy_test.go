package processors_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The project's own rules, kept by a test: no tool knows them.

const module = "github.com/kasi-collections/kasi/"

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

func sourceFiles(t *testing.T) []sourceFile {
	root := ".."
	require.FileExists(t, filepath.Join(root, "go.mod"))
	var files []sourceFile
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" ||
			d.Name() == "bin" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f := sourceFile{test: strings.HasSuffix(path, "_test.go"), text: text, set: token.NewFileSet()}
		f.path, _ = filepath.Rel(root, path)
		f.top, _, _ = strings.Cut(filepath.ToSlash(f.path), "/")
		f.ast, err = parser.ParseFile(f.set, path, text, parser.ParseComments|parser.SkipObjectResolution)
		files = append(files, f)
		return err
	}))
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

// Processors and schemas are pure: no Kafka, no SQL, no randomness, no input or output besides go:embed.
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
				if path == bad || strings.HasPrefix(path, bad+"/") {
					t.Errorf("%s imports %s", f.path, path)
				}
			}
		}
	}
}

// Imports go one way: schemas <- processors <- streams <- cmd, schemas <- sinks <- cmd, schemas <- api <- cmd.
func TestImportDirection(t *testing.T) {
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

// A file that one can read in one sitting.
func TestNoFileOverFourHundredLines(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if lines := bytes.Count(f.text, []byte("\n")); lines > 400 && !f.generated() {
			t.Errorf("%s has %d lines; the most is 400", f.path, lines)
		}
	}
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
