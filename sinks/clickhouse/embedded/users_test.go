package embedded_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
)

// ClickHouse's error codes.
const (
	tooManyRows       = 158
	timeout           = 159
	readonly          = 164
	memoryLimit       = 241
	tooManyResultRows = 396
	constraint        = 452
	accessDenied      = 497
	wrongPassword     = 516
	sessionLimit      = 700
	maxResultRows     = 1_000_000
)

func TestWrongPasswordsAreRefusedOnBothPorts(t *testing.T) {
	s := start(t, t.TempDir())
	for _, user := range []string{"kasi", "analyst", "nobody"} {
		for _, password := range []string{"", "wrong"} {
			err := connect(t, s, user, password).Ping(t.Context())
			require.EqualValues(t, wrongPassword, code(err), "%s: %v", user, err)
			status, body := post(t, s, user, password, "SELECT 1")
			require.Contains(t, []int{http.StatusForbidden, http.StatusUnauthorized}, status, body)
			require.Contains(t, body, "AUTHENTICATION_FAILED")
		}
	}
}

func TestDefaultCannotLogIn(t *testing.T) {
	s := start(t, t.TempDir())
	err := connect(t, s, "default", "").Ping(t.Context())
	require.EqualValues(t, sessionLimit, code(err), "%v", err)
	status, body := post(t, s, "default", "", "SELECT 1")
	require.NotEqual(t, http.StatusOK, status)
	require.Contains(t, body, "USER_SESSION_LIMIT_EXCEEDED")
	// A request that names nobody is one of default's.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.HTTPAddr()+"/?query=SELECT+1", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.NotEqual(t, http.StatusOK, response.StatusCode)

	// Should the lock above ever open, default could still do nothing.
	conn := asKasi(t, s)
	rows, err := conn.Query(t.Context(),
		"SELECT DISTINCT toString(access_type) FROM system.grants WHERE user_name = 'default' ORDER BY 1")
	require.NoError(t, err)
	var grants []string
	for rows.Next() {
		var grant string
		require.NoError(t, rows.Scan(&grant))
		grants = append(grants, grant)
	}
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close())
	require.Equal(t, []string{"CREATE DATABASE", "SYSTEM LISTEN"}, grants)
}

func TestKasiStaysInItsDatabase(t *testing.T) {
	conn := asKasi(t, start(t, t.TempDir()))
	for _, allowed := range []string{
		"CREATE TABLE t (a UInt64) ENGINE = ReplacingMergeTree ORDER BY a", "CREATE VIEW v AS SELECT * FROM t FINAL",
		"ALTER TABLE t ADD COLUMN b Int64",
		"INSERT INTO t (a) VALUES (1)", "OPTIMIZE TABLE t FINAL",
		"ALTER TABLE t DELETE WHERE a = 1 SETTINGS mutations_sync = 2", "SELECT * FROM system.parts FORMAT Null",
		"SELECT * FROM system.processes FORMAT Null", "SYSTEM FLUSH LOGS", "BACKUP TABLE t TO File('t-backup')",
		"TRUNCATE TABLE t", "DROP VIEW v", "DROP TABLE t",
		"RESTORE TABLE t FROM File('t-backup')", "CREATE DATABASE IF NOT EXISTS kasi", "DROP DATABASE kasi",
		"CREATE DATABASE kasi",
	} {
		require.NoError(t, conn.Exec(t.Context(), allowed), allowed)
	}
	for _, refused := range []string{
		"CREATE DATABASE other", "CREATE TABLE default.t (a UInt64) ENGINE = Memory",
		"SELECT * FROM file('/etc/passwd', 'LineAsString')",
		"INSERT INTO FUNCTION file('/tmp/kasi-out.csv') SELECT 1", "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
		"CREATE TABLE u (a String) ENGINE = URL('http://127.0.0.1:1/', 'LineAsString')", "CREATE USER x", "SYSTEM SHUTDOWN",
		"SELECT * FROM remote('127.0.0.1:1', 'system.one')", "SYSTEM STOP LISTEN QUERIES ALL",
	} {
		err := conn.Exec(t.Context(), refused)
		require.EqualValues(t, accessDenied, code(err), "%s: %v", refused, err)
	}
}

func TestTheAnalystReadsKasiAndNothingElse(t *testing.T) {
	s := start(t, t.TempDir())
	kasi := asKasi(t, s)
	require.NoError(t, kasi.Exec(t.Context(),
		"CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a AS SELECT number FROM numbers(10)"))
	require.NoError(t, kasi.Exec(t.Context(), "CREATE VIEW v AS SELECT * FROM t"))
	require.NoError(t, kasi.Exec(t.Context(), "SYSTEM FLUSH LOGS"))

	conn := connect(t, s, "analyst", analystPassword)
	require.Equal(t, uint64(10), count(t, conn, "SELECT count() FROM t"))
	require.Equal(t, uint64(10), count(t, conn, "SELECT count() FROM kasi.v"))
	// What tools ask when they show a tree of tables.
	require.Equal(t, uint64(2), count(t, conn, "SELECT count() FROM system.tables WHERE database = 'kasi'"))
	require.Equal(t, uint64(2), count(t, conn, "SELECT count() FROM system.columns WHERE database = 'kasi'"))
	require.NoError(t, conn.Exec(t.Context(), "SHOW TABLES"))
	require.NoError(t, conn.Exec(t.Context(), "DESCRIBE TABLE v"))
	require.NoError(t, conn.Exec(t.Context(), "SHOW CREATE TABLE t"))
	for _, from := range []string{
		"information_schema.tables WHERE table_schema = 'kasi'", "INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = 'kasi'",
	} {
		require.Equal(t, uint64(2), count(t, conn, "SELECT count() FROM "+from), from)
	}

	for _, refused := range []string{
		"INSERT INTO t VALUES (1)", "CREATE TABLE x (a UInt64) ENGINE = Memory", "DROP TABLE t", "TRUNCATE TABLE t",
		"ALTER TABLE t DELETE WHERE 1",
		"OPTIMIZE TABLE t", "CREATE TEMPORARY TABLE x (a UInt64)", "SYSTEM FLUSH LOGS", "KILL QUERY WHERE 1",
		"CREATE DATABASE x", "DROP DATABASE kasi",
		"SELECT * FROM system.query_log", "SELECT * FROM system.parts", "SELECT * FROM system.processes FORMAT Null",
		"SELECT * FROM system.users",
		"SELECT * FROM file('/etc/passwd', 'LineAsString')", "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
		"INSERT INTO FUNCTION file('/tmp/kasi-out.csv') SELECT 1", "SELECT * FROM remote('127.0.0.1:1', 'kasi.t')",
		"BACKUP TABLE t TO File('x')",
		"SELECT * FROM executable('x.sh', TSV, 'a String')",
	} {
		err := conn.Exec(t.Context(), refused)
		require.Contains(t, []int32{accessDenied, readonly}, code(err), "%s: %v", refused, err)
	}
	require.Equal(t, uint64(10), count(t, kasi, "SELECT count() FROM t"))
	status, body := post(t, s, "analyst", analystPassword, "INSERT INTO kasi.t VALUES (1)")
	require.NotEqual(t, http.StatusOK, status, body)
	status, body = post(t, s, "analyst", analystPassword, "SELECT sum(a) FROM t")
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "45", body)
}

func TestTheAnalystsLimitsHold(t *testing.T) {
	s := start(t, t.TempDir())
	conn := connect(t, s, "analyst", analystPassword)
	for query, want := range map[string]int32{
		"SELECT number FROM numbers(1000001)":                                                         tooManyResultRows,
		"SELECT groupArray(toString(number)) FROM numbers(100000000)":                                 memoryLimit,
		"SELECT sleepEachRow(1) FROM numbers(10) SETTINGS max_execution_time = 1, max_block_size = 1": timeout,
		"SELECT count() FROM numbers(600000000) WHERE NOT ignore(number)":                             tooManyRows,
		"SELECT 1 SETTINGS max_execution_time = 0":                                                    constraint,
		"SELECT 1 SETTINGS max_execution_time = 3600":                                                 constraint,
		"SELECT 1 SETTINGS max_result_rows = 0":                                                       constraint,
		"SELECT 1 SETTINGS max_memory_usage = 0":                                                      constraint,
		"SELECT 1 SETTINGS max_memory_usage = 2000000000":                                             constraint,
		"SELECT 1 SETTINGS max_memory_usage_for_user = 0":                                             readonly,
		"SELECT 1 SETTINGS max_rows_to_read = 0":                                                      constraint,
		"SELECT 1 SETTINGS readonly = 0":                                                              readonly,
		"SELECT 1 SETTINGS max_concurrent_queries_for_user = 0":                                       readonly,
		"SELECT 1 SETTINGS log_queries = 0":                                                           readonly,
	} {
		err := conn.Exec(t.Context(), query)
		require.Equal(t, want, code(err), "%s: %v", query, err)
	}
	require.Equal(t, uint64(maxResultRows), count(t, conn, "SELECT count() FROM (SELECT number FROM numbers(1000000))"))
}

// TestTheAnalystsToolsWork does what clickhouse-go, JDBC and curl do beside the query: settings that they add on their
// own.
func TestTheAnalystsToolsWork(t *testing.T) {
	s := start(t, t.TempDir())
	// clickhouse-go sends max_execution_time when the context has a deadline.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, connect(t, s, "analyst", analystPassword).Exec(ctx, "SELECT 1"))

	opts := s.ClickHouse()
	opts.Protocol, opts.Addr = clickhouse.HTTP, []string{s.HTTPAddr()}
	opts.Auth.Username, opts.Auth.Password = "analyst", analystPassword
	opts.Compression = &clickhouse.Compression{Method: clickhouse.CompressionGZIP, Level: 3}
	overHTTP, err := clickhouse.Open(opts)
	require.NoError(t, err)
	defer func() { _ = overHTTP.Close() }()
	var n uint64
	require.NoError(t, overHTTP.QueryRow(ctx, "SELECT toUInt64(sum(number)) FROM numbers(10)").Scan(&n))
	require.Equal(t, uint64(45), n)

	// The parameters of the JDBC driver, of Grafana's and of a browser.
	for _, parameters := range []string{
		"compress=1&decompress=0", "default_format=RowBinaryWithNamesAndTypes&wait_end_of_query=1&buffer_size=100000",
		"max_result_rows=100&result_overflow_mode=break",
		"session_timezone=Africa/Johannesburg&join_use_nulls=1&extremes=1",
		"enable_http_compression=1&max_execution_time=20&log_comment=x",
		"date_time_output_format=iso&output_format_json_quote_64bit_integers=0&send_progress_in_http_headers=1",
		"query_id=q1&session_id=s1", "max_memory_usage=100000000&max_rows_to_read=1000&max_result_bytes=1000",
		"additional_table_filters=" + url.QueryEscape("{'kasi.t':'a = 1'}"),
		"http_write_exception_in_output_format=0&network_compression_method=LZ4&max_threads=1&max_block_size=1000",
	} {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost,
			"http://"+s.HTTPAddr()+"/?database=kasi&query=SELECT+1&"+parameters, nil)
		require.NoError(t, err)
		request.SetBasicAuth("analyst", analystPassword)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, parameters)
	}
}

// Drivers such as clickhouse-connect name a session. Several at once are no reason to refuse one.
func TestSessionsAreNotCounted(t *testing.T) {
	s := start(t, t.TempDir())
	held := connect(t, s, "analyst", analystPassword)
	require.NoError(t, held.Ping(t.Context()))
	for i := range 8 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			fmt.Sprintf("http://%s/?query=SELECT+1&session_id=s%d", s.HTTPAddr(), i), nil)
		require.NoError(t, err)
		request.SetBasicAuth("analyst", analystPassword)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
}

// A tenant's analyst sees the rows of its tenant in every table and view, and nothing of what has no tenant.
func TestATenantsAnalystSeesItsTenant(t *testing.T) {
	s := start(t, t.TempDir())
	require.NoError(t, migrate.Up(t.Context(), s.ClickHouse(), slog.New(slog.DiscardHandler)))
	kasi := asKasi(t, s)
	all := schemas.Tables()
	for _, state := range schemas.States() {
		all = append(all, state.Table)
	}
	for _, table := range all {
		if table.Name == "calendar_log" {
			require.NoError(t, kasi.Exec(t.Context(), "INSERT INTO calendar_log (business_date) VALUES ('2025-11-05')"))
			continue
		}
		for _, tenant := range []string{"acme", "other"} {
			require.NoError(t, kasi.Exec(t.Context(), "INSERT INTO "+table.Name+" (tenant_id) VALUES ('"+tenant+"')"))
		}
	}
	conn := connect(t, s, "analyst_acme", tenantPassword)
	for _, table := range all {
		if table.Name != "calendar_log" {
			require.EqualValues(t, 1, count(t, conn, "SELECT count() FROM "+table.Name), table.Name)
			require.EqualValues(t, 0, count(t, conn, "SELECT count() FROM "+table.Name+" WHERE tenant_id != 'acme'"))
		}
	}
	for _, view := range schemas.Views() {
		if view.Name != "calendar" && view.Name != "reason_codes" {
			require.EqualValues(t, 0, count(t, conn, "SELECT count() FROM "+view.Name+" WHERE tenant_id != 'acme'"), view.Name)
		}
		require.NoError(t, conn.Exec(t.Context(), "SELECT * FROM "+view.Name+" LIMIT 1"), view.Name)
	}
	require.EqualValues(t, 1, count(t, conn, "SELECT count() FROM policies"))
	require.EqualValues(t, 2, count(t, connect(t, s, "analyst", analystPassword), "SELECT count() FROM policies"))
	require.NoError(t, conn.Exec(t.Context(), "SELECT * FROM information_schema.columns FORMAT Null"))
	for _, refused := range []string{
		"SELECT * FROM sink_marks", "SELECT * FROM goose_db_version", "INSERT INTO policies_log (tenant_id) VALUES ('acme')",
		"SELECT * FROM system.parts", "DROP VIEW policies",
	} {
		require.Contains(t, []int32{accessDenied, readonly}, code(conn.Exec(t.Context(), refused)), refused)
	}
	require.EqualValues(t, wrongPassword, code(connect(t, s, "analyst_other", tenantPassword).Ping(t.Context())))
}
