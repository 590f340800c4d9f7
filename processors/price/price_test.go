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
	s := Situation{
		Amount: schemas.Cents(1 + n("amount", 90_000)), Lowest: schemas.Cents(n("lowest", 90_000)),
		Tracks: n("tracks", 1) == 1, Ends: n("ends", 1) == 1, Last: n("last", 1) == 1,
		PaidChance: n("paid", chance.One), TodayChance: n("today", chance.One), LaterChance: n("later", chance.One),
		LastChance: n("last days", chance.One), ProofChance: n("proof", chance.One),
		FailureCost: schemas.Cents(n("cost", 20_000)), Patience: n("patience", chance.One),
	}
	s.ProofToday = n("proof today", s.ProofChance)
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
		Amount: 15_000, Tracks: true, PaidChance: 5_000, TodayChance: 4_000, LaterChance: 9_500, LastChance: 2_000,
		ProofChance: 9_950, FailureCost: 6_000, Patience: 9_500,
	}
	v := Of(&s)
	require.False(t, v.Best(), "the salary comes in three weeks: %+v", v)
	s.LaterChance = 1_000
	v = Of(&s)
	require.True(t, v.Best(), "no income is to come, and the money may be there: %+v", v)
	s.PaidChance = 1_000
	v = Of(&s)
	require.False(t, v.Best(), "it hardly is: %+v", v)
	s.PaidChance, s.LaterChance, s.LastChance = 7_000, 1_000, 9_900
	v = Of(&s)
	require.False(t, v.Best(), "in the month's last days it is there: %+v", v)
	s.Ends = true
	v = Of(&s)
	require.True(t, v.Best(), "these are the last days: %+v", v)
	s.Lowest = 15_000
	v = Of(&s)
	require.True(t, v.Proved && v.Best())
}
