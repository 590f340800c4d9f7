package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// `kasi health` is the health check of a container: its exit code is all that is looked at.
func TestHealth(t *testing.T) {
	answers := []int{http.StatusServiceUnavailable, http.StatusServiceUnavailable, http.StatusOK}
	asked := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		w.WriteHeader(answers[0])
		_, _ = w.Write([]byte("what the process says\n"))
		if len(answers) > 1 {
			answers = answers[1:]
		}
	}))
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	out, _, err := runKasi(t, "health", "--metrics", addr)
	require.ErrorContains(t, err, "503 Service Unavailable: what the process says")
	require.Empty(t, out)
	require.Equal(t, "/readyz", asked)
	out, _, err = runKasi(t, "health", "--http", addr, "--wait", "10s")
	require.NoError(t, err, "it is waited for")
	require.Equal(t, "what the process says\n", out)
	_, _, err = runKasi(t, "health", "--metrics", addr, "--live")
	require.NoError(t, err)
	require.Equal(t, "/livez", asked)
	server.Close()
	secured := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer secured.Close()
	_, err = waitForHealth(t.Context(), secured.URL+"/readyz", 0)
	require.NoError(t, err, "the certificate is not made out to loopback")
	_, _, err = runKasi(t, "health", "--metrics", addr)
	require.ErrorContains(t, err, "no answer")

	require.Equal(t, "localhost:9100", onLoopback("0.0.0.0:9100"), "an address to listen on is none to ask")
	require.Equal(t, "localhost:9100", onLoopback(":9100"))
	require.Equal(t, "localhost:9100", onLoopback("[::]:9100"))
	require.Equal(t, "10.0.0.7:9100", onLoopback("10.0.0.7:9100"))
}
