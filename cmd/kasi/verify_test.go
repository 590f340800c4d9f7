package main

import (
	"cmp"
	"encoding/json"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/verify"
)

func TestParseFees(t *testing.T) {
	fees, err := parseFees([]string{"demo=20/3.5", "a=b=1/2"})
	require.NoError(t, err)
	require.Equal(t, map[string]verify.Fees{
		"demo": {Distribution: big.NewRat(20, 1), Collections: big.NewRat(7, 2)},
		"a=b":  {Distribution: big.NewRat(1, 1), Collections: big.NewRat(2, 1)},
	}, fees)
	for _, bad := range []string{"", "demo", "demo=20", "=1/2", "demo=x/1"} {
		_, err := parseFees([]string{bad})
		require.ErrorContains(t, err, "--fees", bad)
	}
}

func TestVerifyLeavesNothingBehind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	h, err := clickhouseOf(config.Config{DataDir: dir, ClickHouseHTTP: "127.0.0.1:1", Database: "kasi"}, "analyst")
	require.NoError(t, err)
	h.Client = nil
	require.Equal(t, verify.ClickHouse{URL: "http://127.0.0.1:1", Database: "kasi", User: "analyst"}, h)
	require.NoDirExists(t, dir)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secrets.yaml"), []byte("analyst-password: kept\n"), 0o600))
	h, err = clickhouseOf(config.Config{
		DataDir: dir, ClickHouseHTTP: "ch:8443", ClickHouseTLS: true, Database: "kasi",
	}, "analyst")
	require.NoError(t, err)
	require.Equal(t, "https://ch:8443", h.URL)
	require.Equal(t, "kept", h.Password)
}

// A product that has done little passes; told of a debit that the bank knows and nobody instructed, the command fails.
func TestVerifyCommand(t *testing.T) {
	p := start(t, "2025-11-01")
	p.credit("C1", "2025-11-01", 85000, "SALARY")
	p.advance("2025-11-03")
	args := []string{
		"verify", "--kafka-brokers", p.kafka, "--clickhouse-http", p.clickhouse, "--clickhouse-database",
		cmp.Or(p.database, "kasi"), "--json", "--grace", "0s",
	}
	out, err := p.command(t.Context(), args...).Output()
	require.NoError(t, err, string(out))
	var r struct {
		OK     bool           `json:"ok"`
		Checks []verify.Check `json:"checks"`
	}
	require.NoError(t, json.Unmarshal(out, &r))
	require.True(t, r.OK)
	require.Greater(t, len(r.Checks), 20)

	ledger := filepath.Join(t.TempDir(), "bank.csv")
	require.NoError(t, os.WriteFile(ledger, []byte("debit_id,status,amount_cents\nabc,PAID,15000\n"), 0o600))
	out, err = p.command(t.Context(), "verify", "--kafka-brokers", p.kafka, "--clickhouse-http", p.clickhouse,
		"--clickhouse-database", cmp.Or(p.database, "kasi"), "--ledger", ledger).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Contains(t, string(out), "debit abc of R 150.00 is in the bank's ledger and was never instructed")
	require.Contains(t, string(out), "THE BOOKS DO NOT AGREE")
}
