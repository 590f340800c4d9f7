package bugs

import (
	"bytes"
	"context"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ours is the list of this project, and the module it is for.
func ours(t *testing.T) (root string, bugs []bug) {
	t.Helper()
	root, err := filepath.Abs("../../../..")
	require.NoError(t, err)
	bugs, err = loadBugs("bugs.yaml")
	require.NoError(t, err)
	return root, bugs
}

// The list fits the tree: each text is where it should be, once, and what is planted still parses.
func TestTheListAppliesToTheTree(t *testing.T) {
	root, bugs := ours(t)
	for _, b := range bugs {
		files, err := planted(root, &b)
		assert.NoError(t, err, b.Name)
		for name, text := range files {
			if strings.HasSuffix(name, ".go") {
				_, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
				require.NoError(t, err, b.Name)
			}
		}
	}
}

// The quickest bugs of the list are caught in every run of the tests; the others by `make bugs`.
func TestTheQuickBugsAreCaught(t *testing.T) {
	root, bugs := ours(t)
	var quick []bug
	for _, b := range bugs {
		if b.Quick {
			quick = append(quick, b)
		}
	}
	require.NotEmpty(t, quick)
	h := &hunt{root: root, jobs: runtime.NumCPU()}
	findings, err := h.run(context.Background(), quick)
	require.NoError(t, err)
	for _, f := range findings {
		require.Equal(t, caught, f.verdict, "%s\n%s", f.bug.Name, f.detail)
	}
}

// A list is refused with all its mistakes at once.
func TestMistakesOfAList(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bugs.yaml")
	load := func(text string) error {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := loadBugs(file)
		return err
	}
	err := load(`
- {name: Bad Name, harm: h, file: f, old: a, new: b, package: p}
- {name: twice, harm: h, file: f, old: a, new: a, package: p, run: r}
- {name: twice, file: f, old: a, new: b, package: p, run: r, fails: "("}
`)
	for _, part := range []string{
		"bug 1", "lower case", "run is missing", "bug 2", "another new text", "bug 3", "harm is missing",
		"fails: error parsing", `another one of the name "twice"`,
	} {
		require.ErrorContains(t, err, part)
	}
	require.ErrorContains(t, load("- {name: a, tset: b}"), "tset")
	_, err = loadBugs("nobody.yaml")
	require.ErrorContains(t, err, "list of bugs")
}

func TestChoose(t *testing.T) {
	bugs := []bug{{Name: "sink-a"}, {Name: "sink-b"}, {Name: "other"}}
	chosen, err := choose(bugs, []string{"sink-*", "sink-a"})
	require.NoError(t, err)
	require.Equal(t, bugs[:2], chosen)
	_, err = choose(bugs, []string{"sink-c"})
	require.ErrorContains(t, err, "sink-a, sink-b, other")
	_, err = choose(bugs, []string{"["})
	require.ErrorContains(t, err, "syntax error")
}

// The command lists without planting, and its help shows how it is used.
func TestListAndHelp(t *testing.T) {
	cmd := Command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--dir", "../../../..", "--list", "--only", "sink-*"})
	require.NoError(t, cmd.Execute())
	require.Contains(t, out.String(), "sink-no-token")
	require.NotContains(t, out.String(), "vat-on-the-total")
	require.Contains(t, cmd.Example, "kasilab bugs --only")
}
