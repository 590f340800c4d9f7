package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
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
	key       keyHash
}

type infoKey struct{}

// infoOf is what observe has put into the context of every request.
func infoOf(ctx context.Context) *requestInfo { return ctx.Value(infoKey{}).(*requestInfo) }

// observe gives each request its id, turns a panic into a 500, and writes the access log: ids, route pattern, status
// and duration, never keys, paths or bodies, which hold personal data.
func (s *server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		info := &requestInfo{requestID: uuid.NewString()}
		r = r.WithContext(context.WithValue(r.Context(), infoKey{}, info))
		out := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		out.Header().Set("X-Request-Id", info.requestID)
		defer func() {
			p := recover()
			aborted := p != nil && !s.answerPanic(out, r, p)
			s.Log.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("request_id", info.requestID),
				slog.String("tenant", info.tenant), slog.String("method", clip(r.Method)),
				slog.String("route", chi.RouteContext(r.Context()).RoutePattern()), slog.Int("status", out.Status()),
				slog.Bool("aborted", aborted), slog.Duration("duration", time.Since(start)))
			if aborted {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(out, r)
	})
}

// answerPanic answers a panic with a 500. Once part of an answer is out, only breaking the connection off tells the
// caller that it is not whole; http.ErrAbortHandler asks for just that.
func (s *server) answerPanic(w middleware.WrapResponseWriter, r *http.Request, p any) (answered bool) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return false
	}
	s.Log.LogAttrs(r.Context(), slog.LevelError, "panic", slog.String("request_id", infoOf(r.Context()).requestID),
		slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
	if w.Status() != 0 {
		return false
	}
	s.fail(w, r, fmt.Errorf("panic: %v", p))
	return true
}

type keyHash [sha256.Size]byte

// hashKeys is the tenant of each key. Only the keys' hashes are kept in memory.
func hashKeys(keys []Key) (map[keyHash]string, error) {
	if len(keys) == 0 {
		return nil, errors.New("api: no keys, so nobody could call it")
	}
	var all []error
	out := map[keyHash]string{}
	for i, k := range keys {
		hash := keyHash(sha256.Sum256([]byte(k.Key)))
		if k.Key == "" {
			all = append(all, fmt.Errorf("api: key %d is empty", i+1))
		} else if out[hash] != "" {
			all = append(all, fmt.Errorf("api: key %d occurs twice", i+1))
		}
		if f := checkText(k.Tenant); f != nil {
			all = append(all, fmt.Errorf("api: the tenant of key %d %s", i+1, f.message))
		}
		out[hash] = k.Tenant
	}
	return out, errors.Join(all...)
}

// authenticate finds the key's tenant. It compares with every key in constant time, so the answer's delay tells
// nothing.
func (s *server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := infoOf(r.Context())
		info.key = sha256.Sum256([]byte(r.Header.Get("X-API-Key")))
		for key, tenant := range s.tenants {
			if subtle.ConstantTimeCompare(info.key[:], key[:]) == 1 {
				info.tenant = tenant
			}
		}
		if info.tenant == "" {
			s.fail(w, r, newError(http.StatusUnauthorized, "Invalid or missing API key"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isQuery(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// limit gives each key a sliding window for the calls that are one of what; 0 means no limit.
func (s *server) limit(routes chi.Router, perMinute int, what string, isOne func(*http.Request) bool) {
	if perMinute == 0 {
		return
	}
	byKey := func(r *http.Request) (string, error) { return string(infoOf(r.Context()).key[:]), nil }
	refuse := func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, newError(http.StatusTooManyRequests,
			"More than %d %s a minute with this key; wait as long as Retry-After says", perMinute, what))
	}
	limited := httprate.LimitBy(perMinute, time.Minute, byKey, httprate.WithLimitHandler(refuse))
	routes.Use(middleware.Maybe(limited, isOne))
}
