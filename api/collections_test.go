package api_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
)

// threePolicies makes POL001..003, the last one lapsed, and returns their ids.
func (e *env) threePolicies() (ids []string) {
	e.t.Helper()
	for i := range 3 {
		ids = append(ids, e.policy(fmt.Sprintf("POL%03d", i+1)))
	}
	e.send(http.MethodPatch, "/v1/policies/"+ids[2], `{"status":"lapsed"}`).is(http.StatusOK)
	return ids
}

func (e *env) execute(body string) api.ExecutionAccepted {
	e.t.Helper()
	return decoded[api.ExecutionAccepted](e.post("/v1/collections/execute", body).is(http.StatusAccepted))
}

func TestExecuteAllThenOnlyWhatIsMissing(t *testing.T) {
	e := newEnv(t)
	e.threePolicies()
	first := e.execute(`{"period_month":"2025-11"}`)
	require.Equal(t, "processing", first.Status)
	require.NotEmpty(t, first.ExecutionID)
	require.Equal(t, 2, first.PoliciesQueued)
	require.Len(t, decoded[api.CollectionList](e.get("/v1/collections?period_month=2025-11")).Data, 2)

	e.policy("POL004")
	second := e.execute(`{"period_month":"2025-11","policy_ids":null}`)
	require.Equal(t, 1, second.PoliciesQueued)
	require.NotEqual(t, first.ExecutionID, second.ExecutionID)
	require.Zero(t, e.execute(`{"period_month":"2025-11"}`).PoliciesQueued)
	require.Equal(t, 3, e.execute(`{"period_month":"2026-01"}`).PoliciesQueued, "a period to come")
}

func (e *env) execution(id string) api.Execution {
	e.t.Helper()
	return decoded[api.Execution](e.get("/v1/executions/" + id).is(http.StatusOK))
}

// TestExecutionTellsHowFarItIs: right after the 202 the execution is found, by its own tenant alone.
func TestExecutionTellsHowFarItIs(t *testing.T) {
	e := newEnv(t)
	e.threePolicies()
	first := e.execute(`{"period_month":"2025-11"}`)
	want := api.Execution{
		ExecutionID: first.ExecutionID, PeriodMonth: "2025-11", Status: "completed", PoliciesQueued: 2, PoliciesDone: 2,
		CollectionsCreated: 2, CreatedAt: time.Date(2025, 11, 5, 7, 0, 0, 0, time.UTC),
	}
	require.Equal(t, want, e.execution(first.ExecutionID))
	for _, path := range []string{first.ExecutionID, "019ac0c9-0000-7000-8000-000000000000", "x"} {
		got := e.request(http.MethodGet, "/v1/executions/"+path, otherKey, "", nil).is(http.StatusNotFound).err()
		require.Equal(t, "NOT_FOUND", got.Code)
	}

	e.policy("POL004")
	again := e.execution(e.execute(`{"period_month":"2025-11"}`).ExecutionID)
	require.Equal(t, []int{1, 1, 1, 2}, []int{
		again.PoliciesQueued, again.PoliciesDone, again.CollectionsCreated, again.Unchanged,
	})
}

func TestExecutionOfNamedPoliciesTellsHowFarItIs(t *testing.T) {
	e := newEnv(t)
	e.threePolicies()
	for _, created := range []int{1, 0} {
		x := e.execution(e.execute(`{"period_month":"2025-11","policy_ids":["POL001"]}`).ExecutionID)
		require.Equal(t, []any{"completed", created, created, created}, []any{
			x.Status, x.PoliciesQueued, x.PoliciesDone, x.CollectionsCreated,
		})
	}
}

func TestExecutionUnderWay(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Wait = 50 * time.Millisecond })
	e.threePolicies()
	e.pipe.half = true
	x := e.execution(e.execute(`{"period_month":"2025-11"}`).ExecutionID)
	require.Equal(t, []any{"processing", 2, 1, 1}, []any{x.Status, x.PoliciesQueued, x.PoliciesDone, x.CollectionsCreated})
}

// TestExecuteIsWrittenWhateverBecomesOfTheCaller: what is written does not end with the caller's connection.
func TestExecuteIsWrittenWhateverBecomesOfTheCaller(t *testing.T) {
	e := newEnv(t)
	e.threePolicies()
	ends := make(chan bool, 2)
	e.pipe.writing = func(ctx context.Context) { ends <- ctx.Done() != nil }
	e.execute(`{"period_month":"2025-11"}`)
	e.execute(`{"period_month":"2025-12","policy_ids":["POL001"]}`)
	require.Equal(t, []bool{false, false}, []bool{<-ends, <-ends})
}

func TestExecuteNamedPolicies(t *testing.T) {
	e := newEnv(t)
	e.threePolicies()
	sent := e.pipe.commands
	got := e.post("/v1/collections/execute",
		`{"period_month":"2025-11","policy_ids":["POL001","POL003","NOPE","OTHER"]}`).is(http.StatusNotFound).err()
	require.Equal(t, "policy_ids", got.Details.Field)
	require.Contains(t, got.Message, "NOPE, OTHER")
	got = e.post("/v1/collections/execute",
		`{"period_month":"2025-11","policy_ids":["POL001","POL003"]}`).is(http.StatusConflict).err()
	require.Contains(t, got.Message, "POL003 (lapsed)")
	require.Equal(t, sent, e.pipe.commands, "nothing was queued")

	require.Equal(t, 1, e.execute(`{"period_month":"2025-11","policy_ids":["POL001","POL001"]}`).PoliciesQueued)
	require.Equal(t, 1, e.execute(`{"period_month":"2025-11","policy_ids":["POL001","POL002"]}`).PoliciesQueued)
	require.Equal(t, "NOT_FOUND", e.request(http.MethodPost, "/v1/collections/execute", otherKey, "application/json",
		strings.NewReader(`{"period_month":"2025-11","policy_ids":["POL001"]}`)).is(http.StatusNotFound).err().Code)
}

// TestThousandPolicies is use case 1: imported by CSV, then executed, all queued, one collection each.
func TestThousandPolicies(t *testing.T) {
	e := newEnv(t)
	file, names := importHeader, []string{}
	for i := range 1200 {
		file += fmt.Sprintf("C%d,E%d,POL%04d,FUNERAL_01,150.00\n", i, i, i)
		if i >= 100 {
			names = append(names, fmt.Sprintf(`"POL%04d"`, i))
		}
	}
	require.Equal(t, 1200, decoded[api.ImportResult](e.upload(file).is(http.StatusOK)).Imported)
	require.Equal(t, 1100, e.execute(`{"period_month":"2025-11","policy_ids":[`+strings.Join(names,
		",")+`]}`).PoliciesQueued)
	require.Equal(t, 100, e.execute(`{"period_month":"2025-11"}`).PoliciesQueued)
	l := decoded[api.CollectionList](e.get("/v1/collections?limit=1000&period_month=2025-11"))
	require.Len(t, l.Data, 1000)
	require.Len(t, decoded[api.CollectionList](e.get("/v1/collections?limit=1000&cursor="+*l.NextCursor)).Data, 200)
}

func TestExecutePeriodsThatHavePassed(t *testing.T) {
	e := newEnv(t)
	e.threePolicies()
	got := e.post("/v1/collections/execute", `{"period_month":"2025-10"}`).is(http.StatusUnprocessableEntity).err()
	require.Equal(t, "UNPROCESSABLE", got.Code)
	require.Contains(t, got.Message, "2025-11-05")
	e.pipe.day("2025-11-30")
	require.Equal(t, 2, e.execute(`{"period_month":"2025-11"}`).PoliciesQueued, "the last day is still in the period")
	e.pipe.day("2025-12-01")
	e.post("/v1/collections/execute", `{"period_month":"2025-11"}`).is(http.StatusUnprocessableEntity)
}

func TestExecutePeriodsFarAhead(t *testing.T) {
	e := newEnv(t)
	e.threePolicies()
	require.Equal(t, 2, e.execute(`{"period_month":"2026-11"}`).PoliciesQueued)
	for _, period := range []string{"2026-12", "2052-11", "9999-12"} {
		got := e.post("/v1/collections/execute", `{"period_month":"`+period+`"}`).is(http.StatusUnprocessableEntity).err()
		require.Equal(t, "2025-11 to 2026-11", got.Details.Expected)
	}
}

func TestExecuteBeforeTheCalendarHasStarted(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Wait = 50 * time.Millisecond })
	require.NoError(t, e.db.Exec(t.Context(), "TRUNCATE TABLE calendar_log"))
	got := e.post("/v1/collections/execute", `{"period_month":"2025-11"}`).is(http.StatusServiceUnavailable).err()
	require.Contains(t, got.Message, "ticker")
}

func TestExecuteIsAcceptedEvenWhereNobodyAnswers(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Wait = 50 * time.Millisecond })
	e.threePolicies()
	e.pipe.deaf = true
	require.Equal(t, 2, e.execute(`{"period_month":"2025-11"}`).PoliciesQueued)
	e.pipe.fail = errKafka
	require.Contains(t, e.post("/v1/collections/execute",
		`{"period_month":"2025-11"}`).is(http.StatusServiceUnavailable).err().Message, "no broker")
}

func TestCollectionsShowThe13Fields(t *testing.T) {
	e := newEnv(t)
	e.threePolicies()
	e.execute(`{"period_month":"2025-11"}`)
	e.pipe.pay("POL001", "2025-11", 5000, "2025-11-05")
	e.pipe.change("POL001", "2025-11", func(c *schemas.CollectionEvent) {
		c.LastFailureReason, c.Attempts, c.LastAttemptDate = "INSUFFICIENT_FUNDS", 2, "2025-11-28"
	})
	id := schemas.CollectionID(schemas.PolicyID("acme", "POL001"), "2025-11")
	require.Equal(t, `{"id":"`+id+`","period_month":"2025-11","customer_id":"C-POL001",`+
		`"external_customer_ref":"EXT","policy_number":"POL001",`+
		`"product_code":"FUNERAL_01","collection_amount_due":150.00,"collection_amount_collected":50.00,`+
		`"shortfall":100.00,"collection_status":"PAID_PARTIAL",`+
		`"first_attempt_date":"2025-11-05","last_attempt_date":"2025-11-28","number_of_attempts":2,`+
		`"last_failure_reason":"INSUFFICIENT_FUNDS","in_flight":0.00,"hold":null,"next_step":{"action":"WAIT","date":null,`+
		`"reason":"AWAIT_CUTOFF","explanation":"The next cut-off decides what happens."}}`+"\n",
		string(e.get("/v1/collections/"+id).is(http.StatusOK).body))
	require.Equal(t, "NOT_FOUND", e.request(http.MethodGet, "/v1/collections/"+id, otherKey, "",
		nil).is(http.StatusNotFound).err().Code)

	list := e.get("/v1/collections?policy_number=POL002").is(http.StatusOK)
	require.Contains(t, string(list.body),
		`"collection_status":"UNPAID","first_attempt_date":null,"last_attempt_date":null,`+
			`"number_of_attempts":0,"last_failure_reason":null`)
	count := func(query string) int { return len(decoded[api.CollectionList](e.get("/v1/collections" + query)).Data) }
	require.Equal(t, 1, count("?collection_status=paid_partial&customer_id=C-POL001&period_month=2025-11"))
	require.Equal(t, 0, count("?collection_status=PAID_FULL"))
	require.Equal(t, 0, count("?period_month=2025-12"))
}

func TestCollectionsPageOverPeriods(t *testing.T) {
	e := newEnv(t)
	e.threePolicies()
	for _, p := range []string{"2025-12", "2025-11"} {
		e.execute(`{"period_month":"` + p + `"}`)
	}
	var seen []string
	for next := ""; ; {
		l := decoded[api.CollectionList](e.get("/v1/collections?limit=1" + next).is(http.StatusOK))
		require.Len(t, l.Data, 1)
		seen = append(seen, string(l.Data[0].PeriodMonth)+" "+l.Data[0].PolicyNumber)
		if l.NextCursor == nil {
			break
		}
		next = "&cursor=" + *l.NextCursor
	}
	require.Equal(t, []string{"2025-11 POL001", "2025-11 POL002", "2025-12 POL001", "2025-12 POL002"}, seen)
}

func TestReport(t *testing.T) {
	e := newEnv(t)
	e.threePolicies()
	const header = "period_month,customer_id,external_customer_ref,policy_number,product_code," +
		"collection_amount_due,collection_amount_collected,shortfall,collection_status," +
		"first_attempt_date,last_attempt_date,number_of_attempts,last_failure_reason\n"
	require.Equal(t, header, string(e.get("/v1/reports/collections?period_month=2025-11").is(http.StatusOK).body))
	e.execute(`{"period_month":"2025-11"}`)
	e.pipe.pay("POL001", "2025-11", 15000, "2025-11-05")
	a := e.get("/v1/reports/collections?period_month=2025-11&format=csv").is(http.StatusOK)
	require.Equal(t, "text/csv; charset=utf-8", a.header.Get("Content-Type"))
	require.Equal(t, `attachment; filename="collections-2025-11.csv"`, a.header.Get("Content-Disposition"))
	require.Equal(t, header+
		"2025-11,C-POL001,EXT,POL001,FUNERAL_01,150.00,150.00,0.00,PAID_FULL,2025-11-05,2025-11-05,1,\n"+
		"2025-11,C-POL002,EXT,POL002,FUNERAL_01,150.00,0.00,150.00,UNPAID,,,0,\n", string(a.body))

	report := decoded[api.Report](e.get("/v1/reports/collections?period_month=2025-11&format=json").is(http.StatusOK))
	require.Len(t, report.Results, 2)
	require.EqualValues(t, 15000, report.Results[0].CollectionAmountCollected)
	require.Equal(t, `{"period_month":"2025-12","results":[]}`+"\n",
		string(e.get("/v1/reports/collections?period_month=2025-12&format=json").body))
	other := e.request(http.MethodGet, "/v1/reports/collections?period_month=2025-11", otherKey, "", nil)
	require.Equal(t, header, string(other.is(http.StatusOK).body))
}

// manyCollections fills a period with n collections directly.
func (e *env) manyCollections(n int) {
	require.NoError(e.t, e.db.Exec(e.t.Context(), `INSERT INTO collections_log
			(tenant_id, period_month, collection_id, version, customer_id, policy_id, policy_number, due_cents,
			collection_status, event_id)
		SELECT 'acme', '2025-11', generateUUIDv4(number), 1, '=HYPERLINK("x")', generateUUIDv4(number + 1),
			'P' || leftPad(toString(number), 7, '0'), 15000, 'UNPAID', generateUUIDv4() FROM numbers(?)`, n))
}

func TestReportOfManyIsStreamedInOrder(t *testing.T) {
	e := newEnv(t)
	const n = 50_000
	e.manyCollections(n)
	report := e.get("/v1/reports/collections?period_month=2025-11").is(http.StatusOK)
	records, err := csv.NewReader(strings.NewReader(string(report.body))).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, n+1)
	for i, r := range records[1:] {
		require.Equal(t, fmt.Sprintf("P%07d", i), r[3])
	}
	require.Equal(t, `=HYPERLINK("x")`, records[1][1], "values stand as they were given")
	require.Len(t, decoded[api.Report](e.get("/v1/reports/collections?period_month=2025-11&format=json")).Results, n)
}

// TestReportThatFailsInTheMiddleBreaksOff: the database fails after part of the report has been sent.
func TestReportThatFailsInTheMiddleBreaksOff(t *testing.T) {
	for _, format := range []string{"csv", "json"} {
		e := newEnv(t, func(c *api.Config) { c.DB = failingConn{Conn: c.DB, after: 20_000} })
		e.manyCollections(50_000)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			e.url+"/v1/reports/collections?period_month=2025-11&format="+format, nil)
		require.NoError(t, err)
		req.Header.Set("X-API-Key", acmeKey)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, resp.Body.Close())
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.NotEmpty(t, b)
		require.Contains(t, e.log.String(), "answer broken off")

		// Failing before anything was sent, it is an ordinary error.
		e = newEnv(t, func(c *api.Config) { c.DB = failingConn{Conn: c.DB, after: 10} })
		e.manyCollections(50)
		a := e.get("/v1/reports/collections?period_month=2025-11&format=" + format).is(http.StatusServiceUnavailable)
		require.Equal(t, "UNAVAILABLE", a.err().Code)
		require.Empty(t, a.header.Get("Content-Disposition"))
	}
}

var errCut = errors.New("connection cut")
