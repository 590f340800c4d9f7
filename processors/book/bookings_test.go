package book

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// booking is "id amount" and what else is said: ">id" replaces another, "-" is a debit that reverses, "?" is pending,
// "@n" is so many days after the first day.
func booking(t *testing.T, text string) *schemas.Transaction {
	t.Helper()
	tx := &schemas.Transaction{
		TenantID: "T", CustomerID: "C", AccountID: "A", Direction: schemas.Credit, Description: "ACME SALARY",
		State: schemas.Booked,
	}
	day := schemas.Day(20390)
	for i, f := range strings.Fields(text) {
		switch {
		case i == 0:
			tx.TransactionID = f
		case i == 1:
			cents, err := schemas.ParseRands(f)
			require.NoError(t, err)
			tx.AmountCents = cents
		case f == "-":
			tx.Direction, tx.Description = schemas.Debit, "ACME SALARY REVERSED"
		case f == "?":
			tx.State = schemas.Pending
		case f[0] == '>':
			tx.ReplacesTransactionID = f[1:]
		case f[0] == '@':
			var n schemas.Day
			_, err := fmt.Sscan(f[1:], &n)
			require.NoError(t, err)
			day += n
		}
	}
	hour := 8 * time.Hour
	if tx.Direction == schemas.Debit {
		hour = 14 * time.Hour
	}
	tx.BookedAt = day.Date().In(schemas.Johannesburg).Add(hour)
	return tx
}

// TestBookingsInAnyOrder brings what belongs together in all orders: the money and the streams end the same.
func TestBookingsInAnyOrder(t *testing.T) {
	t.Parallel()
	law := rules.Default()
	for _, c := range []struct {
		name     string
		bookings []string
		money    string // what may be debited
		stream   string // days and rands that the stream has paid
	}{
		{"a salary and its reversal", []string{"t1 8500.00", "t2 8500.00 -"}, "0.00", ""},
		{"two salaries, one reversed", []string{"t1 8500.00", "t2 8500.00", "t3 8500.00 - @1"}, "8500.00", "20390 8500.00"},
		{"the reversal twice", []string{"t1 8500.00", "t2 8500.00 -", "t2 8500.00 -"}, "0.00", ""},
		{"the salary twice", []string{"t1 8500.00", "t1 8500.00", "t2 8500.00 -"}, "0.00", ""},
		{"of another amount", []string{"t1 8500.00", "t2 8400.00 -"}, "8500.00", "20390 8500.00"},
		{"from before the salary", []string{"t1 8500.00 @1", "t2 8500.00 -"}, "8500.00", "20391 8500.00"},
		{"long after it", []string{"t1 8500.00", "t2 8500.00 - @11"}, "8500.00", "20390 8500.00"},
		{"pending under the same id", []string{"t1 8500.00 ?", "t1 8500.00"}, "8500.00", "20390 8500.00"},
		{"pending under another id, for less", []string{"t0 8000.00 ?", "t1 8500.00"}, "8500.00", "20390 8500.00"},
		{"pending, booked and reversed", []string{"t1 8500.00 ?", "t1 8500.00", "t2 8500.00 -"}, "0.00", ""},
		{"a reversal that is pending", []string{"t1 8500.00", "t2 8500.00 - ?"}, "8500.00", "20390 8500.00"},
		{"replaced", []string{"t1 8500.00", "t2 8400.00 >t1"}, "8400.00", "20390 8400.00"},
		{"replaced twice", []string{"t1 8500.00", "t2 8400.00 >t1", "t3 8300.00 >t2"}, "8300.00", "20390 8300.00"},
		{"replaced, and reversed", []string{"t1 8500.00", "t2 8400.00 >t1", "t3 8400.00 -"}, "0.00", ""},
		{"replaced by the same amount, and reversed", []string{"t1 8500.00", "t2 8500.00 >t1", "t3 8500.00 -"}, "0.00", ""},
		{
			"replaced; the reversal is of what was replaced",
			[]string{"t1 8500.00", "t2 8400.00 >t1", "t3 8500.00 -"},
			"8400.00", "20390 8400.00",
		},
		{
			"replaced, beside another of its day",
			[]string{"t1 8500.00", "t2 8500.00 >t1", "t3 8500.00 -", "t4 100.00"},
			"100.00", "20390 100.00",
		},
	} {
		for order := range permutations(len(c.bookings)) {
			r, cust, out := law, &Customer{}, &Outputs{}
			var told []string
			for _, i := range order {
				told = append(told, c.bookings[i])
				b := Open(r, cust, schemas.Moment{Date: schemas.Day(20405).Date(), Cutoff: 1, At: time.Unix(20405*86400, 0)}, out)
				require.NoError(t, b.Transaction(booking(t, c.bookings[i])), c.name)
			}
			var money schemas.Cents
			for i := range cust.Deposits {
				money += cust.Deposits[i].Remaining
			}
			var stream []string
			for _, s := range cust.Streams {
				for _, e := range s.History {
					stream = append(stream, fmt.Sprint(e[0], " ", schemas.Cents(e[1]).String()))
				}
			}
			detected := map[int]schemas.Cents{} // by the events
			for _, e := range out.Deposits {
				if detected[e.DepositNo] = e.AmountCents; e.TakenBack != "" {
					detected[e.DepositNo] = 0
				}
			}
			var byEvents schemas.Cents
			for _, cents := range detected {
				byEvents += cents
			}
			what := fmt.Sprintf("%s: %s", c.name, strings.Join(told, "; "))
			require.Equal(t, c.money, money.String(), what)
			require.Equal(t, c.money, byEvents.String(), "the events, "+what)
			require.Equal(t, c.stream, strings.Join(stream, ", "), what)
		}
	}
}

// permutations are all orders of n things.
func permutations(n int) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		var rest func(done, left []int) bool
		rest = func(done, left []int) bool {
			if len(left) == 0 {
				return yield(done)
			}
			for i := range left {
				if !rest(append(slices.Clone(done), left[i]), slices.Delete(slices.Clone(left), i, i+1)) {
					return false
				}
			}
			return true
		}
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		rest(nil, all)
	}
}
