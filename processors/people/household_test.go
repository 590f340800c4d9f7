package people

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

func TestAHouseholdIsTheSameHoweverManyThereAre(t *testing.T) {
	cal := rules.Default().Calendar
	a, b := NewNeighbourhood(7, november, 6, cal), NewNeighbourhood(7, november, 6, cal)
	_ = b.Household(1)
	require.Equal(t, a.Household(2), b.Household(2))
	require.NotEqual(t, a.Household(2), NewNeighbourhood(8, november, 6, cal).Household(2))
}

// A household's acts come in the order of time, each with an id of its own, and none leaves less than nothing, whoever
// else takes money in between. A rand less there is never more than a rand less gone.
func TestAHouseholdLivesOnWhatItHas(t *testing.T) {
	cal := rules.Default().Calendar
	rapid.Check(t, func(t *rapid.T) {
		n := NewNeighbourhood(rapid.Uint64().Draw(t, "seed"), november, 4, cal)
		h := n.Household(rapid.IntRange(1, 5000).Draw(t, "household"))
		left, ids := h.Opening, map[string]bool{}
		for i := range h.Acts {
			act := &h.Acts[i]
			if i > 0 && act.At.Before(h.Acts[i-1].At) || ids[act.ID] || schemas.DateIn(act.At).Before(november) {
				t.Fatalf("%s: out of order, or an id seen before", act.ID)
			}
			ids[act.ID] = true
			if rapid.IntRange(0, 9).Draw(t, "taken") == 0 {
				left -= schemas.Cents(rapid.Int64Range(0, int64(left)).Draw(t, "cents"))
			}
			effect := h.Effect(act, left)
			if act.Kind == Earn != (effect > 0) || left+effect < 0 {
				t.Fatalf("%s: %s of %s", act.ID, effect, left)
			}
			less := left - schemas.Cents(rapid.Int64Range(0, int64(left)).Draw(t, "less"))
			if there := less + h.Effect(act, less); there > left+effect || left-less < left+effect-there {
				t.Fatalf("%s: %s of %s, but %s of %s", act.ID, effect, left, h.Effect(act, less), less)
			}
			left += effect
		}
	})
}

func TestNeighboursAreOfManyKinds(t *testing.T) {
	n := NewNeighbourhood(1, november, 4, rules.Default().Calendar)
	kinds, feeds, fees := map[string]int{}, 0, map[schemas.Cents]bool{}
	var creditors, bounced int
	for i := range 1000 {
		h := n.Household(i + 1)
		kinds[h.Kind]++
		if !h.NoFeed {
			feeds++
		}
		fees[h.BankFee] = true
		for j := range h.Acts {
			if act := &h.Acts[j]; act.Kind == Creditor {
				creditors++
				if act.Bounces {
					bounced++
				}
			}
		}
	}
	for _, k := range householdShares {
		require.InDelta(t, k.share, kinds[k.kind]/10, 4, k.kind)
	}
	require.InDelta(t, 900, feeds, 40)
	require.Len(t, fees, 6)
	require.Greater(t, creditors, 1000)
	require.InDelta(t, 12, 100*bounced/creditors, 8, "unpaid debit orders in percent")
}
