package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// kasi runs a command that talks to the product's Kafka.
func (p *product) kasi(args ...string) (string, error) {
	p.t.Helper()
	out, err := p.command(p.t.Context(), append(args, "--kafka-brokers", p.kafka)...).CombinedOutput()
	return string(out), err
}

// TestScenarioATenantsOwnFees: a setting counts from its day on, for its tenant alone, and a statement has the fees of
// the last day of its period. The verifier, which reads the settings by itself, agrees.
func TestScenarioATenantsOwnFees(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	for _, args := range [][]string{
		{"tenants", "set", "demo", "--from", "2025-11-15", "distribution_fee=10", "collections_fee=1.5"},
		{"tenants", "set", "demo", "--from", "2025-12-01", "distribution_fee="},
	} {
		out, err := p.kasi(args...)
		require.NoError(t, err, out)
	}
	out, err := p.kasi("tenants", "show", "demo", "--json")
	require.NoError(t, err, out)
	require.JSONEq(t, `{"tenant_id":"demo","settings":[
		{"from":"2025-11-15","name":"collections_fee","value":"1.5"},
		{"from":"2025-11-15","name":"distribution_fee","value":"10"},
		{"from":"2025-12-01","name":"distribution_fee","value":""}]}`, out)
	out, err = p.kasi("tenants", "set", "demo", "--from", "2025-10-31", "patience=1")
	require.Error(t, err)
	require.Contains(t, out, "expected 2025-11-01 or later")

	p.policies(",collection_day", "C1,E,POL001,F,1000.00,5")
	p.execute("2025-11", 1)
	p.bank(func(debit) (string, string) { return "PAID", "" }).until("2025-11-05", "2025-12-02")
	s := p.settle(testKey, "2025-11")
	require.Equal(t, []string{"1000.00", "100.00", "15.00", "17.25"}, []string{
		s.Total.String(), s.Distribution.String(), s.Collections.String(), s.VAT.String(),
	})
	out, err = p.kasi("verify", "--clickhouse-http", p.clickhouse, "--grace", "0s")
	require.NoError(t, err, out)
}

// TestScenarioATenantsOwnLimits: the API follows the settings without a restart.
func TestScenarioATenantsOwnLimits(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	out, err := p.kasi("tenants", "set", "demo", "--from", "2025-11-02", "queries_per_minute=1")
	require.NoError(t, err, out)
	limited := func() bool {
		code, _ := p.call("GET", "/v1/policies", "", "")
		return code == 429
	}
	for range 2 {
		require.False(t, limited())
	}
	p.advance("2025-11-02")
	require.Eventually(t, limited, 10*time.Second, 50*time.Millisecond)
	code, _ := p.callAs(otherKey, "GET", "/v1/policies", "", "")
	require.Equal(t, 200, code)
}
