package backtest

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

const (
	// spreadDays is how many calendar offsets accounts of a file have: they move by 0 to spreadDays-1 days.
	spreadDays = 28
	// minPremium is the least premium of an account: R 10.
	minPremium schemas.Cents = 1_000
)

// Kinds of income of accounts whose transactions name none: their income comes by transfer, or as cash.
const (
	KindTransfer = "TRANSFER"
	KindCash     = "CASH"
	// KindNoFeed is a simulated household of whom no feed says anything, whatever it lives on.
	KindNoFeed = "NO_FEED"
	// KindAll stands for the accounts of all kinds.
	KindAll = "ALL"
)

// Account is one customer's bank account: what its feed reported, and what follows from that for every world. It does
// not change once it is made.
type Account struct {
	ID       string
	Customer string
	Kind     string // of income, by most of its money: that of the transactions' words, else KindTransfer or KindCash
	// Fee is what the customer's bank charges the customer for a debit that it does not pay.
	Fee schemas.Cents

	first   schemas.Day // that is known
	months  []month     // full ones
	median  schemas.Cents
	incomes []credit // in the order of time

	// Of an account of a file.
	txs     []schemas.Transaction // by time; balances are those of the account
	balance []schemas.Cents       // at the end of each day, from first to that of the last transaction

	household *people.Household // of a simulated account
	// born makes the whole of a simulated account, of which there may be more than fit into the memory at once; nil where
	// this is it.
	born func() *Account
}

// whole is the account with all that is known of it.
func (a *Account) whole() *Account {
	if a.born != nil {
		return a.born()
	}
	return a
}

// credit is income that came.
type credit struct {
	day   schemas.Day
	cents schemas.Cents
}

// month is a full calendar month of an account: one in which all its transactions are known.
type month struct {
	period      schemas.Period
	first, last schemas.Day
	income      schemas.Cents
	payday      schemas.Day // on which the most income of the month before came, a month later; 0 where none did
}

// Accounts are the accounts whose transactions are given, in the order of their ids. Where spread is true, each account
// moves by an offset of its own into the future: the accounts of one bank are often paid on the same days.
func Accounts(txs []schemas.Transaction, r *rules.Rules, spread bool) []*Account {
	of := map[[2]string]*Account{}
	for _, tx := range txs {
		id := [2]string{tx.CustomerID, tx.AccountID}
		a := of[id]
		if a == nil {
			a = &Account{ID: cmp.Or(tx.AccountID, tx.CustomerID), Customer: tx.CustomerID}
			of[id] = a
		}
		tx.TenantID = tenant
		a.txs = append(a.txs, tx)
	}
	all := make([]*Account, 0, len(of))
	for _, a := range of {
		slices.SortStableFunc(a.txs, func(a, b schemas.Transaction) int { return a.BookedAt.Compare(b.BookedAt) })
		if spread {
			a.move(Offset(a.ID))
		}
		a.read(r)
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *Account) int {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), strings.Compare(a.ID, b.ID), strings.Compare(a.Customer, b.Customer))
	})
	return all
}

// Offset is by how many days an account of a file moves.
func Offset(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // a hash takes everything
	return int(h.Sum32() % spreadDays)
}

func (a *Account) move(days int) {
	for i := range a.txs {
		a.txs[i].BookedAt = a.txs[i].BookedAt.Add(time.Duration(days) * 24 * time.Hour)
	}
}

// odd tells which half of the accounts one belongs to. The hash has nothing to do with that of the offset.
func (a *Account) odd() bool { return xxhash.Sum64String("half:"+a.ID)&1 == 1 }

// bankFees are what banks charge their customers for a debit that they do not pay: R 6 to R 150.
var bankFees = [...]schemas.Cents{600, 1_150, 2_500, 5_000, 9_500, 15_000}

// read finds out what follows from the transactions.
func (a *Account) read(r *rules.Rules) {
	a.Fee = bankFees[xxhash.Sum64String("bank:"+a.ID)%uint64(len(bankFees))]
	a.first = schemas.DayOf(schemas.DateIn(a.txs[0].BookedAt))
	last := schemas.DayOf(schemas.DateIn(a.txs[len(a.txs)-1].BookedAt))
	a.balance = make([]schemas.Cents, last-a.first+1)
	byKind := map[string]schemas.Cents{}
	incomes := map[schemas.Period]schemas.Cents{}
	var now schemas.Cents
	day := a.first
	for i := range a.txs {
		tx := &a.txs[i]
		d := schemas.DayOf(schemas.DateIn(tx.BookedAt))
		for ; day < d; day++ {
			a.balance[day-a.first] = now
		}
		if now += tx.AmountCents; tx.Direction == schemas.Debit {
			now -= 2 * tx.AmountCents
		}
		if tx.BalanceAfterCents != nil {
			now = *tx.BalanceAfterCents
		} else {
			tx.BalanceAfterCents = new(now)
		}
		if isIncome(tx) {
			a.incomes = append(a.incomes, credit{d, tx.AmountCents})
			incomes[schemas.PeriodOf(d.Date())] += tx.AmountCents
			byKind[kindOf(tx, r)] += tx.AmountCents
		}
	}
	a.balance[last-a.first] = now
	a.Kind = mostOf(byKind)
	a.findMonths(last, incomes)
}

// isIncome tells whether a transaction is income as the backtest counts it: every credit but the bank's interest.
func isIncome(tx *schemas.Transaction) bool {
	return tx.Direction == schemas.Credit && !strings.Contains(strings.ToUpper(tx.Category), "INTEREST") &&
		!strings.Contains(strings.ToUpper(tx.Description), "INTEREST")
}

// kindOf is the kind of income that a credit names, else how the money came.
func kindOf(tx *schemas.Transaction, r *rules.Rules) string {
	kind, _, is := income.Classify(tx, r.Params(schemas.DateIn(tx.BookedAt)))
	switch {
	case is && kind != schemas.OtherIncome:
		return string(kind)
	case tx.Counterparty != "":
		return KindTransfer
	}
	return KindCash
}

func mostOf(byKind map[string]schemas.Cents) string {
	most := KindCash
	for kind, cents := range byKind {
		if cents > byKind[most] || cents == byKind[most] && kind < most {
			most = kind
		}
	}
	return most
}

// findMonths finds the full months: from the first that begins on or after the first transaction's day to the one
// before the last transaction's month, since nobody knows what came after that transaction.
func (a *Account) findMonths(last schemas.Day, incomes map[schemas.Period]schemas.Cents) {
	end := schemas.PeriodOf(last.Date())
	paydays := a.paydays()
	var all []schemas.Cents
	for p := schemas.PeriodOf((a.first - 1).Date()).Next(); p < end; p = p.Next() {
		m := month{period: p, first: schemas.DayOf(p.First()), last: schemas.DayOf(p.Last()), income: incomes[p]}
		if day := paydays[before(p)]; day > 0 {
			m.payday = min(m.first+schemas.Day(day-1), m.last)
		}
		a.months, all = append(a.months, m), append(all, m.income)
	}
	a.median = median(all)
}

// paydays is the day of each month on which the most income came, the first of several.
func (a *Account) paydays() map[schemas.Period]int {
	days, most := map[schemas.Period]int{}, map[schemas.Period]schemas.Cents{}
	var sum schemas.Cents // of the day
	for i, c := range a.incomes {
		if i > 0 && c.day != a.incomes[i-1].day {
			sum = 0
		}
		date := c.day.Date()
		if p := schemas.PeriodOf(date); sum+c.cents > most[p] {
			days[p], most[p] = date.Day, sum+c.cents
		}
		sum += c.cents
	}
	return days
}

// before is the period before one.
func before(p schemas.Period) schemas.Period { return schemas.PeriodOf(p.First().AddDays(-1)) }

// FullMonths are the months from first up to the one before end, if there are any.
func (a *Account) FullMonths() (first, end schemas.Period, ok bool) {
	if len(a.months) == 0 {
		return "", "", false
	}
	return a.months[0].period, a.months[len(a.months)-1].period.Next(), true
}

// at is the balance at the end of a day; 0 before the first.
func (a *Account) at(d schemas.Day) schemas.Cents {
	if d < a.first {
		return 0
	}
	return a.balance[d-a.first]
}

// median of amounts in whole cents; of an even number of amounts the mean of the middle two, cut to the cent; of none
// 0. It sorts its argument.
func median(cents []schemas.Cents) schemas.Cents {
	slices.Sort(cents)
	switch n := len(cents); {
	case n == 0:
		return 0
	case n%2 == 1:
		return cents[n/2]
	default:
		return (cents[n/2-1] + cents[n/2]) / 2
	}
}

// Premium is so many percent of the median monthly income, and at least R 10.
func (a *Account) Premium(percent int) schemas.Cents {
	return max(a.median*schemas.Cents(percent)/100, minPremium)
}
