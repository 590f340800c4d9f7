package chance

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCodesNameTheCells holds the numbers of cells against their names: facts have the chance of the cell of their
// name.
func TestCodesNameTheCells(t *testing.T) {
	t.Parallel()
	var all []Facts
	for code := range 1 << proofBits {
		all = append(all, Facts{
			Months: code & 3, Failed: code&4 != 0, Spends: code&8 != 0, Broken: code&16 != 0, Steady: code&32 != 0,
		})
	}
	cells := map[string]Cell{}
	for i := range all {
		cells[all[i].Proof()] = Cell{Count: 1000 + len(cells), Tracked: 300 + len(cells), Today: 200}
	}
	table, err := Of(cells, nil)
	require.NoError(t, err)
	for i := range all {
		name, count := table.Cell(&all[i], true)
		c := cells[name]
		require.Equal(t, c.Count, count)
		tracked, today := table.Proof(&all[i])
		require.Equal(t, (c.Tracked*One+priorWeight*prior)/(c.Count+priorWeight), tracked, name)
		require.Equal(t, (c.Today*One+priorWeight*prior/2)/(c.Count+priorWeight), today, name)
	}
	f := Facts{Failed: true, Spends: true, Months: 3}
	require.Equal(t, "proof failed spends months2", f.Proof())
}

// TestBinsHaveNames: no two bins of the scorecard are of one name, and a situation's are named after what it is.
func TestBinsHaveNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, asked := range card {
		for bin := range asked.bins() {
			require.False(t, names[asked.name(bin)], asked.name(bin))
			names[asked.name(bin)] = true
		}
	}
	f := Facts{Months: 5, Held: 3, Left: 30, Since: Never, Next: 2, Over: true, Failed: true}
	var of []string
	for i, bin := range f.Case() {
		of = append(of, card[i].name(int(bin)))
	}
	require.Equal(t, []string{
		"held79 months6", "soon0 months6", "later0 months6", "last0", "since+", "left+", "next3", "over+", "spends0",
		"failed+", "held98 over+", "held98 soon0",
	}, of)
}

// TestLearning finds what was put in: whose months held the amount is paid, whose debit failed is not.
func TestLearning(t *testing.T) {
	t.Parallel()
	cases := map[Case]*Counted{}
	for held := range 11 {
		for _, failed := range []bool{false, true} {
			f := Facts{Months: 10, Held: held, Failed: failed, Left: 20, Since: 5, Next: 20}
			for n := range 1_000 {
				if cases[f.Case()] == nil {
					cases[f.Case()] = &Counted{}
				}
				paid := !failed && n < held*100
				cases[f.Case()].Add(paid, paid && n%2 == 0, n%4 == 0, paid)
			}
		}
	}
	scores := Learn(cases)
	require.Equal(t, scores, Learn(cases), "the order of the counts does not matter")
	table, err := Of(nil, scores)
	require.NoError(t, err)
	of := func(held int, failed bool) [outcomes]int {
		return table.Chances(&Facts{Months: 10, Held: held, Failed: failed, Left: 20, Since: 5, Next: 20})
	}
	require.InDelta(t, 9_700, of(10, false)[Paid], 400)
	require.InDelta(t, 4_000, of(5, false)[Paid], 500) // a bin with those of 3 and 4 of 10 months
	require.Less(t, of(1, false)[Paid], 2_000)
	require.Less(t, of(10, true)[Paid], 1_001, "a cell that nothing was counted in")
	require.InDelta(t, of(10, false)[Paid]/2, of(10, false)[Today], 600)
	require.InDelta(t, 2_500, of(5, false)[Later], 300)
}

func TestOddsGrowWithPoints(t *testing.T) {
	t.Parallel()
	was := 0
	for points := -9_000; points <= 9_000; points += 100 {
		now := odds(points)
		require.GreaterOrEqual(t, now, was)
		require.Equal(t, One, now+odds(-points))
		was = now
	}
	require.Equal(t, []int{1_192, 5_000, 8_808}, []int{odds(-2_000), odds(0), odds(2_000)})
}

func TestTheEmbeddedTable(t *testing.T) {
	t.Parallel()
	table := Default()
	require.Len(t, table.Hash, 16)
	tracked, _ := table.Proof(&Facts{Spends: true, Months: 5})
	require.Greater(t, tracked, 9_800)
	known := Facts{Left: 25, Since: 5, Next: 20, Spends: true, Over: true, Months: 5, Held: 5, HeldLast: 5, Later: 5}
	require.Greater(t, table.Chances(&known)[Paid], 9_000)
	known.Failed = true
	require.Less(t, table.Chances(&known)[Paid], 4_000, "the bank may still see the next income")
	require.Less(t, table.Chances(&known)[Today], 200)
}

func TestReadingIsStrict(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a,1,2,0", "a,1", "a,x,0,0", "a,1,0,-1", "a,1,1,1\na,1,1,1", "a,1,1,1,1,1", "base,1,1,1,1", "base,1,1,1,1,1,1",
	} {
		_, err := Read([]byte(text))
		require.Error(t, err, text)
	}
	cells := map[string]Cell{"proof b": {5, 3, 2}, "proof a": {7, 7, 0}}
	scores := map[string]Scored{"base": {9, Points{1, -2, 3, 4}}, "over+": {4, Points{5, 6, 7, 8}}}
	table, err := Read(append([]byte("# a comment\n\n"), Write(cells, scores)...))
	require.NoError(t, err)
	want, err := Of(cells, scores)
	require.NoError(t, err)
	want.Hash = table.Hash
	require.Equal(t, want, table)
}

func TestOwnMonthsCountMoreAndMore(t *testing.T) {
	t.Parallel()
	require.Equal(t, 7_000, Own(0, 0, 7_000))
	last := 7_000
	for n := range 12 {
		now := Own(n+1, n+1, 7_000)
		require.Greater(t, now, last)
		last = now
	}
	require.Greater(t, last, 9_400)
}
