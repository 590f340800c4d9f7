package backtest

import (
	"strconv"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Households are the accounts of simulated households, so many, who live from the 1st of a month for so many months.
func Households(seed uint64, n int, from civil.Date, months int, r *rules.Rules) []*Account {
	all := make([]*Account, n)
	for i, h := range people.Households(seed, n, from, months, r.Calendar) {
		a := &Account{ID: h.ID, customer: h.ID, Kind: h.Kind, Fee: h.BankFee, life: h, first: schemas.DayOf(from)}
		end := schemas.DayOf(from.AddMonths(months))
		earned := map[schemas.Period]schemas.Cents{}
		for j := range h.Acts {
			if act := &h.Acts[j]; act.Kind == people.Earn {
				earned[schemas.PeriodOf(schemas.DateIn(act.At))] += act.Cents
				a.incomes = append(a.incomes, credit{schemas.DayOfUnix(act.At.Unix()), act.Cents})
			}
		}
		a.findMonths(end, earned)
		all[i] = a
	}
	return all
}

// householdLedger is the world People: what comes is there, other creditors' debit orders run before ours and are paid
// whole or not at all, and a share of the rest is spent. Who was debited spends less.
type householdLedger struct {
	*people.Household
	day  schemas.Day
	next int // act
	left schemas.Cents
	own  []booking // of our debits and what they cost, since the last opening
	made int
}

func newHouseholdLedger(h *people.Household) *householdLedger {
	return &householdLedger{Household: h, left: h.Opening}
}

func (l *householdLedger) open(d schemas.Day, to []booking) []booking {
	reported := to != nil && !l.NoFeed && d >= schemas.DayOf(l.FeedFrom)
	if reported {
		to = append(to, l.own...)
	}
	l.day, l.own = d, l.own[:0]
	for end := unix(d+1, 0); l.next < len(l.Acts); l.next++ {
		act := &l.Acts[l.next]
		if act.At.Unix() >= end {
			break
		}
		text, cents := act.Text, l.effect(act)
		if act.Kind == people.Creditor && cents != -act.Cents {
			text = "FEE UNPAID DEBIT ORDER"
		}
		if l.left += cents; cents != 0 && reported {
			to = append(to, booking{l.statement(act.ID, act.At.Unix(), cents, text, act), act.At.Unix(), l.left})
		}
	}
	return to
}

// effect is by how much an act changes what is there.
func (l *householdLedger) effect(act *people.Act) schemas.Cents {
	switch act.Kind {
	case people.Earn:
		return act.Cents
	case people.Creditor:
		if l.left >= act.Cents {
			return -act.Cents
		}
		return -max(0, min(l.left, l.BankFee))
	}
	// A rand less there is never more than a rand less spent: so nothing collects more than taking early does. R 5 less
	// than the share keeps crumbs from being spent for ever.
	const crumbs = 500
	return -max(0, max(0, l.left-l.Keep)*schemas.Cents(act.Share)/10_000-crumbs)
}

// statement is a transaction of the household's account; its own steps as they are booked.
func (l *householdLedger) statement(id string, at int64, cents schemas.Cents, text string, act *people.Act,
) *schemas.Transaction {
	tx := &schemas.Transaction{
		TransactionID: id, TenantID: tenant, CustomerID: l.ID, AccountID: l.ID, Currency: "ZAR",
		BookedAt: time.Unix(at, 0).In(schemas.Johannesburg), AmountCents: cents, Direction: schemas.Credit,
		Description: text,
	}
	if cents < 0 {
		tx.AmountCents, tx.Direction = -cents, schemas.Debit
	}
	if act != nil {
		tx.Counterparty, tx.Category = act.Party, act.Category
	}
	return tx
}

func (l *householdLedger) fork() ledger {
	n := *l
	n.own = nil
	return &n
}

func (l *householdLedger) available() schemas.Cents { return l.left }

func (l *householdLedger) take(cents schemas.Cents) {
	l.left -= cents
	l.book(-cents, "DEBIT ORDER INSURANCE "+policyNumber)
}

// charge takes the fee as far as there is money.
func (l *householdLedger) charge(cents schemas.Cents) {
	if cents = max(0, min(cents, l.left)); cents > 0 {
		l.left -= cents
		l.book(-cents, "FEE UNPAID DEBIT ORDER")
	}
}

// book keeps what the evening did for the feed, which hears of it when the next day opens.
func (l *householdLedger) book(cents schemas.Cents, text string) {
	l.made++
	tx := l.statement(l.ID+"-K"+strconv.Itoa(l.made), unix(l.day, eveningAt), cents, text, nil)
	l.own = append(l.own, booking{tx: tx, at: tx.BookedAt.Unix(), balance: l.left})
}

// announced is what the payroll's or grant's list says on a day: what is paid three days later, and what is paid on it.
func (l *householdLedger) announced(d schemas.Day) (list []schemas.Income) {
	if !l.Listed {
		return nil
	}
	const ahead = 3
	for i := l.next; i < len(l.Acts); i++ { // the day is not open yet
		act := &l.Acts[i]
		on := schemas.DayOfUnix(act.At.Unix())
		if on > d+ahead {
			break
		}
		if act.Kind != people.Earn || on != d && on != d+ahead {
			continue
		}
		state := schemas.Announced
		if on == d {
			state = schemas.IncomePaid
		}
		list = append(list, schemas.Income{
			IncomeID: act.ID, TenantID: tenant, CustomerID: l.ID, Kind: schemas.IncomeKind(l.Kind), PayDate: on.Text(),
			State: state, AmountCents: new(act.Cents), Source: act.Party,
		})
	}
	return list
}

// Told are households as a file of their bank would tell of them, had nobody debited them. Those without a feed are
// left out.
func Told(households []*Account, r *rules.Rules) []*Account {
	var all []*Account
	for _, h := range households {
		l := newHouseholdLedger(h.life)
		var txs []schemas.Transaction
		room := make([]booking, 0, 16)
		for d := h.first; d <= h.months[len(h.months)-1].last; d++ {
			for _, b := range l.open(d, room[:0]) {
				b.tx.BalanceAfterCents = new(b.balance)
				txs = append(txs, *b.tx)
			}
		}
		for _, a := range Accounts(txs, r, false) {
			a.Kind, a.Fee = h.Kind, h.Fee
			all = append(all, a)
		}
	}
	return all
}
