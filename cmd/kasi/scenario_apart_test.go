package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
)

// foreign is a call of tenant other about what is tenant demo's.
type foreign struct {
	op, path, body string // path is below /v1
	scope          string // that the call needs; empty where it needs no key
	want           int    // what other is answered
	own            bool   // demo may be asked the same: the answer shows something of demo's, and stays the same
}

// belongings are demo's objects of every kind, and ids under which their data would be recognised.
type belongings struct {
	policy, collection, execution, imported, settlement string
	item, webhook, delivery, debit, transaction         string
	theirs                                              string // other's webhook
	telltales                                           []string
}

// Every operation of openapi.yaml is called with another tenant's key and with ids, filters, cursors and bodies of real
// objects. The answer is a 404 or holds nothing of theirs, and nothing of theirs changes. An operation, or a query
// parameter, that this test does not call makes it fail. Each call also wants its scope.
func TestScenarioEveryOperationKeepsTenantsApart(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	have := p.belongings()
	calls := slices.Concat(foreignPolicies(have), foreignCollections(have), foreignMoney(have), foreignWebhooks(have),
		foreignMade())
	routes := operations(t)
	coversAll(t, routes, calls)

	before := p.ownAnswers(routes, calls)
	rows := p.rowsOf("demo")
	onBusinessDates(t, before)
	for _, c := range calls {
		r := routes[c.op]
		code, body := p.foreign(otherKey, r.method, c)
		require.Equal(t, c.want, code, "%s %s: %s", r.method, c.path, body)
		for _, telltale := range have.telltales {
			// An error repeats what was asked, and the document's examples are nobody's.
			told := strings.Contains(body, telltale) && !strings.Contains(c.path+c.body, telltale) && c.scope != ""
			require.False(t, told, "%s %s tells %s", r.method, c.path, telltale)
		}
		if r.method == http.MethodGet {
			code, _ = p.foreign(otherKey, http.MethodHead, c)
			require.Equal(t, c.want, code, "HEAD %s", c.path)
		}
		code, _ = p.foreign("", r.method, c)
		require.Equal(t, c.scope != "", code == http.StatusUnauthorized, "%s %s without a key: %d", r.method, c.path, code)
	}
	for _, scope := range []string{"read", "write", "settle"} {
		key := p.keyWith("other", scope)
		for _, c := range calls {
			code, body := p.foreign(key, routes[c.op].method, c)
			require.Equal(t, c.scope != "" && c.scope != scope, code == http.StatusForbidden,
				"%s with scope %s: %d %s", c.op, scope, code, body)
		}
	}
	require.Equal(t, before, p.ownAnswers(routes, calls))
	require.Equal(t, rows, p.rowsOf("demo"))
}

type route struct {
	method, path string
	params       []string // of the query
}

// operations are those of openapi.yaml, by their ids.
func operations(t *testing.T) map[string]route {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	require.NoError(t, err)
	out := map[string]route{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			r := route{method: method, path: path}
			for _, param := range op.Parameters {
				if param.Value.In == openapi3.ParameterInQuery {
					r.params = append(r.params, param.Value.Name)
				}
			}
			out[op.OperationID] = r
		}
	}
	return out
}

// retried is what changes with each attempt of a delivery.
var retried = regexp.MustCompile(`"(status|attempts|status_code|error|next_attempt_at|updated_at)":("[^"]*"|[^,"]*),`)

var pathID = regexp.MustCompile(`\{[a-z_]+\}`)

// coversAll wants a call of each operation with each of its query parameters.
func coversAll(t *testing.T, routes map[string]route, calls []foreign) {
	asked := map[string]url.Values{}
	for _, c := range calls {
		r, known := routes[c.op]
		require.True(t, known, "openapi.yaml has no operation %s", c.op)
		path, query, _ := strings.Cut(c.path, "?")
		require.Regexp(t, "^"+pathID.ReplaceAllString(r.path, "[^/]+")+"$", path, c.op)
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		if asked[c.op] == nil {
			asked[c.op] = url.Values{}
		}
		for name := range values {
			asked[c.op].Set(name, "asked")
		}
	}
	for op, r := range routes {
		require.Contains(t, asked, op, "say in this test what another tenant gets from %s %s", r.method, r.path)
		for _, name := range r.params {
			require.True(t, asked[op].Has(name), "ask %s with %s of another tenant's object", op, name)
		}
	}
}

// foreign makes one of the calls.
func (p *product) foreign(key, method string, c foreign) (int, string) {
	p.t.Helper()
	prefix, contentType := "/v1", ""
	if c.op == "livez" || c.op == "readyz" {
		prefix = ""
	}
	switch {
	case strings.HasPrefix(c.body, "--"):
		contentType = "multipart/form-data; boundary=edge"
	case c.body != "":
		contentType = "application/json"
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.http+prefix+c.path,
		strings.NewReader(c.body))
	require.NoError(p.t, err)
	for name, value := range map[string]string{"X-API-Key": key, "Content-Type": contentType} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	return res.StatusCode, string(body)
}

// ownAnswers are demo's own answers to the calls that demo may make as well: they show that the ids are real.
func (p *product) ownAnswers(routes map[string]route, calls []foreign) map[string]string {
	p.t.Helper()
	out := map[string]string{}
	for _, c := range calls {
		if !c.own {
			continue
		}
		code, body := p.foreign(testKey, routes[c.op].method, c)
		require.Equal(p.t, http.StatusOK, code, "%s: %s", c.path, body)
		require.Greater(p.t, len(body), len(`{"data":[],"next_cursor":null}`)+1, c.path)
		if out[c.path] = body; c.op == "listDeliveries" { // it is tried again all the time
			out[c.path] = retried.ReplaceAllString(body, "")
		}
	}
	return out
}

var instant = regexp.MustCompile(`\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}[0-9.]*Z`)

// onBusinessDates wants every instant that a user sees on a date that the manual calendar has had.
func onBusinessDates(t *testing.T, answers map[string]string) {
	t.Helper()
	seen := 0
	for path, body := range answers {
		for _, at := range instant.FindAllString(body, -1) {
			seen++
			require.True(t, at >= "2025-10-31T22" && at < "2025-12-02T22", "%s of %s", at, path)
		}
	}
	require.Greater(t, seen, 20)
}

// rowsOf counts a tenant's rows in every log but the one of deliveries, which are tried again all the time.
func (p *product) rowsOf(tenant string) string {
	p.t.Helper()
	tables := strings.Fields(p.sql("SELECT table FROM system.columns WHERE database = currentDatabase() AND " +
		"name = 'tenant_id' AND endsWith(table, '_log') AND table != 'webhook_deliveries_log' ORDER BY table"))
	require.Greater(p.t, len(tables), 8)
	var selects []string
	for _, table := range tables {
		selects = append(selects, "SELECT '"+table+"', count() FROM "+table+" WHERE tenant_id = '"+tenant+"'")
	}
	return p.sql("SELECT * FROM (" + strings.Join(selects, " UNION ALL ") + ") ORDER BY 1")
}

// keyWith makes a key with one scope, and waits until the API knows it.
func (p *product) keyWith(tenant, scope string) string {
	p.t.Helper()
	out, err := p.command(p.t.Context(), "keys", "create", "--tenant", tenant, "--scopes", scope, "--kafka-brokers",
		p.kafka).Output()
	require.NoError(p.t, err)
	key := strings.TrimSpace(string(out))
	require.Eventually(p.t, func() bool {
		code, _ := p.callAs(key, http.MethodGet, "/v1/policies", "", "")
		return code != http.StatusUnauthorized
	}, 5*time.Second, 10*time.Millisecond)
	return key
}

// belongings gives demo something of everything.
func (p *product) belongings() belongings {
	p.t.Helper()
	var h belongings
	h.webhook = p.made("/v1/webhooks", `{"url":"https://demo.invalid/hook","events":["collection.paid"]}`)["id"].(string)
	code, body := p.importCSV("customer_id,external_customer_ref,policy_number,product_code,collection_amount\n" +
		"CUST-D1,EXT-D1,POL-D1,PROD-D,321.09\nCUST-D2,EXT-D2,POL-D2,PROD-D,4321.09\nCUST-D3,EXT-D3,POL-D3,PROD-D,nothing\n")
	require.Equal(p.t, 200, code, body)
	h.imported = fields(p.t, body)["import_id"].(string)
	h.policy = p.lookup("POL-D1").ID
	h.execution = p.made("/v1/collections/execute", `{"period_month":"2025-11"}`)["execution_id"].(string)
	p.patch("POL-D1", `{"collection_day":5}`)
	p.credit("CUST-D1", "2025-11-04", 850000, "SALARY")
	h.transaction = "CUST-D1-2025-11-04-SALARY"
	b := p.bank(func(d debit) (string, string) {
		if d.PolicyNumber == "POL-D2" {
			p.send("kasi.rail.results.v1", "", map[string]any{
				"result_id": "R-D2", "debit_id": d.DebitID, "status": "PAID", "effective_date": d.ActionDate, "amount_cents": 100,
			})
			return "", ""
		}
		h.debit = d.DebitID
		return "PAID", ""
	})
	b.until("2025-11-05", "2025-11-06", "2025-12-02")
	h.settlement = p.settle(testKey, "2025-11").ID
	h.collection = p.first("/v1/collections?policy_number=POL-D1")
	h.item = p.first("/v1/open-items")
	require.Eventually(p.t, func() bool {
		_, body := p.call("GET", "/v1/webhooks/"+h.webhook+"/deliveries", "", "")
		_, audit := p.call("GET", "/v1/audit", "", "")
		return !strings.Contains(body, `"data":[]`) && strings.Contains(audit, `"/v1/settlements"`)
	}, 20*time.Second, 20*time.Millisecond)
	h.delivery = p.first("/v1/webhooks/" + h.webhook + "/deliveries")
	_, body = p.callAs(otherKey, "POST", "/v1/webhooks", "application/json",
		`{"url":"https://other.invalid/hook","events":["collection.paid"]}`)
	h.theirs = fields(p.t, body)["id"].(string)
	h.telltales = []string{
		"POL-D", "CUST-D", "EXT-D", "PROD-D", "321.09", "demo.invalid", "SETTLE-2025-11", h.policy, h.collection, h.execution,
		h.imported, h.settlement, h.item, h.webhook, h.delivery, h.debit, h.transaction,
	}
	return h
}

func fields(t testing.TB, body string) (out map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(body), &out), body)
	return out
}

// made posts as demo and returns the answer's fields.
func (p *product) made(path, body string) map[string]any {
	p.t.Helper()
	code, answer := p.call("POST", path, "application/json", body)
	require.Less(p.t, code, 300, answer)
	return fields(p.t, answer)
}

// first is the id of the first object of a list of demo's.
func (p *product) first(path string) string {
	p.t.Helper()
	code, body := p.call("GET", path, "", "")
	require.Equal(p.t, 200, code, body)
	var list struct{ Data []struct{ ID string } }
	require.NoError(p.t, json.Unmarshal([]byte(body), &list))
	require.NotEmpty(p.t, list.Data, path)
	return list.Data[0].ID
}

// after is the cursor behind a sorting key.
func after(key ...string) string {
	b, _ := json.Marshal(key) // strings always marshal
	return "limit=10&cursor=" + base64.RawURLEncoding.EncodeToString(b)
}

func foreignPolicies(h belongings) []foreign {
	of := "/policies/" + h.policy
	return []foreign{
		// First: later it holds the ids that other asked for.
		{
			op: "listAudit", path: "/audit?since=2025-01-01&" + after("2025-01-01T00:00:00Z", "A"), scope: "read", want: 200,
			own: true,
		},
		{op: "listPolicies", path: "/policies", scope: "read", want: 200, own: true},
		{op: "listPolicies", path: "/policies?policy_number=POL-D1&customer_id=CUST-D1&external_customer_ref=EXT-D1&" +
			"product_code=PROD-D&status=active&updated_since=2025-01-01&" + after("A"), scope: "read", want: 200, own: true},
		{op: "getPolicy", path: of, scope: "read", want: 404, own: true},
		{op: "patchPolicy", path: of, body: `{"status":"cancelled"}`, scope: "write", want: 404},
		{op: "listPolicyHistory", path: of + "/history?" + after("0"), scope: "read", want: 404, own: true},
		{op: "getImport", path: "/imports/" + h.imported, scope: "read", want: 404, own: true},
		{op: "listImportErrors", path: "/imports/" + h.imported + "/errors", scope: "read", want: 404, own: true},
		{op: "getCustomer", path: "/customers/CUST-D1", scope: "read", want: 404, own: true},
	}
}

func foreignCollections(h belongings) []foreign {
	of := "/collections/" + h.collection
	return []foreign{
		{
			op: "executeCollections", path: "/collections/execute", body: `{"period_month":"2025-12","policy_ids":["POL-D1"]}`,
			scope: "write", want: 404,
		},
		{op: "getExecution", path: "/executions/" + h.execution, scope: "read", want: 404, own: true},
		{op: "deleteExecution", path: "/executions/" + h.execution, scope: "write", want: 404},
		{op: "listCollections", path: "/collections", scope: "read", want: 200, own: true},
		{op: "listCollections", path: "/collections?period_month=2025-11&customer_id=CUST-D1&policy_number=POL-D1&" +
			"status=paid_full&collection_status=paid_full&product_code=PROD-D&failed=false&attempted=true&" +
			"updated_since=2025-01-01&" + after("2025-01", "A"), scope: "read", want: 200, own: true},
		{op: "listCollections", path: "/collections?failure_reason=INSUFFICIENT_FUNDS", scope: "read", want: 200},
		{op: "getCollection", path: of, scope: "read", want: 404, own: true},
		{
			op: "listDecisions", path: of + "/decisions?stood_on=2025-11-05&" + after("2025-01-01", "0", "0"), scope: "read",
			want: 404,
		},
		{op: "listDecisions", path: of + "/decisions", scope: "read", want: 404, own: true},
		{op: "listAttempts", path: of + "/attempts?" + after("0"), scope: "read", want: 404, own: true},
		{
			op: "reportCollections", path: "/reports/collections?period_month=2025-11&format=json", scope: "read", want: 200,
			own: true,
		},
		{
			op: "reportCollections", path: "/reports/collections?period_month=2025-11&format=csv", scope: "read", want: 200,
			own: true,
		},
		{op: "getTrace", path: "/trace/" + h.transaction, scope: "read", want: 404, own: true},
		{op: "getTrace", path: "/trace/" + h.debit, scope: "read", want: 404, own: true},
		{op: "getTrace", path: "/trace/" + h.collection, scope: "read", want: 404, own: true},
		{op: "getTrace", path: "/trace/" + h.settlement, scope: "read", want: 404, own: true},
	}
}

func foreignMoney(h belongings) []foreign {
	of, item := "/settlements/"+h.settlement, "/open-items/"+h.item
	return []foreign{
		{op: "createSettlement", path: "/settlements", body: `{"period_month":"2025-11"}`, scope: "settle", want: 409},
		{
			op: "createSettlement", path: "/settlements", body: `{"period_month":"2025-11","preview":true}`, scope: "settle",
			want: 409,
		},
		{
			op: "listSettlements", path: "/settlements?period_month=2025-11&status=pending&" + after("2025-01", "A"),
			scope: "read", want: 200, own: true,
		},
		{op: "getSettlement", path: of, scope: "read", want: 404, own: true},
		{op: "exportSettlement", path: of + "/export", scope: "read", want: 404, own: true},
		{
			op: "listSettlementLines", path: of + "/lines?" + after("A", "2025-01", "A", "A"), scope: "read", want: 404,
			own: true,
		},
		{op: "disputeSettlement", path: of + "/dispute", body: `{"reason":"not mine"}`, scope: "settle", want: 404},
		{op: "resolveSettlement", path: of + "/resolve", body: `{"note":"not mine"}`, scope: "settle", want: 404},
		{op: "listOpenItems", path: "/open-items?state=open&period_month=2025-11&policy_number=POL-D2&customer_id=CUST-D2&" +
			after("0"), scope: "read", want: 200, own: true},
		{op: "getOpenItem", path: item, scope: "read", want: 404, own: true},
		{op: "closeOpenItem", path: item + "/close", body: `{"note":"not mine"}`, scope: "write", want: 404},
	}
}

func foreignWebhooks(h belongings) []foreign {
	of := "/webhooks/" + h.webhook
	return []foreign{
		{op: "listWebhooks", path: "/webhooks", scope: "read", want: 200, own: true},
		{op: "getWebhook", path: of, scope: "read", want: 404, own: true},
		{op: "patchWebhook", path: of, body: `{"url":"https://other.invalid/hook"}`, scope: "write", want: 404},
		{op: "rotateWebhook", path: of + "/rotate", scope: "write", want: 404},
		{op: "listDeliveries", path: of + "/deliveries?" + after("9999999999999", "0"), scope: "read", want: 404, own: true},
		{op: "listDeliveries", path: "/webhooks/" + h.theirs + "/deliveries?status=retrying&type=collection.paid&object_id=" +
			h.collection, scope: "read", want: 200},
		{op: "redeliver", path: of + "/deliveries/" + h.delivery + "/redeliver", scope: "write", want: 404},
		{
			op: "redeliver", path: "/webhooks/" + h.theirs + "/deliveries/" + h.delivery + "/redeliver", scope: "write",
			want: 404,
		},
		{op: "deleteWebhook", path: of, scope: "write", want: 404},
	}
}

// foreignMade are the calls that make something of other's own, under demo's names, and those that need no key.
func foreignMade() []foreign {
	const row = "CUST-D1,EXT-D1,POL-D1,PROD-D,321.09"
	return []foreign{
		{op: "createPolicy", path: "/policies", body: `{"customer_id":"CUST-D1","external_customer_ref":"EXT-D1",` +
			`"policy_number":"POL-D1","product_code":"PROD-D","collection_amount":99.00}`, scope: "write", want: 201},
		{
			op: "importPolicies", path: "/policies/import?mode=full&dry_run=false&expected_rows=1&expected_total=321.09&" +
				"max_cancel=9", body: "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\n\r\n" +
				"customer_id,external_customer_ref,policy_number,product_code,collection_amount\n" + row + "\n\r\n--edge--\r\n",
			scope: "write", want: 200,
		},
		{
			op: "createWebhook", path: "/webhooks", body: `{"url":"https://other.invalid/2","events":["collection.paid"]}`,
			scope: "write", want: 201,
		},
		{op: "openapiYAML", path: "/openapi.yaml", want: 200},
		{op: "openapiJSON", path: "/openapi.json", want: 200},
		{op: "livez", path: "/livez", want: 200},
		{op: "readyz", path: "/readyz", want: 200},
	}
}
