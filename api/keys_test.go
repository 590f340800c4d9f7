package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
)

func TestKeys(t *testing.T) {
	e := newEnv(t)
	for _, key := range []string{"", "wrong", acmeKey + "x", strings.Repeat("x", 5000)} {
		got := e.request(http.MethodGet, "/v1/policies", key, "", nil).is(http.StatusUnauthorized).err()
		require.Equal(t, "UNAUTHORIZED", got.Code)
		require.Equal(t, "Invalid or missing API key", got.Message)
	}
	e.request(http.MethodGet, "/v1/nowhere", "", "", nil).is(http.StatusUnauthorized)
	for _, path := range []string{"/livez", "/readyz", "/v1/openapi.yaml", "/v1/openapi.json"} {
		e.request(http.MethodGet, path, "", "", nil).is(http.StatusOK)
	}
}

// made stands for the keys that `kasi keys` makes: each is called by its scopes, and none counts while off.
func made(off *atomic.Bool) func(string) (api.Grant, bool) {
	return func(key string) (g api.Grant, ok bool) {
		scopes, ok := strings.CutPrefix(key, "made:")
		for scope := range strings.SplitSeq(scopes, "+") {
			g.Scopes = append(g.Scopes, api.Scope(scope))
		}
		g.KeyID, g.Tenant = key, "acme"
		return g, ok && !off.Load()
	}
}

// TestScopes: a key does what its scopes say, and a 403 names the one that is missing.
func TestScopes(t *testing.T) {
	off := &atomic.Bool{}
	e := newEnv(t, func(c *api.Config) { c.Made = made(off) })
	json := "application/json"
	for _, c := range []struct{ key, method, path, lacks string }{
		{"made:read", "GET", "/v1/policies", ""},
		{"made:read", "POST", "/v1/policies", "write"},
		{"made:read", "PATCH", "/v1/policies/" + uuid.NewString(), "write"},
		{"made:read", "POST", "/v1/settlements", "settle"},
		{"made:write", "GET", "/v1/policies", "read"},
		{"made:write", "POST", "/v1/collections/execute", ""},
		{"made:write", "POST", "/v1/policies/import", ""},
		{"made:write", "POST", "/v1/settlements", "settle"},
		{"made:settle", "POST", "/v1/settlements", ""},
		{"made:settle", "GET", "/v1/settlements", "read"},
		{"made:settle", "POST", "/v1/policies", "write"},
		{"made:read+settle", "GET", "/v1/settlements", ""},
	} {
		a := e.request(c.method, c.path, c.key, json, strings.NewReader("{}"))
		if c.lacks == "" {
			require.NotEqual(t, http.StatusForbidden, a.status, "%+v", c)
			continue
		}
		got := a.is(http.StatusForbidden).err()
		require.Equal(t, "FORBIDDEN", got.Code)
		require.Equal(t, "This key lacks the scope "+c.lacks, got.Message)
	}
	require.Zero(t, e.pipe.commands)
	e.request(http.MethodGet, "/v1/nowhere", "made:write", "", nil).is(http.StatusNotFound)
	off.Store(true)
	e.request(http.MethodGet, "/v1/policies", "made:read", "", nil).is(http.StatusUnauthorized)
}

func TestRateLimits(t *testing.T) {
	e := newEnv(t, func(c *api.Config) {
		c.QueriesPerMinute, c.UpdatesPerMinute = 3, 2
		c.Keys = append(c.Keys, api.Key{Tenant: "acme", Key: "second"})
	})
	for left := range 3 {
		a := e.get("/v1/policies").is(http.StatusOK)
		require.Equal(t, `"queries";q=3;w=60`, a.header.Get("RateLimit-Policy"))
		require.Regexp(t, `^"queries";r=`+strconv.Itoa(2-left)+`;t=60$`, a.header.Get("RateLimit"))
	}
	a := e.get("/v1/policies").is(http.StatusTooManyRequests)
	require.Equal(t, "RATE_LIMITED", a.err().Code)
	require.Regexp(t, `^(59|60)$`, a.header.Get("Retry-After"))
	for range 2 {
		e.post("/v1/settlements", `{}`).is(http.StatusBadRequest) // refused updates count, too
	}
	a = e.post("/v1/settlements", `{}`).is(http.StatusTooManyRequests)
	require.Regexp(t, `^"updates";r=0;t=(59|60)$`, a.header.Get("RateLimit"))
	// a PATCH is an update
	for i, status := range []int{http.StatusBadRequest, http.StatusBadRequest, http.StatusTooManyRequests} {
		a := e.request(http.MethodPatch, "/v1/policies/"+uuid.NewString(), "second", "application/json",
			strings.NewReader(`{}`))
		require.Equal(t, status, a.status, "PATCH %d", i+1)
	}
	// the limit is the key's, not the tenant's
	e.request(http.MethodGet, "/v1/policies", "second", "", nil).is(http.StatusOK)
	e.get("/livez").is(http.StatusOK)
}

// TestRefusedLoginsAreLimited: by their address, whatever keys they try. A good key is served meanwhile.
func TestRefusedLoginsAreLimited(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.RefusedPerMinute = 3 })
	for i := range 3 {
		e.request(http.MethodGet, "/v1/policies", "guess-"+strconv.Itoa(i), "", nil).is(http.StatusUnauthorized)
	}
	a := e.request(http.MethodPost, "/v1/settlements", "guess", "application/json", strings.NewReader("{}"))
	require.Equal(t, "RATE_LIMITED", a.is(http.StatusTooManyRequests).err().Code)
	require.Regexp(t, `^(59|60)$`, a.header.Get("Retry-After"))
	e.get("/v1/policies").is(http.StatusOK)
}
