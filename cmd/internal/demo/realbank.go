package demo

import (
	"fmt"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
)

// realAccount is one real account as the bank knows it while days pass.
type realAccount struct {
	real schemas.Cents // balance after the last real transaction
	// taken is what Kasi has collected in the month taken belongs to.
	taken schemas.Cents
	month schemas.Period
	// lows are the lowest balances of each month, subtracted where buffers are taken away.
	lows map[schemas.Period]schemas.Cents
}

// realBank answers debits from real balances.
type realBank struct {
	accounts map[string]*realAccount // by customer
	book     *people.BankBook
	cal      *rules.Calendar
	tracked  []*people.Debit // presented again on the next banking day
}

func newRealBank(rows []feed.Row, noBuffer bool) *realBank {
	b := &realBank{accounts: map[string]*realAccount{}, book: people.NewBankBook(), cal: rules.Default().Calendar}
	for customer, lows := range lowest(rows) {
		b.accounts[customer] = &realAccount{}
		if noBuffer {
			b.accounts[customer].lows = lows
		}
	}
	return b
}

// lowest finds each customer's lowest balance of each month, up to the month of the account's last row: over the ends
// of days, and what was carried in from the month before.
func lowest(rows []feed.Row) map[string]map[schemas.Period]schemas.Cents {
	all := map[string]map[schemas.Period]schemas.Cents{}
	for customer, ends := range dayEnds(rows) {
		lows := map[schemas.Period]schemas.Cents{}
		for i, e := range ends {
			next := ends[min(i+1, len(ends)-1)]
			for m := schemas.PeriodOf(e.day); m <= schemas.PeriodOf(next.day); m = m.Next() {
				if low, seen := lows[m]; !seen || e.balance < low {
					lows[m] = e.balance
				}
			}
		}
		all[customer] = lows
	}
	return all
}

// available is what the account can pay from today: the real balance, without the month's buffer if that is taken away,
// less what Kasi has taken this month.
func (a *realAccount) available(p schemas.Period) schemas.Cents {
	if a.month != p {
		a.month, a.taken = p, 0
	}
	return a.real - a.lows[p] - a.taken
}

// open books the day's real transactions, and makes the feed report the balances that the bank will answer from. Where
// buffers are taken away it reports none, as many feeds do: such a balance falls at the turn of the month without any
// transaction, so the last one reported would be a false promise.
func (b *realBank) open(day civil.Date, rows []feed.Row) {
	p := schemas.PeriodOf(day)
	for i := range rows {
		a := b.accounts[rows[i].CustomerID]
		a.real = *rows[i].BalanceAfterCents
		shown := a.available(p)
		if rows[i].BalanceAfterCents = &shown; a.lows != nil {
			rows[i].BalanceAfterCents = nil
		}
	}
}

// present answers the day's debits, those that it tracks first.
func (b *realBank) present(today civil.Date, debits []schemas.DebitInstruction) (out []schemas.Result, err error) {
	if b.cal.IsBankingDay(today) {
		again := b.tracked
		b.tracked = nil
		for _, d := range again {
			out = b.pay(today, d, out)
		}
	}
	for _, d := range debits {
		if d.ActionDate != today.String() {
			return nil, fmt.Errorf("demo: debit %s has action date %s, told on %s", d.DebitID, d.ActionDate, today)
		}
		if b.accounts[d.CustomerID] == nil {
			return nil, fmt.Errorf("demo: debit %s names customer %s, who has no account", d.DebitID, d.CustomerID)
		}
		e, err := b.book.Open(d)
		if err != nil {
			return nil, err
		}
		out = b.pay(today, e, out)
	}
	return out, nil
}

// pay pays a debit if it can, and answers unless it will present it again.
func (b *realBank) pay(today civil.Date, d *people.Debit, out []schemas.Result) []schemas.Result {
	a := b.accounts[d.CustomerID]
	switch {
	case a.available(schemas.PeriodOf(today)) >= d.AmountCents:
		d.State = people.Paid
		a.taken += d.AmountCents
	case d.TracksAfter(today, b.cal):
		d.State = people.Tracking
		b.tracked = append(b.tracked, d)
		return out
	default:
		d.State, d.Code = people.Unpaid, people.CodeNoFunds
	}
	return append(out, d.Result(today))
}
