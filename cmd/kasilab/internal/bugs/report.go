package bugs

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fatih/color"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

func newTable(w io.Writer, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(header)
	return t
}

// printList shows what would be planted.
func printList(w io.Writer, bugs []bug) {
	t := newTable(w, "Bug", "What it would do", "Where", "Test")
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, WidthMax: 60, WidthMaxEnforcer: text.WrapSoft}})
	for _, b := range bugs {
		t.AppendRow(table.Row{b.Name, b.Harm, b.File, b.Package + " " + b.Run})
	}
	t.Render()
	fmt.Fprintf(w, "%d bugs\n", len(bugs))
}

// printFindings shows what became of each bug, and below what must be mended. Its error counts the bugs that were not
// caught.
func printFindings(w io.Writer, findings []finding, verbose bool) error {
	t := newTable(w, "Bug", "Verdict", "Caught by", "Seconds")
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 4, Align: text.AlignRight}})
	wrong := 0
	var took time.Duration
	for _, f := range findings {
		say := color.GreenString
		if f.verdict != caught {
			wrong++
			say = color.RedString
		}
		took += f.took
		t.AppendRow(table.Row{f.bug.Name, say("%s", f.verdict), testNames(f.by), fmt.Sprintf("%.1f", f.took.Seconds())})
	}
	t.Render()
	for _, f := range findings {
		if f.verdict != caught {
			fmt.Fprintf(w, "\n%s: %s. It would mean: %s.\n%s planted in %s, go test %s -run '%s'\n%s\n", f.bug.Name, f.verdict,
				f.bug.Harm, f.bug.Name, f.bug.File,
				f.bug.Package, f.bug.Run, f.detail)
		} else if verbose {
			fmt.Fprintf(w, "\n%s: caught by %s\n%s\n", f.bug.Name, strings.Join(f.by, ", "), f.detail)
		}
	}
	fmt.Fprintf(w, "%d planted bugs, %d caught, %s of tests\n", len(findings), len(findings)-wrong,
		took.Round(time.Second))
	if wrong > 0 {
		return fmt.Errorf("%d of %d planted bugs were not caught", wrong, len(findings))
	}
	return nil
}

// testNames is the first test and how many more there are.
func testNames(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return fmt.Sprintf("%s (and %d more)", names[0], len(names)-1)
}
