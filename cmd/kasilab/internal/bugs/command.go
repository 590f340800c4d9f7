// Package bugs shows that the tests can fail. It reads a list of plausible mistakes, each with what it would do
// to the money and the test that must catch it; plants one after the other, runs that test, and expects it to fail.
//
// The tree is never touched: a bug is an overlay of `go test -overlay`, changed copies of files in a temporary
// directory. A bug is an exact text that must be in its file once, not a patch or a place: it moves with the code, and
// where the code has changed so that it says nothing any more, that is an error of the list and not a pass. First the
// same tests run without any bug, once a package: what fails already proves nothing. Caught means that a named test
// failed: a bug that does not compile, a test binary that dies before its tests, an expression that matches no test and
// a test that runs into its time limit without the list saying so are all errors. Adding a bug is one entry of
// bugs.yaml. Ready-made mutation testers (gremlins, go-mutesting) change operators at random by the thousand; here each
// mistake is one that somebody could make and that costs money, so that a survivor is always a hole.
package bugs

import (
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kasi-collections/kasi/streams/feed"
)

// listFile is the list of this project, from the module's root.
const listFile = "cmd/kasilab/internal/bugs/bugs.yaml"

type options struct {
	dir, file string
	only      []string
	jobs      int
	list      bool
	verbose   bool
}

// Command is `kasilab bugs`.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "bugs",
		Short: "Plant mistakes that would cost money, and see that the tests catch each",
		Long: `bugs plants one mistake after the other by an overlay of go test (the tree stays as it is), runs the
test that must catch it, and prints which test did. The exit code is 1 where a bug survived, or where
the list does not fit the tree any more.`,
		Example: `  kasilab bugs                                  # all of bugs.yaml
  kasilab bugs --list
  kasilab bugs --only result-applied-twice -v   # with what the test said
  kasilab bugs --only 'sink-*' --jobs 1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".", "root of the module")
	f.StringVar(&o.file, "file", "", "list of bugs (default "+listFile+" in the module)")
	f.StringSliceVar(&o.only, "only", nil, "names of bugs to plant, or patterns such as 'sink-*'")
	f.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "how many tests to run at once")
	f.BoolVar(&o.list, "list", false, "print the bugs and plant none")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print what the tests said, also where they caught the bug")
	return cmd
}

func run(cmd *cobra.Command, o options) error {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	if o.file == "" {
		o.file = filepath.Join(dir, listFile)
	}
	bugs, err := loadBugs(o.file)
	if err != nil {
		return err
	}
	if bugs, err = choose(bugs, o.only); err != nil {
		return err
	}
	if o.list {
		printList(cmd.OutOrStdout(), bugs)
		return nil
	}
	out := cmd.ErrOrStderr()
	terminal := out == os.Stderr && term.IsTerminal(int(os.Stderr.Fd()))
	bar := feed.NewProgress(out, terminal, "planted bugs", int64(steps(bugs))).EachStep()
	h := &hunt{root: dir, jobs: o.jobs, step: func(done int, what string) { bar.Step(int64(done), what) }}
	findings, err := h.run(cmd.Context(), bugs)
	bar.Done()
	if err != nil {
		return err
	}
	return printFindings(cmd.OutOrStdout(), findings, o.verbose)
}
