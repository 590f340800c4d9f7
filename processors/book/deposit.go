package book

import (
	"slices"
	"strconv"

	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

// Source is a set of who told of a deposit.
type Source int

// Who tells of deposits.
const (
	FromBank     Source = 1 << iota // the bank feed showed the money
	FromIncome                      // the income feed said it was paid
	FromAnnounce                    // the income feed announced it, and there is no bank feed to see it on
)

// Deposit is money that came in, and how much of it no debit has counted on yet.
type Deposit struct {
	No          int           `json:"n"`
	At          int64         `json:"t"` // Unix seconds
	Cents       schemas.Cents `json:"c"`
	Remaining   schemas.Cents `json:"r,omitempty"`
	Stream      uint32        `json:"s,omitempty"`
	Account     string        `json:"a,omitempty"`
	From        Source        `json:"f"`
	Income      string        `json:"i,omitempty"` // income id, where the income feed told of it
	Transaction string        `json:"x,omitempty"` // transaction id, where the bank feed showed it
	Gone        bool          `json:"g,omitempty"` // reversed; without a source, a reversal that waits for its credit
	Back        int64         `json:"v,omitempty"` // instant of the debit that reversed it
}

// Day is the Johannesburg day on which the money came.
func (d *Deposit) Day() schemas.Day { return schemas.DayOfUnix(d.At) }

// source is the id of the record that the money is known by: the transaction's, or else the income's.
func (d *Deposit) source() string {
	if d.Transaction != "" {
		return d.Transaction
	}
	return d.Income
}

// keepDeposit numbers and keeps money that came in, in the order of its instant. Money from before a debit that bounced
// is gone; money past its days is not kept.
func (b *Book) keepDeposit(d Deposit) int {
	b.DepositNo++
	d.No = b.DepositNo
	if d.Day() < b.today-schemas.Day(b.Params.DepositDays) {
		return d.No
	}
	if !d.Gone {
		d.Remaining = d.Cents
	}
	if d.Day() < b.Bounced {
		d.Remaining, d.Transaction = 0, ""
	}
	i := len(b.Deposits)
	for i > 0 && b.Deposits[i-1].At > d.At {
		i--
	}
	b.Deposits = slices.Insert(b.Deposits, i, d)
	if len(b.Deposits) > MaxDeposits {
		b.forgetDeposits(len(b.Deposits) - MaxDeposits*3/4)
	}
	return d.No
}

// MaxDeposits bounds the deposits of a customer: each is looked at for each open collection. Beyond it, a quarter is
// forgotten, first those that are used up and no reversals that wait, then those that came first. What a debit with the
// bank counts on stays, so that it can be given back.
const MaxDeposits = 256

func (b *Book) forgetDeposits(n int) {
	counted := map[int64]struct{}{}
	for i := range b.Collections {
		for j := range b.Collections[i].Debits {
			if d := &b.Collections[i].Debits[j]; d.State == DebitInFlight {
				for _, u := range d.Uses {
					counted[u[0]] = struct{}{}
				}
			}
		}
	}
	for _, usedUp := range []bool{true, false} {
		b.Deposits = slices.DeleteFunc(b.Deposits, func(d Deposit) bool {
			_, keep := counted[int64(d.No)]
			if keep = keep || n == 0 || usedUp && (d.Remaining > 0 || d.From == 0); keep {
				return false
			}
			n--
			return true
		})
	}
}

// sameMoney is a deposit of the same amount, SameMoneyDays off at most, that the given source told of and no other.
func (b *Book) sameMoney(cents schemas.Cents, on schemas.Day, source Source) *Deposit {
	days := schemas.Day(b.Params.SameMoneyDays)
	return find(b.Deposits, func(d *Deposit) bool {
		return d.From == source && d.Cents == cents && d.Day()-on <= days && on-d.Day() <= days
	})
}

// deposit is the deposit of that number, or nil.
func (c *Customer) deposit(no int64) *Deposit {
	return find(c.Deposits, func(d *Deposit) bool { return int64(d.No) == no })
}

// bounce is what an insufficient-funds failure means: the deposits that the debit counted on, and all from before its
// action date, are gone. Those from before its action date never come back, so their transaction ids go too. Of a
// tracked debit the day counts on which the bank gave up: the money came on none of the days before.
func (c *Customer) bounce(d *Debit, on schemas.Day) {
	day := max(d.Action, min(d.Until, on))
	c.Bounced = max(c.Bounced, day)
	for _, u := range d.Uses {
		if dep := c.deposit(u[0]); dep != nil {
			dep.Remaining = 0
		}
	}
	for i := range c.Deposits {
		if dep := &c.Deposits[i]; dep.Day() < day {
			dep.Remaining, dep.Transaction = 0, ""
		}
	}
	d.Uses = nil
}

// giveBack frees the deposits of a debit that failed for another reason: the money is still there. The debit keeps
// their numbers, for an insufficient-funds failure that is told of later.
func (c *Customer) giveBack(d *Debit) {
	for i, u := range d.Uses {
		if dep := c.deposit(u[0]); dep != nil && !dep.Gone && dep.Day() >= c.Bounced {
			dep.Remaining = min(dep.Cents, dep.Remaining+schemas.Cents(u[1]))
		}
		d.Uses[i][1] = 0
	}
}

// silentDays is after how many days without money a stream is forgotten, or later, where older history may still be
// told of.
const silentDays = 400

// forgetMoney drops deposits and streams that have had their days. It runs before anything is made of new money, so
// that it makes no difference when a cut-off looked at the customer last.
func (b *Book) forgetMoney() {
	first := b.today - schemas.Day(b.Params.DepositDays) - schemas.Day(b.Params.SameMoneyDays)
	n := 0
	for n < len(b.Deposits) && b.Deposits[n].Day() < first { // they stand by instant
		n++
	}
	b.Deposits = slices.Delete(b.Deposits, 0, n)
	b.Streams.Forget(b.today - schemas.Day(max(silentDays, b.Params.BackfillDays)))
}

// count makes a deposit of a credit, or finds the one that it is, and returns its number.
func (b *Book) count(w *Waiting) int {
	if d := b.sameMoney(w.Cents, w.day(), FromIncome); d != nil { // the income feed told of this money before
		d.From, d.Account, d.Transaction = FromIncome|FromBank, w.Account, w.TxID
		return d.No
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
	return no
}

// reverse takes back the deposit that a debit reverses: the latest of its account and amount that came ReversalDays
// before at most. A reversal whose credit has not been told of yet waits for it among the deposits, as one that is
// gone.
func (b *Book) reverse(w *Waiting) {
	r := Deposit{At: w.At, Cents: w.Cents, Account: w.Account, Gone: true}
	for i := range slices.Backward(b.Deposits) {
		if d := &b.Deposits[i]; d.From&FromBank != 0 && b.reverses(&r, d, d.At) {
			b.takeBack(d, w.At)
			b.takenBack(d, schemas.DepositReversed)
			return
		}
	}
	b.keepDeposit(r)
}

// reverses tells whether a reversal is of a deposit that came at an instant.
func (b *Book) reverses(r, d *Deposit, at int64) bool {
	after, came := r.Day()-schemas.DayOfUnix(at), at <= r.At
	if d.From&FromIncome != 0 { // it stands at its pay date, which may lie some days off the credit
		off := schemas.Day(b.Params.SameMoneyDays)
		after, came = after-off, after >= -off
	}
	return !d.Gone && d.Cents == r.Cents && d.Account == r.Account && came && after <= schemas.Day(b.Params.ReversalDays)
}

// takeBack makes a deposit one that never was, by a reversal of an instant: no debit counts on what is left of it, and
// its stream has not paid. It stays, so that what the income feed says of the same money later makes no deposit either,
// and with its transaction, so that a booking in its place is known to be reversed too.
func (b *Book) takeBack(d *Deposit, at int64) {
	b.Streams.TakeBack(b.rules.Calendar, d.Stream, d.Day(), d.Cents)
	d.Remaining, d.Gone, d.Back = 0, true, at
	b.lookAgain()
}

// used is how much of a deposit debits count on that may still be paid, or were.
func (c *Customer) used(no int) (sum schemas.Cents) {
	for i := range c.Collections {
		for j := range c.Collections[i].Debits {
			for _, u := range c.Collections[i].Debits[j].Uses {
				if u[0] == int64(no) {
					sum += schemas.Cents(u[1])
				}
			}
		}
	}
	return sum
}

// deposited emits what was detected in the customer's deposit of that number. The stream is judged as of the deposit's
// day: history told of in one go must not make a stream look ended that was alive when the money came. Decisions judge
// streams as of the business date.
func (b *Book) deposited(s *income.Stream, source string, no int, d schemas.Day, cents schemas.Cents) {
	b.depositEvent(s, source, no, d, cents, "")
}

// takenBack emits that a deposit counts no more, and why. What was announced only has never been told of.
func (b *Book) takenBack(d *Deposit, why string) {
	if d.From == FromAnnounce {
		return
	}
	s := b.Streams.Find(d.Stream)
	if s == nil {
		s = &income.Stream{Kind: schemas.OtherIncome, Key: d.Stream} // long silent, and forgotten
	}
	b.depositEvent(s, d.source(), d.No, d.Day(), d.Cents, why)
}

func (b *Book) depositEvent(
	s *income.Stream, source string, no int, d schemas.Day, cents schemas.Cents, takenBack string,
) {
	cal := b.rules.Calendar
	facts := []string{"deposit", b.Tenant, b.ID, source, strconv.Itoa(no)}
	if takenBack != "" {
		facts = append(facts, takenBack)
	}
	ev := schemas.DepositEvent{
		Meta:     b.moment.Meta(facts...),
		TenantID: b.Tenant, CustomerID: b.ID, TransactionID: source, DepositDate: d.Text(), AmountCents: cents,
		StreamID: income.StreamID(s.Kind, s.Key), Kind: s.Kind, Frequency: s.Freq,
		StreamStatus: s.Status(cal, d), ConfidencePercent: s.Confidence, DepositNo: no, TakenBack: takenBack,
	}
	if x, ok := s.Expects(cal, d); ok && !x.Late { // an odd sum may come while the payday is late
		ev.NextExpectedDate = x.Day.Text()
	}
	b.out.Deposits = append(b.out.Deposits, ev)
}
