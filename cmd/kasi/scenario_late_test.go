package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// CONTRACT 4.9: the bank takes premiums back 200 days and two years after it paid them. Each becomes an adjustment of
// the next statement, once, also where the product was killed meanwhile; a dispute has its window all the same.
func TestScenarioMoneyGoesBackHoweverLate(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policies(",collection_day", "C1,E,HALFYEAR,F,150.00,5", "C2,E,TWOYEARS,F,200.00,5", "C3,E,DISPUTED,F,70.00,5",
		"C4,E,STAYS,F,1000.00,5")
	p.execute("2025-11", 4)
	bank := p.bank(paysAll)
	bank.until("2025-11-05", "2025-12-02")
	first := p.settle(testKey, "2025-11")
	require.Equal(t, "1420.00", first.Total.String())
	old := map[string]debit{}
	for _, d := range p.debits() {
		old[d.PolicyNumber] = d
	}
	late := func(id, policy, status, date, code string) {
		p.send("kasi.rail.results.v1", "", map[string]any{
			"result_id": id, "debit_id": old[policy].DebitID, "status": status, "effective_date": date, "reason_code": code,
			"reason_scheme": "ZA",
		})
	}

	p.advance("2026-05-01")
	p.execute("2026-05", 4)
	bank.until("2026-05-06", "2026-05-24")
	late("half", "HALFYEAR", "UNPAID", "2026-05-24", "02")
	late("half", "HALFYEAR", "UNPAID", "2026-05-24", "02")
	late("disputed", "DISPUTED", "DISPUTED", "2026-05-24", "30")
	bank.until("2026-06-02")
	may := p.settle(testKey, "2026-05")
	require.Equal(t, "1270.00", may.Total.String(), "1420.00 of May less 150.00 of November")
	require.Len(t, strings.Split(may.lines, "\n"), 5)
	require.Contains(t, may.lines, "ADJUSTMENT")
	require.Equal(t, "150.00,0.00,150.00,UNPAID,2025-11-05,2025-11-05,1,INSUFFICIENT_FUNDS", p.ends("2025-11", "HALFYEAR"))

	p.advance("2027-11-01")
	p.execute("2027-11", 4)
	bank.until("2027-11-05")
	p.crash("2027-11-05")
	late("years", "TWOYEARS", "UNPAID", "2027-11-05", "04")
	late("half again", "HALFYEAR", "UNPAID", "2026-05-24", "02")
	bank.until("2027-11-06", "2027-12-02")
	again := p.settle(testKey, "2027-11")
	require.Equal(t, "1220.00", again.Total.String(), "1420.00 less 200.00")
	require.Equal(t, "200.00,0.00,200.00,UNPAID,2025-11-05,2025-11-05,1,PAYMENT_STOPPED", p.ends("2025-11", "TWOYEARS"))
	require.NotNil(t, p.lookup("TWOYEARS").HoldReason)
	require.Equal(t, first.export, p.statement(testKey, first.ID).export, "the closed statement is as it was")

	letters := p.deadLetters()
	require.Len(t, letters, 1)
	require.Equal(t, "DISPUTE_TOO_LATE", letters[0].class)
	require.Contains(t, p.ends("2025-11", "DISPUTED"), "70.00,70.00,0.00,PAID_FULL")
	require.Equal(t, "ok", p.sound())
	out, err := p.command(t.Context(), "verify", "--kafka-brokers", p.kafka, "--clickhouse-http", p.clickhouse, "--wait",
		"60s").CombinedOutput()
	require.NoError(t, err, string(out))
}
