package processors_test

import (
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/arena"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/strategy"
	"github.com/kasi-collections/kasi/schemas"
)

// watched is a strategy that a thorough world watches: it leaves its view as it was, and rules the same when it is
// asked again.
type watched struct {
	strategy.Strategy
	w *world
}

func (s watched) Decide(v *strategy.View) ([]strategy.Ruling, schemas.Day) {
	if s.w.fast {
		return s.Strategy.Decide(v)
	}
	rows := func() *book.Customer {
		return &book.Customer{
			Core: book.Core{Balances: v.Balances}, Policies: v.Policies, Collections: v.Collections, Deposits: v.Deposits,
			Streams: v.Streams, Incomes: v.Incomes,
		}
	}
	was, kept := *v, rows().Clone()
	rulings, wake := s.Strategy.Decide(v)
	require.Equal(s.w.t, kept, rows(), "a strategy changes no rows")
	require.Equal(s.w.t, was, *v, "a strategy leaves its view as it was")
	again, wakeAgain := s.Strategy.Decide(v)
	require.Equal(s.w.t, rulings, again, "the same view gives the same rulings")
	require.Equal(s.w.t, wake, wakeAgain)
	return rulings, wake
}

// tracks is a strategy whose debits are tracked for as many days as the world says and the rail allows.
type tracks struct {
	strategy.Strategy
	w *world
}

func (s tracks) Decide(v *strategy.View) ([]strategy.Ruling, schemas.Day) {
	rulings, wake := s.Strategy.Decide(v)
	n := 0
	for i := range v.Collections {
		if k := &v.Collections[i]; k.Open() {
			if r := &rulings[n]; r.Amount > 0 && s.w.track > 0 && r.Basis == nil { // else it has a price as it is
				last := v.Rules.TrackingUntil(v.Policies.Find(k.Number).Rail, v.Date)
				if want := v.Rules.Calendar.OnOrBefore(v.Date.AddDays(s.w.track)); want.Before(last) {
					last = want
				}
				if last.After(v.Date) {
					r.TrackingDay = schemas.DayOf(last)
				}
			}
			n++
		}
	}
	return rulings, wake
}

// ruled is a strategy that rules as a test wants it.
type ruled func(v *strategy.View) []strategy.Ruling

func (r ruled) Decide(v *strategy.View) ([]strategy.Ruling, schemas.Day) { return r(v), 0 }

// ruledAt runs a customer with one policy of R150 and some money to a cut-off at which the strategy rules.
func ruledAt(t *testing.T, decide ruled) (*arena.Arena, error) {
	t.Helper()
	r := rules.Default()
	a := arena.New(processors.NewEngine(r, processors.WithStrategy(decide)), r)
	day := civil.Date{Year: 2025, Month: 11, Day: 3}
	a.Now = schemas.Moment{Date: day, At: time.Date(2025, 11, 3, 8, 0, 0, 0, time.UTC)}
	balance := schemas.Cents(20000)
	for _, rec := range []processors.Record{
		&schemas.PolicyCommand{
			Action: schemas.PolicyImport, TenantID: "T", CustomerID: "C", PolicyNumber: "P",
			Terms: &schemas.PolicyTerms{PremiumCents: 15000},
		},
		&schemas.ExecuteCommand{TenantID: "T", CustomerID: "C", PolicyNumber: "P", PeriodMonth: "2025-11"},
		&schemas.Transaction{
			TransactionID: "t1", TenantID: "T", CustomerID: "C", Direction: schemas.Credit, AmountCents: 20000,
			BookedAt: day.In(schemas.Johannesburg), BalanceAfterCents: &balance,
		},
	} {
		require.NoError(t, a.Step(rec))
	}
	return a, a.Tick(day, 1)
}

func TestTheBookCarriesOutWhatAStrategyRules(t *testing.T) {
	t.Parallel()
	a, err := ruledAt(t, func(v *strategy.View) []strategy.Ruling {
		require.Len(t, v.Collections, 1)
		return []strategy.Ruling{{
			Reason: strategy.WhyPartOfMoney, Amount: 8000, TrackingDay: v.Today + 9, Next: v.NextBanking,
			Uses:   []book.Use{{Deposit: v.Deposits[0].No, Cents: 8000, LowersBalance: true}},
			Budget: 20000,
		}}
	})
	require.NoError(t, err)
	require.Len(t, a.Out.Debits, 1)
	d := a.Out.Debits[0]
	require.Equal(t, schemas.Cents(8000), d.AmountCents)
	require.Equal(t, "2025-11-12", d.TrackingUntil)
	require.Equal(t, []string{"t1"}, d.TransactionIDs)
	require.Equal(t, d.DebitID, a.Out.Decisions[0].DebitID)
	require.Equal(t, schemas.Cents(12000), a.Customer.Deposits[0].Remaining)
	require.Equal(t, schemas.Cents(12000), a.Customer.Balances[0].Cents)
}

// trackingDay is a day of November 2025.
func trackingDay(day int) schemas.Day {
	return schemas.DayOf(civil.Date{Year: 2025, Month: time.November, Day: day})
}

func TestRulingsThatCannotBeCarriedOut(t *testing.T) {
	t.Parallel()
	use := func(uses ...book.Use) []strategy.Ruling {
		return []strategy.Ruling{{Reason: strategy.WhyMoneySeen, Amount: 15000, Uses: uses}}
	}
	for name, rulings := range map[string][]strategy.Ruling{
		"0 rulings for 1 open collections": {},
		"2 rulings for 1 open collections": {{}, {}},
		"9 cents of deposit 2":             use(book.Use{Deposit: 2, Cents: 9}),
		"0 cents of deposit 1":             use(book.Use{Deposit: 1}),
		"19000 cents of deposit 1":         use(book.Use{Deposit: 1, Cents: 19000}, book.Use{Deposit: 1, Cents: 1001}),
		// The 3rd is a Monday: eleven days on, a Sunday, and no debit at all.
		"tracked until 2025-11-14": {{Reason: strategy.WhyMoneySeen, Amount: 15000, TrackingDay: trackingDay(14)}},
		"tracked until 2025-11-09": {{Reason: strategy.WhyMoneySeen, Amount: 15000, TrackingDay: trackingDay(9)}},
		"tracked until 2025-11-10": {{Reason: strategy.WhyAwaitFunds, TrackingDay: trackingDay(10)}},
	} {
		a, err := ruledAt(t, func(*strategy.View) []strategy.Ruling { return rulings })
		require.ErrorContains(t, err, name)
		var reject *schemas.Reject
		require.NotErrorAs(t, err, &reject)
		require.True(t, a.Out.Empty())
	}
}
