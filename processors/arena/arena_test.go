package arena_test

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/arena"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// employee is a customer with one policy and a salary on the 25th. The bank pays whatever is debited, the day after.
type employee struct {
	records []processors.Record
	at      []time.Time
	tx      schemas.Transaction // its memory is used again
	debits  int
	paid    schemas.Cents
	refused int
}

func newEmployee(from civil.Date, months int) *employee {
	p := &employee{}
	add := func(day civil.Date, rec processors.Record) {
		p.records, p.at = append(p.records, rec), append(p.at, day.In(schemas.Johannesburg).Add(9*time.Hour))
	}
	add(from, &schemas.PolicyCommand{
		Action: schemas.PolicyImport, TenantID: "T", CustomerID: "C", PolicyNumber: "POL1",
		Terms: &schemas.PolicyTerms{PremiumCents: 15000},
	})
	for i := range months {
		first := from.AddMonths(i)
		add(first, &schemas.ExecuteCommand{
			TenantID: "T", CustomerID: "C", PolicyNumber: "POL1", PeriodMonth: schemas.PeriodOf(first),
		})
		add(first.AddDays(24), &schemas.Transaction{
			TransactionID: fmt.Sprint("salary", i), TenantID: "T", CustomerID: "C", Direction: schemas.Credit,
			AmountCents: 850000, Description: "SALARY", BookedAt: first.AddDays(24).In(schemas.Johannesburg),
		})
	}
	return p
}

func (p *employee) Next(until time.Time) (processors.Record, time.Time) {
	if len(p.at) == 0 || p.at[0].After(until) {
		return nil, time.Time{}
	}
	rec, at := p.records[0], p.at[0]
	p.records, p.at = p.records[1:], p.at[1:]
	if tx, ok := rec.(*schemas.Transaction); ok {
		p.tx = *tx
		rec = &p.tx
	}
	return rec, at
}

func (p *employee) Answer(d *schemas.DebitInstruction, to []arena.Answer) []arena.Answer {
	p.debits++
	at := d.At.Add(24 * time.Hour)
	paid := schemas.Result{
		ResultID: "r" + d.DebitID, DebitID: d.DebitID, Status: schemas.ResultPaid, EffectiveDate: d.ActionDate,
	}
	other := paid
	other.ResultID, other.EffectiveDate = "again"+d.DebitID, "2030-01-01"
	return append(to, arena.Answer{At: at.Add(time.Hour), Result: other}, arena.Answer{At: at, Result: paid})
}

func (p *employee) Saw(out *book.Outputs, reject *schemas.Reject) {
	if reject != nil {
		p.refused++
	}
	for i := range out.Collections {
		p.paid += out.Collections[i].Change.MovedCents
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	const months = 12
	r := rules.Default()
	a := arena.New(processors.NewEngine(r), r)
	from := civil.Date{Year: 2025, Month: 1, Day: 1}
	for range 2 { // a customer after another, in the same memory
		p := newEmployee(from, months)
		require.NoError(t, a.Run(from, from.AddMonths(months).AddDays(-1), p))
		require.Equal(t, months, p.debits)
		require.Equal(t, schemas.Cents(months*15000), p.paid, "answers come in the order of time")
		require.Equal(t, months, p.refused, "an answer that contradicts the first is shown as refused")
		require.Equal(t, 1, a.Now.Cutoff)
		require.Equal(t, "2025-12-31T15:00:00+02:00", a.Now.At.Format(time.RFC3339), "the rules' cut-off")
		a.Reset()
	}
}

type stranger struct{ *employee }

func (stranger) Next(time.Time) (processors.Record, time.Time) { return "a stranger", time.Time{} }

func TestAMistakeEndsTheRun(t *testing.T) {
	t.Parallel()
	r := rules.Default()
	from := civil.Date{Year: 2025, Month: 1, Day: 1}
	require.ErrorContains(t, arena.New(processors.NewEngine(r), r).Run(from, from, stranger{}), "holds no string")
}

// BenchmarkRun is a customer's year: 365 days, a salary and a debit a month.
func BenchmarkRun(b *testing.B) {
	const months = 12
	r := rules.Default()
	a := arena.New(processors.NewEngine(r), r)
	from := civil.Date{Year: 2025, Month: 1, Day: 1}
	all := *newEmployee(from, months)
	b.ReportAllocs()
	for b.Loop() {
		p := all
		a.Reset()
		if err := a.Run(from, from.AddMonths(months).AddDays(-1), &p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*months*60/b.Elapsed().Seconds(), "months/min")
}
