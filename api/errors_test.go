package api_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
)

// TestRefusedBodies: every way a JSON body can be wrong, with the field, what was expected and what was received.
func TestRefusedBodies(t *testing.T) {
	e := newEnv(t)
	id := e.policy("POL001")
	policy := func(change string) string {
		name, _, _ := strings.Cut(change, ":")
		fields := map[string]string{
			`"customer_id"`: `"C"`, `"external_customer_ref"`: `"E"`, `"policy_number"`: `"P"`, `"product_code"`: `"F"`,
			`"collection_amount"`: `150.00`,
		}
		delete(fields, name)
		out := change
		for k, v := range fields {
			out += "," + k + ":" + v
		}
		return "{" + strings.TrimPrefix(out, ",") + "}"
	}
	long := strings.Repeat("x", 129)
	for _, c := range []struct{ method, path, body, field, received string }{
		{"POST", "/policies", policy(`"collection_amount":150.001`), "collection_amount", "150.001"},
		{"POST", "/policies", policy(`"collection_amount":-150`), "collection_amount", "-150"},
		{"POST", "/policies", policy(`"collection_amount":0`), "collection_amount", "0"},
		{"POST", "/policies", policy(`"collection_amount":0.00`), "collection_amount", "0.00"},
		{"POST", "/policies", policy(`"collection_amount":"150.00"`), "collection_amount", `"150.00"`},
		{"POST", "/policies", policy(`"collection_amount":1.5e2`), "collection_amount", "1.5e2"},
		{"POST", "/policies", policy(`"collection_amount":10000000000.01`), "collection_amount", "10000000000.01"},
		{"POST", "/policies", policy(`"collection_amount":150.000`), "collection_amount", "150.000"},
		{"POST", "/policies", policy(`"collection_amount":null`), "collection_amount", "null"},
		{"POST", "/policies", policy(`"collection_amount":[1]`), "collection_amount", "[1]"},
		{
			"POST", "/policies", `{"customer_id":"C","external_customer_ref":"E","policy_number":"P","product_code":"F"}`,
			"collection_amount", "nothing",
		},
		{"POST", "/policies", policy(`"customer_id":""`), "customer_id", ""},
		{"POST", "/policies", policy(`"customer_id":7`), "customer_id", "7"},
		{"POST", "/policies", policy(`"customer_id":"a\u001fb"`), "customer_id", "a\x1fb"},
		{"POST", "/policies", policy(`"customer_id":" a"`), "customer_id", " a"},
		{"POST", "/policies", policy(`"customer_id":"\ud800x"`), "customer_id", `"\ud800x"`},
		{"POST", "/policies", policy(`"policy_number":"` + long + `"`), "policy_number", long[:100] + "..."},
		{"POST", "/policies", policy(`"external_customer_ref":null`), "external_customer_ref", "null"},
		{"POST", "/policies", policy(`"product_code":true`), "product_code", "true"},
		{"POST", "/policies", policy(`"rail":"CARD"`), "rail", "CARD"},
		{"POST", "/policies", policy(`"mandate_max_amount":"1"`), "mandate_max_amount", `"1"`},
		{"POST", "/policies", policy(`"mandate_fixed":"true"`), "mandate_fixed", `"true"`},
		{"POST", "/policies", policy(`"mandate_reference":""`), "mandate_reference", ""},
		{"POST", "/policies", policy(`"collection_day":0`), "collection_day", "0"},
		{"POST", "/policies", policy(`"collection_day":32`), "collection_day", "32"},
		{"POST", "/policies", policy(`"collection_day":1.5`), "collection_day", "1.5"},
		{"POST", "/policies", policy(`"collection_day":"1"`), "collection_day", `"1"`},
		{"POST", "/policies", policy(`"status":"cancelled"`), "status", "cancelled"},
		{"POST", "/policies", policy(`"status":"sleeping"`), "status", "sleeping"},
		{"POST", "/policies", policy(`"Customer_ID":"C"`), "Customer_ID", "Customer_ID"},
		{"POST", "/policies", policy(`"premium":1`), "premium", "premium"},
		{"POST", "/policies", policy(`"rail":"EFT","rail":"RM"`), "rail", "twice"},
		{"POST", "/policies", policy("") + "{}", "", "more text after it"},
		{"POST", "/policies", policy("") + "x", "", "more text after it"},
		{"POST", "/policies", "", "", "nothing"},
		{"POST", "/policies", "  \n", "", "nothing"},
		{"POST", "/policies", "[]", "", "an array"},
		{"POST", "/policies", "null", "", "null"},
		{"POST", "/policies", `"x"`, "", "a string"},
		{"POST", "/policies", `{"customer_id":`, "", ""},
		{"POST", "/policies", `{"customer_id" "x"}`, "", ""},
		{"POST", "/policies", "{\"customer_id\":\"\xff\"}", "", "other bytes"},
		{"PATCH", "/policies/" + id, `{}`, "", "none"},
		{"PATCH", "/policies/" + id, `{"status":null,"collection_amount":null}`, "collection_amount", "null"},
		{"PATCH", "/policies/" + id, `{"status":"gone"}`, "status", "gone"},
		{"PATCH", "/policies/" + id, `{"status":1}`, "status", "1"},
		{"PATCH", "/policies/" + id, `{"collection_amount":1.234}`, "collection_amount", "1.234"},
		{"PATCH", "/policies/" + id, `{"customer_id":" C"}`, "customer_id", " C"},
		{"POST", "/collections/execute", `{}`, "period_month", "nothing"},
		{"POST", "/collections/execute", `{"period_month":"2025-13"}`, "period_month", "2025-13"},
		{"POST", "/collections/execute", `{"period_month":"2025-1"}`, "period_month", "2025-1"},
		{"POST", "/collections/execute", `{"period_month":"2025-11-01"}`, "period_month", "2025-11-01"},
		{"POST", "/collections/execute", `{"period_month":202511}`, "period_month", "202511"},
		{"POST", "/collections/execute", `{"period_month":"2025-11","policy_ids":[]}`, "policy_ids", "[]"},
		{"POST", "/collections/execute", `{"period_month":"2025-11","policy_ids":"P"}`, "policy_ids", `"P"`},
		{"POST", "/collections/execute", `{"period_month":"2025-11","policy_ids":["P",1]}`, "policy_ids[1]", "1"},
		{"POST", "/collections/execute", `{"period_month":"2025-11","policy_ids":["P",""]}`, "policy_ids[1]", ""},
		{"POST", "/settlements", `{"period_month":""}`, "period_month", ""},
		{"POST", "/settlements", `{"period":"2025-11"}`, "period", "period"},
	} {
		t.Run(c.path+" "+c.body, func(t *testing.T) {
			got := e.send(c.method, "/v1"+c.path, c.body).is(http.StatusBadRequest).err()
			require.Equal(t, "VALIDATION_ERROR", got.Code)
			require.Equal(t, c.field, got.Details.Field, got.Message)
			require.Equal(t, c.received, got.Details.Received)
			require.NotEmpty(t, got.Details.Expected)
		})
	}
	require.Equal(t, 1, e.pipe.commands, "nothing but the first policy was sent")
}

func TestRefusedQueries(t *testing.T) {
	e := newEnv(t)
	for _, c := range []struct{ path, field string }{
		{"/policies?limit=0", "limit"},
		{"/policies?limit=1001", "limit"},
		{"/policies?limit=abc", "limit"},
		{"/policies?limit=1&limit=2", "limit"},
		{"/policies?cursor=abc", "cursor"},
		{"/policies?cursor=WyJhIiwiYiJd", "cursor"}, // two keys, of the list of collections
		{"/policies?status=gone", "status"},
		{"/policies?policy_number=", "policy_number"},
		{"/policies?customer_id=%01", "customer_id"},
		{"/policies?staus=active", "staus"},
		{"/policies?%zz", ""},
		{"/collections?period_month=2025", "period_month"},
		{"/collections?collection_status=PAID", "collection_status"},
		{"/collections?customer_id=a&customer_id=b", "customer_id"},
		{"/collections?policy_number=%ff", "policy_number"},
		{"/collections?cursor=eyJhIjoxfQ", "cursor"},
		{"/settlements?period_month=x", "period_month"},
		{"/settlements?status=open", "status"},
		{"/settlements?limit=-1", "limit"},
		{"/settlements/x?format=csv", "format"},
		{"/reports/collections", "period_month"},
		{"/reports/collections?period_month=november", "period_month"},
		{"/reports/collections?period_month=2025-11&format=xml", "format"},
	} {
		got := e.get("/v1" + c.path).is(http.StatusBadRequest).err()
		require.Equal(t, "VALIDATION_ERROR", got.Code, c.path)
		require.Equal(t, c.field, got.Details.Field, "%s: %s", c.path, got.Message)
	}
}

func TestUnknownObjectsRoutesAndMethods(t *testing.T) {
	e := newEnv(t)
	absent := schemas.PolicyID("acme", "absent")
	for _, path := range []string{
		"/v1/policies/" + absent, "/v1/policies/POL001", "/v1/policies/{" + absent + "}",
		"/v1/collections/" + absent, "/v1/collections/x",
		"/v1/settlements/" + absent, "/v1/settlements/x", "/v1/settlements/" + absent + "/export", "/v1/settlements/x/export",
		"/v1/policy", "/v1/", "/", "/favicon.ico",
	} {
		require.Equal(t, "NOT_FOUND", e.get(path).is(http.StatusNotFound).err().Code, path)
	}
	require.Equal(t, "NOT_FOUND", e.send(http.MethodPatch, "/v1/policies/"+absent,
		`{"status":"lapsed"}`).is(http.StatusNotFound).err().Code)
	for _, c := range []struct{ method, path, allow string }{
		{"DELETE", "/v1/policies", "GET, HEAD, POST"},
		{"PUT", "/v1/policies/" + absent, "GET, HEAD, PATCH"},
		{"GET", "/v1/policies/import", "POST"},
		{"PATCH", "/v1/policies/import", "POST"},
		{"GET", "/v1/collections/execute", "POST"},
		{"OPTIONS", "/v1/policies/import", "POST"},
		{"GET", "/v1/collections/execute/x", ""},
		{"POST", "/v1/reports/collections", "GET, HEAD"},
		{"POST", "/livez", "GET, HEAD"},
		{"POST", "/v1/openapi.yaml", "GET, HEAD"},
		{"DELETE", "/v1/openapi.json", "GET, HEAD"},
	} {
		a := e.send(c.method, c.path, "{}")
		if c.allow == "" {
			require.Equal(t, "NOT_FOUND", a.is(http.StatusNotFound).err().Code)
			continue
		}
		require.Equal(t, "METHOD_NOT_ALLOWED", a.is(http.StatusMethodNotAllowed).err().Code)
		require.Equal(t, c.allow, a.header.Get("Allow"))
	}
}

// TestHead: probes and caches ask by HEAD; it answers as GET does, without the body.
func TestHead(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.QueriesPerMinute, c.UpdatesPerMinute = 2, 1 })
	for _, c := range []struct {
		path   string
		status int
	}{
		{"/livez", 200},
		{"/readyz", 200},
		{"/v1/openapi.yaml", 200},
		{"/v1/policies", 200},
		{"/v1/policies/x", 404},
		{"/v1/policies", 429}, // it counts as a query
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, e.url+c.path, nil)
		require.NoError(t, err)
		req.Header.Set("X-API-Key", acmeKey)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.status, resp.StatusCode, c.path)
	}
}

func TestContentTypesAndSizes(t *testing.T) {
	e := newEnv(t)
	for _, path := range []string{"/v1/policies", "/v1/collections/execute", "/v1/settlements"} {
		for _, contentType := range []string{
			"", "text/plain", "application/x-www-form-urlencoded",
			"application/json; charset=latin1",
		} {
			got := e.request(http.MethodPost, path, acmeKey, contentType,
				strings.NewReader(`{}`)).is(http.StatusUnsupportedMediaType).err()
			require.Equal(t, "UNSUPPORTED_MEDIA_TYPE", got.Code)
		}
		got := e.post(path, `{"period_month":"`+strings.Repeat("x", 1<<20)+`"}`).is(http.StatusRequestEntityTooLarge).err()
		require.Equal(t, "PAYLOAD_TOO_LARGE", got.Code)
	}
	e.request(http.MethodPost, "/v1/policies", acmeKey, "Application/JSON; charset=UTF-8",
		strings.NewReader(policyJSON("P1"))).is(http.StatusCreated)
}

func TestDatabaseAway(t *testing.T) {
	away, err := clickhouse.Open(&clickhouse.Options{Addr: []string{"127.0.0.1:1"}})
	require.NoError(t, err)
	ready := errors.New("collect restores its state")
	e := newEnv(t, func(c *api.Config) {
		c.DB = away
		c.Ready = func(context.Context) error { return ready }
	})
	got := e.get("/v1/policies").is(http.StatusServiceUnavailable).err()
	require.Equal(t, "UNAVAILABLE", got.Code)
	require.Contains(t, got.Message, "ClickHouse cannot be reached")
	require.Contains(t, e.get("/readyz").is(http.StatusServiceUnavailable).err().Message, ready.Error())
	require.Equal(t, `{"status":"ok"}`+"\n", string(e.get("/livez").is(http.StatusOK).body))
}

// TestReadinessIsBounded: a database that takes the connection and never answers must not hang the probe.
func TestReadinessIsBounded(t *testing.T) {
	e := newEnv(t, func(c *api.Config) {
		c.Ready = func(ctx context.Context) error {
			until, bounded := ctx.Deadline()
			if !bounded || time.Until(until) > 5*time.Second {
				return nil
			}
			return errors.New("the probe was given up")
		}
	})
	require.Contains(t, e.get("/readyz").is(http.StatusServiceUnavailable).err().Message, "given up")
}

func TestPanicsAreInternalErrors(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Ready = func(context.Context) error { panic("secret") } })
	got := e.get("/readyz").is(http.StatusInternalServerError).err()
	require.Equal(t, "INTERNAL", got.Code)
	require.NotContains(t, got.Message, "secret")
	require.Contains(t, e.log.String(), got.RequestID)
	require.Contains(t, e.log.String(), "secret")
}

func TestAccessLogHoldsIDsOnly(t *testing.T) {
	e := newEnv(t)
	e.policy("POL-PRIVATE")
	e.get("/v1/policies?customer_id=C-POL-PRIVATE")
	a := e.get("/v1/policies/" + schemas.PolicyID("acme", "POL-PRIVATE"))
	want := `"request_id":"` + a.header.Get("X-Request-Id") +
		`","tenant":"acme","method":"GET","route":"/v1/policies/{id}","status":200`
	// written after the answer
	require.Eventually(t, func() bool { return strings.Contains(e.log.String(), want) }, 5*time.Second, 5*time.Millisecond)
	require.NotContains(t, e.log.String(), "PRIVATE")
	require.NotContains(t, e.log.String(), acmeKey)
}

func TestConfigurationsThatCannotWork(t *testing.T) {
	log := slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil))
	for message, cfg := range map[string]api.Config{
		"no keys":       {Log: log},
		"key 1 is":      {Log: log, Keys: []api.Key{{Tenant: "a"}}},
		"tenant of key": {Log: log, Keys: []api.Key{{Tenant: "a\nb", Key: "k"}}},
		"occurs twice":  {Log: log, Keys: []api.Key{{Tenant: "a", Key: "k"}, {Tenant: "b", Key: "k"}}},
		"DB, Commands":  {Log: log, Keys: []api.Key{{Tenant: "a", Key: "k"}}},
		"negative":      {Log: log, Keys: []api.Key{{Tenant: "a", Key: "k"}}, UpdatesPerMinute: -1},
	} {
		_, err := api.New(cfg)
		require.ErrorContains(t, err, message)
	}
}

// TestRequestIDIsAlwaysOurs: outcomes are found by it, so two callers must not be able to share one.
func TestRequestIDIsAlwaysOurs(t *testing.T) {
	e := newEnv(t)
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, e.url+"/livez", nil)
	req.RequestURI = ""
	req.Header.Set("X-Request-Id", "mine")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.NotEqual(t, "mine", resp.Header.Get("X-Request-Id"))
}
