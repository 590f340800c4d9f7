package storm

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/demo"
)

// The kills that are due only grow, from the import to the export, by which all are.
func TestSharesGrowOverTheMonth(t *testing.T) {
	last := 0.0
	grows := func(p demo.Phase, days int) {
		now := Share(p, firstDay.AddDays(days))
		require.GreaterOrEqual(t, now, last, "%s after %d days", p, days)
		last = now
	}
	grows(demo.PhaseImport, 0)
	grows(demo.PhaseExecute, 0)
	grows(demo.PhaseHistory, 0)
	for day := range 33 {
		grows(demo.PhaseMorning, day)
		grows(demo.PhaseAdvance, day)
		if day == 31 {
			grows(demo.PhaseSettle, day)
		}
	}
	grows(demo.PhaseExport, 32)
	require.InDelta(t, 1, last, 0)
}

// Each round kills everybody once; who is away or has nothing to kill is left out, and never holds the others up.
func TestRotation(t *testing.T) {
	a, b, c := &victim{role: "a"}, &victim{role: "b"}, &victim{role: "c", busy: func() bool { return false }}
	k := &killer{victims: []*victim{a, b, c}, rng: rand.New(rand.NewPCG(1, 1))}
	for range 10 {
		for range 2 {
			v := k.next()
			require.NotNil(t, v)
			v.away, k.back = false, 0
		}
	}
	require.Equal(t, []int{10, 10, 0}, []int{a.kills, b.kills, c.kills})
	a.away = true
	for range 5 {
		require.Same(t, b, k.next())
		b.away = false
	}
	b.away = true
	require.Nil(t, k.next())
	require.Equal(t, 25, k.kills)
	k.missed(b)
	require.Equal(t, 24, k.kills)
}

func TestMoved(t *testing.T) {
	p, q := place{"t", 0}, place{"t", 1}
	from := map[place]int64{p: 5, q: 5}
	require.False(t, moved(map[place]bool{p: true}, from, map[place]int64{p: 5, q: 9}), "not the one it held")
	require.True(t, moved(map[place]bool{p: true}, from, map[place]int64{p: 6, q: 5}))
	require.True(t, moved(nil, from, map[place]int64{p: 5, q: 6}), "of one that held nothing, any counts")
	require.False(t, moved(nil, from, nil), "the broker says nothing")
}

func TestMedian(t *testing.T) {
	p50, most := median([]time.Duration{3, 1, 2})
	require.Equal(t, []time.Duration{2, 3}, []time.Duration{p50, most})
	_, most = median(nil)
	require.Zero(t, most)
}
