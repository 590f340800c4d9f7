package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// explain runs the command against the product.
func (p *product) explain(key string, args ...string) (string, error) {
	p.t.Helper()
	args = append([]string{"explain"}, append(args, "--api", "http://"+p.http, "--api-key", key)...)
	out, err := p.command(p.t.Context(), args...).CombinedOutput()
	return string(out), err
}

// whatIf feeds a balance that is too small, and asks what a larger one would have changed.
func (p *product) whatIf() {
	p.t.Helper()
	p.send("kasi.feed.transactions.v1", "CPOL001", map[string]any{
		"transaction_id": "B1", "tenant_id": "demo", "customer_id": "CPOL001", "booked_at": "2025-11-14T09:00:00+02:00",
		"amount_cents": 2000, "direction": "CREDIT", "description": "CASH DEPOSIT", "balance_after_cents": 2050,
	})
	p.advance("2025-11-14")
	args := []string{"--policy", "POL001", "--date", "2025-11-14", "--what-if", "balance=500", "--what-if", "tracking=no"}
	out, err := p.explain(testKey, args...)
	require.NoError(p.t, err, out)
	require.Contains(p.t, out, "balance=500, tracking=no: A debit of R 150.00 is paid on the day with a chance of")
	require.Contains(p.t, out, "a debit is worth more than waiting, it was the other way round")
	out, err = p.explain(testKey, append(args, "--json")...)
	require.NoError(p.t, err, out)
	require.Contains(p.t, out, `"what_if":{"changes":["balance=500","tracking=no"],"situation":{"amount":15000,`+
		`"lowest":50000`)
	require.Contains(p.t, out, `"proved":true`)
}

// Why was POL001 not debited on the 12th? The decision that stood then is found, and said in plain words.
func TestExplain(t *testing.T) {
	p := start(t, "2025-11-01")
	p.policy("POL001", "150.00")
	p.execute("2025-11", 1)
	b := p.bank(func(debit) (status, code string) { return "UNPAID", "02" })
	b.until("2025-11-05", "2025-11-06", "2025-11-12", "2025-11-13")
	stood := p.sql("SELECT business_date, reason FROM decisions WHERE policy_number = 'POL001' AND " +
		"business_date <= '2025-11-12' ORDER BY business_date DESC, seq DESC LIMIT 1")
	date, reason, _ := strings.Cut(stood, "\t")

	out, err := p.explain(testKey, "--policy", "POL001", "--date", "2025-11-12")
	require.NoError(t, err, out)
	require.Contains(t, out, "Policy POL001, period 2025-11: decided on "+date)
	require.Contains(t, out, "it stood on 2025-11-12")
	require.Contains(t, out, "("+reason+")")
	require.Contains(t, out, "R 150.00 is due")
	for line := range strings.Lines(out) {
		require.LessOrEqual(t, len(line), wordsWidth+1)
	}

	out, err = p.explain(testKey, "--policy", "POL001", "--date", "2025-11-05")
	require.NoError(t, err, out)
	require.Contains(t, out, "Debit R 150.00")
	require.Contains(t, out, "The bank did not pay the debit, code 02 (ZA), on 2025-11-05.")

	out, err = p.explain(testKey, "--policy", "POL001", "--date", "2025-11-12", "--json")
	require.NoError(t, err, out)
	var said struct {
		Collection string `json:"collection_id"`
		Decision   struct {
			Reason string
			Words  []struct{ About, Text string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &said))
	require.Equal(t, reason, said.Decision.Reason)
	require.NotEmpty(t, said.Decision.Words)
	latest, err := p.explain(testKey, "--collection", said.Collection)
	require.NoError(t, err)
	require.NotContains(t, latest, "it stood on")
	p.execute("2025-12", 1)
	alone, err := p.explain(testKey, "--policy", "POL001")
	require.NoError(t, err, alone)
	require.Equal(t, latest, alone, "the latest decision, though a later period is executed")

	for args, want := range map[string]string{
		"--policy POL001 --date 2025-10-31":                  "has no collection of 2025-10",
		"--policy POL001 --period 2025-11 --date 2025-10-31": "nothing was decided about policy POL001",
		"--policy POL002":                                             "has no collection: was it executed?",
		"--date 2025-11-12":                                           "name a policy",
		"--policy POL001 --date 12.11.2025":                           "is not a date such as 2025-11-12",
		"--collection " + said.Collection + " --policy POL001":        "exclude each other",
		"--collection 6b1f6a52-6a0e-5c55-9b0a-3f5d7f5b6c11":           "NOT_FOUND",
		"--collection " + said.Collection + " --date 2025-11-12 -X":   "unknown shorthand flag",
		"--policy POL001 --date 2025-11-12 --period 2026-01 --json=1": "has no collection of 2026-01",
	} {
		out, err = p.explain(testKey, strings.Fields(args)...)
		require.Error(t, err, args)
		require.Contains(t, out, want)
	}
	out, err = p.explain(otherKey, "--collection", said.Collection)
	require.Error(t, err)
	require.Contains(t, out, "NOT_FOUND", "another tenant's")

	_, err = p.explain(testKey, "--policy", "POL001", "--date", "2025-11-12", "--what-if", "balance=500")
	require.Error(t, err, "no feed: nothing was priced")
	p.whatIf()

	var took []time.Duration
	for range 20 {
		began := time.Now()
		_, err := p.explain(testKey, "--policy", "POL001", "--date", "2025-11-12")
		require.NoError(t, err)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("kasi explain as a process of its own: median %s, slowest %s", took[10], took[19])
}
