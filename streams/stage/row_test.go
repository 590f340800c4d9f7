package stage

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The loop knows no topic and no group of ours: they come with the row.
func TestKnowsNoTopicOfOurs(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	looked := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		looked++
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, f.Name(), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, _ := sel.X.(*ast.Ident)
			named := strings.HasPrefix(sel.Sel.Name, "Topic") || strings.HasPrefix(sel.Sel.Name, "Group")
			if pkg != nil && pkg.Name == "schemas" && named {
				t.Errorf("%s names schemas.%s", set.Position(n.Pos()), sel.Sel.Name)
			}
			return true
		})
	}
	require.Greater(t, looked, 8)
}
