package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// CONTRACT 4.4 to 4.6 and 4.10: when money is there, and who gets it.

func TestScenarioWhenMoneyComes(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policies(",collection_day",
		"FRIDAY,E,FRIDAY,F,150.00,28", "SATURDAY,E,SATURDAY,F,150.00,28", "HOLIDAY,E,HOLIDAY,F,150.00,5",
		"HISTORY,E,HISTORY,F,150.00,5",
		"WEEKLY,E,WEEKLY,F,150.00,5", "SMALL,E,SMALL,F,150.00,28", "ANNOUNCED,E,ANNOUNCED,F,150.00,28",
		"PAID,E,PAID,F,150.00,28", "TAKENBACK,E,TAKENBACK,F,150.00,28",
		"AWAY,E,AWAY,F,150.00,5")
	p.execute("2025-11", 10)
	p.credit("FRIDAY", "2025-11-14", 850000, "SALARY")
	p.credit("SATURDAY", "2025-11-15", 850000, "SALARY")
	for _, m := range []string{"2025-08", "2025-09", "2025-10", "2025-11"} {
		p.credit("HISTORY", m+"-25", 850000, "SALARY ACME")
	}
	for _, d := range []string{
		"2025-10-07", "2025-10-14", "2025-10-21", "2025-10-28", "2025-11-04", "2025-11-11",
		"2025-11-18", "2025-11-25",
	} {
		p.credit("WEEKLY", d, 60000, "WAGES FARM")
	}
	for _, d := range []string{"2025-11-05", "2025-11-12", "2025-11-19"} {
		p.credit("SMALL", d, 6000, "WAGES FARM")
	}
	p.income("ANNOUNCED", "a1", "GRANT", "2025-11-04", "ANNOUNCED", 0)
	p.income("PAID", "p1", "GRANT", "2025-11-04", "ANNOUNCED", 232500)
	p.income("PAID", "p1", "GRANT", "2025-11-04", "PAID", 232500)
	p.income("TAKENBACK", "t1", "GRANT", "2025-11-04", "ANNOUNCED", 232500)
	p.income("TAKENBACK", "t1", "GRANT", "2025-11-04", "CANCELLED", 232500)

	bank := p.bank(func(d debit) (string, string) {
		if d.PolicyNumber == "HOLIDAY" && d.PeriodMonth == "2025-11" || d.PolicyNumber == "AWAY" {
			return "UNPAID", "02"
		}
		return "PAID", ""
	})
	bank.until("2025-11-05", "2025-11-06", "2025-11-13", "2025-11-17", "2025-11-20", "2025-11-24")
	require.Empty(t, p.dates("HISTORY"), "no attempt before payday")
	bank.until("2025-11-28", "2025-11-30")
	require.Equal(t, []string{"2025-11-17 2025-11 15000"}, p.dates("FRIDAY"), "money of a Friday is debited on the Monday")
	require.Equal(t, []string{"2025-11-17 2025-11 15000"}, p.dates("SATURDAY"),
		"money of a Saturday is debited on the Monday")
	require.Equal(t, []string{"2025-11-26 2025-11 15000"}, p.dates("HISTORY"), "one debit on the banking day after payday")
	require.Equal(t, []string{"2025-11-05 2025-11 15000"}, p.dates("WEEKLY"), "the first wage of the period pays")
	require.Equal(t, []string{"2025-11-06 2025-11 6000", "2025-11-13 2025-11 6000", "2025-11-20 2025-11 3000"},
		p.dates("SMALL"), "parts until the due amount is reached")
	require.Equal(t, []string{"2025-11-05 2025-11 15000"}, p.dates("ANNOUNCED"),
		"announced and no bank feed: the day after")
	require.Equal(t, []string{"2025-11-05 2025-11 15000"}, p.dates("PAID"), "the pay list says paid")
	require.Equal(t, []string{"2025-11-28 2025-11 15000"}, p.dates("TAKENBACK"),
		"nothing known after all: the policy's own day")
	require.Equal(t, []string{"2025-11-05 2025-11 15000"}, p.dates("AWAY"), "no money, no second attempt")
	require.Equal(t, "150.00,0.00,150.00,UNPAID,2025-11-05,2025-11-05,1,INSUFFICIENT_FUNDS", p.ends("2025-11", "AWAY"))

	p.advance("2025-12-01")
	code, body := p.call("POST", "/v1/collections/execute", "application/json",
		`{"period_month":"2025-12","policy_ids":["HOLIDAY"]}`)
	require.Equal(t, 202, code, body)
	p.credit("HOLIDAY", "2025-12-15", 850000, "SALARY") // a Monday; Tuesday the 16th is the Day of Reconciliation
	bank.until("2025-12-05", "2025-12-16")
	before := len(p.dates("HOLIDAY"))
	bank.until("2025-12-17")
	require.Contains(t, p.dates("HOLIDAY"), "2025-12-17 2025-11 15000", "not on a public holiday, and the arrears too")
	require.Greater(t, len(p.dates("HOLIDAY")), before)
	for _, d := range p.debits() {
		require.NotEqual(t, "2025-12-16", d.ActionDate)
	}
}

func TestScenarioPoliciesShareDeposits(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policies(",collection_day", "SHARE,E,S1,F,100.00,10", "SHARE,E,S2,F,100.00,5", "SHARE,E,S3,F,100.00,5",
		"ARREARS,E,A1,F,100.00,6", "ARREARS,E,A2,F,100.00,5")
	p.execute("2025-11", 5)
	p.credit("SHARE", "2025-11-03", 15000, "piece job")
	bank := p.bank(func(d debit) (string, string) {
		if d.PolicyNumber == "A1" && d.PeriodMonth == "2025-11" && d.Attempt == 1 {
			return "UNPAID", "02"
		}
		return "PAID", ""
	})
	bank.until("2025-11-04")
	require.Equal(t, []string{"2025-11-03 2025-11 10000"}, p.dates("S2"), "the earliest due date first")
	require.Equal(t, []string{"2025-11-03 2025-11 5000"}, p.dates("S3"), "what is left of the deposit")
	require.Empty(t, p.dates("S1"))
	p.credit("SHARE", "2025-11-06", 5000, "piece job")
	bank.until("2025-11-06", "2025-11-07")
	require.Equal(t, []string{"2025-11-03 2025-11 5000", "2025-11-06 2025-11 5000"}, p.dates("S3"))
	require.Empty(t, p.dates("S1"))
	bank.until("2025-12-01")
	p.execute("2025-12", 5)
	p.credit("ARREARS", "2025-12-02", 25000, "piece job")
	bank.until("2025-12-02", "2025-12-03")
	require.Equal(t, []string{"2025-11-06 2025-11 10000", "2025-12-02 2025-11 10000", "2025-12-02 2025-12 5000"},
		p.dates("A1"), "arrears first")
	require.Equal(t, []string{"2025-11-05 2025-11 10000", "2025-12-02 2025-12 10000"}, p.dates("A2"))
}
