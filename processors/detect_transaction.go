package processors

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// waiting is what is still needed of a transaction whose day has not come. Its event has been emitted already.
type waiting struct {
	TxID    string             `json:"i,omitempty"` // empty where it is no income
	At      int64              `json:"t"`           // Unix seconds
	Cents   schemas.Cents      `json:"c,omitempty"`
	Kind    schemas.IncomeKind `json:"n,omitempty"`
	Stream  uint32             `json:"s,omitempty"`
	Account string             `json:"a,omitempty"`
	Balance *schemas.Cents     `json:"b,omitempty"`
}

func (w *waiting) day() schemas.Day { return schemas.DayOfUnix(w.At) }

// balance is the latest known balance of an account, less what was debited by Kasi since.
type balance struct {
	Account string        `json:"a,omitempty"`
	At      int64         `json:"t"`
	Cents   schemas.Cents `json:"c"`
}

// maxBalances bounds the accounts whose balance is kept; beyond it the one that has been silent for longest is
// forgotten.
const maxBalances = 8

// Transaction takes in one bank transaction. The same transaction id again has no effect. One booked before the days
// that ids are remembered for is refused (TOO_OLD), since nobody could tell whether it is new; but while every id ever
// seen is still remembered, history is taken in as far back as BackfillDays. One booked after the business date is
// accepted and counts from its own day.
func (e *Engine) Transaction(c *Customer, tx schemas.Transaction, m schemas.Moment, out *Outputs) error {
	if err := c.claim(tx.TenantID, tx.CustomerID); err != nil {
		return err
	}
	today, p := m.Today(), e.rules.Params(m.BusinessDate())
	w := waiting{At: tx.BookedAt.Unix(), Account: tx.AccountID, Balance: cloneCents(tx.BalanceAfterCents)}
	days := c.acceptedDays(today, &p)
	if today != 0 && w.day() < today-schemas.Day(days) {
		return schemas.Refuse(schemas.RejectTooOld, fmt.Sprintf("booked_at lies more than %d days before the business date %s", days,
			m.Date))
	}
	hash := xxhash.Sum64String(tx.TransactionID)
	if c.Seen.has(hash) {
		return nil
	}

	c.own(tx.TenantID, tx.CustomerID)
	c.remember(hash, w.day(), today, &p)
	out.Transactions = append(out.Transactions, schemas.TransactionEvent{
		Meta: m.Meta("transaction", tx.TenantID, tx.CustomerID, tx.TransactionID), Transaction: tx,
		BookedDate: w.day().Text(),
	})
	if kind, key, income := classify(&tx, &p); income {
		w.TxID, w.Cents, w.Kind, w.Stream = tx.TransactionID, tx.AmountCents, kind, key
	}
	if w.TxID == "" && w.Balance == nil {
		return nil
	}
	if w.day() > today {
		i, _ := slices.BinarySearchFunc(c.Waiting, w.At, func(x waiting, at int64) int {
			if x.At <= at { // after all of the same instant: they keep the order of their arrival
				return -1
			}
			return 1
		})
		c.Waiting = slices.Insert(c.Waiting, i, w)
		c.Wake = min(c.Wake, w.day())
		return nil
	}
	e.arrive(c, &w, &p, m, out)
	return nil
}

// acceptedDays is how many days before the business date a booking may lie.
func (c *Customer) acceptedDays(today schemas.Day, p *rules.Params) int {
	if c.First == 0 || today-c.First <= schemas.Day(p.SeenDays) {
		return max(p.SeenDays, p.BackfillDays)
	}
	return p.SeenDays
}

// remember keeps an id for as long as the same transaction would be accepted again: SeenDays from its booking or, if
// that is later, from the customer's first transaction, after which no backfill is accepted.
func (c *Customer) remember(hash uint64, booked, today schemas.Day, p *rules.Params) {
	if c.First == 0 && today != 0 {
		c.First = today
		c.Seen.keepUntil(today) // what came before the first tick
	}
	c.Seen = c.Seen.since(today-schemas.Day(p.SeenDays)).add(hash, max(booked, c.First))
}

// arrive lets a transaction count: its balance is known from now on, its money is a deposit.
func (e *Engine) arrive(c *Customer, w *waiting, p *rules.Params, m schemas.Moment, out *Outputs) {
	if w.Balance != nil {
		c.learnBalance(balance{w.Account, w.At, *w.Balance})
	}
	c.touch()
	if w.TxID == "" {
		return
	}
	c.forgetMoney(m.Today(), p)
	if d := c.sameMoney(w.Cents, w.day(), p.SameMoneyDays, fromIncome); d != nil {
		d.From |= fromBank // the income feed told of this money before
		d.Account = w.Account
		return
	}
	s := e.record(c, w.Stream, w.Kind, w.day(), w.Cents, p.StreamHistory)
	var no int
	if d := c.sameMoney(w.Cents, w.day(), p.SameMoneyDays, fromAnnounce); d != nil {
		d.From, d.Account, no = fromBank, w.Account, d.No // it was counted when it was announced
	} else {
		no = c.deposit(deposit{At: w.At, Cents: w.Cents, Stream: w.Stream, Account: w.Account, From: fromBank}, p, m)
	}
	e.deposited(c, s, w.TxID, no, w.day(), w.Cents, m, out)
}

// deposited emits what was detected in the customer's deposit of that number. The stream is judged as of the deposit's
// day: history told of in one go must not make a stream look ended that was alive when the money came. Decisions judge
// streams as of the business date.
func (e *Engine) deposited(c *Customer, s *stream, source string, no int, d schemas.Day, cents schemas.Cents, m schemas.Moment,
	out *Outputs,
) {
	ev := schemas.DepositEvent{
		Meta:     m.Meta("deposit", c.Tenant, c.ID, source, strconv.Itoa(no)),
		TenantID: c.Tenant, CustomerID: c.ID, TransactionID: source, DepositDate: d.Text(), AmountCents: cents,
		StreamID: streamID(s.Kind, s.Key), Kind: s.Kind, Frequency: s.Freq,
		StreamStatus: e.streamStatus(s, d), ConfidencePercent: s.Confidence,
	}
	if x, ok := e.expects(s, d); ok {
		ev.NextExpectedDate = x.day.Text()
	}
	out.Deposits = append(out.Deposits, ev)
}

// learnBalance keeps a balance unless a later one of the account is known. Of the same instant the one that arrives
// later counts.
func (c *Customer) learnBalance(b balance) {
	i := slices.IndexFunc(c.Balances, func(x balance) bool { return x.Account == b.Account })
	if i >= 0 && c.Balances[i].At > b.At {
		return
	}
	if i < 0 && len(c.Balances) == maxBalances {
		i = 0 // balances stand in the order in which they were learned
	}
	if i >= 0 {
		c.Balances = slices.Delete(c.Balances, i, i+1)
	}
	c.Balances = append(c.Balances, b)
}
