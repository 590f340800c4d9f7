package processors_test

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/arena"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// purse is an account whose every booking the feed shows, and that never goes below zero. Nothing moves it between a
// cut-off and the bank's work of the evening.
type purse struct {
	*arena.Arena
	t       *rapid.T
	balance schemas.Cents
	n       int
	proved  int // debits that the bookings proved
}

func (p *purse) give(rec processors.Record) book.Outputs {
	p.Now.At = p.Now.At.Add(time.Second)
	require.NoError(p.t, p.Step(rec))
	return p.Out
}

// move books cents; a debit takes no more than there is.
func (p *purse) move(cents schemas.Cents, text string) {
	tx := &schemas.Transaction{
		TenantID: "T", CustomerID: "C", AccountID: "A", Direction: schemas.Credit, AmountCents: cents, Description: text,
		BookedAt: p.Now.Date.In(schemas.Johannesburg).Add(8*time.Hour + time.Duration(p.n)*time.Second),
	}
	if cents < 0 {
		tx.Direction, tx.AmountCents = schemas.Debit, min(-cents, p.balance)
		cents = -tx.AmountCents
	}
	if cents == 0 {
		return
	}
	p.n++
	tx.TransactionID = fmt.Sprint("t", p.n)
	p.balance += cents
	p.give(tx)
}

// present is the bank's evening. The feed shows what it takes the next morning, or never.
func (p *purse) present(out *book.Outputs, open []schemas.DebitInstruction) (left []schemas.DebitInstruction) {
	today := p.Now.Date.String()
	for i := range out.Decisions {
		ev := &out.Decisions[i]
		if ev.AmountCents > 0 && ev.Inputs.LowestCents != nil && *ev.Inputs.LowestCents >= ev.AmountCents {
			p.proved++
			require.GreaterOrEqual(p.t, p.balance, ev.AmountCents, "%s: what the bookings prove is there", today)
		}
	}
	for _, d := range append(open, out.Debits...) {
		res := &schemas.Result{
			ResultID: d.DebitID, DebitID: d.DebitID, Status: schemas.ResultPaid, EffectiveDate: today,
		}
		switch {
		case p.balance >= d.AmountCents:
			p.balance -= d.AmountCents
			if rapid.Bool().Draw(p.t, "shown") {
				p.balance += d.AmountCents
				p.move(-d.AmountCents, "DEBIT ORDER")
			}
		case today >= max(d.ActionDate, d.TrackingUntil):
			res.Status, res.ReasonCode = schemas.ResultUnpaid, "02"
		default:
			left = append(left, d)
			continue
		}
		p.give(res)
	}
	return left
}

// TestWhatBookingsProveIsThere lets customers live for half a year without other creditors: a debit of no more than
// their bookings prove never fails.
func TestWhatBookingsProveIsThere(t *testing.T) {
	t.Parallel()
	law, proved := rules.Default(), 0
	rapid.Check(t, func(t *rapid.T) {
		p := &purse{Arena: arena.New(processors.NewEngine(law), law), t: t}
		p.balance = schemas.Cents(rapid.IntRange(0, 50_000).Draw(t, "opening"))
		p.Now.At = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		premium := schemas.Cents(rapid.IntRange(2_000, 40_000).Draw(t, "premium"))
		payday := rapid.IntRange(1, 28).Draw(t, "payday")
		var open []schemas.DebitInstruction
		for day := (civil.Date{Year: 2025, Month: 1, Day: 20}); day.Before(civil.Date{Year: 2025, Month: 7, Day: 1}); {
			require.NoError(t, p.Tick(day, 0))
			if day.Day == 1 {
				p.give(&schemas.PolicyCommand{
					Action: schemas.PolicyImport, TenantID: "T", CustomerID: "C", PolicyNumber: "P",
					Terms: &schemas.PolicyTerms{PremiumCents: premium},
				})
				p.give(&schemas.ExecuteCommand{
					TenantID: "T", CustomerID: "C", PolicyNumber: "P", PeriodMonth: schemas.PeriodOf(day),
				})
			}
			if day.Day == payday {
				p.move(schemas.Cents(rapid.IntRange(10_000, 900_000).Draw(t, "pay")), "SALARY")
			}
			for range rapid.IntRange(0, 2).Draw(t, "bookings") {
				p.move(-schemas.Cents(rapid.IntRange(0, 200_000).Draw(t, "spent")), "CARD")
			}
			require.NoError(t, p.Tick(day, 1))
			open = p.present(&p.Out, open)
			day = day.AddDays(1)
		}
		proved += p.proved
	})
	require.Greater(t, proved, 50)
}
