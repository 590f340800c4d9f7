package clickhouse

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
)

var quiet = slog.New(slog.DiscardHandler)

func TestMigrateMakesTheDatabaseOnceHoweverOftenAndAtOnce(t *testing.T) {
	opts := *chtest.Empty(t)
	ctx := context.Background()
	opts.Auth.Database += "_made" // does not exist yet
	admin := open(t, chtest.Empty(t))
	t.Cleanup(func() { require.NoError(t, admin.Exec(ctx, "DROP DATABASE IF EXISTS "+opts.Auth.Database+" SYNC")) })
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { errs[i] = migrate.Up(ctx, &opts, quiet) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.NoError(t, migrate.Up(ctx, &opts, quiet))
	conn := open(t, &opts)
	var tables, views uint64
	require.NoError(t, conn.QueryRow(ctx, `
		SELECT countIf(engine LIKE '%MergeTree' AND name != 'goose_db_version'), countIf(engine = 'View')
		FROM system.tables WHERE database = currentDatabase()`).Scan(&tables, &views))
	require.EqualValues(t, len(schemas.SunkTopics)+len(schemas.States())+2, tables, "and the sink's own")
	require.EqualValues(t, len(schemas.Views()), views)
}

// A database of an earlier version gets what the catalogue has and it has not, at the same places.
func TestMigrateAddsWhatIsMissing(t *testing.T) {
	opts, ctx := chtest.New(t), context.Background()
	conn := open(t, opts)
	const everything = `SELECT table, name, type, default_expression, comment FROM system.columns
		WHERE database = currentDatabase() AND table NOT LIKE 'goose%' ORDER BY table, position`
	want := lines(t, conn, everything)
	for _, statement := range []string{
		"ALTER TABLE debits_log DROP COLUMN tracking_until",
		"ALTER TABLE decisions_log DROP COLUMN amount",
		"ALTER TABLE outcomes_log COMMENT COLUMN message 'old'",
		"DROP TABLE calendar_log",
		"CREATE OR REPLACE VIEW transactions AS SELECT tenant_id FROM transactions_log COMMENT 'old'",
		"DROP VIEW movements",
	} {
		require.NoError(t, conn.Exec(ctx, statement))
	}
	require.NoError(t, migrate.Up(ctx, opts, quiet))
	require.Equal(t, want, lines(t, conn, everything))
}

// What cannot be added is refused, with the way out.
func TestMigrateRefusesAColumnOfAnotherType(t *testing.T) {
	opts, ctx := chtest.New(t), context.Background()
	require.NoError(t, open(t, opts).Exec(ctx, "ALTER TABLE debits_log MODIFY COLUMN rail String"))
	err := migrate.Up(ctx, opts, quiet)
	require.ErrorContains(t, err,
		"table debits_log has column rail of type String, and this version needs LowCardinality(String)")
	require.ErrorContains(t, err, "numbered file in schemas/clickhouse")
}

// A view says of each column what its query gives; another type would be converted without a word.
func TestViewsHaveTheTypesOfTheirQueries(t *testing.T) {
	conn := open(t, chtest.New(t))
	for _, v := range schemas.Views() {
		require.NoError(t, conn.Exec(context.Background(), "CREATE VIEW bare_"+v.Name+" AS "+v.Select))
		columns := "SELECT name, replaceRegexpOne(type, '^SimpleAggregateFunction\\\\(max, (.*)\\\\)$', '\\\\1') FROM " +
			"system.columns WHERE database = currentDatabase() AND table = '%s' ORDER BY position"
		require.Equal(t, lines(t, conn, fmt.Sprintf(columns, "bare_"+v.Name)), lines(t, conn, fmt.Sprintf(columns, v.Name)))
	}
}

func TestMigrateNamesTheServerItCannotReach(t *testing.T) {
	err := migrate.Up(context.Background(), &clickhouse.Options{
		Addr: []string{"127.0.0.1:1"},
		Auth: clickhouse.Auth{Database: "kasi"},
	}, quiet)
	require.ErrorContains(t, err, "create ClickHouse database `kasi`")
}

// The sink writes every column that is not computed, of every table, under its own name.
func TestTablesAreWhatTheDatabaseHas(t *testing.T) {
	conn := open(t, chtest.New(t))
	for topic, table := range schemas.SunkTopics {
		var want []string
		require.NoError(t, conn.QueryRow(context.Background(), `SELECT groupArray(name) FROM (SELECT name FROM system.columns
			WHERE database = currentDatabase() AND table = ? AND default_kind = '' ORDER BY position)`, table).Scan(&want))
		require.Equal(t, want, tables()[topic].columnNames(), table)
	}
}

// An analyst finds a sentence at every table, view and column.
func TestEverythingHasAComment(t *testing.T) {
	conn := open(t, chtest.New(t))
	var bare []string
	require.NoError(t, conn.QueryRow(context.Background(), `SELECT groupArray(what) FROM (
		SELECT name AS what FROM system.tables WHERE database = currentDatabase() AND comment = ''
		UNION ALL SELECT table || '.' || name FROM system.columns WHERE database = currentDatabase() AND comment = ''
	)`).Scan(&bare))
	require.Empty(t, bare)
}

// A filter on the policy number gets through the views to the index: with a million collections a month, that is 0.1 s
// instead of 2 s.
func TestPolicyLookupsUseTheIndex(t *testing.T) {
	conn := open(t, chtest.New(t))
	books(t, conn)
	store(t, conn, schemas.TopicPolicies, 0, 0, sample(schemas.TopicPolicies, 0, 1))
	for _, query := range []string{
		"SELECT * FROM collections WHERE tenant_id = 'acme' AND period_month = '2025-11' AND policy_number = 'POL-A'",
		"SELECT * FROM policies WHERE tenant_id = 'acme' AND policy_number = 'POL-A'",
		"SELECT * FROM debits WHERE tenant_id = 'acme' AND period_month = '2025-11' AND policy_number = 'POL-A'",
	} {
		require.Contains(t, strings.Join(lines(t, conn, "SELECT explain FROM (EXPLAIN indexes = 1 "+query+")"), ""),
			"policy_number in", query)
	}
}

// Every field of every event arrives in its column: testdata/rows.txt holds the rows of one sample event a topic as an
// analyst sees them. KASI_GOLDEN=write writes the file anew; read its diff.
func TestEveryFieldArrives(t *testing.T) {
	w := newWorld(t, 1)
	w.write(1)
	w.drain(quick())
	var got strings.Builder
	for _, from := range []string{
		"transactions", "deposits", "decisions", "debits", "policies", "collections", "movements", "settlements",
		"settlement_lines", "payouts", "ledger ORDER BY ALL", "settlement_proof", "open_items", "calendar",
		"standing_decisions", "attempts", "income_streams", "customers", "arrears",
		"reason_codes WHERE reason = 'INSUFFICIENT_FUNDS'", "outcomes_log FINAL", "executions_log FINAL", "executions",
		"webhook_deliveries_log", "audit_log",
	} {
		got.WriteString("== " + from + "\n" + w.vertical("SELECT * FROM "+from))
	}
	const file = "testdata/rows.txt"
	if os.Getenv("KASI_GOLDEN") == "write" {
		require.NoError(t, os.WriteFile(file, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

// The topics hold records from before booked_date, tracking_until and transaction_ids existed. They are stored without.
func TestRecordsOfAnEarlierVersionAreStored(t *testing.T) {
	conn := open(t, chtest.New(t))
	const head = `{"event_id":"6b617369-0000-5000-8000-636f6c6c6563","seq":1,"business_date":"2025-11-05",` +
		`"at":"2025-11-05T13:00:00Z",`
	store(t, conn, schemas.TopicTransactions, 0, 0, json.RawMessage(head+`"transaction_id":"TX","tenant_id":"acme",`+
		`"customer_id":"CUST","booked_at":"2025-11-05T12:00:00Z","amount_cents":850000,"direction":"CREDIT"}`))
	store(t, conn, schemas.TopicDebits, 0, 0, json.RawMessage(head+`"debit_id":"DEB","tenant_id":"acme",`+
		`"customer_id":"CUST","policy_number":"POL","collection_id":"6b617369-0000-5000-8000-636f6c6c6563",`+
		`"period_month":"2025-11","attempt":1,"amount_cents":15000,"currency":"ZAR","action_date":"2025-11-06",`+
		`"rail":"EFT"}`))
	require.Equal(t, []string{"1,1"}, lines(t, conn, `SELECT
		(SELECT count() FROM transactions WHERE booked_date IS NULL),
		(SELECT count() FROM debits WHERE tracking_until IS NULL AND empty(transaction_ids))`))
}

// vertical is a result as lines of "column: value", the value as JSON.
func (w *world) vertical(query string) string {
	w.t.Helper()
	rows, err := w.conn.Query(context.Background(), `
		SELECT arrayJoin(JSONExtractKeysAndValuesRaw(formatRowNoNewline('JSONEachRow', *))) AS kv, kv.1 || ': ' || kv.2
		FROM (`+query+`)`)
	require.NoError(w.t, err)
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var kv []any
		var line string
		require.NoError(w.t, rows.Scan(&kv, &line))
		b.WriteString(line + "\n")
	}
	require.NoError(w.t, rows.Err())
	return b.String()
}
