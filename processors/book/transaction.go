package book

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

// Waiting is what is still needed of a transaction whose day has not come. Its event has been emitted already.
type Waiting struct {
	TxID    string             `json:"i,omitempty"` // empty where it is no income
	At      int64              `json:"t"`           // Unix seconds
	Cents   schemas.Cents      `json:"c,omitempty"`
	Kind    schemas.IncomeKind `json:"n,omitempty"`
	Stream  uint32             `json:"s,omitempty"`
	Account string             `json:"a,omitempty"`
	Balance *schemas.Cents     `json:"b,omitempty"`
}

func (w *Waiting) day() schemas.Day { return schemas.DayOfUnix(w.At) }

// Balance is the latest known balance of an account, less what was debited by Kasi since.
type Balance struct {
	Account string        `json:"a,omitempty"`
	At      int64         `json:"t"`
	Cents   schemas.Cents `json:"c"`
}

// MaxBalances bounds the accounts whose balance is kept; beyond it the one that has been silent for longest is
// forgotten.
const MaxBalances = 8

// Transaction takes in one bank transaction. The same transaction id again has no effect. One booked before the days
// that ids are remembered for is refused (TOO_OLD), since nobody could tell whether it is new; but while every id ever
// seen is still remembered, history is taken in as far back as BackfillDays. One booked after the business date is
// accepted and counts from its own day.
func (b *Book) Transaction(tx *schemas.Transaction) error {
	if err := b.claim(tx.TenantID, tx.CustomerID); err != nil {
		return err
	}
	w := Waiting{At: tx.BookedAt.Unix(), Account: tx.AccountID, Balance: cloneCents(tx.BalanceAfterCents)}
	days := b.acceptedDays()
	if b.today != 0 && w.day() < b.today-schemas.Day(days) {
		return schemas.Refuse(schemas.RejectTooOld,
			fmt.Sprintf("booked_at lies more than %d days before the business date %s", days, b.moment.Date))
	}
	hash := xxhash.Sum64String(tx.TransactionID)
	if b.Seen.has(hash) {
		return nil
	}

	b.own(tx.TenantID, tx.CustomerID)
	b.remember(hash, w.day())
	b.out.Transactions = append(b.out.Transactions, schemas.TransactionEvent{
		Meta:        b.moment.Meta("transaction", tx.TenantID, tx.CustomerID, tx.TransactionID),
		Transaction: *tx, BookedDate: w.day().Text(),
	})
	if kind, key, isIncome := income.Classify(tx, b.Params); isIncome {
		w.TxID, w.Cents, w.Kind, w.Stream = tx.TransactionID, tx.AmountCents, kind, key
	}
	if w.TxID == "" && w.Balance == nil {
		return nil
	}
	if w.day() <= b.today {
		b.arrive(&w)
		return nil
	}
	i, _ := slices.BinarySearchFunc(b.Waiting, w.At, func(x Waiting, at int64) int {
		if x.At <= at { // after all of the same instant: they keep the order of their arrival
			return -1
		}
		return 1
	})
	b.Waiting = slices.Insert(b.Waiting, i, w)
	b.Wake = min(b.Wake, w.day())
	return nil
}

// acceptedDays is how many days before the business date a booking may lie.
func (b *Book) acceptedDays() int {
	if b.First == 0 || b.today-b.First <= schemas.Day(b.Params.SeenDays) {
		return max(b.Params.SeenDays, b.Params.BackfillDays)
	}
	return b.Params.SeenDays
}

// remember keeps an id for as long as the same transaction would be accepted again: SeenDays from its booking or, if
// that is later, from the customer's first transaction, after which no backfill is accepted.
func (b *Book) remember(hash uint64, booked schemas.Day) {
	if b.First == 0 && b.today != 0 {
		b.First = b.today
		b.Seen.keepUntil(b.today) // what came before the first tick
	}
	b.Seen = b.Seen.since(b.today-schemas.Day(b.Params.SeenDays)).add(hash, max(booked, b.First))
}

// arrive lets a transaction count: its balance is known from now on, its money is a deposit.
func (b *Book) arrive(w *Waiting) {
	if w.Balance != nil {
		b.learnBalance(Balance{w.Account, w.At, *w.Balance})
	}
	b.lookAgain()
	if w.TxID == "" {
		return
	}
	b.forgetMoney()
	if d := b.sameMoney(w.Cents, w.day(), FromIncome); d != nil { // the income feed told of this money before
		d.From, d.Account, d.Transaction = FromIncome|FromBank, w.Account, w.TxID
		return
	}
	s := b.Streams.Record(b.rules.Calendar, w.Stream, w.Kind, w.day(), w.Cents, b.Params.StreamHistory)
	var no int
	if d := b.sameMoney(w.Cents, w.day(), FromAnnounce); d != nil { // it was counted when it was announced
		d.From, d.Account, d.Transaction, no = FromBank, w.Account, w.TxID, d.No
	} else {
		no = b.keepDeposit(Deposit{
			At: w.At, Cents: w.Cents, Stream: w.Stream, Account: w.Account, From: FromBank, Transaction: w.TxID,
		})
	}
	b.deposited(s, w.TxID, no, w.day(), w.Cents)
}

// deposited emits what was detected in the customer's deposit of that number. The stream is judged as of the deposit's
// day: history told of in one go must not make a stream look ended that was alive when the money came. Decisions judge
// streams as of the business date.
func (b *Book) deposited(s *income.Stream, source string, no int, d schemas.Day, cents schemas.Cents) {
	cal := b.rules.Calendar
	ev := schemas.DepositEvent{
		Meta:     b.moment.Meta("deposit", b.Tenant, b.ID, source, strconv.Itoa(no)),
		TenantID: b.Tenant, CustomerID: b.ID, TransactionID: source, DepositDate: d.Text(), AmountCents: cents,
		StreamID: income.StreamID(s.Kind, s.Key), Kind: s.Kind, Frequency: s.Freq,
		StreamStatus: s.Status(cal, d), ConfidencePercent: s.Confidence,
	}
	if x, ok := s.Expects(cal, d); ok {
		ev.NextExpectedDate = x.Day.Text()
	}
	b.out.Deposits = append(b.out.Deposits, ev)
}

// learnBalance keeps a balance unless a later one of the account is known. Of the same instant the one that arrives
// later counts.
func (c *Customer) learnBalance(now Balance) {
	i := slices.IndexFunc(c.Balances, func(x Balance) bool { return x.Account == now.Account })
	if i >= 0 && c.Balances[i].At > now.At {
		return
	}
	if i < 0 && len(c.Balances) == MaxBalances {
		i = 0 // balances stand in the order in which they were learned
	}
	if i >= 0 {
		c.Balances = slices.Delete(c.Balances, i, i+1)
	}
	c.Balances = append(c.Balances, now)
}

// Arrive lets what was waiting for this day arrive: transactions booked ahead, and incomes that were paid by now.
func (b *Book) Arrive() {
	for len(b.Waiting) > 0 && b.Waiting[0].day() <= b.today {
		w := b.Waiting[0]
		b.Waiting = slices.Delete(b.Waiting, 0, 1)
		b.arrive(&w)
	}
	for i := range b.Incomes {
		if in := &b.Incomes[i]; in.Waits() && in.Day <= b.today {
			b.countPaid(in)
		}
	}
}
