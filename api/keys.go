package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/kasi-collections/kasi/api/read"
)

// Key is a key of the configuration. It lets its bearer do everything for a tenant. A tenant can have several.
type Key struct {
	Tenant string
	Key    string
}

// Grant is what a key allows.
type Grant struct {
	// KeyID names the key where the key itself must not be seen.
	KeyID  string
	Tenant string
	Scopes []Scope
}

// Scope is a kind of calls that a key may make.
type Scope string

// The scopes. Settle is for all that changes a settlement, write for all else that changes something.
const (
	ScopeRead   Scope = "read"
	ScopeWrite  Scope = "write"
	ScopeSettle Scope = "settle"
)

type keyHash [sha256.Size]byte

// hashKeys is what each key of the configuration allows. Only the keys' hashes are kept in memory. Such a key's id is
// its place in the configuration: a part of its hash would help to guess a short one.
func hashKeys(keys []Key) (map[keyHash]Grant, error) {
	var all []error
	out := map[keyHash]Grant{}
	for i, k := range keys {
		hash := keyHash(sha256.Sum256([]byte(k.Key)))
		if k.Key == "" {
			all = append(all, fmt.Errorf("api: key %d is empty", i+1))
		} else if out[hash].Tenant != "" {
			all = append(all, fmt.Errorf("api: key %d occurs twice", i+1))
		}
		if f := checkText(k.Tenant); f != nil {
			all = append(all, fmt.Errorf("api: the tenant of key %d %s", i+1, f.message))
		}
		out[hash] = Grant{fmt.Sprintf("env-%d", i+1), k.Tenant, []Scope{ScopeRead, ScopeWrite, ScopeSettle}}
	}
	return out, errors.Join(all...)
}

// authenticate finds what the key allows. A call without a good key is refused, and limited by its address. One with a
// good key is served whatever others do from the same address: many insurers may come through one.
func (s *server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := infoOf(r.Context())
		grant, ok := s.granted(r.Header.Get("X-API-Key"))
		if !ok {
			if q := s.refused.take(addressOf(r), s.RefusedPerMinute); q.wait > 0 {
				q.tell(w, "refused")
				s.fail(w, r, newError(http.StatusTooManyRequests,
					"Too many calls without a valid API key from this address; wait as long as Retry-After says"))
				return
			}
			s.fail(w, r, newError(http.StatusUnauthorized, "Invalid or missing API key"))
			return
		}
		info.grant, info.tenant = grant, grant.Tenant
		info.db = read.New(s.DB, info.tenant, info.command)
		next.ServeHTTP(w, r)
	})
}

// granted compares with every key of the configuration in constant time, so the answer's delay tells nothing.
func (s *server) granted(key string) (grant Grant, ok bool) {
	hash := sha256.Sum256([]byte(key))
	for known, g := range s.grants {
		if subtle.ConstantTimeCompare(hash[:], known[:]) == 1 {
			grant, ok = g, true
		}
	}
	if !ok && s.Made != nil {
		grant, ok = s.Made(key)
	}
	return grant, ok
}

// checkScope refuses what the key's scopes do not allow. It runs once the operation is known.
func (s *server) checkScope(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		has, needs := infoOf(r.Context()).grant.Scopes, scopeOf(r)
		if !slices.Contains(has, needs) {
			names := make([]string, len(has))
			for i, scope := range has {
				names[i] = string(scope)
			}
			s.fail(w, r, newError(http.StatusForbidden, "This key lacks the scope %s", needs).
				at("X-API-Key", "a key with the scope "+string(needs), "a key with "+strings.Join(names, ", ")))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func scopeOf(r *http.Request) Scope {
	switch {
	case isQuery(r):
		return ScopeRead
	case strings.HasPrefix(chi.RouteContext(r.Context()).RoutePattern(), "/v1/settlements"):
		return ScopeSettle
	}
	return ScopeWrite
}

func isQuery(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }
