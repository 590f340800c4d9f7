package processors_test

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// veteran is a customer with two years behind them, and the moment at which they stand.
func veteran(b *testing.B) (*processors.Engine, *book.Customer, schemas.Moment) {
	w := newWorld(b, rules.Default())
	w.years(24, 5)
	return processors.NewEngine(w.Rules), w.Customer, w.Now
}

func BenchmarkTransactionSpending(b *testing.B) { benchTransaction(b, schemas.Debit, "CARD PURCHASE") }

func BenchmarkTransactionIncome(b *testing.B) { benchTransaction(b, schemas.Credit, "ACME LTD SALARY") }

func benchTransaction(b *testing.B, dir schemas.Direction, text string) {
	e, start, m := veteran(b)
	c := start.Clone()
	ids := make([]string, 50)
	for i := range ids {
		ids[i] = fmt.Sprintf("new-%d", i)
	}
	tx := &schemas.Transaction{
		TenantID: c.Tenant, CustomerID: c.ID, AmountCents: 850000, Direction: dir, Description: text,
		BookedAt: m.Date.In(schemas.Johannesburg),
	}
	var out book.Outputs
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(ids) == 0 {
			c = start.Clone()
		}
		out.Transactions, out.Deposits = out.Transactions[:0], out.Deposits[:0]
		tx.TransactionID = ids[i%len(ids)]
		if err := e.Apply(c, tx, m, &out); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTickNothingToDo is a day on which an open collection waits for a salary that is known to come later.
func BenchmarkTickNothingToDo(b *testing.B) { benchTick(b, false) }

// BenchmarkTickLooking is the same day for an engine that lets nobody sleep: the cost of one decision that says nothing
// new.
func BenchmarkTickLooking(b *testing.B) { benchTick(b, true) }

func benchTick(b *testing.B, wakeful bool) {
	e, c, m := veteran(b)
	var out book.Outputs
	require.NoError(b, e.Apply(c, &schemas.ExecuteCommand{
		TenantID: c.Tenant, CustomerID: c.ID, PolicyNumber: "POL0001",
		PeriodMonth: "2026-02",
	}, m, &out))
	if wakeful {
		e = processors.NewEngine(rules.Default(), processors.NeverSleep())
	}
	m.Date, m.Cutoff = civil.Date{Year: 2026, Month: 2, Day: 10}, 1
	require.NoError(b, e.Apply(c, schemas.Tick{}, m, &out))
	m.Date = m.Date.AddDays(1)
	m.At = m.At.Add(time.Hour)
	out = book.Outputs{}
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Apply(c, schemas.Tick{}, m, &out); err != nil {
			b.Fatal(err)
		}
	}
	require.Empty(b, out.Decisions)
}

func BenchmarkClone(b *testing.B) {
	_, c, _ := veteran(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = c.Clone()
	}
}

// BenchmarkRows writes a whole customer, as a snapshot does, and BenchmarkChanged looks for what a copy has changed.
func BenchmarkRows(b *testing.B) {
	_, c, _ := veteran(b)
	b.ReportAllocs()
	var to []byte
	for b.Loop() {
		to = to[:0]
		book.Changed(nil, c, func(name string) { to, _ = book.AppendRow(to, c, name) })
	}
	b.ReportMetric(float64(len(to)), "bytes")
}

func BenchmarkChanged(b *testing.B) {
	_, c, _ := veteran(b)
	n := c.Clone()
	b.ReportAllocs()
	for b.Loop() {
		book.Changed(c, n, func(name string) { b.Fatal(name) })
	}
}

func BenchmarkLoadRows(b *testing.B) {
	_, c, _ := veteran(b)
	rows := rowsOf(b, c)
	b.ReportAllocs()
	for b.Loop() {
		restored := &book.Customer{}
		for name, value := range rows {
			_ = book.LoadRow(restored, name, []byte(value))
		}
	}
}
