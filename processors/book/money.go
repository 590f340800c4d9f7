package book

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"cloud.google.com/go/civil"
	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

// Balance is the latest known balance of an account, less what was debited by Kasi since.
type Balance struct {
	Account string        `json:"a,omitempty"`
	At      int64         `json:"t"`
	Cents   schemas.Cents `json:"c"`
}

// MaxBalances bounds the accounts whose balance is kept; beyond it the one that has been silent for longest is
// forgotten.
const MaxBalances = 8

// Transaction takes in one bank transaction. The same id of the account again has no effect, where it says the same,
// and is refused where it does not (DUPLICATE_ID). One that is pending has no effect. One booked before the days that
// ids are remembered for is refused (TOO_OLD), since nobody could tell whether it is new; but while every id ever seen
// is still remembered, history is taken in as far back as BackfillDays. One booked after the business date is accepted
// and counts from its own day, up to AheadDays (TOO_FAR_AHEAD).
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
	if err := b.notTooFarAhead("booked_at", w.day()); err != nil {
		return err
	}
	if tx.State == schemas.Pending { // nobody knows yet whether it comes to be
		return nil
	}
	content := contentOf(tx)
	was, known := b.seen(tx.AccountID, tx.TransactionID)
	replaced := known && was == contentReplaced // by one that came before it: it is kept, and never counts
	switch {
	case known && was > contentReplaced && was != content:
		return schemas.Refuse(schemas.RejectDuplicateID, "a transaction of this transaction_id and other content was taken "+
			"in before")
	case known && !replaced:
		return nil
	case tx.ReplacesTransactionID == tx.TransactionID:
		return schemas.Refuse(schemas.RejectBadEnum, "replaces_transaction_id names the transaction itself")
	}

	b.own(tx.TenantID, tx.CustomerID)
	b.remember(hashOf(tx.AccountID, tx.TransactionID), content, w.day())
	if tx.ReplacesTransactionID != "" {
		w.Used = b.replace(tx.AccountID, tx.ReplacesTransactionID, w.day())
	}
	b.out.Transactions = append(b.out.Transactions, schemas.TransactionEvent{
		Meta:        b.moment.Meta("transaction", tx.TenantID, tx.CustomerID, tx.AccountID, tx.TransactionID, w.day().Text()),
		Transaction: *tx, BookedDate: w.day().Text(),
	})
	if replaced {
		return nil
	}
	if kind, key, isIncome := income.Classify(tx, b.Params); isIncome {
		w.TxID, w.Cents, w.Kind, w.Stream = tx.TransactionID, tx.AmountCents, kind, key
	} else if income.Reverses(tx, b.Params) {
		w.Back, w.Cents = true, tx.AmountCents
	}
	if w.TxID == "" && w.Balance == nil && !w.Back {
		return nil
	}
	if w.day() <= b.today {
		b.arrive(&w)
		return nil
	}
	b.Waiting.add(w)
	b.Wake = min(b.Wake, w.day())
	return nil
}

// notTooFarAhead refuses a day that no feed can know of: a wrong year, mostly, whose money would never come.
func (b *Book) notTooFarAhead(field string, d schemas.Day) error {
	if days := b.Params.AheadDays; b.today != 0 && d > b.today+schemas.Day(days) {
		return schemas.Refuse(schemas.RejectTooFarAhead,
			fmt.Sprintf("%s lies more than %d days after the business date %s", field, days, b.moment.Date))
	}
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
func (b *Book) remember(hash uint64, content uint32, booked schemas.Day) {
	if b.First == 0 && b.today != 0 {
		b.First = b.today
	}
	b.Seen.forget(b.today-schemas.Day(b.Params.SeenDays), b.First)
	b.Seen.add(hash, content, booked)
}

// Contents that are no hash of one.
const (
	contentUnknown  = iota // of a state of the last build, whose ids were the customer's, without the account
	contentReplaced        // another booking stands in its place, which came before it: it is kept, and never counts
)

// contentOf is a hash of what a transaction says, of all its fields but the ids of its customer.
func contentOf(tx *schemas.Transaction) uint32 {
	var room [512]byte
	b := binary.LittleEndian.AppendUint64(room[:0], uint64(tx.BookedAt.UnixNano()))
	b = binary.LittleEndian.AppendUint64(b, uint64(tx.AmountCents))
	if tx.BalanceAfterCents != nil {
		b = binary.LittleEndian.AppendUint64(append(b, 1), uint64(*tx.BalanceAfterCents))
	}
	for _, text := range [...]string{
		string(tx.Direction), cmp.Or(tx.Currency, "ZAR"), tx.Description, tx.Counterparty, tx.Category,
		tx.ReplacesTransactionID,
	} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return max(uint32(xxhash.Sum64(b)), contentReplaced+1)
}

// hashOf stands for a transaction id of an account. Neither holds the byte between them.
func hashOf(account, id string) uint64 {
	if account == "" {
		return xxhash.Sum64String(id)
	}
	return xxhash.Sum64String(id + "\x1f" + account)
}

// seen is the content of a transaction that was taken in before, and whether it was.
func (b *Book) seen(account, id string) (content uint32, known bool) {
	content, known = b.Seen.find(hashOf(account, id))
	if !known && account != "" {
		content, known = b.Seen.find(hashOf("", id))
		known = known && content == contentUnknown
	}
	return content, known
}

// arrive lets a transaction count: its balance is known from now on, its money is a deposit.
func (b *Book) arrive(w *Waiting) {
	if w.Balance != nil {
		b.learnBalance(Balance{w.Account, w.At, *w.Balance})
	}
	b.lookAgain()
	b.forgetMoney()
	switch {
	case w.Back:
		b.reverse(w)
	case w.TxID != "":
		d := b.deposit(int64(b.count(w)))
		if d == nil { // past its days
			return
		}
		d.Remaining = max(0, d.Remaining-w.Used)
		if i := slices.IndexFunc(b.Deposits, func(r Deposit) bool { return r.From == 0 && b.reverses(&r, d, w.At) }); i >= 0 {
			b.takeBack(d)
			b.Deposits = slices.Delete(b.Deposits, i, i+1)
		}
	}
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
			b.takeBack(d)
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

// takeBack makes a deposit one that never was: no debit counts on what is left of it, and its stream has not paid. It
// stays, so that what the income feed says of the same money later makes no deposit either.
func (b *Book) takeBack(d *Deposit) {
	b.Streams.TakeBack(b.rules.Calendar, d.Stream, d.Day(), d.Cents)
	d.Remaining, d.Transaction, d.Gone = 0, "", true
	b.lookAgain()
}

// replace takes a booking back in whose place another one stands. Told of later, it does not count any more. It returns
// how much of its deposit debits have used, which the other one must not bring again.
func (b *Book) replace(account, id string, booked schemas.Day) (used schemas.Cents) {
	if _, known := b.seen(account, id); !known {
		b.remember(hashOf(account, id), contentReplaced, booked)
		return 0
	}
	b.Waiting.remove(account, id)
	b.forgetMoney()
	i := slices.IndexFunc(b.Deposits, func(d Deposit) bool { return d.Transaction == id && d.Account == account })
	if i < 0 {
		return 0
	}
	d := b.Deposits[i]
	b.takeBack(&b.Deposits[i])
	b.Deposits = slices.Delete(b.Deposits, i, i+1)
	return d.Cents - d.Remaining
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
	due := b.Waiting.take(b.today)
	for i := range due {
		b.arrive(&due[i])
	}
	for i := range b.Incomes {
		if in := &b.Incomes[i]; in.Waits() && in.Day <= b.today {
			b.countPaid(in)
		}
	}
}

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
// action date, are gone. Those from before its action date never come back, so their transaction ids go too.
func (c *Customer) bounce(d *Debit) {
	c.Bounced = max(c.Bounced, d.Action)
	for _, u := range d.Uses {
		if dep := c.deposit(u[0]); dep != nil {
			dep.Remaining = 0
		}
	}
	for i := range c.Deposits {
		if dep := &c.Deposits[i]; dep.Day() < d.Action {
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

// Income is one record of the income feed. It is kept as long as transaction ids are.
type Income struct {
	ID     string              `json:"i"`
	Kind   schemas.IncomeKind  `json:"n"`
	Day    schemas.Day         `json:"d"`
	State  schemas.IncomeState `json:"s"`
	Cents  schemas.Cents       `json:"c,omitempty"` // 0: not said
	Stream uint32              `json:"k,omitempty"`
	Done   bool                `json:"f,omitempty"` // it has been counted as a deposit
}

// Waits tells that the income was paid, by what the feed says, and has not been counted yet: its day has not come.
func (i *Income) Waits() bool { return i.State == schemas.IncomePaid && i.Cents > 0 && !i.Done }

// Expected tells that the money is to come but is not counted itself: announced, or paid without an amount.
func (i *Income) Expected() bool {
	return !i.Done && (i.State == schemas.Announced || i.State == schemas.IncomePaid && i.Cents == 0)
}

// Income takes in what an income feed says of one payment. A later record of the same income id replaces the earlier
// one; only an ANNOUNCED that arrives after its own PAID is ignored, since money that was paid is no longer just
// announced.
func (b *Book) Income(in *schemas.Income) error {
	if err := b.claim(in.TenantID, in.CustomerID); err != nil {
		return err
	}
	date, err := civil.ParseDate(in.PayDate)
	if err != nil {
		return schemas.Refuse(schemas.RejectBadDate, "pay_date is not a date; expected YYYY-MM-DD")
	}
	now := Income{
		ID: in.IncomeID, Kind: in.Kind, Day: schemas.DayOf(date), State: in.State,
		Stream: income.FeedStream(in.Kind, in.Source),
	}
	if in.AmountCents != nil {
		now.Cents = *in.AmountCents
	}
	oldest := b.today - schemas.Day(b.Params.SeenDays)
	if b.today != 0 && now.Day < oldest {
		return schemas.Refuse(schemas.RejectTooOld,
			fmt.Sprintf("pay_date lies more than %d days before the business date %s", b.Params.SeenDays, b.moment.Date))
	}
	if err := b.notTooFarAhead("pay_date", now.Day); err != nil {
		return err
	}

	is := b.income(now.ID)
	if is != nil {
		was := *is
		was.Done = false
		if was == now || was.State == schemas.IncomePaid && now.State == schemas.Announced {
			return nil
		}
		b.forgetMoney()
		*is = b.replaceIncome(*is, now)
	} else {
		b.own(in.TenantID, in.CustomerID)
		b.Incomes = slices.DeleteFunc(b.Incomes, func(x Income) bool { return x.Day < oldest })
		i, _ := search(b.Incomes, func(x *Income) int { return byID(x, &now) })
		b.Incomes = slices.Insert(b.Incomes, i, now)
		is = &b.Incomes[i]
	}
	b.lookAgain()
	if is.Waits() && now.Day <= b.today {
		b.countPaid(is)
	}
	return nil
}

// replaceIncome makes one record of an income out of two. Money that the bank feed has shown too stays, whatever the
// income feed says now. Money that was counted and is still said to be paid stays counted, with its amount corrected;
// otherwise it is taken back, as far as no debit has used it.
func (b *Book) replaceIncome(was, now Income) Income {
	cal := b.rules.Calendar
	d := find(b.Deposits, func(d *Deposit) bool { return d.Income == was.ID }) // that the income made or was found to be
	paid := now.State == schemas.IncomePaid && now.Cents > 0
	switch {
	case d == nil:
		now.Done = was.Done && paid
	case d.From&FromBank != 0:
		d.From, d.Income = FromBank, ""
	case paid:
		used := d.Cents - d.Remaining
		d.Cents, d.Remaining = now.Cents, 0
		if d.Day() >= b.Bounced {
			d.Remaining = max(0, now.Cents-used)
		}
		now.Done = true
		if d.From == FromAnnounce {
			d.From = FromIncome
			s := b.Streams.Record(cal, now.Stream, now.Kind, now.Day, now.Cents, b.Params.StreamHistory)
			b.deposited(s, now.ID, d.No, now.Day, now.Cents)
		}
	default:
		if d.From == FromIncome {
			b.Streams.TakeBack(cal, was.Stream, was.Day, was.Cents)
		}
		no := d.No
		b.Deposits = slices.DeleteFunc(b.Deposits, func(x Deposit) bool { return x.No == no })
	}
	return now
}

// countPaid counts an income that was paid as a deposit on its pay date, unless the bank feed has shown the same money.
func (b *Book) countPaid(in *Income) {
	in.Done = true
	b.lookAgain()
	b.forgetMoney()
	if d := b.sameMoney(in.Cents, in.Day, FromBank); d != nil {
		d.From, d.Income = FromBank|FromIncome, in.ID
		return
	}
	s := b.Streams.Record(b.rules.Calendar, in.Stream, in.Kind, in.Day, in.Cents, b.Params.StreamHistory)
	no := b.keepDeposit(Deposit{At: in.Day.Opening(), Cents: in.Cents, Stream: in.Stream, From: FromIncome, Income: in.ID})
	b.deposited(s, in.ID, no, in.Day, in.Cents)
}

// CountAnnounced counts what was announced and is due as a deposit, where no bank feed could show the money. An
// announcement without an amount is taken to be good for what is outstanding.
func (b *Book) CountAnnounced(outstanding schemas.Cents) {
	if !b.Seen.empty() || outstanding == 0 {
		return
	}
	for i := range b.Incomes {
		in := &b.Incomes[i]
		if !in.Expected() || in.Day > b.today || in.Day < b.today-schemas.Day(b.Params.DepositDays) {
			continue
		}
		cents := in.Cents
		if cents == 0 {
			cents = outstanding
		}
		in.Done = true
		b.keepDeposit(Deposit{At: in.Day.Opening(), Cents: cents, Stream: in.Stream, From: FromAnnounce, Income: in.ID})
	}
}
