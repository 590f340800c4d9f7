package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// limitWindow is the time over which calls are counted.
const limitWindow = time.Minute

// window remembers when each name called within the last minute. So a limit holds for any minute, and what it says of
// the wait is true: the call that is limit calls back leaves then. Counters of whole minutes, which libraries keep, can
// say neither. The zero value is ready; it is safe for concurrent use.
type window struct {
	mu    sync.Mutex
	calls map[string][]time.Time // in their order
	swept time.Time
}

// quota is where a name stands after a call.
type quota struct {
	limit, left int
	// reset is how long until a further call is free; wait is the same where this call was refused, else 0.
	reset, wait time.Duration
}

// take counts a call, or refuses it. A limit of 0 refuses nothing.
func (w *window) take(name string, limit int) (q quota) {
	if limit == 0 {
		return quota{}
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == nil {
		w.calls = map[string][]time.Time{}
	}
	if now.Sub(w.swept) > limitWindow {
		w.swept = now
		for name, calls := range w.calls {
			if now.Sub(calls[len(calls)-1]) >= limitWindow {
				delete(w.calls, name)
			}
		}
	}
	calls := w.calls[name]
	for len(calls) > 0 && now.Sub(calls[0]) >= limitWindow {
		calls = calls[1:]
	}
	q.limit = limit
	if len(calls) >= limit {
		q.wait = limitWindow - now.Sub(calls[len(calls)-limit])
		q.reset = q.wait
	} else {
		calls = append(calls, now)
		w.calls[name] = calls
		q.left = limit - len(calls)
		q.reset = limitWindow - now.Sub(calls[0])
	}
	return q
}

// tell writes the headers of the IETF's draft "RateLimit header fields for HTTP", and Retry-After for a refused call.
func (q quota) tell(w http.ResponseWriter, policy string) {
	if q.limit == 0 {
		return
	}
	w.Header().Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", policy, q.limit, int(limitWindow.Seconds())))
	w.Header().Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", policy, q.left, wholeSeconds(q.reset)))
	if q.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(wholeSeconds(q.wait)))
	}
}

// wholeSeconds rounds up: a caller that waits so long is not refused again.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// limit bounds the queries and the updates of each key.
func (s *server) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		grant, queries, updates := infoOf(r.Context()).grant, s.QueriesPerMinute, s.UpdatesPerMinute
		if s.LimitsOf != nil {
			queries, updates = s.LimitsOf(grant.Tenant, queries, updates)
		}
		policy, perMinute := "updates", updates
		if isQuery(r) {
			policy, perMinute = "queries", queries
		}
		q := s.calls.take(policy+" "+grant.KeyID, perMinute)
		q.tell(w, policy)
		if q.wait > 0 {
			s.fail(w, r, newError(http.StatusTooManyRequests,
				"More than %d %s a minute with this key; wait as long as Retry-After says", perMinute, policy))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf is the caller's address without its port.
func hostOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// addressOf is the caller's address. Of IPv6 it is the network of 64 bits: whoever has one address there has them all.
func addressOf(r *http.Request) string {
	host := hostOf(r)
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		network, _ := addr.Prefix(64) // 64 bits are in range
		return network.String()
	}
	return addr.String()
}
