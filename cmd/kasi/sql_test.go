package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
)

// kasi sql answers as the analyst, in each format; what is refused ends with exit code 1 and ClickHouse's reason.
func TestSQLAsksAsTheAnalyst(t *testing.T) {
	server, err := chembed.Start(t.Context(), chembed.Options{
		Dir: t.TempDir(), HTTPAddr: "127.0.0.1:0", NativeAddr: "127.0.0.1:0", KasiPassword: "test-kasi",
		AnalystPassword: "test-analyst", Tenants: []chembed.TenantAnalyst{{Tenant: "acme", Password: "own"}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	sql := func(stdin string, args ...string) (string, error) {
		cmd := command(t.Context(), append([]string{
			"sql", "--clickhouse-database", "default", "--clickhouse-http", server.HTTPAddr(),
		}, args...)...)
		cmd.Env = append(cmd.Env, "KASI_TENANT_ANALYST_PASSWORDS=acme=own")
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	const query = "SELECT currentUser() AS who, toDecimal64(150, 2) AS premium"
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"", []string{"--json", query}, "[\n{\"who\":\"analyst\",\"premium\":150.00}\n]\n"},
		{query + ";\n", []string{"--format", "csv"}, "\"who\",\"premium\"\n\"analyst\",150.00\n"},
		{"", []string{"--tenant", "acme", query + " FORMAT TSV"}, "analyst_acme\t150.00\n"},
		{"", []string{"SELECT", "1", "AS", "one"}, "   ┌─one─┐\n1. │   1 │\n   └─────┘\n"},
	} {
		got, err := sql(c.stdin, c.args...)
		require.NoError(t, err, got)
		require.Equal(t, c.want, got)
	}
	for want, args := range map[string][]string{
		"ClickHouse refuses as user analyst: Code: 60": {"SELECT * FROM nowhere"},
		"Not enough privileges":                        {"CREATE TABLE t (a UInt8) ENGINE = Memory"},
		"is none of table, json":                       {"--format", "xml", "SELECT 1"},
		`tenant "other" has no password`:               {"--tenant", "other", "SELECT 1"},
		"there is no query":                            {},
		"ClickHouse does not answer":                   {"--clickhouse-http", "127.0.0.1:1", "SELECT 1"},
	} {
		got, err := sql("", args...)
		require.Error(t, err, got)
		require.Contains(t, got, want)
	}
}
