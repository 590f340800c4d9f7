package bugs

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The module that the tests plant bugs into. Its tests can pass, fail, hang and crash.
var tiny = map[string]string{
	"go.mod": "module tiny\n\ngo 1.26.0\n",
	"sum/sum.go": `package sum

func Sum(a, b int) int {
	return a + b
}

func Unused() int { return 7 }

func Wait() {}
`,
	"sum/sum_test.go": `package sum

import "testing"

func TestSum(t *testing.T) {
	t.Run("small", func(t *testing.T) {
		if got := Sum(1, 2); got != 3 {
			t.Fatalf("1 + 2 is not %d", got)
		}
	})
	t.Run("zero", func(t *testing.T) { _ = Sum(0, 0) })
}

func TestUnused(t *testing.T) { Unused() }

func TestWait(t *testing.T) {
	done := make(chan struct{})
	go func() { Wait(); close(done) }()
	<-done
}
`,
	"red/red_test.go": `package red

import "testing"

func TestRed(t *testing.T) { t.Fatal("red anyway") }
`,
	"red/red.go": "package red\n\nconst Red = 1\n",
}

func tinyModule(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range tiny {
		file := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	return root
}

// tinyList has a bug for each verdict, in its name's first word.
const tinyList = `
- {name: caught, harm: h, file: sum/sum.go, old: a + b, new: a - b, package: ./sum, run: TestSum}
- {name: caught-twice, harm: h, file: sum/sum.go, old: a + b, new: a, also: [{file: sum/sum.go, old: return 7,
   new: return 8}], package: ./sum, run: TestSum, fails: 2 is not 1}
- {name: otherwise, harm: h, file: sum/sum.go, old: a + b, new: a - b, package: ./sum, run: TestSum,
   fails: another reason}
- {name: survived, harm: h, file: sum/sum.go, old: return 7, new: return 8, package: ./sum, run: TestUnused}
- {name: stale, harm: h, file: sum/sum.go, old: a + b + c, new: a, package: ./sum, run: TestSum}
- {name: stale-twice-there, harm: h, file: sum/sum.go, old: return, new: "return 1 +", package: ./sum, run: TestSum}
- {name: stale-file, harm: h, file: sum/gone.go, old: a, new: b, package: ./sum, run: TestSum}
- {name: uncompilable, harm: h, file: sum/sum.go, old: a + b, new: a + c, package: ./sum, run: TestSum}
- {name: none, harm: h, file: sum/sum.go, old: a + b, new: a - b, package: ./sum, run: TestNobody}
- {name: hung, harm: h, file: sum/sum.go, old: "Wait() {}", new: "Wait() { select {} }", package: ./sum,
   run: TestWait, timeout: 200ms}
- {name: caught-hanging, harm: h, file: sum/sum.go, old: "Wait() {}", new: "Wait() { select {} }", package: ./sum,
   run: TestWait, timeout: 200ms, hangs: true}
- {name: hung-not, harm: h, file: sum/sum.go, old: a + b, new: a - b, package: ./sum, run: TestSum, hangs: true}
- {name: caught-by-a-crash, harm: h, file: sum/sum.go, old: "Wait() {}", new: 'Wait() { panic("oh") }',
   package: ./sum, run: TestWait}
- {name: crashed, harm: h, file: sum/sum.go, old: "func Unused() int { return 7 }",
   new: "func Unused() int { return 7 }\n\nfunc init() { panic(1) }", package: ./sum, run: TestUnused}
- {name: control, harm: h, file: red/red.go, old: Red = 1, new: Red = 2, package: ./red, run: TestRed}
`

func TestEveryVerdict(t *testing.T) {
	root := tinyModule(t)
	list := filepath.Join(root, "bugs.yaml")
	require.NoError(t, os.WriteFile(list, []byte(tinyList), 0o600))
	bugs, err := loadBugs(list)
	require.NoError(t, err)
	done := 0
	h := &hunt{root: root, jobs: 4, step: func(n int, _ string) { done = n }}
	findings, err := h.run(context.Background(), bugs)
	require.NoError(t, err)
	require.Equal(t, steps(bugs), done)
	got := map[string]verdict{}
	by := map[string][]string{}
	for _, f := range findings {
		got[f.bug.Name], by[f.bug.Name] = f.verdict, f.by
	}
	require.Equal(t, map[string]verdict{
		"caught": caught, "caught-twice": caught, "otherwise": otherwise, "survived": survived, "stale": stale,
		"stale-twice-there": stale, "stale-file": stale,
		"uncompilable": uncompilable, "none": noTest, "hung": hung, "caught-hanging": caught, "hung-not": hung,
		"caught-by-a-crash": caught, "crashed": crashed,
		"control": badControl,
	}, got)
	require.Equal(t, []string{"TestSum/small"}, by["caught"], "the subtest that failed, not its parent")
	require.Equal(t, []string{"TestWait"}, by["caught-by-a-crash"])
	for name, text := range tiny {
		have, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.Equal(t, text, string(have), "the tree was touched")
	}

	var out bytes.Buffer
	require.ErrorContains(t, printFindings(&out, findings, false), "11 of 15 planted bugs were not caught")
	require.Contains(t, out.String(), "survived: SURVIVED. It would mean: h.")
	require.Contains(t, out.String(), "sum/sum.go holds the old text 2 times, not once")
	require.NoError(t, printFindings(&out, findings[:2], true))
}

// Ctrl-C ends the tests that are running, with their children.
func TestInterrupt(t *testing.T) {
	root := tinyModule(t)
	pid := filepath.Join(root, "pid")
	b := bug{
		Name: "sleeps", Package: "./sum", Run: "TestWait", Timeout: time.Minute, Hangs: true,
		edit: edit{File: "sum/sum.go", Old: "package sum\n", New: "package sum\n\nimport (\n\t\"os\"\n\t\"strconv\"\n)\n"},
		Also: []edit{{File: "sum/sum.go", Old: "Wait() {}", New: "Wait() { os.WriteFile(`" + pid +
			"`, []byte(strconv.Itoa(os.Getpid())), 0o600); select {} }"}},
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := (&hunt{root: root, jobs: 1}).run(ctx, []bug{b})
		ended <- err
	}()
	var number []byte
	require.Eventually(t, func() bool {
		number, _ = os.ReadFile(pid)
		return len(number) > 0
	}, time.Minute, 5*time.Millisecond, "the test never ran")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Eventually(t, func() bool {
		_, err := os.Stat("/proc/" + string(number))
		return os.IsNotExist(err)
	}, 20*time.Second, 5*time.Millisecond, "the test binary lives on")
}
