package demo

import (
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
)

// rowsOf reads made-up rows in the real file's columns.
func rowsOf(t *testing.T, lines ...string) []feed.Row {
	rows, err := feed.Read(strings.NewReader("account_id,date,type,operation,amount,balance,k_symbol,bank,"+
		"account\n"+strings.Join(lines, "\n")), "made-up.csv", "demo")
	require.NoError(t, err)
	return rows
}

func TestPremiumsAreFivePercentOfTheMedianMonth(t *testing.T) {
	policies := premiums(rowsOf(t,
		"11,1993-01-01,credit,transfer_in,1000.00,1000.00,,,",
		"12,1993-01-15,credit,cash_deposit,50.00,50.00,,,",
		"13,1993-01-15,credit,cash_deposit,9000.00,9000.00,,,",
		"11,1993-02-10,credit,transfer_in,3000.19,4000.19,,,",
		"11,1993-02-28,credit,,500.00,4500.19,interest,,",
		"13,1993-03-15,credit,cash_deposit,8000.00,17000.00,,,",
		"11,1993-03-15,credit,transfer_in,2000.00,6500.19,,,",
		"14,1993-04-02,credit,transfer_in,2000.00,2000.00,,,",
		"11,1993-04-15,credit,transfer_in,9000.00,15500.19,,,",
		"12,1993-04-30,debit,,10.00,40.00,,,",
		"13,1993-04-30,debit,,10.00,16990.00,,,"))
	require.Equal(t, []realPolicy{
		// 1000.00, 3000.19, 2000.00: interest is no income, April is not over
		{account: "11", customer: "CZ11", premium: 10_000, first: "1993-01", end: "1993-04"},
		// no income in February and March: the least premium
		{account: "12", customer: "CZ12", premium: 1_000, first: "1993-02", end: "1993-04"},
		// 0 and 8000.00; January was not full
		{account: "13", customer: "CZ13", premium: 20_000, first: "1993-02", end: "1993-04"},
	}, policies)
	require.Equal(t, "customer_id,external_customer_ref,policy_number,product_code,collection_amount\nCZ11,11,"+
		"POL11,REAL_05,100.00\n", string(realCSV(policies[:1])))
}

func TestTheRealBankAnswersFromRealBalances(t *testing.T) {
	rows := rowsOf(t,
		"11,1993-01-05,credit,,500.00,500.00,,,",
		"11,1993-02-10,debit,,100.00,400.00,,,")
	b := newRealBank(rows, false)
	b.open(rows[0].Date, rows[:1])
	pay := func(day civil.Date, id string, cents schemas.Cents) schemas.ResultStatus {
		out, err := b.present(day, []schemas.DebitInstruction{{
			DebitID: id, CustomerID: "CZ11", AmountCents: cents,
			ActionDate: day.String(),
		}})
		require.NoError(t, err)
		return out[0].Status
	}
	require.Equal(t, schemas.ResultPaid, pay(rows[0].Date, "A", 30_000))
	require.Equal(t, schemas.ResultUnpaid, pay(rows[0].Date, "B", 20_001), "R 200.00 are left this month")
	require.Equal(t, schemas.ResultPaid, pay(rows[0].Date, "C", 20_000))
	b.open(rows[1].Date, rows[1:])
	require.Equal(t, schemas.Cents(40_000), *rows[1].BalanceAfterCents, "a new month has lived with the last one's debits")
	require.Equal(t, schemas.ResultPaid, pay(rows[1].Date, "D", 40_000))
	require.Equal(t, schemas.Cents(90_000), b.book.Collected(""))

	_, err := b.present(rows[1].Date, []schemas.DebitInstruction{{
		DebitID: "D", CustomerID: "CZ11", AmountCents: 1,
		ActionDate: rows[1].Date.String(),
	}})
	require.ErrorContains(t, err, "debit D twice")
	_, err = b.present(rows[1].Date, []schemas.DebitInstruction{{
		DebitID: "E", CustomerID: "CZ99", AmountCents: 1,
		ActionDate: rows[1].Date.String(),
	}})
	require.ErrorContains(t, err, "no account")
}

func TestWithoutTheBufferEveryMonthTouchesZero(t *testing.T) {
	rows := rowsOf(t,
		"11,1993-01-05,credit,,500.00,500.00,,,",
		"11,1993-01-05,debit,,400.00,100.00,,,", // the day's end counts, not what was between
		"11,1993-01-20,credit,,300.00,400.00,,,",
		"11,1993-03-10,credit,,900.00,1300.00,,,",
		"11,1993-03-20,debit,,1000.00,300.00,,,")
	require.Equal(t, map[string]map[schemas.Period]schemas.Cents{"CZ11": {
		"1993-01": 10_000, "1993-02": 40_000,
		"1993-03": 30_000,
	}}, lowest(rows))
	b := newRealBank(rows, true)
	b.open(rows[3].Date, rows[3:4])
	require.Equal(t, schemas.Cents(100_000), b.accounts["CZ11"].available("1993-03"))
	b.open(rows[4].Date, rows[4:])
	require.Zero(t, b.accounts["CZ11"].available("1993-03"))
	require.Nil(t, rows[4].BalanceAfterCents, "the feed promises nothing")
}

func TestSpreadKeepsEachAccountsOwnOrder(t *testing.T) {
	rows := rowsOf(t,
		"11,1993-01-05,credit,,500.00,500.00,,,",
		"12,1993-01-05,credit,,500.00,500.00,,,",
		"11,1993-01-09,debit,,100.00,400.00,,,",
		"12,1993-01-09,debit,,100.00,400.00,,,")
	before := map[string]civil.Date{"11": rows[0].Date, "12": rows[1].Date}
	got := spreadAccounts(slices.Clone(rows))
	require.True(t, slices.IsSortedFunc(got, func(a, b feed.Row) int { return a.Date.Compare(b.Date) }))
	shift := map[string]int{}
	for _, r := range got {
		require.Equal(t, r.Date, schemas.DateIn(r.BookedAt))
		if _, seen := shift[r.AccountID]; !seen {
			shift[r.AccountID] = r.Date.DaysSince(before[r.AccountID])
			require.GreaterOrEqual(t, shift[r.AccountID], 0)
			require.Less(t, shift[r.AccountID], 28)
			continue
		}
		require.Equal(t, shift[r.AccountID]+4, r.Date.DaysSince(before[r.AccountID]))
	}
}

func TestUpToEndsWithTheDay(t *testing.T) {
	rows := rowsOf(t, "11,1993-01-05,credit,,5.00,5.00,,,", "12,1993-01-05,credit,,5.00,5.00,,,",
		"11,1993-01-06,credit,,5.00,10.00,,,")
	require.Len(t, upTo(rows, rows[0].Date), 2)
	require.Empty(t, upTo(rows, rows[0].Date.AddDays(-1)))
}

func TestFixedDaysAreTheMeasureToBeat(t *testing.T) {
	rows := rowsOf(t,
		"11,1993-01-01,credit,transfer_in,1000.00,1000.00,,,",
		"11,1993-01-20,debit,,950.01,49.99,,,",
		"11,1993-02-10,credit,transfer_in,1000.00,1049.99,,,",
		"11,1993-03-01,debit,,1.00,1048.99,,,")
	f := onFixedDays(rows, premiums(rows), newRealBank(rows, false)) // the premium is R 50.00
	require.Equal(t, 2, f.Attempts)
	require.Equal(t, 1, f.Paid[9])
	require.Equal(t, 2, f.Paid[10])
	require.Equal(t, 1, f.Paid[28])
	require.Equal(t, 10, f.best())
	require.Equal(t, 1, f.worst())
	f = onFixedDays(rows, premiums(rows), newRealBank(rows, true))
	require.Equal(t, []int{1, 1, 1}, []int{f.Paid[9], f.Paid[10] - 1, f.Paid[28]},
		"without the buffer January ends and February begins dry")
}
