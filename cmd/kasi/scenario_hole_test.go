package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
)

// ClickHouse loses rows, a part, a table and everything while the product runs: no settlement is made over it. It comes
// back by itself or by `kasi sink refill`, and the first statement holds the whole sum.
func TestScenarioNoStatementOverAHole(t *testing.T) {
	t.Parallel()
	p := startEmbedded(t, "2025-11-01")
	p.policies(",collection_day", "C1,E,A,F,1000.00,5", "C2,E,B,F,150.00,5", "C3,E,C,F,200.33,5")
	p.execute("2025-11", 3)
	p.bank(func(debit) (string, string) { return "PAID", "" }).until("2025-11-05", "2025-12-01")
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{p.native}, Auth: clickhouse.Auth{Database: "kasi", Username: "kasi", Password: "test-kasi"},
	})
	require.NoError(t, err)
	defer conn.Close()
	loses := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			require.NoError(t, conn.Exec(t.Context(), s), s)
		}
	}

	loses("DELETE FROM collections_log WHERE moved_cents = 100000")
	out, err := p.command(t.Context(), "sink", "refill", "--kafka-brokers", p.kafka, "--clickhouse-addr", p.native,
		"--topic", "kasi.collections.v1", "--json").CombinedOutput()
	require.NoError(t, err, string(out))
	loses("ALTER TABLE collections_log DETACH PARTITION tuple()")
	first := p.settledWhole(http.StatusCreated)
	require.Equal(t, "SETTLE-2025-11-001", first["settlement_number"])
	require.Equal(t, "1350.33", first["total_collections"].(json.Number).String())

	for _, lost := range [][]string{
		{"TRUNCATE TABLE collections_log", "DROP TABLE settlements_log SYNC"},
		{"DROP TABLE collections_log SYNC", "DROP VIEW settlement_lines"},
		{"DROP DATABASE kasi SYNC"},
	} {
		loses(lost...)
		require.Equal(t, first["id"], p.settledWhole(http.StatusOK)["id"], lost)
		p.allBack(first["id"].(string))
	}
	p.policy("D", "10.00") // and it goes on
	out, err = p.command(t.Context(), "verify", "--kafka-brokers", p.kafka, "--clickhouse-http", p.clickhouse, "--wait",
		"60s").CombinedOutput()
	require.NoError(t, err, string(out))
}

// settledWhole settles November until that works. An answer before is a 503 that says what is missing.
func (p *product) settledWhole(want int) (st map[string]any) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		code, body := p.call("POST", "/v1/settlements", "application/json", `{"period_month":"2025-11"}`)
		if code == want {
			d := json.NewDecoder(strings.NewReader(body))
			d.UseNumber()
			return d.Decode(&st) == nil
		}
		if code != http.StatusServiceUnavailable || !strings.Contains(body, `"UNAVAILABLE"`) {
			p.t.Errorf("%d %s", code, body)
		}
		return false
	}, 90*time.Second, 100*time.Millisecond)
	return st
}

// allBack waits until the statement's export is whole again.
func (p *product) allBack(id string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		code, body := p.call("GET", "/v1/settlements/"+id+"/export", "", "")
		return code == http.StatusOK && strings.Count(body, "\n") == 4
	}, 90*time.Second, 50*time.Millisecond)
}
