package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
	sink "github.com/kasi-collections/kasi/sinks/clickhouse"
)

// patchIf sends a PATCH with If-Match.
func (e *env) patchIf(path, etag, body string) *answer {
	e.t.Helper()
	return e.with(http.Header{"If-Match": {etag}}, http.MethodPatch, path, acmeKey, "application/merge-patch+json",
		strings.NewReader(body))
}

func TestPatchIsAMergePatch(t *testing.T) {
	e := newEnv(t)
	path := "/v1/policies/" + e.policy("POL001")
	e.send(http.MethodPatch, path, `{"rail":"eft","mandate_reference":"M1","mandate_max_amount":400.00,`+
		`"mandate_fixed":true,`+
		`"collection_day":25,"bank":"FNB","account_token":"T1"}`).
		is(http.StatusOK)
	p := decoded[api.Policy](e.get(path))
	require.Equal(t, "EFT", string(p.Rail))
	require.Equal(t, []any{"M1", true, 25, "FNB", "T1"}, []any{
		*p.MandateReference, p.MandateFixed, *p.CollectionDay, *p.Bank, *p.AccountToken,
	})
	e.send(http.MethodPatch, path, `{"mandate_max_amount":null,"mandate_reference":null,"collection_day":null,`+
		`"rail":null,`+
		`"mandate_fixed":null,"bank":null,"account_token":null}`).
		is(http.StatusOK)
	p = decoded[api.Policy](e.get(path))
	require.True(t, p.MandateMaxAmount == nil && p.MandateReference == nil && p.CollectionDay == nil && !p.MandateFixed &&
		p.Bank == nil && p.AccountToken == nil)
	require.Equal(t, schemas.RailDebiCheck, p.Rail)
	require.EqualValues(t, 15000, p.CollectionAmount, "what is left out stays")
	got := decoded[api.PolicyPatched](e.send(http.MethodPatch, path,
		`{"mandate_fixed":true,"mandate_max_amount":140}`).is(http.StatusOK))
	require.Equal(t, "MAXIMUM_BELOW_PREMIUM", (*got.Warnings)[0].Code)

	made := decoded[api.PolicyCreated](e.post("/v1/policies", `{"customer_id":"C2","external_customer_ref":"E2",`+
		`"policy_number":"POL002","product_code":"FUNERAL_01","collection_amount":150,"mandate_fixed":true,`+
		`"mandate_max_amount":100}`).is(http.StatusCreated))
	require.Equal(t, "MAXIMUM_BELOW_PREMIUM", (*made.Warnings)[0].Code)
	for _, state := range schemas.States() { // as the sink keeps them
		require.NoError(t, sink.FillState(t.Context(), e.db, state))
	}
	ran := e.execute(`{"period_month":"2025-12"}`)
	require.Contains(t, (*ran.Warnings)[0].Message, "2 of the active policies have a fixed mandate")
	ran = e.execute(`{"period_month":"2026-01","policy_ids":["POL002"]}`)
	require.Contains(t, (*ran.Warnings)[0].Message, "1 of the active policies have a fixed mandate")
}

func TestPatchIfMatch(t *testing.T) {
	e := newEnv(t)
	path := "/v1/policies/" + e.policy("POL001")
	require.Equal(t, `"1"`, e.get(path).header.Get("ETag"))
	require.Equal(t, "PRECONDITION_FAILED",
		e.patchIf(path, `"7"`, `{"collection_amount":200}`).is(http.StatusPreconditionFailed).err().Code)
	require.Equal(t, `"2"`, e.patchIf(path, `"1"`, `{"collection_amount":200}`).is(http.StatusOK).header.Get("ETag"))
	e.patchIf(path, `"1"`, `{"collection_amount":210}`).is(http.StatusPreconditionFailed)
	e.patchIf(path, `"9", "2"`, `{"collection_amount":210}`).is(http.StatusOK)
	e.patchIf(path, `*`, `{"collection_amount":220}`).is(http.StatusOK)
	// The pipeline decides: another change may come between the look and the command.
	id := decoded[api.Policy](e.get(path)).ID
	e.pipe.every = func() {
		later := e.pipe.policies[id]
		later.Version++
		e.pipe.policies[id] = later
	}
	e.patchIf(path, `"4"`, `{"collection_amount":230}`).is(http.StatusPreconditionFailed)
}

func TestPolicyHistory(t *testing.T) {
	e := newEnv(t)
	id := e.policy("POL001")
	path := "/v1/policies/" + id
	patched := e.send(http.MethodPatch, path, `{"collection_amount":200}`).is(http.StatusOK)
	file := importHeader + "C-POL001,EXT,POL001,FUNERAL_01,210\n"
	imported := decoded[api.ImportResult](e.upload(file).is(http.StatusOK))
	h := decoded[api.PolicyHistory](e.get(path + "/history").is(http.StatusOK)).Data
	require.Len(t, h, 3)
	require.Equal(t, []string{"CREATE", "PATCH", "IMPORT"}, []string{h[0].Action, h[1].Action, h[2].Action})
	require.Equal(t, patched.header.Get("X-Request-Id"), *h[1].RequestID)
	require.Equal(t, imported.ImportID, *h[2].RequestID)
	require.Equal(t, "env-1", *h[2].KeyID)
	require.EqualValues(t, 20000, h[1].Policy.CollectionAmount)
	first := decoded[api.PolicyHistory](e.get(path + "/history?limit=2"))
	require.EqualValues(
		t,
		3,
		decoded[api.PolicyHistory](e.get(path + "/history?cursor=" + *first.NextCursor)).Data[0].Version,
	)
	e.request(http.MethodGet, path+"/history", otherKey, "", nil).is(http.StatusNotFound)
}

func TestPostOfACancelledNumberSaysAWayThatWorks(t *testing.T) {
	e := newEnv(t)
	path := "/v1/policies/" + e.policy("POL001")
	e.send(http.MethodPatch, path, `{"status":"cancelled"}`).is(http.StatusOK)
	got := e.send(http.MethodPost, "/v1/policies", `{"customer_id":"C-POL001","external_customer_ref":"EXT",`+
		`"policy_number":"POL001","product_code":"F","collection_amount":150}`).is(http.StatusConflict).err()
	require.Contains(t, got.Message, "PATCH "+path+` with {"status":"active"}`)
	e.send(http.MethodPatch, path, `{"status":"active"}`).is(http.StatusOK)
}

func TestFilters(t *testing.T) {
	e := newEnv(t)
	for _, n := range []string{"POL001", "POL002", "POL003"} {
		e.policy(n)
	}
	e.execute(`{"period_month":"2025-11"}`)
	e.pipe.pay("POL001", "2025-11", 15000, "2025-11-05")
	e.pipe.change("POL002", "2025-11", func(c *schemas.CollectionEvent) {
		c.Attempts, c.LastFailureReason, c.FirstAttemptDate = 1, "INSUFFICIENT_FUNDS", "2025-11-05"
	})
	for query, want := range map[string]string{
		"status=unpaid": "POL002 POL003", "failed=true": "POL002", "failed=false": "POL001 POL003",
		"failure_reason=insufficient_funds": "POL002", "attempted=false": "POL003", "attempted=true": "POL001 POL002",
		"product_code=FUNERAL_01": "POL001 POL002 POL003", "product_code=X": "",
		"updated_since=2025-11-05":           "POL001 POL002 POL003",
		"updated_since=2031-01-01T00:00:00Z": "", "customer_id=C-POL003&attempted=false": "POL003",
	} {
		var got []string
		for _, c := range decoded[api.CollectionList](e.get("/v1/collections?" + query).is(http.StatusOK)).Data {
			got = append(got, c.PolicyNumber)
		}
		require.Equal(t, want, strings.Join(got, " "), query)
	}
	for query, want := range map[string]int{
		"external_customer_ref=EXT": 3, "external_customer_ref=E": 0, "product_code=FUNERAL_01": 3,
		"updated_since=2031-01-01":                  0,
		"updated_since=2020-01-01T00:00:00%2B02:00": 3,
	} {
		require.Len(t, decoded[api.PolicyList](e.get("/v1/policies?"+query).is(http.StatusOK)).Data, want, query)
	}
	for _, query := range []string{"updated_since=yesterday", "failed=2", "attempted=maybe"} {
		e.get("/v1/collections?" + query).is(http.StatusBadRequest)
	}
}

func TestDeleteExecution(t *testing.T) {
	e := newEnv(t)
	e.policy("POL001")
	e.policy("POL002")
	x := e.execute(`{"period_month":"2025-11"}`)
	e.pipe.change("POL001", "2025-11", func(c *schemas.CollectionEvent) { c.Attempts = 1 })
	path := "/v1/executions/" + x.ExecutionID
	e.request(http.MethodDelete, path, otherKey, "", nil).is(http.StatusNotFound)
	got := decoded[api.Execution](e.request(http.MethodDelete, path, acmeKey, "", nil).is(http.StatusOK))
	require.Equal(t, []int{2, 1}, []int{got.CollectionsCreated, got.CollectionsVoided})
	require.Len(t, decoded[api.CollectionList](e.get("/v1/collections")).Data, 1)
	report := string(e.get("/v1/reports/collections?period_month=2025-11").is(http.StatusOK).body)
	require.NotContains(t, report, "POL002")
	again := e.execute(`{"period_month":"2025-11"}`)
	require.Equal(t, 1, again.PoliciesQueued, "what was taken back is missing")
	require.Equal(t, 1, decoded[api.Execution](e.get(path)).CollectionsVoided)
}

func TestReportSaysWhetherItIsFinal(t *testing.T) {
	e := newEnv(t)
	e.policy("POL001")
	e.execute(`{"period_month":"2025-11"}`)
	mark := func(period string) string {
		return e.get("/v1/reports/collections?period_month=" + period).is(http.StatusOK).header.Get("Kasi-Report")
	}
	require.Equal(t, "provisional", mark("2025-11"))
	require.Equal(t, "final", mark("2025-10"))
	e.pipe.change("POL001", "2025-11", func(c *schemas.CollectionEvent) { c.Attempts, c.InFlightCents = 1, 15000 })
	e.pipe.day("2025-11-30")
	require.Equal(t, "provisional", mark("2025-11"), "the last day is part of the period")
	e.pipe.day("2025-12-01")
	require.Equal(t, "provisional", mark("2025-11"), "a debit is with the bank")
	e.pipe.change("POL001", "2025-11", func(c *schemas.CollectionEvent) { c.InFlightCents = 0 })
	require.Equal(t, "final", mark("2025-11"))
}

// TestNextStepIsSaidAtOnce: what is never tried says why before any cut-off.
func TestNextStepIsSaidAtOnce(t *testing.T) {
	e := newEnv(t)
	id := e.policy("POL001")
	e.send(http.MethodPatch, "/v1/policies/"+id, `{"mandate_max_amount":100,"mandate_fixed":true}`).is(http.StatusOK)
	e.policy("POL002")
	e.execute(`{"period_month":"2025-11"}`)
	l := decoded[api.CollectionList](e.get("/v1/collections")).Data
	require.Equal(t, "ABOVE_MANDATE_MAXIMUM", l[0].NextStep.Reason)
	require.Equal(t, schemas.DecideStop, l[0].NextStep.Action)
	require.Equal(t, "AWAIT_CUTOFF", l[1].NextStep.Reason)
	held := e.pipe.policies[schemas.PolicyID("acme", "POL002")]
	held.Version, held.HoldReason = 2, "MANDATE_ENDED"
	e.pipe.insert("policies_log", policyColumns, [][]any{policyRow(held)})
	c := decoded[api.CollectionList](e.get("/v1/collections?policy_number=POL002")).Data[0]
	require.Equal(t, []string{"POLICY_ON_HOLD", "MANDATE_ENDED"}, []string{c.NextStep.Reason, *c.Hold})
}
