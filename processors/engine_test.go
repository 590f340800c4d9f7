package processors_test

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

func TestRecordsOfAnotherCustomerAreABug(t *testing.T) {
	t.Parallel()
	e, out := processors.NewEngine(rules.Default()), &book.Outputs{}
	c := &book.Customer{Core: book.Core{Tenant: "T", ID: "C"}}
	for _, rec := range []processors.Record{
		&schemas.Transaction{TenantID: "T", CustomerID: "D"},
		&schemas.Income{TenantID: "U", CustomerID: "C"},
		&schemas.PolicyCommand{TenantID: "T", CustomerID: "D"},
		&schemas.ExecuteCommand{TenantID: "T", CustomerID: "D"},
	} {
		err := e.Apply(c, rec, schemas.Moment{}, out)
		require.ErrorContains(t, err, "another customer")
		var reject *schemas.Reject
		require.NotErrorAs(t, err, &reject)
	}
	require.Equal(t, &book.Customer{Core: book.Core{Tenant: "T", ID: "C"}}, c)
	require.Equal(t, &book.Outputs{}, out)
}

func TestDays(t *testing.T) {
	t.Parallel()
	for d := (civil.Date{Year: 1899, Month: 12, Day: 25}); d.Year < 2105; d = d.AddDays(1) {
		n := schemas.DayOf(d)
		if n == 0 {
			require.Equal(t, civil.Date{Year: 1970, Month: 1, Day: 1}, d)
			continue
		}
		require.Equal(t, d, n.Date())
		require.Equal(t, n, schemas.DayOfUnix(n.Opening()))
		require.Equal(t, n, schemas.DayOfUnix(n.Opening()+86399))
		require.Equal(t, (int(d.In(time.UTC).Weekday())+6)%7, n.Weekday())
	}
	require.Equal(t, schemas.Day(0), schemas.DayOf(civil.Date{}))
}

// month runs one month of a customer with a salary and some spending: one failed attempt, then the salary, then paid.
func (w *world) month(first civil.Date, spending int) {
	period := schemas.PeriodOf(first)
	w.advance(first)
	w.step(&schemas.ExecuteCommand{
		ExecutionID: "0198c1de-7a38-7c05-9b6e-3f5d7f5b6c11", TenantID: "tenant-1",
		CustomerID: "CUST0001", PolicyNumber: "POL0001", PeriodMonth: period,
	})
	w.advance(first.AddDays(10))
	for i := range spending {
		w.tx(schemas.Debit, first.AddDays(10), 5000+i, "CARD PURCHASE")
	}
	w.tx(schemas.Credit, w.Rules.Calendar.Payday(period, 25), 850000, "ACME LTD SALARY")
	for range 3 {
		w.advance(w.Now.Date.AddDays(6))
		for _, d := range w.debits {
			if d.inFlight() {
				status, code := schemas.ResultPaid, ""
				if d.Attempt == 1 {
					status, code = schemas.ResultUnpaid, "02"
				}
				w.step(&schemas.Result{
					ResultID: "r" + d.DebitID, DebitID: d.DebitID, Status: status, ReasonCode: code,
					EffectiveDate: d.ActionDate,
				})
			}
		}
	}
}

func (w *world) tx(dir schemas.Direction, on civil.Date, cents int, text string) {
	at := on.In(schemas.Johannesburg).Add(9 * time.Hour)
	balance := schemas.Cents(500000)
	w.step(&schemas.Transaction{
		TransactionID: fmt.Sprintf("tx-%d", len(w.records)), TenantID: "tenant-1", CustomerID: "CUST0001", BookedAt: at,
		AmountCents: schemas.Cents(cents), Direction: dir,
		AccountID: "ACC-1", BalanceAfterCents: &balance, Description: text,
	})
}

func (w *world) years(months, spending int) {
	first := civil.Date{Year: 2024, Month: 1, Day: 1}
	w.step(schemas.Tick{Date: first.String()})
	w.step(&schemas.PolicyCommand{
		Action: schemas.PolicyImport, TenantID: "tenant-1", CustomerID: "CUST0001",
		PolicyNumber: "POL0001", Terms: &schemas.PolicyTerms{
			PremiumCents: 15000, ExternalCustomerRef: "EXT-000001", ProductCode: "FUNERAL_01", MandateReference: "M-0001",
		},
	})
	for i := range months {
		w.month(first.AddMonths(i), spending)
	}
}

func TestStateStaysSmall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rules.Default())
	w.years(24, 5)
	size, past := 0, len(w.Customer.Past.Find("POL0001").Packed) // which alone grows with the years
	for name, value := range rowsOf(t, w.Customer) {
		size += len(name) + len(value)
	}
	t.Logf("2 years of monthly history: %d bytes, %d of them past: %s", size, past, w.bytes(w.Customer))
	require.Less(t, size-past, 4000)
	require.Less(t, past, 20*65, "of months with a debit that failed and one that was paid")
	require.Equal(t, income.Monthly, w.Customer.Streams[0].Freq)
	w.replay()
}
