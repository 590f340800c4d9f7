package bugs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// verdict is what became of a bug. Everything but caught and hung as expected is a fault: of the tests where it
// survived, of the list elsewhere.
type verdict string

const (
	caught       verdict = "caught"
	survived     verdict = "SURVIVED"
	stale        verdict = "does not apply"
	uncompilable verdict = "does not compile"
	noTest       verdict = "no test ran"
	hung         verdict = "test hung"
	otherwise    verdict = "failed otherwise"
	crashed      verdict = "failed without a test"
	badControl   verdict = "control failed"
)

// finding is a bug with its verdict.
type finding struct {
	bug     bug
	verdict verdict
	by      []string // tests that failed
	detail  string   // for whoever must mend the test or the list
	took    time.Duration
}

// hunt runs controls and bugs, several at a time, and tells step of each that is through.
type hunt struct {
	root string
	jobs int
	step func(done int, what string)

	mu   sync.Mutex
	done int
}

// control is the tests of one package without a bug.
type control struct {
	pkg, run string
	timeout  time.Duration
}

// controls are one run for each package, of all tests that bugs name there: their results hold for each bug, and one
// linking does.
func controls(bugs []bug) []control {
	var list []control
	for _, b := range bugs {
		i := slices.IndexFunc(list, func(c control) bool { return c.pkg == b.Package })
		if i < 0 {
			list = append(list, control{pkg: b.Package})
			i = len(list) - 1
		}
		c := &list[i]
		if !slices.Contains(strings.Split(c.run, "|"), b.Run) {
			c.run = strings.TrimPrefix(c.run+"|"+b.Run, "|")
			c.timeout += b.Timeout
		}
	}
	return list
}

// steps is how many times step will be called.
func steps(bugs []bug) int { return len(controls(bugs)) + len(bugs) }

// run gives a finding for each bug, in the order of the list. Its error is not about bugs: `go test` cannot be run, or
// ctx has ended.
func (h *hunt) run(ctx context.Context, bugs []bug) ([]finding, error) {
	var mu sync.Mutex
	bad := map[string]string{} // package: why its control failed
	err := each(ctx, h.jobs, controls(bugs), func(ctx context.Context, c control) error {
		why, err := h.control(ctx, c)
		if err == nil && why != "" {
			mu.Lock()
			defer mu.Unlock()
			bad[c.pkg] = why
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	findings := make([]finding, len(bugs))
	numbers := make([]int, len(bugs))
	for i := range numbers {
		numbers[i] = i
	}
	return findings, each(ctx, h.jobs, numbers, func(ctx context.Context, i int) (err error) {
		if why := bad[bugs[i].Package]; why != "" {
			findings[i] = finding{bug: bugs[i], verdict: badControl, detail: why}
		} else if findings[i], err = h.one(ctx, bugs[i]); err != nil {
			return err
		}
		h.tell(fmt.Sprintf("%s: %s", bugs[i].Name, findings[i].verdict))
		return nil
	})
}

func (h *hunt) tell(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done++
	if h.step != nil {
		h.step(h.done, what)
	}
}

// each calls do for the items, some at once. The first error ends the others.
func each[T any](ctx context.Context, jobs int, items []T, do func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(jobs, 1))
	for _, item := range items {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return do(ctx, item)
		})
	}
	return g.Wait()
}

// control runs tests without a bug; why says how they fail.
func (h *hunt) control(ctx context.Context, c control) (why string, err error) {
	dir, err := os.MkdirTemp("", "kasilab-bugs-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays lies in the temporary directory
	t, err := goTest(ctx, h.root, dir, "-timeout", c.timeout.String(), "-run", c.run, c.pkg)
	if err != nil {
		return "", err
	}
	if !t.ok {
		why = fmt.Sprintf("the tests fail without a bug too: %s\n%s", strings.Join(t.failed, ", "), tail(t.output))
	}
	h.tell(fmt.Sprintf("%s without a bug: %d tests %s", c.pkg, t.ran, map[bool]string{true: "pass", false: "FAIL"}[t.ok]))
	return why, nil
}

// one plants a bug and judges what the tests say of it.
func (h *hunt) one(ctx context.Context, b bug) (finding, error) {
	f := finding{bug: b}
	dir, err := os.MkdirTemp("", "kasilab-bugs-")
	if err != nil {
		return f, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays lies in the temporary directory
	overlay, err := plant(h.root, dir, &b)
	switch {
	case errors.Is(err, errStale):
		f.verdict, f.detail = stale, err.Error()
		return f, nil
	case err != nil:
		return f, err
	}
	args := append([]string{"-overlay", overlay, "-timeout", b.Timeout.String(), "-run", b.Run, b.Package}, b.Args...)
	t, err := goTest(ctx, h.root, dir, args...)
	if err != nil {
		return f, err
	}
	f.took, f.by, f.detail = t.took, t.failed, tail(t.output)
	f.verdict = judge(&b, t)
	return f, nil
}

// judge is the list of what a failure need not mean, in order of precedence.
func judge(b *bug, t tested) verdict {
	switch {
	case !t.compiled:
		return uncompilable
	case t.ran == 0 && t.ok:
		return noTest
	case t.ok:
		return survived
	case len(t.failed) == 0:
		return crashed
	case t.timedOut != b.Hangs:
		return hung
	case !regexp.MustCompile(b.Fails).MatchString(t.output):
		return otherwise
	}
	return caught
}

// tail is the end of an output, where the reason mostly stands.
func tail(output string) string {
	const most = 40
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
