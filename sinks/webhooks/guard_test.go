package webhooks

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

func TestPublic(t *testing.T) {
	for _, addr := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
		"255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1",
		"64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0",
		"fec0::1", "ff02::1", "5f00::1",
	} {
		require.False(t, public(netip.MustParseAddr(addr)), addr)
	}
	for _, addr := range []string{
		"8.8.8.8", "100.63.255.255", "172.32.0.1", "196.25.1.1", "2606:4700::1111",
		"2c0f:f248::1",
	} {
		require.True(t, public(netip.MustParseAddr(addr)), addr)
	}
	require.False(t, public(netip.Addr{}))
}

// A request goes to no address that is not public, however it is written or resolved, and follows nobody there.
func TestGuard(t *testing.T) {
	var asked atomic.Int64
	private := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer private.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(private.URL, "http://"), ":")
	w := newWorld(t)
	hook, _ := w.webhook("https://example.com", schemas.WebhookPaid)
	t.Setenv("HTTPS_PROXY", private.URL) // a proxy would be asked in our place
	cfg := w.config()
	cfg.AllowPrivate = false
	s := newSender(cfg, w.registry.seal)
	for _, url := range []string{
		"https://127.0.0.1:" + port, "https://localhost:" + port, "https://[::1]:" + port, "https://0.0.0.0:" + port,
		"https://[::ffff:127.0.0.1]:" + port, "https://0x7f.1:" + port, "https://2130706433:" + port,
		"http://127.0.0.1:" + port,
	} {
		hook.URL = url
		out := s.try(t.Context(), &hook, "id", "{}")
		require.False(t, out.delivered, url)
		require.NotContains(t, out.why, "127.0.0.1", "the address is not told")
	}
	hook.URL = "https://127.0.0.1:" + port
	require.Equal(t, errPrivate.Error(), s.try(t.Context(), &hook, "id", "{}").why)
	require.Zero(t, asked.Load())

	cfg.AllowPrivate = true
	s = newSender(cfg, w.registry.seal)
	redirect := httptest.NewServer(http.RedirectHandler(private.URL, http.StatusTemporaryRedirect))
	defer redirect.Close()
	hook.URL = redirect.URL
	out := s.try(t.Context(), &hook, "id", "{}")
	require.Equal(t, "answered 307", out.why)
	require.Zero(t, asked.Load(), "a redirect is not followed")
	hook.URL = private.URL
	require.True(t, s.try(t.Context(), &hook, "id", "{}").delivered)
}

// An answer without end costs neither memory nor much time.
func TestAnswerIsBounded(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	defer endless.CloseClientConnections()
	w := newWorld(t)
	hook, _ := w.webhook(endless.URL, schemas.WebhookPaid)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.True(t, newSender(w.config(), w.registry.seal).try(ctx, &hook, "id", "{}").delivered)
}

func TestCheckURL(t *testing.T) {
	for _, url := range []string{
		"", "x", "https://", "https:example.com", "file:///etc/passwd", "http://example.com", "https://u:p@example.com",
		"https://example.com/#x", "https://10.0.0.1/", "https://LOCALHOST/", "https://localhost./", "https://a.localhost/",
		"https://[fe80::1]/", "https://" + strings.Repeat("a", maxURL), "https://exa mple.com",
	} {
		require.Error(t, Config{}.CheckURL(url), url)
	}
	for _, url := range []string{"https://example.com", "https://example.com:8443/kasi?x=1", "https://8.8.8.8/"} {
		require.NoError(t, Config{}.CheckURL(url), url)
	}
	require.NoError(t, Config{AllowPrivate: true}.CheckURL("http://127.0.0.1:8080/"))
}
