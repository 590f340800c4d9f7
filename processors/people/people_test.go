package people

import (
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

var november = civil.Date{Year: 2025, Month: time.November, Day: 1}

// live plays n days of a world after its history and returns all that its feeds delivered. The bank is silent.
func live(w *People, days int) Batch {
	all := w.History()
	for i := range days {
		d := w.from.AddDays(i)
		for _, b := range []Batch{w.Morning(d, nil), w.Evening(d, nil)} {
			all.Transactions = append(all.Transactions, b.Transactions...)
			all.Incomes = append(all.Incomes, b.Incomes...)
		}
	}
	return all
}

func TestTheSameSeedGivesTheSameWorld(t *testing.T) {
	cal := rules.Default().Calendar
	a, b := New("demo", 7, 60, november, cal), New("demo", 7, 60, november, cal)
	require.Equal(t, a.Policies(), b.Policies())
	require.Equal(t, live(a, 30), live(b, 30))
	require.NotEqual(t, a.Policies(), New("demo", 8, 60, november, cal).Policies())
}

// Whatever happens, the opening balance and the sum of the movements make the balance, each transaction carries the
// balance after it, and spending alone never overdraws an account.
func TestNoCentIsLostInTheSimulation(t *testing.T) {
	cal := rules.Default().Calendar
	rapid.Check(t, func(t *rapid.T) {
		p := newPerson("demo", rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 5000).Draw(t, "customer"),
			november.AddMonths(-historyMonths), november)
		balance := p.acc.opening
		last, ids := time.Time{}, map[string]bool{}
		for i := range 60 {
			d := november.AddDays(i)
			for _, tx := range append(p.morning(cal, d), p.evening(d)...) {
				signed := tx.AmountCents
				if tx.Direction == schemas.Debit {
					signed = -signed
				}
				if balance += signed; balance != *tx.BalanceAfterCents || tx.AmountCents <= 0 || balance < 0 {
					t.Fatalf("%s: %s %s leaves %s, the statement says %s", tx.TransactionID, tx.Direction, tx.AmountCents, balance,
						*tx.BalanceAfterCents)
				}
				if ids[tx.TransactionID] || tx.BookedAt.Before(last) || schemas.DateIn(tx.BookedAt) != d {
					t.Fatalf("%s: id seen before, or booked out of order at %s", tx.TransactionID, tx.BookedAt)
				}
				ids[tx.TransactionID], last = true, tx.BookedAt
			}
		}
		if balance != p.acc.balance {
			t.Fatalf("statements end at %s, the account at %s", balance, p.acc.balance)
		}
	})
}

func TestIncomesFallOnTheirDays(t *testing.T) {
	cal := rules.Default().Calendar
	fallsIn := func(p incomePlan, period schemas.Period) (days []string) {
		for d := period.First(); !d.After(period.Last()); d = d.AddDays(1) {
			if p.falls(cal, d) {
				days = append(days, d.String())
			}
		}
		return days
	}
	for _, c := range []struct {
		plan   incomePlan
		period schemas.Period
		want   []string
	}{
		{incomePlan{kind: schemas.Salary, day: 25}, "2025-11", []string{"2025-11-25"}},
		{incomePlan{kind: schemas.Salary, day: 25}, "2025-10", []string{"2025-10-24"}},
		// 1 November is a Saturday
		{incomePlan{kind: schemas.Salary, day: 1}, "2025-10", []string{"2025-10-01", "2025-10-31"}},
		{incomePlan{kind: schemas.Salary, day: 1}, "2025-11", nil},
		{incomePlan{kind: schemas.Salary, day: 31}, "2025-11", []string{"2025-11-28"}},
		{incomePlan{kind: schemas.Grant, grant: "OLDER_PERSONS"}, "2025-11", []string{"2025-11-04"}},
		{incomePlan{kind: schemas.Grant, grant: "CHILDREN"}, "2025-11", []string{"2025-11-06"}},
		{incomePlan{kind: schemas.Wage}, "2025-11", []string{"2025-11-07", "2025-11-14", "2025-11-21", "2025-11-28"}},
		// Good Friday
		{incomePlan{kind: schemas.Wage}, "2025-04", []string{"2025-04-04", "2025-04-11", "2025-04-17", "2025-04-25"}},
		{incomePlan{kind: schemas.Wage, lostFrom: november.AddDays(10)}, "2025-11", []string{"2025-11-07"}},
	} {
		require.Equal(t, c.want, fallsIn(c.plan, c.period), "%+v in %s", c.plan, c.period)
	}
}

func TestAnnouncedIncomesArePaidAsAnnounced(t *testing.T) {
	w := New("demo", 1, 400, november, rules.Default().Calendar)
	all := live(w, 30)
	byID := map[string][]schemas.Income{}
	for _, in := range all.Incomes {
		byID[in.IncomeID] = append(byID[in.IncomeID], in)
	}
	paidOn := map[string]schemas.Cents{}
	for _, tx := range all.Transactions {
		if tx.Direction == schemas.Credit {
			paidOn[tx.CustomerID+schemas.DateIn(tx.BookedAt).String()] += tx.AmountCents
		}
	}
	matched := 0
	for _, p := range w.people {
		for id, ins := range byID {
			if ins[0].CustomerID != p.acc.customer || len(ins) != 2 {
				continue
			}
			require.Equal(t, schemas.Announced, ins[0].State, id)
			require.Equal(t, schemas.IncomePaid, ins[1].State, id)
			require.Equal(t, *ins[0].AmountCents, *ins[1].AmountCents)
			if paid, reported := paidOn[p.acc.customer+ins[0].PayDate]; reported {
				require.GreaterOrEqual(t, paid, *ins[0].AmountCents)
				matched++
			}
		}
	}
	require.Positive(t, matched)
}

func TestTheWorldHasItsTroubles(t *testing.T) {
	w := New("demo", 1, 1000, november, rules.Default().Calendar)
	all := live(w, 30)
	rows := 0
	codes, kinds, noHistory := map[string]int{}, map[schemas.IncomeKind]int{}, 0
	for _, p := range w.people {
		rows += len(p.policies)
		kinds[p.kind]++
		codes[p.trouble.code]++
		if p.feedFrom == november {
			noHistory++
		}
		for _, pol := range p.policies {
			require.GreaterOrEqual(t, pol.Premium, schemas.Cents(7_999))
			require.LessOrEqual(t, pol.Premium, schemas.Cents(45_000))
		}
	}
	require.Equal(t, 1000, rows)
	require.Greater(t, len(w.people), 900)
	require.Less(t, len(w.people), 1000)
	require.Len(t, kinds, 4)
	require.Positive(t, noHistory)
	for _, tr := range troubles {
		require.Positive(t, codes[tr.code], tr.code)
	}
	seen, twice, late := map[string]bool{}, 0, 0
	order := map[string]time.Time{}
	for _, tx := range all.Transactions {
		if seen[tx.TransactionID] {
			twice++
		} else if tx.BookedAt.Before(order[tx.CustomerID]) {
			late++
		}
		seen[tx.TransactionID], order[tx.CustomerID] = true, tx.BookedAt
	}
	require.Positive(t, twice, "some records come twice")
	require.Positive(t, late, "some records come late")
	t.Log(len(all.Transactions), "transactions,", len(all.Incomes), "income records,", kinds, codes)
}

func TestSmallTransactionsKeepTheAccountsRight(t *testing.T) {
	w := New("demo", 3, 60, november, rules.Default().Calendar)
	txs := w.Small(november, 500)
	require.Len(t, txs, 500)
	ids, income := map[string]bool{}, 0
	for _, tx := range txs {
		require.False(t, ids[tx.TransactionID], tx.TransactionID)
		ids[tx.TransactionID] = true
		require.GreaterOrEqual(t, *tx.BalanceAfterCents, schemas.Cents(0), tx.TransactionID)
		if tx.Direction == schemas.Credit {
			income++
		}
	}
	require.Positive(t, income)
	require.Less(t, income, 500)
	for _, p := range w.people {
		p.noFeed = true
	}
	require.Empty(t, w.Small(november, 5), "nobody's bank reports")
}
