package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"
	"github.com/google/uuid"
)

// requestInfo is what is known of a request; authenticate fills in the last two.
type requestInfo struct {
	requestID string
	tenant    string
	keyHash   string
}

type infoKey struct{}

func infoOf(ctx context.Context) *requestInfo {
	if info, ok := ctx.Value(infoKey{}).(*requestInfo); ok {
		return info
	}
	return &requestInfo{}
}

// observe gives each request its id, turns a panic into a 500, and writes the access log: ids, route pattern, status
// and duration, never keys, paths or bodies, which hold personal data.
func (s *server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		info := &requestInfo{requestID: uuid.NewString()}
		r = r.WithContext(context.WithValue(r.Context(), infoKey{}, info))
		out := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		out.Header().Set("X-Request-Id", info.requestID)
		aborted := true
		defer func() {
			s.log.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("request_id", info.requestID),
				slog.String("tenant", info.tenant),
				slog.String("method", clip(r.Method)), slog.String("route", chi.RouteContext(r.Context()).RoutePattern()),
				slog.Int("status", out.Status()),
				slog.Bool("aborted", aborted), slog.Duration("duration", time.Since(start)))
		}()
		defer s.recoverPanic(out, r, &aborted)
		next.ServeHTTP(out, r)
		aborted = false
	})
}

// recoverPanic answers a panic with a 500. Once part of an answer is out, only breaking the connection off tells the
// caller that it is not whole; http.ErrAbortHandler asks for just that.
func (s *server) recoverPanic(w middleware.WrapResponseWriter, r *http.Request, aborted *bool) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	s.log.LogAttrs(r.Context(), slog.LevelError, "panic", slog.String("request_id", infoOf(r.Context()).requestID),
		slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
	if w.Status() != 0 {
		panic(http.ErrAbortHandler)
	}
	*aborted = false
	s.fail(w, r, fmt.Errorf("panic: %v", p))
}

type hashedKey struct {
	hash   [sha256.Size]byte
	tenant string
}

// hashKeys keeps only the keys' hashes in memory.
func hashKeys(keys []Key) ([]hashedKey, error) {
	if len(keys) == 0 {
		return nil, errors.New("api: no keys, so nobody could call it")
	}
	var all []error
	seen := map[[sha256.Size]byte]bool{}
	out := make([]hashedKey, 0, len(keys))
	for i, k := range keys {
		h := hashedKey{hash: sha256.Sum256([]byte(k.Key)), tenant: k.Tenant}
		if k.Key == "" {
			all = append(all, fmt.Errorf("api: key %d is empty", i+1))
		} else if seen[h.hash] {
			all = append(all, fmt.Errorf("api: key %d occurs twice", i+1))
		}
		if f := checkText(k.Tenant); f != nil {
			all = append(all, fmt.Errorf("api: the tenant of key %d %s", i+1, f.message))
		}
		seen[h.hash] = true
		out = append(out, h)
	}
	return out, errors.Join(all...)
}

// authenticate finds the key's tenant. It compares with every key in constant time, so the answer's delay tells
// nothing.
func (s *server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hash := sha256.Sum256([]byte(r.Header.Get("X-API-Key")))
		found := -1
		for i := range s.keys {
			found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(hash[:], s.keys[i].hash[:]), i, found)
		}
		if found < 0 {
			s.fail(w, r, newError(http.StatusUnauthorized, codeUnauthorized, "Invalid or missing API key"))
			return
		}
		info := infoOf(r.Context())
		info.tenant, info.keyHash = s.keys[found].tenant, hex.EncodeToString(hash[:])
		next.ServeHTTP(w, r)
	})
}

// rateLimits are the two sliding windows of a key: one for queries, one for updates.
func (s *server) rateLimits() []func(http.Handler) http.Handler {
	byKey := func(r *http.Request) (string, error) { return infoOf(r.Context()).keyHash, nil }
	var out []func(http.Handler) http.Handler
	add := func(perMinute int, what string, applies func(method string) bool) {
		if perMinute == 0 {
			return
		}
		refuse := func(w http.ResponseWriter, r *http.Request) {
			s.fail(w, r, newError(http.StatusTooManyRequests, codeRateLimited,
				"More than %d %s a minute with this key; wait as long as Retry-After says", perMinute, what))
		}
		limit := httprate.LimitBy(perMinute, time.Minute, byKey, httprate.WithLimitHandler(refuse))
		out = append(out, func(next http.Handler) http.Handler {
			limited := limit(next)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if applies(r.Method) {
					limited.ServeHTTP(w, r)
					return
				}
				next.ServeHTTP(w, r)
			})
		})
	}
	query := func(m string) bool { return m == http.MethodGet || m == http.MethodHead }
	add(s.cfg.QueriesPerMinute, "queries", query)
	add(s.cfg.UpdatesPerMinute, "updates", func(m string) bool { return !query(m) })
	return out
}
