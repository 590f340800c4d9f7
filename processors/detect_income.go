package processors

import (
	"fmt"
	"slices"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// income is one record of the income feed. It is kept as long as transaction ids are.
type income struct {
	ID     string              `json:"i"`
	Kind   schemas.IncomeKind  `json:"n"`
	Day    schemas.Day         `json:"d"`
	State  schemas.IncomeState `json:"s"`
	Cents  schemas.Cents       `json:"c,omitempty"` // 0: not said
	Stream uint32              `json:"k,omitempty"`
	Done   bool                `json:"f,omitempty"` // it has been counted as a deposit
}

// waits tells that the income was paid, by what the feed says, on a day that has not come.
func (i *income) waits() bool { return i.State == schemas.IncomePaid && i.Cents > 0 && !i.Done }

// expected tells that the money is to come but is not counted itself: announced, or paid without an amount.
func (i *income) expected() bool {
	return !i.Done && (i.State == schemas.Announced || i.State == schemas.IncomePaid && i.Cents == 0)
}

// Income takes in what an income feed says of one payment. A later record of the same income id replaces the earlier
// one; only an ANNOUNCED that arrives after its own PAID is ignored, since money that was paid is no longer just
// announced.
func (e *Engine) Income(c *Customer, in schemas.Income, m schemas.Moment, out *Outputs) error {
	if err := c.claim(in.TenantID, in.CustomerID); err != nil {
		return err
	}
	date, err := civil.ParseDate(in.PayDate)
	if err != nil {
		return schemas.Refuse(schemas.RejectBadDate, "pay_date is not a date; expected YYYY-MM-DD")
	}
	p := e.rules.Params(m.BusinessDate())
	now := income{ID: in.IncomeID, Kind: in.Kind, Day: schemas.DayOf(date), State: in.State, Stream: feedStream(in.Kind,
		in.Source)}
	if in.AmountCents != nil {
		now.Cents = *in.AmountCents
	}
	oldest := m.Today() - schemas.Day(p.SeenDays)
	if m.Today() != 0 && now.Day < oldest {
		return schemas.Refuse(schemas.RejectTooOld, fmt.Sprintf("pay_date lies more than %d days before the business date %s", p.SeenDays,
			m.Date))
	}

	i := slices.IndexFunc(c.Incomes, func(x income) bool { return x.ID == now.ID })
	if i >= 0 {
		was := c.Incomes[i]
		was.Done = false
		if was == now || was.State == schemas.IncomePaid && now.State == schemas.Announced {
			return nil
		}
		c.forgetMoney(m.Today(), &p)
		c.Incomes[i] = e.replace(c, c.Incomes[i], now, &p, m, out)
	} else {
		c.own(in.TenantID, in.CustomerID)
		c.Incomes = slices.DeleteFunc(c.Incomes, func(x income) bool { return x.Day < oldest })
		c.Incomes = append(c.Incomes, now)
		i = len(c.Incomes) - 1
	}
	c.touch()
	if c.Incomes[i].waits() && now.Day <= m.Today() {
		e.paid(c, &c.Incomes[i], &p, m, out)
	}
	return nil
}

// replace makes one record of an income out of two. Money that the bank feed has shown too stays, whatever the income
// feed says now. Money that was counted and is still said to be paid stays counted, with its amount corrected;
// otherwise it is taken back, as far as no debit has used it.
func (e *Engine) replace(c *Customer, was, now income, p *rules.Params, m schemas.Moment, out *Outputs) income {
	d := c.incomeDeposit(was.ID)
	paid := now.State == schemas.IncomePaid && now.Cents > 0
	switch {
	case d == nil:
		now.Done = was.Done && paid
	case d.From&fromBank != 0:
		d.From, d.Income = fromBank, ""
	case paid:
		used := d.Cents - d.Remaining
		d.Cents, d.Remaining = now.Cents, 0
		if d.day() >= c.Bounced {
			d.Remaining = max(0, now.Cents-used)
		}
		now.Done = true
		if d.From == fromAnnounce {
			d.From = fromIncome
			e.deposited(c, e.record(c, now.Stream, now.Kind, now.Day, now.Cents, p.StreamHistory), now.ID, d.No, now.Day,
				now.Cents, m, out)
		}
	default:
		if d.From == fromIncome {
			e.unrecord(c, was.Stream, was.Day, was.Cents)
		}
		no := d.No
		c.Deposits = slices.DeleteFunc(c.Deposits, func(x deposit) bool { return x.No == no })
	}
	return now
}

// paid counts an income that was paid as a deposit on its pay date, unless the bank feed has shown the same money.
func (e *Engine) paid(c *Customer, in *income, p *rules.Params, m schemas.Moment, out *Outputs) {
	in.Done = true
	c.touch()
	c.forgetMoney(m.Today(), p)
	if d := c.sameMoney(in.Cents, in.Day, p.SameMoneyDays, fromBank); d != nil {
		d.From, d.Income = d.From|fromIncome, in.ID
		return
	}
	s := e.record(c, in.Stream, in.Kind, in.Day, in.Cents, p.StreamHistory)
	no := c.deposit(deposit{At: in.Day.Opening(), Cents: in.Cents, Stream: in.Stream, From: fromIncome, Income: in.ID},
		p, m)
	e.deposited(c, s, in.ID, no, in.Day, in.Cents, m, out)
}

// assume counts what was announced and is due as a deposit, where no bank feed could show the money. An announcement
// without an amount is taken to be good for what is outstanding.
func (e *Engine) assume(c *Customer, outstanding schemas.Cents, p *rules.Params, m schemas.Moment) {
	if len(c.Seen) > 0 || outstanding == 0 {
		return
	}
	for i := range c.Incomes {
		in := &c.Incomes[i]
		if !in.expected() || in.Day > m.Today() || in.Day < m.Today()-schemas.Day(p.DepositDays) {
			continue
		}
		cents := in.Cents
		if cents == 0 {
			cents = outstanding
		}
		in.Done = true
		c.deposit(deposit{At: in.Day.Opening(), Cents: cents, Stream: in.Stream, From: fromAnnounce, Income: in.ID}, p, m)
	}
}
