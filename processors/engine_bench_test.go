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

// BenchmarkPayer is a month of a payer of 10,000 policies, and beside it that of 10,000 customers with one policy each:
// import, execution, the tick of the first attempts, an answer of the bank to each debit, and a quiet tick.
func BenchmarkPayer(b *testing.B) {
	const policies = 10_000
	for _, bc := range []struct{ name, customer string }{{"one payer", "C"}, {"10000 customers", "C%05d"}} {
		b.Run(bc.name, func(b *testing.B) {
			for b.Loop() {
				benchPayerMonth(b, policies, bc.customer)
			}
		})
	}
}

func benchPayerMonth(b *testing.B, policies int, name string) {
	e, out := processors.NewEngine(rules.Default()), book.Outputs{}
	m := schemas.Moment{Date: civil.Date{Year: 2025, Month: 11, Day: 1}, At: time.Date(2025, 11, 1, 4, 0, 0, 0, time.UTC)}
	customers := map[string]*book.Customer{}
	apply := func(customer string, rec processors.Record) {
		if customers[customer] == nil {
			customers[customer] = &book.Customer{}
		}
		require.NoError(b, e.Apply(customers[customer], rec, m, &out))
	}
	tick := func(day, cutoff int) {
		m.Date.Day, m.Cutoff = day, cutoff
		for customer := range customers {
			apply(customer, schemas.Tick{})
		}
	}
	began := b.Elapsed()
	took := func(what string) {
		b.ReportMetric((b.Elapsed() - began).Seconds(), what+"-s")
		began = b.Elapsed()
	}
	number := func(i int) (customer, policy string) {
		i = i * 7919 % policies // in no order
		if customer = name; name != "C" {
			customer = fmt.Sprintf(name, i)
		}
		return customer, fmt.Sprintf("POL%05d", i)
	}
	for i := range policies {
		customer, policy := number(i)
		apply(customer, &schemas.PolicyCommand{
			Action: schemas.PolicyImport, TenantID: "T", CustomerID: customer, PolicyNumber: policy,
			Terms: &schemas.PolicyTerms{PremiumCents: 15000},
		})
	}
	took("import")
	for i := range policies {
		customer, policy := number(i)
		apply(customer, &schemas.ExecuteCommand{
			TenantID: "T", CustomerID: customer, PolicyNumber: policy, PeriodMonth: "2025-11",
		})
	}
	took("execute")
	tick(5, 1)
	debits := out.Debits
	require.Len(b, debits, policies)
	took("attempts")
	for i := range policies {
		d := &debits[i*7919%policies]
		res := &schemas.Result{
			ResultID: d.DebitID, DebitID: d.DebitID, Status: schemas.ResultPaid, EffectiveDate: "2025-11-05",
		}
		if i%3 == 0 {
			res.Status, res.ReasonCode = schemas.ResultUnpaid, "02"
		}
		apply(d.CustomerID, res)
	}
	took("answers")
	tick(6, 1)
	took("tick")
}

// BenchmarkManyTransactions is the month of a customer with 200,000 transactions, a quarter of them income.
func BenchmarkManyTransactions(b *testing.B) {
	for _, n := range []int{1_000, 200_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				e, out, c := processors.NewEngine(rules.Default()), book.Outputs{}, &book.Customer{}
				m := schemas.Moment{Date: civil.Date{Year: 2025, Month: 11, Day: 30}}
				began := b.Elapsed()
				for i := range n {
					tx := &schemas.Transaction{
						TransactionID: fmt.Sprint("t", i), TenantID: "T", CustomerID: "C", AmountCents: 15000,
						Direction: schemas.Debit, Description: "CARD",
						BookedAt: m.Date.AddDays(i*29/n - 29).In(schemas.Johannesburg).Add(time.Duration(i%86400) * time.Second),
					}
					if i%4 == 0 {
						tx.Direction, tx.Description = schemas.Credit, "TIPS"
					}
					out.Reset()
					require.NoError(b, e.Apply(c, tx, m, &out))
				}
				b.ReportMetric(float64((b.Elapsed()-began).Nanoseconds())/float64(n), "ns/transaction")
			}
		})
	}
}
