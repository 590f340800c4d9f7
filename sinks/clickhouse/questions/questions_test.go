package questions

import (
	"fmt"
	"os"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

func TestMain(m *testing.M) { os.Exit(chtest.Main(m)) }

// Each question is asked of the sample as the analyst asks it, within the analyst's limits, and has its answer.
func TestQuestionsHaveTheirAnswers(t *testing.T) {
	opts := chtest.New(t)
	kasi, err := clickhouse.Open(opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = kasi.Close() })
	for _, statement := range Sample(SampleSize) {
		require.NoError(t, kasi.Exec(t.Context(), statement), statement)
	}
	for _, state := range schemas.States() {
		for _, fill := range state.Fill {
			require.NoError(t, kasi.Exec(t.Context(), fill))
		}
	}
	as := *opts
	as.Auth.Username, as.Auth.Password = "analyst", chtest.Shared(t).AnalystPassword
	analyst, err := clickhouse.Open(&as)
	require.NoError(t, err)
	t.Cleanup(func() { _ = analyst.Close() })
	all := All()
	require.GreaterOrEqual(t, len(all), 24)
	for _, q := range all {
		var answer []string
		require.NoError(t, analyst.QueryRow(t.Context(), "SELECT groupArray(line) FROM (SELECT formatRowNoNewline('CSV', *) "+
			"AS line FROM ("+q.SQL+"))").Scan(&answer), q.Name)
		require.NotEmpty(t, answer, q.Name)
		got := ""
		for _, line := range answer {
			got += line + "\n"
		}
		if os.Getenv("KASI_GOLDEN") == "write" {
			require.NoError(t, os.WriteFile("sql/"+q.Name+".sql", []byte(q.File(got)), 0o644))
			continue
		}
		require.Equal(t, q.Answer, got, q.Name)
	}

	// The views say what the events say, added up another way.
	for _, pair := range [][2]string{
		{"SELECT sum(collected_cents) FROM collections", "SELECT sum(moved_cents) FROM collections_log"},
		{
			"SELECT toInt64(countIf(status = 'paid')) FROM debits",
			"SELECT toInt64(count()) FROM collections_log WHERE change_kind = 'DEBIT_PAID'",
		},
		{"SELECT sum(amount_cents) FROM attempts", "SELECT sum(amount_cents) FROM debits_log"},
		{
			"SELECT sum(shortfall_cents) FROM arrears",
			`SELECT sumIf(due_cents, change_kind = 'CREATED') - sumIf(due_cents, change_kind = 'CANCELLED') - sum(moved_cents)
			FROM collections_log`,
		},
		{"SELECT toInt64(sum(policies)) FROM customers", fmt.Sprintf("SELECT toInt64(%d)", SampleSize)},
	} {
		var says, ought int64
		require.NoError(t, analyst.QueryRow(t.Context(), pair[0]).Scan(&says), pair[0])
		require.NoError(t, analyst.QueryRow(t.Context(), pair[1]).Scan(&ought), pair[1])
		require.NotZero(t, says)
		require.Equal(t, ought, says, pair[0])
	}
}
