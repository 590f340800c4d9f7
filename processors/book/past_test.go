package book

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// drawOver draws a collection that is over, as a customer T/C could have it.
func drawOver(t *rapid.T, number string, period schemas.Period) Collection {
	day := func(name string, from, to int) schemas.Day {
		return schemas.Day(rapid.IntRange(from, to).Draw(t, name))
	}
	first := schemas.DayOf(period.First())
	k := Collection{
		Number: number, Period: period, Version: int64(rapid.IntRange(1, 500).Draw(t, "version")),
		Execution: rapid.SampledFrom([]string{"", "x", "0193c1f2-7f00-7000-8000-0000000000ab"}).Draw(t, "execution"),
		Due:       schemas.Cents(rapid.Int64Range(1, 1<<50).Draw(t, "due")), Plan: first + day("plan", -40, 31),
		Cancelled: rapid.Bool().Draw(t, "cancelled"), Closed: rapid.Bool().Draw(t, "closed"),
		Decisions: rapid.IntRange(0, 300).Draw(t, "decisions"),
	}
	id, on := schemas.CollectionID(schemas.PolicyID("T", number), period), first+day("first", -1, 70)
	k.First = on
	for n := range rapid.IntRange(1, 4).Draw(t, "debits") {
		d := Debit{
			ID: schemas.DebitID("T", "C", id, n+1), Cents: k.Due, Action: on,
			Rail:    rapid.SampledFrom([]schemas.Rail{schemas.RailEFT, schemas.RailRM, "NEW"}).Draw(t, "rail"),
			State:   DebitState(rapid.IntRange(int(DebitPaid), int(DebitDisputed)).Draw(t, "state")),
			Counted: rapid.Bool().Draw(t, "counted"), Shown: rapid.Bool().Draw(t, "shown"),
			Proved: rapid.Bool().Draw(t, "proved"), RowBefore: rapid.IntRange(0, 3).Draw(t, "row"),
			Results: rapid.SliceOfN(rapid.Uint64(), 1, 3).Draw(t, "results"),
		}
		if rapid.Bool().Draw(t, "a part") {
			d.Cents = schemas.Cents(rapid.Int64Range(1, int64(k.Due)).Draw(t, "cents"))
		}
		if rapid.Bool().Draw(t, "tracked") {
			d.Until = on + day("until", 1, 10)
		}
		if d.State == DebitPaid || rapid.Bool().Draw(t, "paid too") {
			d.PaidOn = on + day("paid on", 0, 900)
		}
		if d.saysNo() {
			d.BackOn, d.Code = on+day("back on", 0, 900), rapid.SampledFrom([]string{":", "ZA:02", "ISO:AM04"}).Draw(t, "code")
		}
		if rapid.Bool().Draw(t, "with item") {
			d.Item = &Item{
				Version: 3, Kind: schemas.OpenPaid, State: rapid.SampledFrom([]schemas.OpenItemState{"", schemas.ItemClosed}).
						Draw(t, "item"), Since: on, Said: schemas.Cents(rapid.IntRange(0, 999).Draw(t, "said")),
			}
		}
		k.Debits = append(k.Debits, d)
		k.Last, k.Attempts = on, n+1
		on += day("pause", 0, 40)
	}
	return k
}

// TestPastKeepsWhatAnswersNeed buries collections of some policies in any order: each debit is found by its id, and the
// collections from any period on come back as they were, by period.
func TestPastKeepsWhatAnswersNeed(t *testing.T) {
	t.Parallel()
	r := rules.Default()
	rapid.Check(t, func(t *rapid.T) {
		c := &Customer{}
		c.own("T", "C")
		var all []Collection
		for p := range rapid.IntRange(1, 2*fewCollections).Draw(t, "policies") {
			number := "P" + strconv.Itoa(p)
			c.Policies = append(c.Policies, Policy{Number: number})
			for m := range rapid.IntRange(0, 4).Draw(t, "months") {
				period := schemas.PeriodOf(civil.Date{Year: 2024, Month: 11, Day: 1}.AddMonths(m * 7))
				all = append(all, drawOver(t, number, period))
			}
		}
		b := Open(r, c, schemas.Moment{Date: civil.Date{Year: 2030, Month: 1, Day: 1}}, &Outputs{})
		for i := range all {
			b.follow(&all[i])
		}
		asked := rapid.Bool().Draw(t, "asked before")
		for _, i := range rapid.Permutation(numbers(len(all))).Draw(t, "order") {
			c.bury(&all[i])
			if asked {
				require.True(t, c.Knows(all[i].Debits[0].ID))
			}
		}
		require.False(t, c.Knows("00000000000080008000000000000000"))
		restored := &Customer{}
		Changed(nil, c, func(name string) {
			value, err := AppendRow(nil, c, name)
			require.NoError(t, err)
			require.NoError(t, LoadRow(restored, name, value))
		})
		b.Customer = restored
		for i := range all {
			k := &all[i]
			_, at, err := restored.unburied(k.Number, k.Period)
			require.NoError(t, err)
			for j := range k.Debits {
				got, d, err := b.find(k.Debits[j].ID)
				require.NoError(t, err)
				require.Equal(t, k, got)
				require.Equal(t, &k.Debits[j], d)
			}
			list, _, err := restored.unburied(k.Number, k.Period)
			require.NoError(t, err)
			require.Equal(t, at, restored.Past.Find(k.Number).from(k.Period))
			var want []schemas.Period
			for j := range all {
				if all[j].Number == k.Number && all[j].Period >= k.Period {
					want = append(want, all[j].Period)
				}
			}
			var have []schemas.Period
			for j := range list {
				have = append(have, list[j].Period)
			}
			require.Equal(t, want, have)
		}
	})
}

// What is taken out of the past is not in it any more, and goes back into it as the same bytes.
func TestPastComesBackOnce(t *testing.T) {
	t.Parallel()
	r := rules.Default()
	rapid.Check(t, func(t *rapid.T) {
		c := &Customer{}
		c.own("T", "C")
		c.Policies = Policies{{Number: "P", Status: schemas.PolicyActive}}
		b := Open(r, c, schemas.Moment{Date: civil.Date{Year: 2030, Month: 1, Day: 1}}, &Outputs{})
		months := rapid.IntRange(1, 6).Draw(t, "months")
		var ids []string
		for m := range months {
			k := drawOver(t, "P", schemas.PeriodOf(civil.Date{Year: 2025, Month: 1, Day: 1}.AddMonths(m)))
			k.Closed = true
			c.bury(&k)
			ids = append(ids, k.Debits[0].ID)
		}
		whole := c.Past.Find("P").Packed
		at := rapid.IntRange(0, months-1).Draw(t, "answered")
		k, _, err := b.find(ids[at])
		require.NoError(t, err)
		k, d, err := b.recall(k, ids[at])
		require.NoError(t, err)
		require.Equal(t, ids[at], d.ID)
		require.Same(t, k, c.Collections.Find("P", k.Period))
		require.Len(t, c.Collections, months-at)
		for i, id := range ids {
			_, buried := c.buriedDebit(id)
			require.Equal(t, i < at, buried)
			require.True(t, c.Knows(id))
		}
		b.Prune("2030-01")
		require.Empty(t, c.Collections)
		require.Equal(t, whole, c.Past.Find("P").Packed)
	})
}

func numbers(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// A customer's past is kept for good, so a premium that was paid at once may take few bytes.
func TestPastIsSmall(t *testing.T) {
	t.Parallel()
	c := &Customer{}
	c.own("T", "C")
	const years = 30
	for m := range years * 12 {
		period := schemas.PeriodOf(civil.Date{Year: 2025, Month: 1, Day: 1}.AddMonths(m))
		first := schemas.DayOf(period.First())
		c.bury(&Collection{
			Number: "P", Period: period, Execution: uuid.NewString(), Version: 3, Due: 15000, Plan: first + 4, Decisions: 1,
			First: first + 4, Last: first + 4, Attempts: 1, Debits: []Debit{{
				Cents: 15000, Action: first + 4, Until: first + 14, Rail: schemas.RailDebiCheck, State: DebitPaid,
				PaidOn: first + 5, Uses: [][2]int64{{1, 15000}}, Results: []uint64{1 << 63},
			}},
		})
	}
	require.LessOrEqual(t, len(c.Past.Find("P").Packed), years*12*45)
}

// A past that cannot be read is an error of whatever asks for it, and never another customer's money.
func TestPastThatIsDamaged(t *testing.T) {
	t.Parallel()
	c := &Customer{}
	c.own("T", "C")
	k := Collection{
		Number: "P", Period: "2025-11", Due: 100,
		Debits: []Debit{{Cents: 100, Action: 20000, State: DebitPaid, PaidOn: 20000}},
	}
	c.bury(&k)
	whole := c.Past.Find("P").Packed
	for n := range len(whole) {
		for _, packed := range []string{whole[:n], whole[:n] + string(rune(whole[n]^0x80)) + whole[n+1:]} {
			c.Past.set("P", packed)
			require.NotPanics(t, func() { _, _, _ = c.unburied("P", "2025-01") }, fmt.Sprintf("%q", packed))
		}
	}
	c.Past.set("P", whole[:len(whole)-1])
	_, _, err := c.unburied("P", "2025-01")
	require.ErrorContains(t, err, "the past of a policy")
	require.True(t, slices.IsSortedFunc(c.Past, func(a, b Past) int { return byPolicy(&a, &b) }))
}

// TestPastKnowsEveryField fails where a collection, a debit or an item has a field more: say in packed.go how it is
// kept, or here that it need not be.
func TestPastKnowsEveryField(t *testing.T) {
	t.Parallel()
	fields := func(of any) (names []string) {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(of)) {
			names = append(names, f.Name)
		}
		return names
	}
	require.Equal(t, strings.Fields("Number Period Execution Version Due Collected Plan First Last Attempts Failure "+
		"Cancelled Stopped Closed Reopened Voided Decisions Decided Debits"), fields(Collection{}),
		"Voided has no debits; Decided is not kept; sums, dates and failures follow from the debits")
	require.Equal(t, strings.Fields("ID Cents Action Until Rail State PaidOn BackOn Code RowBefore Counted Heard Shown "+
		"Proved Uses Item Results"), fields(Debit{}), "Heard and Uses are not kept; the id follows from the place")
	require.Equal(t, strings.Fields("Version Kind State Since Said"), fields(Item{}))
}
