package backtest

import (
	"strconv"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Households are the accounts of simulated households, so many, who live from the 1st of a month for so many months. A
// household is made when it is needed.
func Households(seed uint64, n int, from civil.Date, months int, r *rules.Rules) []*Account {
	all := make([]*Account, n)
	hood := people.NewNeighbourhood(seed, from, months, r.Calendar)
	for i := range all {
		born := func() *Account { return householdAccount(hood.Household(i+1), from, from.AddMonths(months)) }
		if i == 0 {
			all[0] = born()
		}
		all[i] = &Account{ID: people.HouseholdID(i + 1), first: all[0].first, months: all[0].months, born: born}
	}
	return all
}

// householdAccount is the account of a household that lives from a day up to the day before another.
func householdAccount(h *people.Household, from, to civil.Date) *Account {
	a := &Account{ID: h.ID, Customer: h.ID, Kind: h.Kind, Fee: h.BankFee, household: h, first: schemas.DayOf(from)}
	if h.NoFeed && !h.Listed {
		a.Kind = KindNoFeed
	}
	earned := map[schemas.Period]schemas.Cents{}
	for i := range h.Acts {
		if act := &h.Acts[i]; act.Kind == people.Earn {
			earned[schemas.PeriodOf(schemas.DateIn(act.At))] += act.Cents
			a.incomes = append(a.incomes, credit{schemas.DayOfUnix(act.At.Unix()), act.Cents})
		}
	}
	a.findMonths(schemas.DayOf(to), earned)
	return a
}

// householdLedger is the world People: what comes is there, other creditors' debit orders run before ours, and a share
// of the rest is spent. Who was debited spends less.
type householdLedger struct {
	*people.Household
	day  schemas.Day
	next int // act
	left schemas.Cents
	own  []booking // of our debits and what they cost, since the last opening
	made int
}

// feeText is what a statement says of a bank's fee for a debit order that it did not pay.
const feeText = "FEE UNPAID DEBIT ORDER"

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
		text, cents := act.Text, l.Effect(act, l.left)
		if act.Bounces {
			text = feeText
		}
		if l.left += cents; cents != 0 && reported {
			to = append(to, booking{l.statement(act.ID, act.At.Unix(), cents, text, act), act.At.Unix(), l.left})
		}
	}
	return to
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
		l.book(-cents, feeText)
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
		h = h.whole()
		l := newHouseholdLedger(h.household)
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
