package console_test

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api/console"
	"github.com/kasi-collections/kasi/schemas"
	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

func TestMain(m *testing.M) { os.Exit(chtest.Main(m)) }

// site is the console on a real ClickHouse that holds a month of two tenants.
type site struct {
	t       *testing.T
	db      driver.Conn
	url     string
	handler http.Handler
	kafka   error // what Kafka answers
	calls   []string
	revoked atomic.Bool
	client  *http.Client
}

var (
	policyOne     = schemas.PolicyID("acme", "P1")
	collectionOne = schemas.CollectionID(policyOne, "2025-11")
	theirs        = schemas.CollectionID(schemas.PolicyID("other", "P9"), "2025-11")
	statementOne  = schemas.SettlementID("acme", "2025-11", 1)
)

func newSite(t *testing.T) *site {
	db, err := clickhouse.Open(chtest.New(t))
	require.NoError(t, err)
	s := &site{t: t, db: db}
	t.Cleanup(func() { _ = db.Close() })
	handler, err := console.New(console.Config{
		DB: db, Log: slog.New(slog.DiscardHandler), Changes: []console.Line{{About: "balance", Text: "in rands"}},
		Bearer: func(key string) (console.Bearer, bool) {
			tenant := map[string]string{"key-a": "acme", "key-o": "other"}[key]
			return console.Bearer{Tenant: tenant, CanSettle: true, CanWrite: true}, tenant != "" && !s.revoked.Load()
		},
		Words: func(ev *schemas.DecisionEvent) []console.Line {
			return []console.Line{{About: "why", Text: ev.Explanation}}
		},
		WhatIf: func(_ *schemas.DecisionEvent, with []string) ([]console.Line, error) {
			if with[0] != "balance=500" {
				return nil, errors.New("what-if: no such change")
			}
			return []console.Line{{About: "what if", Text: "then it is debited"}}, nil
		},
		Degraded: func() []string { return []string{"partition 3 is set aside"} },
		DeadLetters: func(context.Context) ([]console.Refused, error) {
			return []console.Refused{{Class: "BAD_JSON", Topic: schemas.TopicRailResults, Records: 3}}, s.kafka
		},
		API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			s.calls = append(s.calls, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-API-Key")+" "+string(body))
			if strings.Contains(string(body), "refuse") {
				w.WriteHeader(http.StatusConflict)
				_, _ = w.Write([]byte(`{"error":{"code":"CONFLICT","message":"The 30 days are over."}}`))
			}
		}),
		Behind: func(context.Context) ([]console.Behind, error) {
			return []console.Behind{{Role: "sink", Group: "kasi-sink", Records: 77}}, nil
		},
	})
	require.NoError(t, err)
	s.handler = handler
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	s.url, s.client = server.URL, &http.Client{Jar: jar}
	s.rows()
	return s
}

// rows stores a month of acme: one collection paid at the second try, and one that was never tried.
func (s *site) rows() {
	for _, q := range []string{
		`INSERT INTO calendar_log (business_date, cutoff) VALUES ('2025-11-28', 1)`,
		`INSERT INTO policies_log (tenant_id, policy_id, policy_number, customer_id, external_customer_ref, premium_cents,
			status, rail, hold_reason, version, event_id) VALUES
			('acme', 'P', 'P1', 'C1', 'E1', 15000, 'active', 'RM', 'ACCOUNT_CLOSED', 1, 'P'),
			('other', 'T', 'P9', 'C9', 'E9', 100, 'active', 'RM', '', 1, 'T')`,
		`INSERT INTO collections_log (tenant_id, period_month, collection_id, version, customer_id, policy_number,
			due_cents, collected_cents, in_flight_cents, collection_status, number_of_attempts, last_failure_reason,
			moved_cents, change_kind, change_debit_id, change_amount_cents, reason_code, reason_scheme, effective_date,
			business_date, at, src_partition, seq) VALUES
			('acme', '2025-11', 'C', 1, 'C1', 'P1', 15000, 0, 0, 'UNPAID', 0, '', 0, 'CREATED', '', 0, '', '', NULL,
				'2025-11-01', '2025-11-01 07:00:00', 0, 1),
			('acme', '2025-11', 'C', 2, 'C1', 'P1', 15000, 0, 0, 'UNPAID', 1, 'INSUFFICIENT_FUNDS', 0, 'DEBIT_UNPAID', 'D1',
				15000, '02', 'ZA', '2025-11-05', '2025-11-06', '2025-11-06 07:00:00', 0, 2),
			('acme', '2025-11', 'C', 3, 'C1', 'P1', 15000, 15000, 0, 'PAID_FULL', 2, '', 15000, 'DEBIT_PAID', 'D2', 15000, '',
				'', '2025-11-26', '2025-11-26', '2025-11-26 07:00:00', 0, 3),
			('acme', '2025-11', 'D', 1, 'C<2>', 'P&2', 123400, 0, 0, 'UNPAID', 0, '', 0, 'CREATED', '', 0, '', '', NULL,
				'2025-11-01', '2025-11-01 07:00:00', 0, 4),
			('other', '2025-11', 'T', 1, 'C9', 'P9', 100, 100, 0, 'PAID_FULL', 1, '', 100, 'DEBIT_PAID', 'D9', 100, '', '',
				'2025-11-26', '2025-11-26', '2025-11-26 07:00:00', 0, 5)`,
		`INSERT INTO decisions_log (tenant_id, customer_id, policy_number, collection_id, period_month, action, reason,
			explanation, amount_cents, alternatives, inputs, business_date, seq, at, event_id) VALUES
			('acme', 'C1', 'P1', 'C', '2025-11', 'WAIT', 'AWAIT_INCOME', 'Money comes on the 25th.', 0, '[]', '{}',
				'2025-11-06', 1, '2025-11-06 07:00:00', 'C')`,
		`INSERT INTO debits_log (tenant_id, period_month, collection_id, attempt, debit_id, customer_id, policy_number,
			amount_cents, action_date, rail, seq) VALUES
			('acme', '2025-11', 'C', 1, 'D1', 'C1', 'P1', 15000, '2025-11-05', 'RM', 1),
			('acme', '2025-11', 'C', 2, 'D2', 'C1', 'P1', 15000, '2025-11-26', 'RM', 2)`,
		`INSERT INTO deposits_log (tenant_id, customer_id, transaction_id, deposit_date, amount_cents, stream_id, kind,
			frequency, stream_status, confidence_percent, next_expected_date, deposit_no, seq, event_id) VALUES
			('acme', 'C1', 'T1', '2025-11-25', 850000, 'S', 'SALARY', 'MONTHLY', 'MATURE', 90, '2025-12-24', 1, 1, 'C')`,
		`INSERT INTO settlements_log (tenant_id, settlement_id, settlement_number, period_month, sequence, version,
			total_collections_cents, net_cents, payment_date, payment_reference, status, created_at, coverage_period,
			coverage_from, coverage_to) VALUES
			('acme', 'S', 'SETTLE-2025-11-001', '2025-11', 1, 1, 15000, 10084, '2025-12-03', 'EFT-20251203-001', 'paid',
				'2025-12-02 08:00:00', ['2025-11'], [[0]], [[9]])`,
	} {
		q = strings.NewReplacer("'P'", "'"+policyOne+"'", "'C'", "'"+collectionOne+"'", "'S'", "'"+statementOne+"'", "'T'",
			"'"+theirs+"'", "'D'", "'"+schemas.CollectionID(policyOne, "2025-10")+"'").Replace(q)
		require.NoError(s.t, s.db.Exec(s.t.Context(), q))
	}
	s.states()
}

// states makes the current states that the sink would keep.
func (s *site) states() {
	for _, state := range schemas.States() {
		require.NoError(s.t, chsink.FillState(s.t.Context(), s.db, state))
	}
}

// get asks for a page. Every answer must keep what the browser is told about safety.
func (s *site) get(path string) (status int, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	require.NoError(s.t, err)
	return s.do(req)
}

func (s *site) do(req *http.Request) (status int, body string) {
	s.t.Helper()
	resp, err := s.client.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	require.Contains(s.t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(s.t, string(b), "key-a", "a key is never shown")
	require.Less(s.t, len(b), 100_000)
	return resp.StatusCode, string(b)
}

func (s *site) login(key, next string) (status int, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/login",
		strings.NewReader(url.Values{"key": {key}, "next": {next}}.Encode()))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(req)
}

func TestPagesSayWhatIsStored(t *testing.T) {
	s := newSite(t)
	_, body := s.login("key-a", "/")
	for path, says := range map[string][]string{
		"/": {
			"The month 2025-11", "R\u00a01,384.00", "R\u00a0150.00", "1 never attempted", "1 of 2 answers", "50.0 %",
			"1 active policies are on hold", "02 ZA",
		},
		"/collections":                  {"P&amp;2", "C&lt;2&gt;", "paid full", "await income"},
		"/collections?status=PAID_FULL": {"P1"},
		"/collections/" + collectionOne: {"Money comes on the 25th.", "debit unpaid", "2025-11-05 02 ZA", "debit paid"},
		"/customer?id=C1": {
			"account closed", "R\u00a08,500.00 came in", "salary expected", "2025-12-24", "P1: wait",
		},
		"/customer?id=C1&only=failed": {"P1: debit unpaid"},
		"/settlements":                {"SETTLE-2025-11-001", "EFT-20251203-001"},
		"/settlements/" + statementOne: {
			"R\u00a0100.84", "The lines add up to R\u00a0150.00", "That is what the statement says.",
		},
		"/engine":                       {"salary", "monthly", "2025-12-24"},
		"/health":                       {"partition 3 is set aside", "BAD_JSON", "kasi-sink", "77"},
		"/search?q=E1":                  {"/customer?id=C1"},
		"/search?q=" + collectionOne:    {"/collections/" + collectionOne},
		"/search?q=D1":                  {"debit of P1 2025-11"},
		"/search?q=SETTLE-2025-11-001":  {"/settlements/" + statementOne},
		"/search?q=nothing":             {"Nothing has exactly this"},
		"/?period_month=2025-10":        {"No collection of this month exists yet"},
		"/collections?policy_number=P7": {"No collection passes these filters"},
		"/collections?attempted=false":  {"P&amp;2", "collections.csv?attempted=false"},
		"/collections/" + collectionOne + "?date=2025-11-05":       {"Nothing was decided"},
		"/collections/" + collectionOne + "?what_if=balance%3D500": {"then it is debited"},
		"/collections/" + collectionOne + "?what_if=x":             {"no such change"},
	} {
		status, got := s.get(path)
		require.Equal(t, http.StatusOK, status, path)
		for _, text := range says {
			require.Contains(t, got, text, path)
		}
	}
	require.Contains(t, body, "The month 2025-11", "the login leads to the page that was asked for")
	_, got := s.get("/customer?id=C1&only=failed")
	require.NotContains(t, got, "came in")
}

// What is downloaded is what is shown.
func TestDownloadIsWhatIsShown(t *testing.T) {
	s := newSite(t)
	s.login("key-a", "/")
	for filter, want := range map[string][]string{
		"":               {"P&2", "P1"},
		"?status=UNPAID": {"P&2"},
		"?period_month=2025-11&status=PAID_FULL&customer_id=C1": {"P1"},
		"?policy_number=P9": nil,
		"?failed=true":      nil, // a failure is over once the collection is paid
		"?failed=false":     {"P&2", "P1"},
		"?attempted=false":  {"P&2"},
		"?attempted=true":   {"P1"},
	} {
		status, body := s.get("/collections.csv" + filter)
		require.Equal(t, http.StatusOK, status)
		rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		require.NoError(t, err)
		var got []string
		for _, row := range rows[1:] {
			got = append(got, row[3])
		}
		require.Equal(t, want, got, filter)
	}
	_, body := s.get("/settlements/" + statementOne + "/lines.csv")
	require.Contains(t, body, "SETTLE-2025-11-001,COLLECTION,2025-11,C1,,P1,,150.00")
}

func TestNobodyGetsInWithoutAKey(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/", "/collections", "/collections.csv", "/customer?id=C1", "/health"} {
		_, body := s.get(path)
		require.Contains(t, body, "Log in", path)
		require.NotContains(t, body, "P1", path)
	}
	status, body := s.login("wrong", "/")
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, body, "This key is not known")
	for _, next := range []string{"//evil.example", "https://evil.example", "/\\evil.example"} {
		_, body = s.login("key-a", next)
		require.Contains(t, body, "The month", "a login never leads to another site")
	}
	s.revoked.Store(true)
	_, body = s.get("/collections")
	require.Contains(t, body, "Log in", "a revoked key ends its sessions")
}

// What is not possible at an address is a 405 in plain text that says what is.
func TestMethodsThatAreNotPossible(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct{ method, path, allow string }{
		{http.MethodDelete, "/", "GET, HEAD"},
		{http.MethodPut, "/login", "GET, HEAD, POST"},
		{http.MethodPost, "/collections/" + collectionOne, "GET, HEAD"},
		{http.MethodPost, "/static/console.css", "GET, HEAD"},
		{http.MethodGet, "/settlements/" + statementOne + "/dispute", "POST"},
	} {
		rec := httptest.NewRecorder()
		s.handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil))
		require.Equal(t, http.StatusMethodNotAllowed, rec.Code, "%s %s", c.method, c.path)
		require.Equal(t, c.allow, rec.Header().Get("Allow"), "%s %s", c.method, c.path)
		require.Equal(t, "Method Not Allowed\n", rec.Body.String())
	}
}

// A tenant sees its own rows only, whatever address it asks for.
func TestTenantsAreApart(t *testing.T) {
	s := newSite(t)
	s.login("key-o", "/")
	for _, path := range []string{"/collections/" + collectionOne, "/settlements/" + statementOne, "/customer?id=C1"} {
		status, body := s.get(path)
		require.Equal(t, http.StatusNotFound, status, path)
		require.NotContains(t, body, "P1", path)
	}
	for _, path := range []string{
		"/", "/collections", "/search?q=P1", "/search?q=D1", "/search?q=" + collectionOne, "/settlements", "/engine",
		"/collections.csv", "/settlements/" + statementOne + "/lines.csv", "/health",
	} {
		status, body := s.get(path)
		require.Equal(t, http.StatusOK, status, path)
		for _, secret := range []string{
			"C1<", "P1<", ",P1,", "SETTLE-2025-11-001<", "SETTLE-2025-11-001,", "/collections/" + collectionOne + `"`,
		} {
			require.NotContains(t, body, secret, path)
		}
	}
}

// A form of another site changes nothing, and a session that was not sealed here lets nobody in.
func TestOtherSitesAndForgedSessions(t *testing.T) {
	s := newSite(t)
	s.login("key-a", "/")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/logout", nil)
	require.NoError(t, err)
	req.Header.Set("Origin", "https://evil.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	status, _ := s.do(req)
	require.Equal(t, http.StatusForbidden, status)
	_, body := s.get("/")
	require.Contains(t, body, "The month")

	at, err := url.Parse(s.url)
	require.NoError(t, err)
	for _, c := range s.client.Jar.Cookies(at) {
		c.Value = "A" + c.Value[1:]
		s.client.Jar.SetCookies(at, []*http.Cookie{c})
	}
	_, body = s.get("/")
	require.Contains(t, body, "Log in")
}

// Without ClickHouse a page says so, and with what is no address of a page too.
func TestPagesThatCannotBeMade(t *testing.T) {
	s := newSite(t)
	s.login("key-a", "/")
	for path, says := range map[string]string{
		"/nowhere": "There is no page", "/?period_month=x": "There is no month",
		"/collections?status=x": "There is no status",
		"/collections/x":        "There is no collection", "/customer?id=nobody": "No policy names this customer",
		"/collections/" + collectionOne + "?date=x": "There is no day",
	} {
		status, body := s.get(path)
		require.Equal(t, http.StatusNotFound, status, path)
		require.Contains(t, body, says, path)
	}
	s.kafka = errors.New("no broker")
	status, body := s.get("/health")
	require.Equal(t, http.StatusOK, status, "health is looked at when something is wrong")
	require.Contains(t, body, "Kafka did not say")
	require.NoError(t, s.db.Close())
	status, body = s.get("/")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "ClickHouse does not answer")
}

// What a page changes, the API carries out, under the session's key. What it refuses is shown in its words.
func TestFormsAskTheAPI(t *testing.T) {
	s := newSite(t)
	s.login("key-a", "/")
	post := func(path, text string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path,
			strings.NewReader(url.Values{"text": {text}}.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return s.do(req)
	}
	status, body := post("/settlements/"+statementOne+"/dispute", " C1 paid cash ")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "SETTLE-2025-11-001", "it leads back to the statement")
	require.Contains(t, body, "What is wrong with it")
	status, body = post("/settlements/"+statementOne+"/resolve", "refuse")
	require.Equal(t, http.StatusConflict, status)
	require.Contains(t, body, "The 30 days are over.")
	_, body = post("/open-items/"+statementOne+"/close", "seen")
	require.Contains(t, body, "Health")
	require.Equal(t, []string{
		"POST /v1/settlements/" + statementOne + `/dispute key-a {"reason":"C1 paid cash"}`,
		"POST /v1/settlements/" + statementOne + `/resolve key-a {"note":"refuse"}`,
		"POST /v1/open-items/" + statementOne + `/close key-a {"note":"seen"}`,
	}, s.calls)
}

// Whoever guesses keys is stopped.
func TestLoginsAreLimited(t *testing.T) {
	s := newSite(t)
	var last int
	for range 11 {
		last, _ = s.login("guess", "/")
	}
	require.Equal(t, http.StatusTooManyRequests, last)
}
