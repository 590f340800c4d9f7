package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
)

const exportColumns = "settlement_number,line_type,period_month,customer_id,external_customer_ref," +
	"policy_number,product_code,amount\n"

// paidPolicy makes a policy of the amount and a collection of 2025-11 that is paid in full.
func (e *env) paidPolicy(number, rands string, cents schemas.Cents) {
	e.t.Helper()
	e.post("/v1/policies", strings.Replace(policyJSON(number), "150.00", rands, 1)).is(http.StatusCreated)
	e.execute(`{"period_month":"2025-11"}`)
	e.pipe.pay(number, "2025-11", cents, "2025-11-05")
}

// TestDocumentedSettlement is the example of CONTRACT 5.
func TestDocumentedSettlement(t *testing.T) {
	e := newEnv(t)
	e.paidPolicy("POL001", "42000.00", 4200000)
	e.paidPolicy("POL002", "500.00", 50000)
	a := e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusCreated)
	id := schemas.SettlementID("acme", "2025-11", 1)
	figures := `{"id":"` + id +
		`","settlement_number":"SETTLE-2025-11-001","period_month":"2025-11","total_collections":42500.00,` +
		`"distribution_fee":10625.00,"collections_fee":1487.50,"total_fees":12112.50,"vat":1816.88,"net_amount":28570.62,` +
		`"payment_date":"2025-12-03","status":"pending"`
	require.Equal(t, figures+"}\n", string(a.body))
	require.Equal(t, "/v1/settlements/"+id, a.header.Get("Location"))

	require.Equal(t, figures+"}\n", string(e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusOK).body),
		"the same call, the same statement")
	require.Equal(t, figures+`,"payment_reference":"EFT-20251203-001","created_at":"2025-12-02T08:00:00Z",`+
		`"in_flight":{"count":0,"amount":0.00},"brought_forward":0.00,"payable_amount":28570.62,"adjustments":0.00,`+
		`"paid_date":null,"payout_state":null,"note":null,`+
		`"history":[{"version":1,"change":"CREATED","status":"pending","date":"2025-12-02","note":null}]}`+"\n",
		string(e.get("/v1/settlements/"+id).is(http.StatusOK).body))

	export := e.get("/v1/settlements/" + id + "/export").is(http.StatusOK)
	require.Equal(t, "text/csv; charset=utf-8", export.header.Get("Content-Type"))
	require.Equal(t, `attachment; filename="SETTLE-2025-11-001.csv"`, export.header.Get("Content-Disposition"))
	require.Equal(t, exportColumns+
		"SETTLE-2025-11-001,COLLECTION,2025-11,C-POL001,EXT,POL001,FUNERAL_01,42000.00\n"+
		"SETTLE-2025-11-001,COLLECTION,2025-11,C-POL002,EXT,POL002,FUNERAL_01,500.00\n", string(export.body))
}

func TestMovementsAfterAStatementMakeTheNext(t *testing.T) {
	e := newEnv(t)
	e.paidPolicy("POL001", "150.00", 15000)
	e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusCreated)
	e.pipe.pay("POL001", "2025-11", -5000, "2025-11-10")
	second := schemas.SettlementID("acme", "2025-11", 2)
	a := e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusCreated)
	require.True(t, strings.HasPrefix(string(a.body),
		`{"id":"`+second+`","settlement_number":"SETTLE-2025-11-002","period_month":"2025-11","total_collections":-50.00,`))
	require.Contains(t, string(a.body), `"payment_date":"2025-12-03","status":"carried_forward"}`)
	require.Equal(t, exportColumns+"SETTLE-2025-11-002,ADJUSTMENT,2025-11,C-POL001,EXT,POL001,FUNERAL_01,-50.00\n",
		string(e.get("/v1/settlements/"+second+"/export").is(http.StatusOK).body))

	first := e.get("/v1/settlements?limit=1&period_month=2025-11").is(http.StatusOK)
	l := decoded[api.SettlementList](first)
	require.Equal(t, "SETTLE-2025-11-001", l.Data[0].SettlementNumber)
	last := string(e.get("/v1/settlements?limit=1&cursor=" + *l.NextCursor).is(http.StatusOK).body)
	require.Contains(t, last, `"settlement_number":"SETTLE-2025-11-002"`)
	require.Contains(t, last, `"payment_reference":null`)
	require.Contains(t, last, `"next_cursor":null`)
	require.Len(t, decoded[api.SettlementList](e.get("/v1/settlements?status=PENDING")).Data, 1)
	require.Len(t, decoded[api.SettlementList](e.get("/v1/settlements?status=carried_forward")).Data, 1)
	require.Empty(t, decoded[api.SettlementList](e.get("/v1/settlements?status=paid")).Data)

	paid := e.pipe.statements["acme2025-11"][0]
	paid.Status, paid.Version = schemas.SettlementPaid, 2
	e.pipe.store(paid)
	l = decoded[api.SettlementList](e.get("/v1/settlements?status=paid"))
	require.Len(t, l.Data, 1)
	require.Equal(t, schemas.SettlementPaid, l.Data[0].Status)
}

// A period that has not ended is not settled (PERIOD_OPEN); a preview gives its figures and changes nothing.
func TestAnOpenPeriodIsPreviewedOnly(t *testing.T) {
	e := newEnv(t)
	e.paidPolicy("POL001", "150.00", 15000)
	e.pipe.today = civil.Date{Year: 2025, Month: 11, Day: 30}
	got := e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusConflict).err()
	require.Equal(t, "PERIOD_OPEN", got.Code)
	require.Contains(t, got.Message, "2025-11 has not ended; it can be settled from 2025-12-01")
	require.Equal(t, "period_month", got.Details.Field)
	require.Contains(t, got.Details.Expected, "2025-12-01")
	never := e.post("/v1/settlements", `{"period_month":"2026-05"}`).is(http.StatusConflict).err()
	require.Equal(t, "PERIOD_OPEN", never.Code, "also where nothing was executed")

	const preview = `{"period_month":"2025-11","preview":true}`
	figures := `{"id":null,"settlement_number":null,"period_month":"2025-11","total_collections":150.00,` +
		`"distribution_fee":37.50,"collections_fee":5.25,"total_fees":42.75,"vat":6.41,"net_amount":100.84,` +
		`"payment_date":"2025-12-03","status":"preview","in_flight":{"count":0,"amount":0.00},"brought_forward":0.00,` +
		`"payable_amount":100.84,"adjustments":0.00}` + "\n"
	for range 2 {
		require.Equal(t, figures, string(e.post("/v1/settlements", preview).is(http.StatusOK).body))
	}
	require.Empty(t, decoded[api.SettlementList](e.get("/v1/settlements")).Data)
	require.Contains(t, e.post("/v1/settlements", `{"period_month":"2025-10","preview":true}`).is(http.StatusConflict).
		err().Message, "Nothing was executed")

	e.pipe.today = civil.Date{Year: 2025, Month: 12, Day: 1}
	made := e.post("/v1/settlements", `{"period_month":"2025-11","preview":false}`).is(http.StatusCreated)
	require.Contains(t, string(made.body), `"settlement_number":"SETTLE-2025-11-001"`, "previews take no number")
	st := decoded[api.Settlement](e.get("/v1/settlements/" + decoded[api.SettlementCreated](made).ID))
	require.Equal(t, "2025-12-01T08:00:00Z", st.CreatedAt.Format(time.RFC3339), "on the business date, not on the clock's")
	require.Equal(t, string(made.body), string(e.post("/v1/settlements", preview).is(http.StatusOK).body),
		"nothing has moved since: the preview is the statement that stands")
	e.pipe.pay("POL001", "2025-11", -5000, "2025-12-02")
	p := decoded[api.SettlementPreview](e.post("/v1/settlements", preview).is(http.StatusOK))
	require.EqualValues(t, -5000, p.TotalCollections)
	require.EqualValues(t, -5000, p.Adjustments)
	require.Contains(t, e.post("/v1/settlements", `{"period_month":"2025-11","preview":"yes"}`).
		is(http.StatusBadRequest).err().Message, "preview")
}

// The lines of a statement as pages of JSON add up to it.
func TestSettlementLines(t *testing.T) {
	e := newEnv(t)
	for _, number := range []string{"POL001", "POL002", "POL003"} {
		e.paidPolicy(number, "150.00", 15000)
	}
	id := decoded[api.SettlementCreated](e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusCreated)).ID
	e.pipe.pay("POL001", "2025-11", -15000, "2025-12-02")
	e.pipe.pay("POL003", "2025-11", 100, "2025-12-02")
	second := decoded[api.SettlementCreated](e.post("/v1/settlements", `{"period_month":"2025-11"}`).
		is(http.StatusCreated)).ID
	pages := func(id string) (lines []string) {
		path := "/v1/settlements/" + id + "/lines?limit=2"
		for cursor := ""; ; {
			l := decoded[api.SettlementLineList](e.get(path + cursor).is(http.StatusOK))
			for _, line := range l.Data {
				lines = append(lines, line.LineType+" "+line.PolicyNumber+" "+schemas.Cents(line.Amount).String())
			}
			if l.NextCursor == nil {
				return lines
			}
			cursor = "&cursor=" + *l.NextCursor
		}
	}
	require.Equal(t, []string{"COLLECTION POL001 150.00", "COLLECTION POL002 150.00", "COLLECTION POL003 150.00"},
		pages(id))
	require.Equal(t, []string{"COLLECTION POL003 1.00", "ADJUSTMENT POL001 -150.00"}, pages(second))
	e.request(http.MethodGet, "/v1/settlements/"+id+"/lines", otherKey, "", nil).is(http.StatusNotFound)
	e.get("/v1/settlements/" + id + "/lines?cursor=x").is(http.StatusBadRequest)
}

// A statement is disputed and resolved, with its history.
func TestDispute(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Wait = time.Second })
	e.paidPolicy("POL001", "150.00", 15000)
	id := decoded[api.SettlementCreated](e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusCreated)).ID
	path := "/v1/settlements/" + id
	require.Contains(t, e.post(path+"/resolve", `{"note":"x"}`).is(http.StatusConflict).err().Message, "not disputed")
	require.Contains(t, e.post(path+"/dispute", `{}`).is(http.StatusBadRequest).err().Message, "reason")
	e.post(path+"/dispute", `{"reason":" "}`).is(http.StatusBadRequest)
	e.post(path+"/dispute", `{"reason":"`+strings.Repeat("x", 1001)+`"}`).is(http.StatusBadRequest)
	e.post("/v1/settlements/"+schemas.SettlementID("acme", "2025-11", 9)+"/dispute", `{"reason":"x"}`).
		is(http.StatusNotFound)
	e.request(http.MethodPost, path+"/dispute", otherKey, "application/json", strings.NewReader(`{"reason":"x"}`)).
		is(http.StatusNotFound)

	for range 2 { // the same call again
		st := decoded[api.Settlement](e.post(path+"/dispute", `{"reason":"POL001 was not paid"}`).is(http.StatusOK))
		require.Equal(t, schemas.SettlementDisputed, st.Status)
		require.Equal(t, "POL001 was not paid", *st.Note)
		require.Len(t, *st.History, 2)
	}
	require.Contains(t, e.post(path+"/dispute", `{"reason":"other"}`).is(http.StatusConflict).err().Message, "already")
	require.Len(t, decoded[api.SettlementList](e.get("/v1/settlements?status=disputed")).Data, 1)
	st := decoded[api.Settlement](e.post(path+"/resolve", `{"note":"it was"}`).is(http.StatusOK))
	require.Equal(t, schemas.SettlementPending, st.Status)
	var history []string
	for _, c := range *decoded[api.Settlement](e.get(path)).History {
		history = append(history, c.Change+" "+string(c.Status)+" "+c.Date)
	}
	require.Equal(t, []string{
		"CREATED pending 2025-12-02", "DISPUTED disputed 2025-12-02", "RESOLVED pending 2025-12-02",
	}, history)
	e.pipe.today = civil.Date{Year: 2026, Month: 1, Day: 2}
	require.Contains(t, e.post(path+"/dispute", `{"reason":"late"}`).is(http.StatusConflict).err().Message,
		"until 2026-01-01")
	e.pipe.deaf = true
	require.Contains(t, e.post(path+"/resolve", `{"note":"x"}`).is(http.StatusServiceUnavailable).err().Message,
		"It will be carried out")
}

func TestOtherTenantsSettlementsDoNotExist(t *testing.T) {
	e := newEnv(t)
	e.paidPolicy("POL001", "150.00", 15000)
	id := decoded[api.SettlementCreated](e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusCreated)).ID
	for _, path := range []string{"/v1/settlements/" + id, "/v1/settlements/" + id + "/export"} {
		require.Equal(t, "NOT_FOUND", e.request(http.MethodGet, path, otherKey, "", nil).is(http.StatusNotFound).err().Code)
	}
	require.Empty(t, decoded[api.SettlementList](e.request(http.MethodGet, "/v1/settlements", otherKey, "", nil)).Data)
	got := e.request(http.MethodPost, "/v1/settlements", otherKey, "application/json",
		strings.NewReader(`{"period_month":"2025-11"}`))
	require.Equal(t, "CONFLICT", got.is(http.StatusConflict).err().Code, "nothing was executed for this tenant")
}

func TestSettlementWaitsForTheSink(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Wait = 200 * time.Millisecond })
	e.paidPolicy("POL001", "150.00", 15000)
	e.pipe.stuck = true
	e.pipe.pay("POL001", "2025-11", -5000, "2025-11-10")
	a := e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusServiceUnavailable)
	got := a.err()
	require.Equal(t, "UNAVAILABLE", got.Code)
	require.Regexp(t, `partition [01] of kasi.collections.v1 is in ClickHouse up to offset 2 of 3`, got.Message)
	require.Equal(t, "3", got.Details.Expected)
	require.Equal(t, "2", got.Details.Received)
	require.NotEmpty(t, a.header.Get("Retry-After"))

	e.pipe.stuck = false
	e.pipe.pay("POL001", "2025-11", -100, "2025-11-11")
	require.EqualValues(t, 9900, decoded[api.SettlementCreated](e.post("/v1/settlements",
		`{"period_month":"2025-11"}`).is(http.StatusCreated)).TotalCollections)
}

func TestSettlementSaysWhyItCannotBeMade(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Wait = time.Second })
	got := e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusConflict).err()
	require.Contains(t, got.Message, "Nothing was executed")
	e.paidPolicy("POL001", "150.00", 15000)
	e.pipe.deaf = true
	require.Contains(t, e.post("/v1/settlements",
		`{"period_month":"2025-11"}`).is(http.StatusServiceUnavailable).err().Message, "Call again")
	e.pipe.fail = errKafka
	require.Contains(t, e.post("/v1/settlements",
		`{"period_month":"2025-11"}`).is(http.StatusServiceUnavailable).err().Message, "no broker")
	e.pipe.cutErr = errors.New("kasi.collect lags 5 records behind")
	require.Contains(t, e.post("/v1/settlements",
		`{"period_month":"2025-11"}`).is(http.StatusServiceUnavailable).err().Message, "lags 5 records")
}

// TestNothingIsSettledOverAHole: what ClickHouse has lost is named, no command is sent, and once it is back the whole
// sum is -001.
func TestNothingIsSettledOverAHole(t *testing.T) {
	e := newEnv(t)
	e.paidPolicy("POL001", "150.00", 15000)
	e.paidPolicy("POL002", "200.00", 20000)
	e.pipe.pay("POL001", "2025-11", -100, "2025-11-11")
	lose := func(where string) (restore func()) {
		require.NoError(t, e.db.Exec(t.Context(), "CREATE TABLE kept AS collections_log"))
		require.NoError(t, e.db.Exec(t.Context(), "INSERT INTO kept SELECT * FROM collections_log WHERE "+where))
		require.NoError(t, e.db.Exec(t.Context(), "DELETE FROM collections_log WHERE "+where))
		return func() {
			require.NoError(t, e.db.Exec(t.Context(), "INSERT INTO collections_log SELECT * FROM kept"))
			require.NoError(t, e.db.Exec(t.Context(), "DROP TABLE kept SYNC"))
		}
	}
	lost := func(a *answer) {
		t.Helper()
		got := a.is(http.StatusServiceUnavailable).err()
		require.Equal(t, "UNAVAILABLE", got.Code)
		require.Regexp(t, `partition [01] of kasi.collections.v1 lacks numbers \d+ to \d+ in ClickHouse`, got.Message)
		require.Regexp(t, `^partition [01] of kasi.collections.v1$`, got.Details.Field)
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
	restore := lose("moved_cents = 15000")
	lost(e.post("/v1/settlements", `{"period_month":"2025-11"}`))
	for p := range 2 {
		require.NoError(t, e.db.Exec(t.Context(), "INSERT INTO sink_holes (topic, partition, from_seq, to_seq, why, at) "+
			"VALUES ('kasi.collections.v1', ?, 1, 99, 'because', now())", p))
	}
	got := e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusServiceUnavailable).err()
	require.Regexp(t, `They cannot be filled in: because\.?$`, got.Message)
	require.Empty(t, e.pipe.statements)
	restore()
	st := decoded[api.SettlementCreated](e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusCreated))
	require.Equal(t, "SETTLE-2025-11-001", st.SettlementNumber)
	require.EqualValues(t, 34900, st.TotalCollections)

	restore = lose("policy_number = 'POL002' AND moved_cents = 0") // the lines would still add up
	lost(e.get("/v1/settlements/" + st.ID + "/export"))
	restore()
	e.get("/v1/settlements/" + st.ID + "/export").is(http.StatusOK)

	restore = lose("1")
	lost(e.post("/v1/settlements", `{"period_month":"2025-11"}`)) // and not "nothing was executed"
	restore()
	e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusOK)

	// What is lost after the command was sent is named when the wait for the statement ends.
	e = newEnv(t, func(c *api.Config) { c.Wait = 2 * time.Second })
	e.paidPolicy("POL001", "150.00", 15000)
	e.pipe.settling = func() { lose("moved_cents = 15000") }
	e.pipe.deaf = true
	lost(e.post("/v1/settlements", `{"period_month":"2025-11"}`))

	require.NoError(t, e.db.Exec(t.Context(), "DROP TABLE collections_log SYNC"))
	require.Contains(t, e.post("/v1/settlements",
		`{"period_month":"2025-11"}`).is(http.StatusServiceUnavailable).err().Message, "ClickHouse cannot be asked")
	require.Contains(t, e.get("/v1/collections?period_month=2025-11").is(http.StatusServiceUnavailable).err().Message,
		"lacks a table")
}

// TestExportThatDoesNotAddUpIsNotSent: the lines must be the statement, to the cent.
func TestExportThatDoesNotAddUpIsNotSent(t *testing.T) {
	e := newEnv(t)
	e.paidPolicy("POL001", "150.00", 15000)
	id := decoded[api.SettlementCreated](e.post("/v1/settlements", `{"period_month":"2025-11"}`).is(http.StatusCreated)).ID
	wrong := e.pipe.statements["acme2025-11"][0]
	wrong.Version, wrong.TotalCollectionsCents = 2, 15001
	e.pipe.store(wrong)
	a := e.get("/v1/settlements/" + id + "/export").is(http.StatusInternalServerError)
	require.Equal(t, "INTERNAL", a.err().Code)
	require.Contains(t, e.log.String(), "lines add up to 150.00, statement says 150.01")
}
