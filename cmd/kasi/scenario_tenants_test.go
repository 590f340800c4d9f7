package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// While one insurer imports and executes tens of thousands of policies, another one's calls are answered as always. The
// execution is accepted at once, and a day that is advanced to waits for it.
func TestScenarioManyPoliciesDelayNobody(t *testing.T) {
	t.Parallel()
	const many = 50_000
	p := start(t, "2025-11-01")
	var file strings.Builder
	file.WriteString("customer_id,external_customer_ref,policy_number,product_code,collection_amount\n")
	for i := range many {
		fmt.Fprintf(&file, "C%05d,E,POL%05d,F,150.00\n", i, i)
	}
	type answer struct {
		code int
		body string
	}
	imported := make(chan answer, 1)
	go func() {
		code, body := p.importCSV(file.String())
		imported <- answer{code, body}
	}()
	served := 0
	serve := func() {
		code, body := p.callAs(otherKey, "POST", "/v1/policies", "application/json", fmt.Sprintf(
			`{"customer_id":"C1","external_customer_ref":"E","policy_number":"OTHER%d","product_code":"F",`+
				`"collection_amount":99.00}`, served))
		require.Equal(t, 201, code, body)
		served++
	}
	var got answer
	for got.code == 0 {
		select {
		case got = <-imported:
		default:
			serve()
		}
	}
	require.Equal(t, 200, got.code)
	require.True(t, strings.HasPrefix(got.body, fmt.Sprintf(`{"imported":%d,"failed":0,"errors":[],`, many)), got.body)
	require.Greater(t, served, 1)

	code, body := p.call("POST", "/v1/collections/execute", "application/json", `{"period_month":"2025-11"}`)
	require.Equal(t, 202, code, body)
	var accepted struct {
		ID     string `json:"execution_id"`
		Queued int    `json:"policies_queued"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &accepted))
	require.Equal(t, many, accepted.Queued)
	serve()
	p.advance("2025-11-02")
	code, body = p.call("GET", "/v1/executions/"+accepted.ID, "", "")
	require.Equal(t, 200, code, body)
	require.Contains(t, body, fmt.Sprintf(`"period_month":"2025-11","status":"completed","policies_queued":%d,`+
		`"policies_done":%d,"collections_created":%d,"unchanged":0,"refused":0,`, many, many, many))
	code, body = p.callAs(otherKey, "GET", "/v1/executions/"+accepted.ID, "", "")
	require.Equal(t, 404, code, body)
	require.Equal(t, fmt.Sprint(many), p.sql("SELECT uniqExact(collection_id) FROM collections_log"))
	require.Equal(t, "1", p.sql("SELECT min(n) FROM (SELECT uniqExact(business_date) AS n FROM decisions "+
		"WHERE tenant_id = 'demo' GROUP BY policy_number)"), "each was decided on the day")
}

// Two insurers with the same customer ids and policy numbers have nothing to do with each other; and what analysts and
// integrators see is what CONTRACT 8 and 4.11 promise.
func TestScenarioTwoTenants(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	for key, premium := range map[string]string{testKey: "150.00", otherKey: "99.00"} {
		code, body := p.callAs(key, "POST", "/v1/policies", "application/json",
			`{"customer_id":"C1","external_customer_ref":"E","policy_number":"POL001","product_code":"F",`+
				`"collection_amount":`+premium+`}`)
		require.Equal(t, 201, code, body)
		code, body = p.callAs(key, "POST", "/v1/collections/execute", "application/json", `{"period_month":"2025-11"}`)
		require.Equal(t, 202, code, body)
	}
	p.credit("C1", "2025-11-12", 4000, "piece job") // of tenant demo
	p.advance("2025-11-05")
	type instruction struct {
		debit
		Tenant string `json:"tenant_id"`
	}
	own := map[string]instruction{}
	for _, r := range p.read("kasi.debits.v1") {
		var d instruction
		require.NoError(t, json.Unmarshal(r.Value, &d))
		own[d.Tenant] = d
	}
	require.Len(t, own, 2)
	require.NotEqual(t, own["demo"].DebitID, own["other"].DebitID)
	p.answer(own["demo"].debit, "UNPAID", "02")
	p.answer(own["other"].debit, "PAID", "")
	b := p.bank(paysAll)
	b.answered[own["demo"].DebitID], b.answered[own["other"].DebitID] = true, true
	b.until("2025-11-11")

	// Why was POL001 not debited on the 11th? One query: the decision that stood on that day.
	why := p.sql("SELECT action, reason, length(explanation) > 0 FROM decisions WHERE tenant_id = 'demo' AND " +
		"policy_number = 'POL001' AND business_date <= '2025-11-11' ORDER BY seq DESC LIMIT 1")
	require.Equal(t, "WAIT\tAWAIT_FUNDS\t1", why)
	b.until("2025-11-12", "2025-12-02")
	require.Equal(t, "150.00,40.00,110.00,PAID_PARTIAL,2025-11-05,2025-11-12,2,INSUFFICIENT_FUNDS",
		p.ends("2025-11", "POL001"))
	code, body := p.callAs(otherKey, "GET", "/v1/reports/collections?period_month=2025-11", "", "")
	require.Equal(t, 200, code)
	require.True(t, strings.HasSuffix(strings.TrimSpace(body),
		"2025-11,C1,E,POL001,F,99.00,99.00,0.00,PAID_FULL,2025-11-05,2025-11-05,1,"), body)
	mine, theirs := p.settle(testKey, "2025-11"), p.settle(otherKey, "2025-11")
	require.Equal(t, "40.00 99.00", fmt.Sprint(mine.Total, " ", theirs.Total))
	require.Equal(t, "SETTLE-2025-11-001", theirs.Number)
	for _, path := range []string{
		"/v1/policies/" + p.lookup("POL001").ID, "/v1/settlements/" + mine.ID,
		"/v1/settlements/" + mine.ID + "/export",
	} {
		code, body = p.callAs(otherKey, "GET", path, "", "")
		require.Equal(t, 404, code, body)
	}
	code, body = p.callAs(otherKey, "PATCH", "/v1/policies/"+p.lookup("POL001").ID, "application/json",
		`{"status":"cancelled"}`)
	require.Equal(t, 404, code, body)
	require.Equal(t, "active", p.lookup("POL001").Status)
	p.advance("2025-12-03")

	require.Equal(t, "ok", p.sound())
	require.Equal(t, "paid\t2\t139\nunpaid\t1\t150",
		p.sql("SELECT status, count(), sum(amount) FROM debits GROUP BY status ORDER BY status"))
	require.Equal(t, "0", p.sql("SELECT count() FROM collections WHERE in_flight != 0 OR shortfall != due - collected"))
	for _, topic := range []string{"debits", "deposits", "decisions", "policies", "collections", "settlements"} {
		matchesSchema(p, "kasi."+topic+".v1")
	}
}

// matchesSchema checks every record of a topic against its published JSON Schema, and that event ids are unique.
func matchesSchema(p *product, topic string) {
	t := p.t
	file, err := os.ReadFile("../../schemas/json/" + topic + ".schema.json")
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(file))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource(topic, doc))
	schema, err := c.Compile(topic)
	require.NoError(t, err)
	records := p.read(topic)
	require.NotEmpty(t, records, topic)
	ids := map[string]bool{}
	for _, r := range records {
		require.LessOrEqual(t, r.Attrs.CompressionType(), uint8(1), "%s: none or gzip, which every client reads", topic)
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.Value))
		require.NoError(t, err)
		require.NoError(t, schema.Validate(v), string(r.Value))
		id, _ := v.(map[string]any)["event_id"].(string)
		require.NotEmpty(t, id, topic)
		require.False(t, ids[id], "%s: event %s twice", topic, id)
		ids[id] = true
	}
}
