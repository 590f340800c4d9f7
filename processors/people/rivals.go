package people

import (
	"fmt"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Outcome is what a collector made of a month.
type Outcome struct {
	Name           string
	Collected      schemas.Cents
	Debits, Failed int // presentments to the bank, a tracked debit being one; those that no money came of
}

// Of is the outcome in a bank's book.
func (b *BankBook) Of(name string, p schemas.Period) Outcome {
	o := Outcome{Name: name, Collected: b.Collected(p)}
	for _, d := range b.Debits {
		if d.PeriodMonth == p {
			o.Debits++
			if d.State == Unpaid {
				o.Failed++
			}
		}
	}
	return o
}

// Rivals plays a month again with collectors that are not Kasi. The people are the same: their incomes and what they
// mean to spend come from the seed alone, and differ only by what the collector has taken.
type Rivals struct {
	Seed     uint64
	Policies int
	From     civil.Date // the month's first day
	Calendar *rules.Calendar
	// Ended are the policies that may not be debited from a day on.
	Ended map[string]civil.Date
}

// FixedDay debits each premium once, on the first banking day on or after a day of the month.
func (r Rivals) FixedDay(day int) Outcome {
	on := min(r.Calendar.OnOrAfter(r.From.AddDays(day-1)).DaysSince(r.From), r.lastBanking().DaysSince(r.From))
	name := fmt.Sprintf("debit order, day %d", day)
	return r.play(name, func(ps *People, d civil.Date, left outstanding) (debits []schemas.DebitInstruction) {
		if d.DaysSince(r.From) != on {
			return nil
		}
		for _, p := range ps.Policies() {
			debits = append(debits, debitOf(p, d, left[p.Number]))
		}
		return debits
	})
}

// BestFixedDay is the fixed day of 1 to 28 that collects most; the earliest where several do.
func (r Rivals) BestFixedDay() (best Outcome) {
	for day := 1; day <= 28; day++ {
		if o := r.FixedDay(day); o.Collected > best.Collected {
			best = o
		}
	}
	return best
}

// Oracle knows every balance. On each banking day it takes what is there, before the customer spends it, up to what is
// outstanding; the whole of it where the rail allows no part. No debit of it fails.
func (r Rivals) Oracle() Outcome {
	return r.play("all-knowing", func(ps *People, d civil.Date, left outstanding) (debits []schemas.DebitInstruction) {
		if !r.Calendar.IsBankingDay(d) {
			return nil
		}
		for _, p := range ps.people {
			there := p.acc.balance
			if p.trouble.code != "" && !d.Before(p.trouble.from) {
				continue
			}
			for _, pol := range p.policies {
				take := min(there, left[pol.Number])
				if take > 0 && (take == left[pol.Number] || pol.Rail != schemas.RailEFT) {
					debits = append(debits, debitOf(pol, d, take))
					there -= take
				}
			}
		}
		return debits
	})
}

func (r Rivals) lastBanking() civil.Date {
	return r.Calendar.OnOrBefore(schemas.PeriodOf(r.From).Last())
}

// debitOf is an instruction of a collector that is not Kasi. Attempt stands for the day.
func debitOf(p Policy, d civil.Date, cents schemas.Cents) schemas.DebitInstruction {
	return schemas.DebitInstruction{
		DebitID: p.Number + "-" + d.String(), CustomerID: p.Customer, PolicyNumber: p.Number, AmountCents: cents,
		PeriodMonth: schemas.PeriodOf(d), ActionDate: d.String(), Rail: p.Rail,
	}
}

// outstanding is what is left to collect, by policy number.
type outstanding map[string]schemas.Cents

// play lets the month pass; choose says what is debited on a day.
func (r Rivals) play(name string,
	choose func(ps *People, d civil.Date, left outstanding) []schemas.DebitInstruction,
) Outcome {
	ps := New("rival", r.Seed, r.Policies, r.From, r.Calendar)
	period := schemas.PeriodOf(r.From)
	bank := NewBank(ps, period.Last())
	ps.History()
	left := outstanding{}
	for _, p := range ps.Policies() {
		left[p.Number] = p.Premium
	}
	for d := r.From; !d.After(period.Last()); d = d.AddDays(1) {
		ps.Morning(d, bank.Return(d).Transactions)
		var debits []schemas.DebitInstruction
		for _, i := range choose(ps, d, left) {
			if ended, ok := r.Ended[i.PolicyNumber]; !ok || d.Before(ended) {
				debits = append(debits, i)
			}
		}
		told := len(bank.Book.Debits)
		given, err := bank.Present(d, debits)
		if err != nil {
			panic("people: a rival's debits: " + err.Error()) // it debits on banking days, each debit under an id of its own
		}
		for _, b := range bank.Book.Debits[told:] {
			if b.State == Paid {
				left[b.PolicyNumber] -= b.AmountCents
			}
		}
		ps.Evening(d, given.Transactions)
	}
	return bank.Book.Of(name, period)
}
