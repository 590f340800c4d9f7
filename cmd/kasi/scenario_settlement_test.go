package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// CONTRACT 4.9 and section 5: a closed statement never changes; what comes later is a further statement or an
// adjustment.

func TestScenarioMoneyGoesBackAfterTheStatement(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policies(",collection_day", "C1,E,STAYS,F,1000.00,5", "C2,E,LATE,F,150.00,28", "C3,E,DISPUTED,F,200.33,5",
		"C4,E,LATECOMER,F,75.25,28")
	p.execute("2025-11", 4)
	byPolicy := func() map[string]debit {
		out := map[string]debit{}
		for _, d := range p.debits() {
			if d.PeriodMonth == "2025-11" {
				out[d.PolicyNumber] = d
			}
		}
		return out
	}
	bank := p.bank(func(d debit) (string, string) {
		if d.PolicyNumber == "LATECOMER" {
			return "", ""
		}
		return "PAID", ""
	})
	bank.until("2025-11-05", "2025-11-28", "2025-12-02")
	nov := byPolicy()
	first := p.settle(testKey, "2025-11")
	require.Equal(t, "SETTLE-2025-11-001", first.Number)
	require.Equal(t, "1350.33", first.Total.String())
	// 337.5825 -> 337.58; 47.26155 -> 47.26; fees 384.84; VAT 57.726 -> 57.73; net 907.76
	require.Equal(t, []string{"337.58", "47.26", "384.84", "57.73", "907.76"}, []string{
		first.Distribution.String(),
		first.Collections.String(), first.Fees.String(), first.VAT.String(), first.Net.String(),
	})
	require.Equal(t, "2025-12-03", first.PaymentDate)
	require.Equal(t, "EFT-20251203-001", first.PaymentRef)
	require.Equal(t, first.ID, p.settle(testKey, "2025-11").ID, "the same call again")

	p.send("kasi.rail.results.v1", "", map[string]any{
		"result_id": "late", "debit_id": nov["LATE"].DebitID,
		"status": "UNPAID", "effective_date": "2025-12-02", "reason_code": "02", "reason_scheme": "ZA",
	})
	p.answer(nov["LATECOMER"], "PAID", "")
	second := p.settle(testKey, "2025-11")
	require.Equal(t, "SETTLE-2025-11-002", second.Number, "movements after it")
	require.Equal(t, "-74.75", second.Total.String(), "75.25 came, 150.00 went back")
	require.Len(t, strings.Split(second.lines, "\n"), 2)
	require.Contains(t, second.lines, "COLLECTION,2025-11,C4,E,LATECOMER,F,75.25")
	require.Contains(t, second.lines, "ADJUSTMENT,2025-11,C2,E,LATE,F,-150.00", "the first statement had counted it")
	require.Equal(t, "carried_forward", second.Status)
	require.Empty(t, second.PaymentRef)
	require.Equal(t, second.ID, p.settle(testKey, "2025-11").ID)
	p.advance("2025-12-02")
	require.Equal(t, first, p.statement(testKey, first.ID), "the closed statement is as it was")
	require.Equal(t, "150.00,0.00,150.00,UNPAID,2025-11-28,2025-11-28,1,INSUFFICIENT_FUNDS", p.ends("2025-11", "LATE"),
		"the report shows the truth")

	code, body := p.call("POST", "/v1/collections/execute", "application/json",
		`{"period_month":"2025-12","policy_ids":["STAYS","DISPUTED"]}`)
	require.Equal(t, 202, code, body)
	bank.until("2025-12-03", "2025-12-05", "2025-12-10")
	require.Equal(t, "paid", p.statement(testKey, first.ID).Status)
	p.send("kasi.rail.results.v1", "", map[string]any{
		"result_id": "disp", "debit_id": nov["DISPUTED"].DebitID,
		"status": "DISPUTED", "effective_date": "2025-12-10", "reason_code": "30", "reason_scheme": "ZA",
	})
	bank.until("2025-12-31", "2026-01-02")
	dec := p.settle(testKey, "2025-12")
	require.Equal(t, "SETTLE-2025-12-001", dec.Number)
	require.Equal(t, "1000.00", dec.Total.String(), "1200.33 of December less the disputed 200.33 of November")
	require.Equal(t, "2026-01-02", dec.PaymentDate, "3 January is a Saturday")
	require.Equal(t, "EFT-20260102-001", dec.PaymentRef)
	require.Equal(t, second.Net, dec.BroughtForward, "November's second statement is taken up")
	require.Equal(t, "622.01", dec.Payable.String(), "672.25 less 50.24")
	bank.until("2026-01-02")
	require.Equal(t, "paid", p.statement(testKey, dec.ID).Status)
	require.Equal(t, "carried_forward", p.statement(testKey, second.ID).Status)
	require.Equal(t, "907.76\n622.01", p.sql("SELECT amount FROM payouts ORDER BY payment_date"))
	require.Equal(t, "0", p.sql("SELECT count() FROM settlement_proof WHERE NOT ok"))
	require.Equal(t, "0", p.sql("SELECT sum(cents) FROM ledger"))
	require.Equal(t, "-1529.77\n0\n0", p.sql("SELECT amount FROM ledger_balances WHERE account IN ('paid', 'payable', "+
		"'unsettled') ORDER BY account"))
	require.Len(t, strings.Split(dec.lines, "\n"), 3)
	require.Contains(t, dec.lines, "-200.33")
	require.Contains(t, dec.lines, "ADJUSTMENT")
	require.Equal(t, first.lines, p.statement(testKey, first.ID).lines)
	require.Equal(t, second.lines, p.statement(testKey, second.ID).lines)
	require.Equal(t, second.ID, p.settle(testKey, "2025-11").ID, "the dispute was settled with December, not once more")
	require.Contains(t, p.ends("2025-11", "DISPUTED"), "200.33,0.00,200.33,UNPAID,2025-11-05,2025-11-05,1,")
	require.NotNil(t, p.lookup("DISPUTED").HoldReason)

	// What every figure must add up to, asked as an analyst asks.
	require.Equal(t, "0",
		p.sql("SELECT count() FROM settlements AS s LEFT JOIN (SELECT settlement_id, sum(amount) AS amount FROM "+
			"settlement_lines GROUP BY settlement_id) AS l USING settlement_id WHERE s.total_collections != l.amount OR "+
			"s.net_amount != s.total_collections - s.total_fees - s.vat OR s.total_fees != s.distribution_fee + "+
			"s.collections_fee"))
	require.Equal(t, "0",
		p.sql("SELECT count() FROM collections AS c LEFT JOIN (SELECT collection_id, sum(moved) AS moved FROM movements "+
			"GROUP BY collection_id) AS m USING collection_id WHERE c.collected != m.moved"))
	require.Equal(t, p.sql("SELECT sum(total_collections) FROM settlements"), p.sql("SELECT sum(moved) FROM movements"),
		"everything that moved was settled once")
}

func TestScenarioNothingToSettle(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	code, body := p.call("POST", "/v1/settlements", "application/json", `{"period_month":"2025-11"}`)
	require.Equal(t, 409, code, body)
	require.Contains(t, body, "PERIOD_OPEN")
	require.Contains(t, body, "2025-12-01")
	p.policies("", "C1,E,POL1,F,100.00")
	p.execute("2025-11", 1)
	p.advance("2025-12-02")
	s := p.settle(testKey, "2025-11")
	require.Equal(t, "0.00", s.Total.String())
	require.Equal(t, "0.00", s.Net.String())
	require.Empty(t, s.lines)
}
