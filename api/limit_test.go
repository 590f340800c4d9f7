package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWaitsAreTrue: whoever waits as long as they are told is served, and not before. No minute has more than the
// limit.
func TestWaitsAreTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w window
		var served []time.Time
		for _, pause := range []time.Duration{0, 7 * time.Second, 31 * time.Second, 0, 50 * time.Second} {
			<-time.After(pause)
			for w.take("k", 5).wait == 0 {
				served = append(served, time.Now())
			}
			q := w.take("k", 5)
			require.Zero(t, q.left)
			require.Equal(t, q.wait, q.reset)
			<-time.After(q.wait - 1)
			require.Equal(t, time.Duration(1), w.take("k", 5).wait)
			<-time.After(1)
			require.Zero(t, w.take("k", 5).wait)
			served = append(served, time.Now())
		}
		for i := range served[5:] {
			require.GreaterOrEqual(t, served[i+5].Sub(served[i]), time.Minute)
		}
		require.Zero(t, w.take("other", 5).wait)
		<-time.After(2 * time.Minute)
		w.take("third", 5)
		require.Len(t, w.calls, 1, "who is gone is forgotten")
		require.Zero(t, w.take("free", 0))
	})
}

func TestAddressesOfOneNetwork(t *testing.T) {
	for remote, want := range map[string]string{
		"10.1.2.3:99":                 "10.1.2.3",
		"[::ffff:10.1.2.3]:99":        "10.1.2.3",
		"[2001:db8:1:2:3::4]:99":      "2001:db8:1:2::/64",
		"[fe80::1%eth0]:99":           "fe80::/64",
		"a socket that says nothing?": "a socket that says nothing?",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		require.Equal(t, want, addressOf(r))
	}
}
