package api_test

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
)

// memory stands for the topic of Idempotency-Keys.
type memory struct {
	mu    sync.Mutex
	calls map[string]*remembered
}

type remembered struct {
	in     *memory
	body   [sha256.Size]byte
	since  time.Time
	tries  int
	open   bool
	answer *schemas.KeyedAnswer
}

func (m *memory) begin(_ context.Context, tenant, key string, body [sha256.Size]byte) (api.KeyedCall, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.calls[tenant+" "+key]
	switch {
	case c == nil:
		c = &remembered{in: m, body: body, since: time.Now()}
		m.calls[tenant+" "+key] = c
	case c.body != body:
		return nil, schemas.ErrOtherBody
	case c.open:
		return nil, &schemas.StillRunning{After: 1500 * time.Millisecond}
	}
	c.open = c.answer == nil
	c.tries++
	return c, nil
}

func (c *remembered) First() *schemas.KeyedAnswer { return c.answer }
func (c *remembered) Tried() (time.Time, bool)    { return c.since, c.tries > 1 }
func (c *remembered) Done(_ context.Context, a schemas.KeyedAnswer) error {
	return c.end(&a)
}
func (c *remembered) Free(context.Context) error { return c.end(nil) }
func (c *remembered) end(a *schemas.KeyedAnswer) error {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.open, c.answer = false, a
	return nil
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(b)
}

func keyed(c *api.Config) {
	m := &memory{calls: map[string]*remembered{}}
	c.Begin = m.begin
}

// withKey sends a call under an Idempotency-Key.
func (e *env) withKey(key, method, path, contentType, body string) *answer {
	e.t.Helper()
	return e.with(http.Header{"Idempotency-Key": {key}}, method, path, acmeKey, contentType, strings.NewReader(body))
}

func TestTheFirstAnswerIsGivenAgain(t *testing.T) {
	e := newEnv(t, keyed)
	post := func(key, path, body string) *answer {
		e.t.Helper()
		return e.withKey(key, http.MethodPost, path, "application/json", body)
	}
	first := post("k1", "/v1/policies", policyJSON("POL001")).is(http.StatusCreated)
	require.Empty(t, first.header.Get("Idempotency-Replayed"))
	again := post("k1", "/v1/policies", policyJSON("POL001")).is(http.StatusCreated)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, string(first.body), string(again.body))
	require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
	require.NotEqual(t, first.header.Get("X-Request-Id"), again.header.Get("X-Request-Id"))
	require.Equal(t, 1, e.pipe.commands)
	for _, other := range []*answer{
		post("k1", "/v1/policies", policyJSON("POL002")),
		post("k1", "/v1/collections/execute", policyJSON("POL001")),
	} {
		require.Equal(t, "UNPROCESSABLE", other.is(http.StatusUnprocessableEntity).err().Code)
	}
	post("k2", "/v1/policies", policyJSON("POL001")).is(http.StatusConflict)
	require.Equal(t, "true", post("k2", "/v1/policies", policyJSON("POL001")).is(http.StatusConflict).
		header.Get("Idempotency-Replayed"), "a refusal is an answer too")
	id := schemas.PolicyID("acme", "POL001")
	for range 2 {
		e.withKey("k3", http.MethodPatch, "/v1/policies/"+id, "application/json", `{"collection_amount":99.00}`).
			is(http.StatusOK)
	}
	require.Equal(t, 2, e.pipe.commands)
	for _, key := range []string{"", strings.Repeat("x", 256), "\u00e9"} {
		got := post(key, "/v1/policies", policyJSON("P")).is(http.StatusBadRequest).err()
		require.Equal(t, "Idempotency-Key", got.Details.Field)
	}
	post("other", "/v1/policies", `{"x":"`+strings.Repeat("x", 1<<20)+`"}`).is(http.StatusRequestEntityTooLarge)
}

// JSON is the same call however it is written down; another content is another call.
func TestJSONIsTheSameHoweverItIsWritten(t *testing.T) {
	e := newEnv(t, keyed)
	post := func(key, body string) *answer {
		return e.withKey(key, http.MethodPost, "/v1/policies", "application/json", body)
	}
	const fields = `"external_customer_ref":"EXT","policy_number":"POL001","product_code":"F"`
	first := post("k1", `{"customer_id":"C1",`+fields+`,"collection_amount":150.00}`).is(http.StatusCreated)
	for _, same := range []string{
		"{\n  \"customer_id\": \"C1\",\n" + fields + ",\t\"collection_amount\" : 150.00 }\n",
		`{"collection_amount":150.00,` + fields + `,"customer_id":"C1"}`,
		`{"collection_amount":150.00,` + fields + `,"customer_id":"\u00431"}`,
	} {
		again := post("k1", same).is(http.StatusCreated)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"), same)
		require.Equal(t, string(first.body), string(again.body))
	}
	for _, other := range []string{
		`{"customer_id":"C1",` + fields + `,"collection_amount":150.01}`,
		`{"customer_id":"C2","customer_id":"C1",` + fields + `,"collection_amount":150.00}`,
		`{"customer_id":"C1",` + fields + `,"collection_amount":150.00}{}`,
		`{"customer_id":"C1",` + fields + `,"collection_amount":150.00`,
		`{"customer_id":["C1"],` + fields + `,"collection_amount":150.00}`,
	} {
		post("k1", other).is(http.StatusUnprocessableEntity)
	}
	post("k2", `{"policy_ids":["A","B"]}`).is(http.StatusBadRequest)
	post("k2", `{"policy_ids":["B","A"]}`).is(http.StatusUnprocessableEntity)
}

// TestAFormIsTheSameWhateverItsBoundary: clients draw the boundary between the parts anew for each try.
func TestAFormIsTheSameWhateverItsBoundary(t *testing.T) {
	e := newEnv(t, keyed)
	const file = "customer_id,external_customer_ref,policy_number,product_code,collection_amount\nC,E,P1,F,150.00\n"
	var bodies []string
	for range 2 {
		body, contentType := form(t, "file", file)
		a := e.withKey("k", http.MethodPost, "/v1/policies/import", contentType, readAll(t, body)).is(http.StatusOK)
		bodies = append(bodies, string(a.body))
	}
	require.Equal(t, bodies[0], bodies[1])
	require.Equal(t, 1, e.pipe.commands)
	body, contentType := form(t, "file", file+"C,E,P2,F,150.00\n")
	e.withKey("k", http.MethodPost, "/v1/policies/import", contentType, readAll(t, body)).
		is(http.StatusUnprocessableEntity)
}

// TestWhatIsNotFinalIsTriedAgain: under the same command, so that what the pipeline has done by then is the answer.
func TestWhatIsNotFinalIsTriedAgain(t *testing.T) {
	e := newEnv(t, keyed, func(c *api.Config) { c.Wait = 300 * time.Millisecond })
	e.pipe.deaf = true
	post := func() *answer {
		return e.withKey("k", http.MethodPost, "/v1/policies", "application/json", policyJSON("POL001"))
	}
	post().is(http.StatusServiceUnavailable)
	e.pipe.deaf = false
	a := post().is(http.StatusCreated)
	require.Empty(t, a.header.Get("Idempotency-Replayed"))
	require.Equal(t, "true", post().is(http.StatusCreated).header.Get("Idempotency-Replayed"))
}

// TestACallUnderWay: a second one hears 409 and when to ask again, and the first one is carried out though its caller
// hangs up.
func TestACallUnderWay(t *testing.T) {
	e := newEnv(t, keyed)
	e.policy("POL001")
	began, goOn := make(chan struct{}), make(chan struct{})
	e.pipe.writing = func(context.Context) { close(began); <-goOn }
	const execute = `{"period_month":"2025-11"}`
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/v1/collections/execute",
		strings.NewReader(execute))
	require.NoError(t, err)
	req.Header = http.Header{"X-Api-Key": {acmeKey}, "Content-Type": {"application/json"}, "Idempotency-Key": {"k"}}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-began
	again := func() *answer {
		return e.withKey("k", http.MethodPost, "/v1/collections/execute", "application/json", execute)
	}
	a := again().is(http.StatusConflict)
	require.Equal(t, "CONFLICT", a.err().Code)
	require.Equal(t, "2", a.header.Get("Retry-After"))
	hangUp()
	<-gone
	e.pipe.writing = nil
	close(goOn)
	require.Eventually(
		t,
		func() bool { return again().status == http.StatusAccepted },
		10*time.Second,
		10*time.Millisecond,
	)
	require.Equal(t, "true", again().header.Get("Idempotency-Replayed"))
}
