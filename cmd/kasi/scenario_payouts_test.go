package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shell runs a command against the product, as a shell would, in a folder.
func (p *product) shell(dir string, args ...string) (string, error) {
	cmd := p.command(p.t.Context(), args...)
	cmd.Dir, cmd.Stdin = dir, p.input
	cmd.Env = append(cmd.Env, "KASI_API=http://"+p.http, "KASI_API_KEY="+testKey, "KASI_KAFKA="+p.kafka)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// CONTRACT 5: a statement is paid once, whatever is killed, and with confirmed payouts when the bank says so. A
// disputed one waits; one whose payout failed waits for an operator.
func TestScenarioConfirmedPayouts(t *testing.T) {
	t.Parallel()
	p := embeddedProduct(t)
	p.env = append(p.env, "KASI_PAYOUTS=confirmed")
	dir := t.TempDir()
	p.up(dir, "2025-11-01")
	p.policies(",collection_day", "C1,E,POL1,F,1000.00,5")
	p.execute("2025-11", 1)
	p.bank(func(debit) (string, string) { return "PAID", "" }).until("2025-11-05", "2025-12-02")
	s := p.settle(testKey, "2025-11")
	out, err := p.shell(dir, "settlements", "dispute", s.ID, "--reason", "who is POL1?")
	require.NoError(t, err, out)
	require.Equal(t, "SETTLE-2025-11-001 disputed\n", out)
	p.advance("2025-12-03")
	require.Equal(t, "0", p.sql("SELECT count() FROM payouts"), "a disputed statement is not paid")
	require.Equal(t, "-672.25", p.sql("SELECT amount FROM ledger_balances WHERE account = 'in_dispute'"))
	out, err = p.shell(dir, "settlements", "resolve", s.ID, "--note", "our own")
	require.NoError(t, err, out)

	p.advance("2025-12-04")
	require.NoError(t, p.process.Process.Kill())
	_ = p.process.Wait()
	p.up(dir, "2025-11-01")
	p.advance("2025-12-05")
	require.Equal(t, "672.25\t2025-12-04\tEFT-20251203-001\tINSTRUCTED",
		p.sql("SELECT amount, payment_date, payment_reference, payout_state FROM payouts"), "once, whatever is killed")
	require.Equal(t, "pending", p.statement(testKey, s.ID).Status)

	says := func(id, status, date string) {
		p.send("kasi.payout.results.v1", "", map[string]any{"payout_id": id, "status": status, "effective_date": date})
	}
	first := p.sql("SELECT payout_id FROM payouts")
	says(strings.Repeat("0", 12)+"8"+strings.Repeat("0", 3)+"8"+strings.Repeat("0", 15), "PAID", "2025-12-05")
	says("x", "PAID", "2025-12-05")
	says(first, "PAID", "2025-12-03")
	says(first, "PAID", "2025-12-31")
	says(strings.ToUpper(first), "FAILED", "2025-12-05")
	says(first, "FAILED", "2025-12-05")
	says(first, "PAID", "2025-12-05")
	p.advance("2025-12-08")
	require.Equal(t, "pending\tFAILED", p.sql("SELECT status, payout_state FROM settlements"))
	letters, err := p.shell(dir, "dlq", "list")
	require.NoError(t, err, letters)
	for class, n := range map[string]int{"UNKNOWN_PAYOUT": 2, "BAD_DATE": 2, "CONTRADICTS_FINAL": 1} {
		require.Equal(t, n, strings.Count(letters, class), "%s in\n%s", class, letters)
	}

	out, err = p.shell(dir, "settlements", "retry", s.ID, "--tenant", "demo")
	require.NoError(t, err, out)
	p.advance("2025-12-09")
	second := p.sql("SELECT payout_id FROM payouts WHERE payout_state = 'INSTRUCTED'")
	require.NotEqual(t, first, second)
	says(second, "PAID", "2025-12-09")
	p.advance("2025-12-10")
	require.Equal(t, "paid\tPAID\t2025-12-09", p.sql("SELECT status, payout_state, paid_date FROM settlements"))
	require.Equal(t, "1", p.sql("SELECT toUInt8(ok) FROM settlement_proof"))
	out, err = p.shell(dir, "settlements", "list")
	require.NoError(t, err, out)
	require.Contains(t, out, "SETTLE-2025-11-001\t1000.00\t672.25\t672.25\t2025-12-09\tpaid")
	out, err = p.shell(dir, "verify", "--kafka-brokers", p.kafka, "--clickhouse-http", p.clickhouse, "--grace", "0s")
	require.NoError(t, err, out)
	require.Contains(t, out, "paid once")
	require.Contains(t, out, "double entry")
}

// The documented month is five cron lines (deploy/OPERATING.md); these are run as they stand there, with the month of
// the test in the place of the clock's.
func TestTheMonthAsFiveCronLines(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../deploy/OPERATING.md")
	require.NoError(t, err)
	_, block, _ := strings.Cut(string(page), "```cron\n")
	block, _, _ = strings.Cut(block, "```")
	lines := strings.Split(strings.TrimSpace(block), "\n")
	require.Len(t, lines, 5)
	p := start(t, "2025-11-01")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "policies.csv"), []byte("customer_id,external_customer_ref,"+
		"policy_number,product_code,collection_amount\nC1,E1,POL1,F,150.00\nC2,E2,POL2,F,200.00\n"), 0o600))
	bank := p.bank(func(debit) (string, string) { return "PAID", "" })
	run := func(line int) string {
		fields := strings.Fields(lines[line])[5:]
		require.Equal(t, "kasi", fields[0])
		text := strings.NewReplacer("--period this", "--period 2025-11", "--period last", "--period 2025-11").
			Replace(strings.Join(fields[1:], " "))
		out, err := p.shell(dir, strings.Fields(text)...)
		require.NoError(t, err, "%s\n%s", lines[line], out)
		return out
	}
	out, err := p.shell(dir, "policies", "import", "policies.csv", "--dry-run", "--expected-rows", "2", "--json")
	require.NoError(t, err, out)
	require.Contains(t, out, `"imported":2,"failed":0`)
	require.Contains(t, run(0), "2 imported, 0 failed: 2 created", "the dry run has changed nothing")
	out, err = p.shell(dir, "policies", "import", "policies.csv", "--mode", "full", "--expected-total", "350.01")
	require.Error(t, err, out)
	require.Contains(t, out, "350.01")
	file, err := os.Open(filepath.Join(dir, "policies.csv"))
	require.NoError(t, err)
	defer file.Close()
	p.input = file
	out, err = p.shell(dir, "policies", "import", "-")
	p.input = nil
	require.NoError(t, err, out)
	require.Contains(t, out, "2 imported, 0 failed: 0 created", "standard input")
	require.Contains(t, run(1), "2 collections made")
	bank.until("2025-11-05", "2025-12-01")
	run(2)
	report, err := os.ReadFile(filepath.Join(dir, "report.csv"))
	require.NoError(t, err)
	require.Contains(t, string(report), "2025-11,C1,E1,POL1,F,150.00,150.00,0.00,PAID_FULL,")
	p.advance("2025-12-02")
	require.Contains(t, run(3), "SETTLE-2025-11-001 2025-11: collected 350.00, fees 99.75, VAT 14.96, net 235.29")
	p.advance("2025-12-03")
	run(4)
	export, err := os.ReadFile(filepath.Join(dir, "settlement.csv"))
	require.NoError(t, err)
	require.Contains(t, string(export), "SETTLE-2025-11-001,COLLECTION,2025-11,C2,E2,POL2,F,200.00")

	// What goes wrong ends with an error.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.csv"), []byte("customer_id,external_customer_ref,"+
		"policy_number,product_code,collection_amount\nC1,E1,POL1,F,150.00\nC3,E3,POL3,F,nothing\n"), 0o600))
	out, err = p.shell(dir, "policies", "import", "bad.csv")
	require.Error(t, err, "rows failed")
	require.Contains(t, out, "collection_amount")
	require.Contains(t, out, "1 of 2 rows failed")
	out, err = p.shell(dir, "settlements", "create", "--period", "2025-12")
	require.Error(t, err)
	require.Contains(t, out, "PERIOD_OPEN")
	out, err = p.shell(dir, "settlements", "create", "--period", "2025-12", "--preview")
	require.Error(t, err, "nothing was executed")
	require.Contains(t, out, "CONFLICT")
	out, err = p.shell(dir, "settlements", "export", "--period", "2025-10")
	require.Error(t, err)
	require.Contains(t, out, "there is no statement of 2025-10")
	out, err = p.shell(dir, "reports", "download", "--period", "November")
	require.Error(t, err)
	require.Contains(t, out, "neither a month")
	require.NotContains(t, out, context.Canceled.Error())
}
