package book

import (
	"fmt"
	"slices"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

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
		b.takenBack(d, schemas.DepositCancelled)
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
