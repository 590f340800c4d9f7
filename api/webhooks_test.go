package api_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/webhooks"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// newHookEnv is an API with real webhooks on an embedded Kafka. What is asked for there goes to ClickHouse by hand.
func newHookEnv(t *testing.T, allowPrivate bool, change ...func(*api.Config)) *env {
	t.Helper()
	kafka := kafkatest.Fake(t)
	kafka.Topics(t, 2, append([]string{schemas.TopicWebhookDeliveries}, schemas.WebhookSources()...)...)
	kafka.Topics(t, 1, schemas.TopicWebhooks)
	registry, err := webhooks.OpenRegistry(context.Background(), webhooks.Config{
		Brokers: kafka.Brokers, Secret: "seal", Log: slog.New(slog.DiscardHandler), AllowPrivate: allowPrivate,
	})
	require.NoError(t, err)
	t.Cleanup(registry.Close)
	return newEnv(t, append(change, func(c *api.Config) { c.Webhooks = registry })...)
}

func TestWebhooks(t *testing.T) {
	e := newHookEnv(t, false)
	a := e.post("/v1/webhooks", `{"url":"https://example.com/kasi","events":["collection.failed","COLLECTION.PAID",`+
		`"collection.failed"]}`).is(http.StatusCreated)
	made := decoded[api.WebhookMade](a)
	require.Equal(t, "/v1/webhooks/"+made.ID, a.header.Get("Location"))
	require.Equal(t, []schemas.WebhookType{schemas.WebhookFailed, schemas.WebhookPaid}, made.Events)
	require.True(t, strings.HasPrefix(made.Secret, "whsec_"))

	one := e.get("/v1/webhooks/" + made.ID).is(http.StatusOK)
	require.NotContains(t, string(one.body), "whsec_", "the secret is shown once")
	list := decoded[api.WebhookList](e.get("/v1/webhooks").is(http.StatusOK))
	require.Equal(t, []api.Webhook{decoded[api.Webhook](one)}, list.Data)
	e.request(http.MethodGet, "/v1/webhooks/"+made.ID, otherKey, "", nil).is(http.StatusNotFound)
	e.request(http.MethodDelete, "/v1/webhooks/"+made.ID, otherKey, "", nil).is(http.StatusNotFound)
	require.Empty(t, decoded[api.WebhookList](e.request(http.MethodGet, "/v1/webhooks", otherKey, "", nil)).Data)

	now := decoded[api.Webhook](e.send(http.MethodPatch, "/v1/webhooks/"+made.ID,
		`{"url":"https://example.com/new","events":["settlement.paid"]}`).is(http.StatusOK))
	require.Equal(t, "https://example.com/new", now.URL)
	e.send(http.MethodPatch, "/v1/webhooks/"+made.ID, `{"url":null}`).is(http.StatusBadRequest)
	require.Equal(t, []schemas.WebhookType{schemas.WebhookSettlementPaid}, now.Events)
	rotated := decoded[api.WebhookMade](e.post("/v1/webhooks/"+made.ID+"/rotate", "").is(http.StatusOK))
	require.NotEqual(t, made.Secret, rotated.Secret)
	require.NotContains(t, e.log.String(), "whsec_")

	e.request(http.MethodDelete, "/v1/webhooks/"+made.ID, acmeKey, "", nil).is(http.StatusOK)
	e.get("/v1/webhooks/" + made.ID).is(http.StatusNotFound)
	e.get("/v1/webhooks/" + made.ID + "/deliveries").is(http.StatusNotFound)
}

// The answer with the secret can be had again under the call's Idempotency-Key, and nobody reads it where it is kept.
func TestWebhookSecretIsKeptSealed(t *testing.T) {
	m := &memory{calls: map[string]*remembered{}}
	e := newHookEnv(t, false, func(c *api.Config) { c.Begin = m.begin })
	call := func() *answer {
		return e.withKey("k1", http.MethodPost, "/v1/webhooks", "application/json",
			`{"url":"https://example.com","events":["collection.paid"]}`).
			is(http.StatusCreated)
	}
	first := call()
	for range 2 {
		again := call()
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
		require.Equal(t, string(first.body), string(again.body))
	}
	require.Contains(t, string(first.body), "whsec_")
	require.NotContains(t, string(m.calls["acme k1"].answer.Body), "whsec_")
	require.Len(t, decoded[api.WebhookList](e.get("/v1/webhooks")).Data, 1)
}

// A process was killed behind the webhook and before its answer. The call is tried again: there is one webhook, with
// a secret that somebody has seen.
func TestAWebhookTriedAgainIsOne(t *testing.T) {
	m := &memory{calls: map[string]*remembered{}}
	e := newHookEnv(t, false, func(c *api.Config) { c.Begin = m.begin })
	call := func(key string) api.WebhookMade {
		a := e.withKey(key, http.MethodPost, "/v1/webhooks", "application/json",
			`{"url":"https://example.com","events":["collection.paid"]}`)
		return decoded[api.WebhookMade](a.is(http.StatusCreated))
	}
	for range 19 {
		e.post("/v1/webhooks", `{"url":"https://example.com","events":["collection.paid"]}`).is(http.StatusCreated)
	}
	first := call("k1") // the last one possible
	m.calls["acme k1"].answer = nil
	again := call("k1")
	require.Equal(t, first.ID, again.ID)
	require.Equal(t, first.CreatedAt, again.CreatedAt, "it has heard of what happened since the first try")
	require.NotEqual(t, first.Secret, again.Secret)
	require.Len(t, decoded[api.WebhookList](e.get("/v1/webhooks")).Data, 20)
	e.request(http.MethodDelete, "/v1/webhooks/"+first.ID, acmeKey, "", nil).is(http.StatusOK)
	require.NotEqual(t, first.ID, call("k2").ID)
}

func TestWebhookFaults(t *testing.T) {
	e := newHookEnv(t, false)
	for body, field := range map[string]string{
		`{"events":["collection.paid"]}`:                                                     "url",
		`{"url":"https://example.com"}`:                                                      "events",
		`{"url":"https://example.com","events":[]}`:                                          "events",
		`{"url":"https://example.com","events":["collection.payed"]}`:                        "events[0]",
		`{"url":"https://example.com","events":"collection.paid"}`:                           "events",
		`{"url":"example.com","events":["collection.paid"]}`:                                 "url",
		`{"url":"http://example.com","events":["collection.paid"]}`:                          "url",
		`{"url":"ftp://example.com","events":["collection.paid"]}`:                           "url",
		`{"url":"https://me:secret@example.com","events":["collection.paid"]}`:               "url",
		`{"url":"https://127.0.0.1/","events":["collection.paid"]}`:                          "url",
		`{"url":"https://localhost:8080/","events":["collection.paid"]}`:                     "url",
		`{"url":"https://[::ffff:10.0.0.1]/","events":["collection.paid"]}`:                  "url",
		`{"url":"https://169.254.169.254/latest/meta-data","events":["collection.paid"]}`:    "url",
		`{"url":"https://example.com","events":["collection.paid"],"secret":"whsec_chosen"}`: "secret",
	} {
		require.Equal(t, field, e.post("/v1/webhooks", body).is(http.StatusBadRequest).err().Details.Field, body)
	}
	made := decoded[api.WebhookMade](e.post("/v1/webhooks", `{"url":"https://example.com","events":["collection.paid"]}`))
	e.send(http.MethodPatch, "/v1/webhooks/"+made.ID, `{}`).is(http.StatusBadRequest)
	e.send(http.MethodPatch, "/v1/webhooks/"+made.ID, `{"url":"https://10.1.2.3"}`).is(http.StatusBadRequest)
	for range 19 {
		e.post("/v1/webhooks", `{"url":"https://example.com","events":["collection.paid"]}`).is(http.StatusCreated)
	}
	e.post("/v1/webhooks", `{"url":"https://example.com","events":["collection.paid"]}`).is(http.StatusConflict)
	require.Contains(t, newEnv(t).get("/v1/webhooks").is(http.StatusServiceUnavailable).err().Message,
		"KASI_WEBHOOKS_SECRET")
}

func TestDeliveries(t *testing.T) {
	e := newHookEnv(t, true)
	made := decoded[api.WebhookMade](e.post("/v1/webhooks", `{"url":"http://127.0.0.1:1/","events":["collection.paid"]}`).
		is(http.StatusCreated))
	path := "/v1/webhooks/" + made.ID + "/deliveries"
	require.Empty(t, decoded[api.DeliveryList](e.get(path).is(http.StatusOK)).Data)
	var ids []string
	for i, status := range []string{"delivered", "failed", "retrying"} {
		ids = append(ids, uuid.NewString())
		require.NoError(t, e.db.Exec(t.Context(), `INSERT INTO webhook_deliveries_log (tenant_id, webhook_id, delivery_id,
			event_type, object_id, status, attempts, status_code, error, next_attempt_at, payload, since, at, src_offset)
			VALUES ('acme', ?, ?, 'collection.paid', ?, ?, 3, 500, 'answered 500', '', ?,
			?, '2025-11-05 07:00:00', 1)`, made.ID, ids[i], "O"+status, status, `{"type":"collection.paid"}`,
			"2025-11-0"+string(rune('1'+i))+" 07:00:00"))
	}
	var all []string
	for next := ""; ; {
		page := decoded[api.DeliveryList](e.get(path + "?limit=1" + next).is(http.StatusOK))
		require.Len(t, page.Data, 1)
		all = append(all, page.Data[0].ID)
		if page.NextCursor == nil {
			break
		}
		next = "&cursor=" + *page.NextCursor
	}
	require.Equal(t, []string{ids[2], ids[1], ids[0]}, all, "the newest first")
	for query, want := range map[string]int{
		"?status=failed": 1, "?status=FAILED&type=collection.paid": 1, "?type=collection.failed": 0,
		"?object_id=Oretrying": 1,
	} {
		require.Len(t, decoded[api.DeliveryList](e.get(path+query).is(http.StatusOK)).Data, want, query)
	}
	e.get(path + "?status=lost").is(http.StatusBadRequest)
	e.get(path + "?page=2").is(http.StatusBadRequest)

	d := decoded[api.Delivery](e.post(path+"/"+ids[1]+"/redeliver", "").is(http.StatusAccepted))
	require.Equal(t, ids[1], d.ID)
	require.Equal(t, schemas.DeliveryPending, d.Status)
	require.Equal(t, json.RawMessage(`{"type":"collection.paid"}`), d.Payload)
	e.post(path+"/"+uuid.NewString()+"/redeliver", "").is(http.StatusNotFound)
	e.post(path+"/x/redeliver", "").is(http.StatusNotFound)
	e.request(http.MethodPost, path+"/"+ids[1]+"/redeliver", otherKey, "", nil).is(http.StatusNotFound)
}
