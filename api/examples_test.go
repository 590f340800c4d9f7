package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
)

// TestExamples: every JSON body and every parameter of openapi.yaml has an example, and the server takes it. Each call
// is made in the place where it makes sense: what an example names is there.
func TestExamples(t *testing.T) {
	m := &memory{calls: map[string]*remembered{}}
	e := newHookEnv(t, false, func(c *api.Config) { c.Begin = m.begin })
	ops := map[string]operation{}
	for path, item := range e.spec.Paths.Map() {
		for method, op := range item.Operations() {
			ops[op.OperationID] = operation{method: method, path: path, Operation: op}
		}
	}
	ids := e.exampleObjects(ops)
	for _, id := range []string{
		"createSettlement", "disputeSettlement", "resolveSettlement", "patchPolicy", "closeOpenItem", "patchWebhook",
	} {
		e.try(ops[id], ids, ops[id].body(t))
	}
	for id, op := range ops {
		if op.method != http.MethodGet && id != "importPolicies" || op.Security != nil {
			continue
		}
		for _, ref := range op.Parameters {
			if p := ref.Value; p.In == openapi3.ParameterInQuery && p.Name != "cursor" {
				require.NotNil(t, p.Example, "%s has no example of %s", id, p.Name)
				e.tryParameter(op, ids, p)
			}
		}
	}
	for id, op := range ops { // at the end, so that those above are not left out
		require.True(t, op.RequestBody == nil || id == "importPolicies" || e.tried[id], "this test does not call %s", id)
	}
}

// operation is an operation of openapi.yaml.
type operation struct {
	*openapi3.Operation
	method, path string
}

// body is the example of an operation's JSON body.
func (o operation) body(t *testing.T) string {
	t.Helper()
	for kind, media := range o.RequestBody.Value.Content {
		if strings.HasSuffix(kind, "json") {
			require.NotNil(t, media.Example, "%s has no example of its body", o.OperationID)
			b, err := json.Marshal(media.Example)
			require.NoError(t, err)
			return string(b)
		}
	}
	require.FailNow(t, "no JSON body", o.OperationID)
	return ""
}

// exampleObjects makes what the examples name, by examples where there are some, and returns the ids by the first
// segment of their paths.
func (e *env) exampleObjects(ops map[string]operation) map[string]string {
	t := e.t
	t.Helper()
	ids := map[string]string{"customers": "CUST001"}
	id := func(a *answer, field string) string {
		var fields map[string]any
		require.NoError(t, json.Unmarshal(a.body, &fields))
		return fields[field].(string)
	}
	ids["policies"] = id(e.try(ops["createPolicy"], nil, ops["createPolicy"].body(t)), "id")
	ids["executions"] = id(e.try(ops["executeCollections"], nil, ops["executeCollections"].body(t)), "execution_id")
	ids["collections"] = schemas.CollectionID(ids["policies"], "2025-11")
	ids["trace"] = ids["collections"]
	ids["webhooks"] = id(e.try(ops["createWebhook"], nil, ops["createWebhook"].body(t)), "id")
	ids["imports"] = id(e.upload(importHeader+"CUST001,EXT123,POL001,FUNERAL_01,150.00\n"), "import_id")
	e.pipe.pay("POL001", "2025-11", 15000, "2025-11-05")
	e.pipe.item("D1", schemas.ItemOpen, 1, "")
	ids["open-items"] = schemas.OpenItemID("D1")
	ids["settlements"] = schemas.SettlementID("acme", "2025-11", 1)
	return ids
}

// at is the path of an operation about the objects of these ids.
func (o operation) at(ids map[string]string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(o.path, "/"), "/")
	return "/v1" + strings.NewReplacer("{id}", ids[first], "{customer_id}", ids[first]).Replace(o.path)
}

// try makes a call with the example of its body and, in its header, of an Idempotency-Key.
func (e *env) try(op operation, ids map[string]string, body string) *answer {
	e.t.Helper()
	if e.tried == nil {
		e.tried = map[string]bool{}
	}
	e.tried[op.OperationID] = true
	key := ""
	for _, ref := range op.Parameters {
		if p := ref.Value; p.In == openapi3.ParameterInHeader && p.Name == "Idempotency-Key" {
			key = op.OperationID // an example would be one key for several calls
		}
	}
	require.NotEmpty(e.t, key, "%s takes no Idempotency-Key", op.OperationID)
	var last *answer
	for i, kind := range slices.Sorted(maps.Keys(op.RequestBody.Value.Content)) {
		header := http.Header{"Idempotency-Key": {key + strconv.Itoa(i)}}
		last = e.with(header, op.method, op.at(ids), acmeKey, kind, strings.NewReader(body))
		require.Less(e.t, last.status, 300, "%s: %s", op.OperationID, last.body)
	}
	return last
}

// tryParameter makes a call with the example of one parameter, and of those that must be there.
func (e *env) tryParameter(op operation, ids map[string]string, p *openapi3.Parameter) {
	e.t.Helper()
	query := url.Values{}
	for _, ref := range op.Parameters {
		if v := ref.Value; v.In == openapi3.ParameterInQuery && (v == p || v.Required) {
			query.Set(v.Name, fmt.Sprint(v.Example))
		}
	}
	if p.Name == "max_cancel" {
		query.Set("mode", "full")
	}
	body, contentType := form(e.t, "file", importHeader+"CUST001,EXT123,POL001,FUNERAL_01,150.00\n")
	if op.method == http.MethodGet {
		body, contentType = http.NoBody, ""
	}
	e.request(op.method, op.at(ids)+"?"+query.Encode(), acmeKey, contentType, body).is(http.StatusOK)
}
