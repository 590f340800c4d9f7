package api_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
)

func TestCreateAndReadPolicy(t *testing.T) {
	e := newEnv(t)
	a := e.post("/v1/policies", `{"customer_id":"CUST001","external_customer_ref":"EXT123",
		"policy_number":"POL001","product_code":"FUNERAL_01","collection_amount":150.5,"rail":"eft",
		"mandate_reference":"M1","mandate_max_amount":300,"mandate_fixed":true,"collection_day":25,"status":"Active"}`)
	made := decoded[api.PolicyCreated](a.is(http.StatusCreated))
	require.Equal(t, schemas.PolicyID("acme", "POL001"), made.ID)
	require.Equal(t, "/v1/policies/"+made.ID, a.header.Get("Location"))
	require.Equal(t, schemas.PolicyActive, made.Status)
	require.WithinDuration(t, time.Now(), made.CreatedAt, time.Minute)

	got := e.get("/v1/policies/" + made.ID).is(http.StatusOK)
	text := string(got.body)
	require.True(t, strings.HasPrefix(text,
		`{"id":"`+made.ID+`","policy_number":"POL001","customer_id":"CUST001","external_customer_ref":"EXT123",`+
			`"product_code":"FUNERAL_01","collection_amount":150.50,"status":"active",`+
			`"rail":"EFT","mandate_reference":"M1","mandate_max_amount":300.00,`+
			`"mandate_fixed":true,"collection_day":25,"hold_reason":null,"version":1,"created_at":"`), text)
	require.Regexp(t, `"updated_at":"[^"]+Z"`, text)
}

func TestCreateWithDefaults(t *testing.T) {
	e := newEnv(t)
	p := decoded[api.Policy](e.get("/v1/policies/" + e.policy("POL001")).is(http.StatusOK))
	require.Equal(t, schemas.RailDebiCheck, p.Rail)
	require.Nil(t, p.MandateReference)
	require.Nil(t, p.MandateMaxAmount)
	require.Nil(t, p.CollectionDay)
	require.False(t, p.MandateFixed)
}

func TestCreateExistingIsAConflict(t *testing.T) {
	e := newEnv(t)
	e.policy("POL001")
	sent := e.pipe.commands
	got := e.post("/v1/policies", policyJSON("POL001")).is(http.StatusConflict).err()
	require.Equal(t, "CONFLICT", got.Code)
	require.Equal(t, "policy_number", got.Details.Field)
	require.Equal(t, "POL001", got.Details.Received)
	require.Equal(t, sent, e.pipe.commands, "ClickHouse knew already")

	// The number was taken between the look and the command: the pipeline's answer counts.
	e.pipe.policies[schemas.PolicyID("acme", "POL002")] = schemas.PolicyEvent{CustomerID: "X"}
	require.Equal(t, "CONFLICT", e.post("/v1/policies", policyJSON("POL002")).is(http.StatusConflict).err().Code)

	// The same number of another tenant is another policy.
	e.request(http.MethodPost, "/v1/policies", otherKey, "application/json",
		strings.NewReader(policyJSON("POL001"))).is(http.StatusCreated)
}

func TestPatchPolicy(t *testing.T) {
	e := newEnv(t)
	id := e.policy("POL001")
	path := "/v1/policies/" + id
	a := e.send(http.MethodPatch, path, `{"collection_amount":200}`).is(http.StatusOK)
	require.Regexp(t, `^\{"id":"`+id+`","policy_number":"POL001","collection_amount":200.00,"status":"active",`+
		`"updated_at":"[^"]+Z"\}\n$`, string(a.body))
	unchanged := decoded[api.PolicyPatched](e.send(http.MethodPatch, path,
		`{"collection_amount":200.00}`).is(http.StatusOK))
	require.Equal(t, decoded[api.PolicyPatched](a), unchanged)
	require.Equal(
		t,
		"status",
		e.send(http.MethodPatch, path, `{"status":null}`).is(http.StatusBadRequest).err().Details.Field,
	)

	p := decoded[api.PolicyPatched](e.send(http.MethodPatch, path,
		`{"collection_amount":210.05,"status":"LAPSED"}`).is(http.StatusOK))
	require.Equal(t, schemas.PolicyLapsed, p.Status)
	e.send(http.MethodPatch, path, `{"status":"cancelled"}`).is(http.StatusOK)
	got := e.send(http.MethodPatch, path, `{"collection_amount":9}`).is(http.StatusConflict).err()
	require.Contains(t, got.Message, "cancelled")
	require.EqualValues(t, 4, decoded[api.Policy](e.get(path)).Version)
}

// A policy goes to another customer with the other fields of the PATCH. Lists show it under that one alone; its history
// shows both. What the pipeline refuses is a 409 that says why.
func TestAPolicyGoesToAnotherCustomer(t *testing.T) {
	e := newEnv(t)
	path := "/v1/policies/" + e.policy("POL001")
	e.post("/v1/collections/execute", `{"period_month":"2025-11"}`).is(http.StatusAccepted)
	tag := e.get(path).header.Get("ETag")
	e.send(http.MethodPatch, path, `{"customer_id":"C-POL001"}`).is(http.StatusOK)
	require.Equal(t, tag, e.get(path).header.Get("ETag"), "it is the customer's already")
	moved := e.send(http.MethodPatch, path, `{"customer_id":"C2","collection_amount":9}`).is(http.StatusOK)
	require.EqualValues(t, 900, decoded[api.PolicyPatched](moved).CollectionAmount)
	now := decoded[api.Policy](e.get(path))
	require.Equal(t, "C2", now.CustomerID)
	require.EqualValues(t, 2, now.Version)
	for customer, n := range map[string]int{"C-POL001": 0, "C2": 1} {
		require.Len(t, decoded[api.PolicyList](e.get("/v1/policies?customer_id="+customer)).Data, n, customer)
	}
	require.Len(t, decoded[api.PolicyHistory](e.get(path+"/history")).Data, 2)

	number := func(customer string) int {
		return len(decoded[api.CollectionList](e.get("/v1/collections?customer_id=" + customer)).Data)
	}
	require.Equal(t, []int{1, 0}, []int{number("C-POL001"), number("C2")})
	e.pipe.mu.Lock()
	for _, k := range e.pipe.collections {
		k.Status, k.Change = schemas.CollectionVoided, schemas.Change{Kind: schemas.ChangeVoided}
		e.pipe.write(k)
		k.CustomerID, k.Status, k.Change = "C2", schemas.Unpaid, schemas.Change{Kind: schemas.ChangeReactivated}
		e.pipe.write(k)
	}
	e.pipe.mu.Unlock()
	require.Equal(t, []int{0, 1}, []int{number("C-POL001"), number("C2")})
	require.Len(t, decoded[api.Customer](e.get("/v1/customers/C2")).Collections, 1)
	e.get("/v1/customers/C-POL001").is(http.StatusNotFound)

	for _, body := range []string{`{"customer_id":null}`, `{"customer_id":""}`, `{"customer_id":7}`} {
		got := e.send(http.MethodPatch, path, body).is(http.StatusBadRequest).err()
		require.Equal(t, "customer_id", got.Details.Field, body)
	}
	stale := http.Header{"If-Match": {tag}}
	e.with(stale, http.MethodPatch, path, acmeKey, "application/json", strings.NewReader(`{"customer_id":"C3"}`)).
		is(http.StatusPreconditionFailed)
	e.send(http.MethodPatch, "/v1/policies/"+uuid.NewString(), `{"customer_id":"C3"}`).is(http.StatusNotFound)
	e.pipe.debited = true
	got := e.send(http.MethodPatch, path, `{"customer_id":"C3"}`).is(http.StatusConflict).err()
	require.Contains(t, got.Message, "debited")
}

// TestPatchAnswersItsOwnChange: a change that was overtaken before it could be read back is still answered as it was
// made.
func TestPatchAnswersItsOwnChange(t *testing.T) {
	e := newEnv(t)
	id := e.policy("POL001")
	e.pipe.every = func() {
		later := e.pipe.policies[id]
		later.PolicyID, later.TenantID, later.PolicyNumber, later.RequestID = id, "acme", "POL001", "another request"
		later.PremiumCents, later.Version, later.UpdatedAt = 99900, 9, time.Now()
		e.pipe.insert("policies_log", policyColumns, [][]any{policyRow(later)})
	}
	p := decoded[api.PolicyPatched](e.send(http.MethodPatch, "/v1/policies/"+id,
		`{"collection_amount":200}`).is(http.StatusOK))
	require.EqualValues(t, 20000, p.CollectionAmount)
	require.EqualValues(t, 99900, decoded[api.Policy](e.get("/v1/policies/"+id)).CollectionAmount,
		"the later change stands")
}

func TestListPolicies(t *testing.T) {
	e := newEnv(t)
	for _, n := range []string{"P3", "P1", "P5", "P2", "P4"} {
		e.policy(n)
	}
	id := decoded[api.PolicyList](e.get("/v1/policies?policy_number=P4")).Data[0].ID
	e.send(http.MethodPatch, "/v1/policies/"+id, `{"status":"lapsed"}`).is(http.StatusOK)

	var numbers []string
	pages := 0
	for next := ""; ; pages++ {
		l := decoded[api.PolicyList](e.get("/v1/policies?limit=2" + next).is(http.StatusOK))
		for _, p := range l.Data {
			numbers = append(numbers, p.PolicyNumber)
		}
		if l.NextCursor == nil {
			break
		}
		next = "&cursor=" + *l.NextCursor
	}
	require.Equal(t, []string{"P1", "P2", "P3", "P4", "P5"}, numbers)
	require.Equal(t, 2, pages)

	count := func(query string) int {
		return len(decoded[api.PolicyList](e.get("/v1/policies" + query).is(http.StatusOK)).Data)
	}
	require.Equal(t, 5, count(""))
	require.Equal(t, 4, count("?status=ACTIVE"))
	require.Equal(t, 1, count("?status=lapsed"))
	require.Equal(t, 1, count("?customer_id=C-P3"))
	require.Equal(t, 0, count("?customer_id=C-P3&status=cancelled"))
	require.Equal(t, 0, count("?policy_number=P9"))
	require.Equal(t, `{"data":[],"next_cursor":null}`+"\n", string(e.get("/v1/policies?policy_number=P9").body))
}

func TestOtherTenantsPoliciesDoNotExist(t *testing.T) {
	e := newEnv(t)
	id := e.policy("POL001")
	for _, a := range []*answer{
		e.request(http.MethodGet, "/v1/policies/"+id, otherKey, "", nil),
		e.request(http.MethodPatch, "/v1/policies/"+id, otherKey, "application/json",
			strings.NewReader(`{"status":"cancelled"}`)),
	} {
		require.Equal(t, "NOT_FOUND", a.is(http.StatusNotFound).err().Code)
	}
	require.Empty(t, decoded[api.PolicyList](e.request(http.MethodGet, "/v1/policies", otherKey, "", nil)).Data)
	require.Empty(t, decoded[api.PolicyList](e.request(http.MethodGet, "/v1/policies?policy_number=POL001", otherKey, "",
		nil)).Data)
}

func TestStrangeTextSurvives(t *testing.T) {
	e := newEnv(t)
	const number = `=cmd'\n{x:String}"é漢`
	body := `{"customer_id":"C","external_customer_ref":"-1",` +
		`"policy_number":"=cmd'\\n{x:String}\"é漢","product_code":"p","collection_amount":1}`
	id := decoded[api.PolicyCreated](e.post("/v1/policies", body).is(http.StatusCreated)).ID
	require.Equal(t, number, decoded[api.Policy](e.get("/v1/policies/"+id)).PolicyNumber)
	const query = "/v1/policies?policy_number=%3Dcmd%27%5Cn%7Bx%3AString%7D%22%C3%A9%E6%BC%A2"
	require.Len(t, decoded[api.PolicyList](e.get(query)).Data, 1)
}

// TestWritesSayTheyWereAcceptedWhereClickHouseGoesAway: a caller who hears "try again" alone would not know that the
// write is under way.
func TestWritesSayTheyWereAcceptedWhereClickHouseGoesAway(t *testing.T) {
	away := &atomic.Bool{}
	e := newEnv(t, func(c *api.Config) { c.Wait, c.DB = 50*time.Millisecond, awayConn{c.DB, away} })
	id := e.policy("POL001")
	e.pipe.every = func() { away.Store(true) }
	for _, ask := range []func() *answer{
		func() *answer { return e.post("/v1/policies", policyJSON("POL002")) },
		func() *answer { return e.send(http.MethodPatch, "/v1/policies/"+id, `{"status":"lapsed"}`) },
		func() *answer { return e.upload(importHeader + "C,E,P1,F,1\n") },
	} {
		away.Store(false)
		a := ask().is(http.StatusServiceUnavailable)
		require.Contains(t, strings.ToLower(a.err().Message), "accepted")
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
}

func TestWritesThatCannotBeReadBackSaySo(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Wait = 50 * time.Millisecond })
	id := e.policy("POL001")
	e.pipe.deaf = true
	for _, a := range []*answer{
		e.post("/v1/policies", policyJSON("POL002")),
		e.send(http.MethodPatch, "/v1/policies/"+id, `{"status":"lapsed"}`),
	} {
		got := a.is(http.StatusServiceUnavailable).err()
		require.Equal(t, "UNAVAILABLE", got.Code)
		require.Contains(t, got.Message, "Accepted")
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
	e.pipe.fail = errKafka
	require.Contains(t, e.post("/v1/policies", policyJSON("POL002")).is(http.StatusServiceUnavailable).err().Message,
		"no broker")
}
