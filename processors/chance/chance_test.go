package chance

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCodesNameTheCells holds the numbers of cells against their names: facts have the chance of the cell of their
// name.
func TestCodesNameTheCells(t *testing.T) {
	t.Parallel()
	cells := map[string]Cell{}
	for table := range tables {
		for code := range 1 << 7 {
			f := factsOf(table, code)
			cells[f.Name(table)] = Cell{Count: 1000 + len(cells), Tracked: 300 + len(cells), Today: 200}
		}
	}
	table := Of(cells)
	for _, f := range []Facts{
		{},
		{Left: 2, Since: 1},
		{Left: 3, Since: 2, Months: 5},
		{Left: 20, Since: 30, Failed: true, Over: true},
		{Left: 21, Since: 31, Spends: true, Broken: true},
		{Left: 30, Since: Never, Steady: true, Months: 1},
		{Left: 10, Since: 45, Broken: true, Steady: true, Months: 2},
	} {
		for i := range tables {
			c := table.Cell(i, &f)
			require.NotZero(t, c.Count, "%s", f.Name(i))
			require.Equal(t, (c.Tracked*One+priorWeight*priors[i])/(c.Count+priorWeight), table.Chance(i, &f), f.Name(i))
		}
	}
	f := Facts{Failed: true, Left: 7, Spends: true, Over: true, Months: 3}
	require.Equal(t, "held failed left10 spends known", f.Name(Held))
}

func TestTheEmbeddedTable(t *testing.T) {
	t.Parallel()
	table := Default()
	require.Len(t, table.Hash, 16)
	require.Greater(t, table.Chance(Proof, &Facts{Spends: true, Months: 5}), 9_900)
	require.Less(t, table.Chance(Held, &Facts{Failed: true, Left: 15, Spends: true, Months: 5}), 500)
}

func TestReadingIsStrict(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a,1,2,0", "a,1", "a,x,0,0", "a,1,0,-1", "a,1,1,1\na,1,1,1"} {
		_, err := Read([]byte(text))
		require.Error(t, err, text)
	}
	cells := map[string]Cell{"b": {5, 3, 2}, "a": {7, 7, 0}}
	table, err := Read(append([]byte("# a comment\n\n"), Write(cells)...))
	require.NoError(t, err)
	require.Equal(t, cells, table.cells)
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
