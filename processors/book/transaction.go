package book

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

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
	if w.Moved = tx.AmountCents; tx.Direction == schemas.Debit {
		w.Moved = -w.Moved
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
	b.moved(w)
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
			b.takeBack(d, b.Deposits[i].At)
			b.takenBack(d, schemas.DepositReversed)
			b.Deposits = slices.Delete(b.Deposits, i, i+1)
		}
	}
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
	if d.From&FromBank != 0 {
		b.account(account).book(d.Day(), -d.Cents)
	}
	if d.Gone { // its reversal looks for another credit: the booking that comes now, mostly
		b.takenBack(&d, schemas.DepositReplaced)
		b.Deposits = slices.Delete(b.Deposits, i, i+1)
		b.reverse(&Waiting{At: d.Back, Cents: d.Cents, Account: d.Account})
		return b.used(d.No)
	}
	b.takeBack(&b.Deposits[i], 0)
	b.takenBack(&d, schemas.DepositReplaced)
	b.Deposits = slices.Delete(b.Deposits, i, i+1)
	return d.Cents - d.Remaining
}
