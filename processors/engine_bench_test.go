package processors

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// veteran is a customer with two years behind them, and the moment at which they stand.
func veteran(b *testing.B) (*Engine, *Customer, schemas.Moment) {
	w := newWorld(b, rules.Default())
	w.years(24, 5)
	return w.engine, w.c, w.m
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
	tx := schemas.Transaction{
		TenantID: c.Tenant, CustomerID: c.ID, AmountCents: 850000, Direction: dir, Description: text,
		BookedAt: m.Date.In(schemas.Johannesburg),
	}
	var out Outputs
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(ids) == 0 {
			c = start.Clone()
		}
		out.Transactions, out.Deposits = out.Transactions[:0], out.Deposits[:0]
		tx.TransactionID = ids[i%len(ids)]
		if err := e.Transaction(c, tx, m, &out); err != nil {
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
	var out Outputs
	require.NoError(b, e.Execute(c, schemas.ExecuteCommand{
		TenantID: c.Tenant, CustomerID: c.ID, PolicyNumber: "POL0001",
		PeriodMonth: "2026-02",
	}, m, &out))
	e = &Engine{rules: e.rules, wakeful: wakeful}
	m.Date, m.Cutoff = civil.Date{Year: 2026, Month: 2, Day: 10}, 1
	require.NoError(b, e.Tick(c, m, &out))
	m.Date = m.Date.AddDays(1)
	m.At = m.At.Add(time.Hour)
	out = Outputs{}
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Tick(c, m, &out); err != nil {
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

func BenchmarkMarshal(b *testing.B) {
	_, c, _ := veteran(b)
	b.ReportAllocs()
	var to []byte
	for b.Loop() {
		to = AppendCustomer(to[:0], c)
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	_, c, _ := veteran(b)
	bytes := AppendCustomer(nil, c)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = UnmarshalCustomer(bytes)
	}
}
