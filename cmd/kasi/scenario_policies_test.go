package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// CONTRACT 4.1 to 4.3 and 4.8: what the insurer changes, and what rail and mandate allow.

func TestScenarioPolicyChanges(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policies("", "C1,E,FLYING,F,150.00", "C2,E,BOUNCED,F,150.00", "C3,E,LAPSED,F,150.00", "C4,E,UP,F,150.00",
		"C5,E,DOWN,F,150.00", "C6,E,PAIDBEFORE,F,150.00", "C7,E,PART,F,150.00",
		"C8,E,BACK,F,150.00")
	p.execute("2025-11", 8)
	p.credit("C7", "2025-11-04", 6000, "piece job")
	p.advance("2025-11-05")
	fly := map[string]debit{}
	for _, d := range p.debits() {
		fly[d.PolicyNumber] = d
	}
	require.Len(t, fly, 8)
	p.answer(fly["PAIDBEFORE"], "PAID", "")
	p.answer(fly["PART"], "PAID", "")
	p.answer(fly["LAPSED"], "UNPAID", "02")
	p.answer(fly["BACK"], "UNPAID", "02")
	p.advance("2025-11-06")
	for _, n := range []string{"FLYING", "BOUNCED", "PAIDBEFORE", "PART"} {
		p.patch(n, `{"status":"cancelled"}`)
	}
	p.patch("LAPSED", `{"status":"lapsed"}`)
	p.patch("BACK", `{"status":"lapsed"}`)
	p.patch("UP", `{"collection_amount":200.00}`)
	p.patch("DOWN", `{"collection_amount":99.99}`)
	require.Equal(t, "150.00,0.00,150.00,CANCELLED,2025-11-05,2025-11-05,1,", p.ends("2025-11", "FLYING"),
		"from the moment the change is accepted")
	p.answer(fly["FLYING"], "PAID", "")
	p.answer(fly["BOUNCED"], "UNPAID", "02")
	p.answer(fly["UP"], "PAID", "")
	p.answer(fly["DOWN"], "UNPAID", "02")
	for _, c := range []string{"C1", "C2", "C3", "C5", "C6", "C7", "C8"} {
		p.credit(c, "2025-11-25", 850000, "SALARY")
	}
	bank := p.bank(func(d debit) (string, string) {
		if d.Attempt == 1 {
			return "", ""
		}
		return "PAID", ""
	})
	bank.until("2025-11-18")
	p.patch("BACK", `{"status":"active"}`)
	bank.until("2025-11-26", "2025-12-01")
	require.Equal(t, "150.00,150.00,0.00,CANCELLED,2025-11-05,2025-11-05,1,", p.ends("2025-11", "FLYING"),
		"the result is honoured, the money visible")
	require.Equal(t, "150.00,0.00,150.00,CANCELLED,2025-11-05,2025-11-05,1,INSUFFICIENT_FUNDS",
		p.ends("2025-11", "BOUNCED"))
	require.Equal(t, "150.00,0.00,150.00,CANCELLED,2025-11-05,2025-11-05,1,INSUFFICIENT_FUNDS",
		p.ends("2025-11", "LAPSED"))
	require.Equal(t, "150.00,150.00,0.00,PAID_FULL,2025-11-05,2025-11-05,1,", p.ends("2025-11", "PAIDBEFORE"))
	require.Equal(t, "150.00,60.00,90.00,CANCELLED,2025-11-04,2025-11-04,1,", p.ends("2025-11", "PART"))
	require.Equal(t, "150.00,150.00,0.00,PAID_FULL,2025-11-05,2025-11-05,1,", p.ends("2025-11", "UP"))
	require.Equal(t, "150.00,150.00,0.00,PAID_FULL,2025-11-05,2025-11-26,2,", p.ends("2025-11", "DOWN"),
		"the running collection keeps its amount")
	require.Equal(t, "150.00,150.00,0.00,PAID_FULL,2025-11-05,2025-11-26,2,", p.ends("2025-11", "BACK"),
		"active again: collected again")
	require.Len(t, p.debits(), 10)
	p.execute("2025-12", 3)
	p.advance("2025-12-01")
	require.Len(t, p.report("2025-12"), 3, "cancelled and lapsed policies are not executed")
	require.Contains(t, p.ends("2025-12", "UP"), "200.00,0.00,200.00,UNPAID,")
	require.Contains(t, p.ends("2025-12", "DOWN"), "99.99,0.00,99.99,UNPAID,")
	code, body := p.call("PATCH", "/v1/policies/"+p.lookup("FLYING").ID, "application/json", `{"status":"active"}`)
	require.Equal(t, 200, code, body, "a cancellation can be taken back for 30 days")
}

func TestScenarioRailsAndMandates(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policies(",rail,mandate_fixed,mandate_max_amount,collection_day",
		"E1,E,EFT1,F,150.00,EFT,,,", "E2,E,EFTPART,F,150.00,EFT,,,", "F1,E,FIXED,F,300.00,DEBICHECK,true,,28",
		"M1,E,MAXIMUM,F,300.00,RM,false,200.00,28", "I1,E,IMPOSSIBLE,F,300.00,DEBICHECK,true,200.00,")
	p.execute("2025-11", 5)
	p.credit("E2", "2025-11-03", 9000, "piece job") // a part: never on EFT
	p.credit("F1", "2025-11-04", 8000, "piece job")
	p.credit("F1", "2025-11-12", 22000, "piece job")
	p.credit("E1", "2025-11-14", 850000, "SALARY")
	p.credit("M1", "2025-11-14", 850000, "SALARY")
	bank := p.bank(func(d debit) (string, string) {
		if d.Rail == "EFT" {
			return "UNPAID", "02"
		}
		return "PAID", ""
	})
	bank.until("2025-11-05", "2025-11-12", "2025-11-13", "2025-11-17", "2025-11-18", "2025-11-30")
	require.Equal(t, []string{"2025-11-05 2025-11 15000"}, p.dates("EFT1"),
		"one presentment a cycle, whatever money comes")
	require.Len(t, p.dates("EFTPART"), 1)
	require.Contains(t, p.dates("EFTPART")[0], " 2025-11 15000", "no part on EFT")
	fixed := p.dates("FIXED")
	require.Len(t, fixed, 1)
	require.Contains(t, fixed[0], " 2025-11 30000", "a fixed mandate takes all or nothing")
	require.Equal(t, []string{"2025-11-17 2025-11 20000", "2025-11-18 2025-11 10000"}, p.dates("MAXIMUM"),
		"never above the maximum")
	require.Empty(t, p.dates("IMPOSSIBLE"))
	require.Nil(t, p.lookup("EFT1").HoldReason, "one unpaid ends nothing")
	p.advance("2025-12-01")
	p.execute("2025-12", 5)
	bank.until("2025-12-05", "2025-12-31")
	require.Len(t, p.dates("EFT1"), 2)
	p.advance("2026-01-01")
	require.NotNil(t, p.lookup("EFT1").HoldReason, "two in a row end the mandate")
	p.credit("E1", "2026-01-06", 850000, "SALARY")
	p.execute("2026-01", 5)
	bank.until("2026-01-09")
	require.Len(t, p.dates("EFT1"), 2, "no mandate, no debit")
	for _, d := range p.dates("EFT1") {
		require.NotContains(t, d, " 2026-01 ")
	}
}
