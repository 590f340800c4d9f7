package price

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/chance"
	"github.com/kasi-collections/kasi/schemas"
)

func draw(t *rapid.T) Situation {
	n := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
	months := n("months", 12)
	s := Situation{
		Amount: schemas.Cents(1 + n("amount", 90_000)), Lowest: schemas.Cents(n("lowest", 90_000)),
		Tracks: n("tracks", 1) == 1, Ends: n("ends", 1) == 1, Last: n("last", 1) == 1, Months: months,
		Held: n("held", months), HeldLast: n("held last", months), Soon: n("soon", months), Later: n("later", months),
		After: n("after", months), HeldChance: n("c1", chance.One), HeldLastChance: n("c3", chance.One),
		SoonChance: n("c4", chance.One), LaterChance: n("c5", chance.One), ProofChance: n("c6", chance.One),
		FailureCost: schemas.Cents(n("cost", 20_000)), Patience: n("patience", chance.One),
	}
	s.HeldToday, s.ProofToday = n("c2", s.HeldChance), n("c7", s.ProofChance)
	return s
}

// TestPricesKeepTheirBounds: nothing is worth more than the amount, a failure costs no more than it does, and more
// costly failures make a debit no better.
func TestPricesKeepTheirBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		v := Of(&s)
		for _, value := range []schemas.Cents{v.Debit, v.Track, v.Wait} {
			require.LessOrEqual(t, value, s.Amount)
			require.GreaterOrEqual(t, value, -s.FailureCost)
		}
		require.GreaterOrEqual(t, v.Wait, schemas.Cents(0))
		require.True(t, v.Chance >= 0 && v.Chance <= chance.One)
		again := Of(&s)
		require.Equal(t, v, again)
		dear := s
		dear.FailureCost += 5_000
		d := Of(&dear)
		require.LessOrEqual(t, d.Debit, v.Debit)
		require.LessOrEqual(t, d.Track, v.Track)

		text, err := json.Marshal(s)
		require.NoError(t, err)
		var read Situation
		require.NoError(t, json.Unmarshal(text, &read))
		require.Equal(t, v, Of(&read), "what a decision carries gives the same price")
	})
}

// TestAKnownBalanceThatIsTooSmall is never debited blind, whatever was learned.
func TestAKnownBalanceThatIsTooSmall(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		s.Known, s.Highest, s.Lowest, s.Tracks = true, s.Amount-1, 0, false
		v := Of(&s)
		require.Zero(t, v.Today)
	})
}

func TestWaitingForProof(t *testing.T) {
	t.Parallel()
	s := Situation{
		Amount: 15_000, Tracks: true, Months: 6, Soon: 0, Later: 6, HeldChance: 5_000, SoonChance: 1_000, LaterChance: 9_500,
		HeldLastChance: 2_000, ProofChance: 9_950, FailureCost: 6_000, Patience: 9_500,
	}
	v := Of(&s)
	require.False(t, v.Best(), "the salary comes in three weeks: %+v", v)
	s.Later = 0
	v = Of(&s)
	require.False(t, v.Best(), "nothing was there on this day in any month: %+v", v)
	s.Held = 6
	v = Of(&s)
	require.True(t, v.Best(), "no income is to come, and the money was there in each month: %+v", v)
	s.Lowest = 15_000
	v = Of(&s)
	require.True(t, v.Proved && v.Best())
}
