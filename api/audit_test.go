package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
)

// TestAudit: every call that changes something, or would have, is there with its key, address, route and outcome, for
// its own tenant alone, page by page.
func TestAudit(t *testing.T) {
	e := newEnv(t, keyed)
	id := e.policy("POL-PRIVATE")
	e.send(http.MethodPatch, "/v1/policies/"+id, `{"collection_amount":-1}`).is(http.StatusBadRequest)
	e.get("/v1/policies").is(http.StatusOK) // a query is not written down
	for range 2 {
		e.withKey("k", http.MethodPost, "/v1/settlements", "application/json", "{}").is(http.StatusBadRequest)
	}
	e.request(http.MethodPost, "/v1/policies", "wrong", "application/json", strings.NewReader("{}")).
		is(http.StatusUnauthorized)
	e.request(http.MethodPost, "/v1/policies", otherKey, "application/json", strings.NewReader("{}")).
		is(http.StatusBadRequest)

	var calls []api.AuditEntry
	next := "/v1/audit?limit=3&since=2025-01-01"
	for next != "" {
		page := decoded[api.AuditList](e.get(next).is(http.StatusOK))
		calls, next = append(calls, page.Data...), ""
		if page.NextCursor != nil {
			next = "/v1/audit?limit=3&cursor=" + *page.NextCursor
		}
	}
	var got []string
	for _, c := range calls {
		object := ""
		if c.ObjectID != nil {
			object = *c.ObjectID
		}
		replayed := map[bool]string{true: "again"}[c.Replayed]
		got = append(got, strings.Join([]string{c.KeyID, c.Address, c.Method, c.Route, object, c.Outcome, replayed}, " "))
		require.WithinDuration(t, time.Now(), c.At, time.Minute)
	}
	require.Equal(t, []string{
		"env-1 127.0.0.1 POST /v1/policies  OK ",
		"env-1 127.0.0.1 PATCH /v1/policies/{id} " + id + " VALIDATION_ERROR ",
		"env-1 127.0.0.1 POST /v1/settlements  VALIDATION_ERROR ",
		"env-1 127.0.0.1 POST /v1/settlements  VALIDATION_ERROR again",
	}, got)
	later := decoded[api.AuditList](e.get("/v1/audit?since=" + time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	require.Empty(t, later.Data)
	for _, bad := range []string{"since=yesterday", "since=1900-01-01", "cursor=WyJ4IiwieSJd"} {
		e.get("/v1/audit?" + bad).is(http.StatusBadRequest)
	}
	var unknown uint64
	require.NoError(t, e.db.QueryRow(t.Context(), "SELECT count() FROM audit_log WHERE tenant_id = '' AND status = 401").
		Scan(&unknown))
	require.Equal(t, uint64(1), unknown)
}
