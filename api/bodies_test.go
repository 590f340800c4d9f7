package api_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// raw sends a request's bytes as they are and returns the answer and how long it took until the connection was closed.
func (e *env) raw(request string) (*http.Response, time.Duration, error) {
	began := time.Now()
	conn, err := (&net.Dialer{}).DialContext(e.t.Context(), "tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(began.Add(30 * time.Second))
	if _, err = io.WriteString(conn, request); err != nil {
		return nil, 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, time.Since(began), err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, conn)
	return resp, time.Since(began), err
}

// TestBodiesThatNeverCome: whoever is refused is answered at once and let go, however many there are; others are served
// meanwhile. A caller with a good key is told after a while.
func TestBodiesThatNeverCome(t *testing.T) {
	e := newEnv(t)
	head := "POST /v1/settlements HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	var group errgroup.Group
	group.SetLimit(200)
	for i := range 1_100 {
		request := head + "Content-Length: 100\r\n\r\n"
		if i%2 == 0 {
			request = head + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"per"
		}
		group.Go(func() error {
			resp, took, err := e.raw(request)
			if err == nil && (resp.StatusCode != http.StatusUnauthorized || took > 10*time.Second) {
				err = fmt.Errorf("status %d after %s", resp.StatusCode, took)
			}
			return err
		})
	}
	e.get("/v1/policies").is(http.StatusOK)
	require.NoError(t, group.Wait())
	resp, took, err := e.raw(head + "X-API-Key: " + acmeKey + "\r\nContent-Length: 100\r\n\r\n{")
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	require.Less(t, took, 20*time.Second)
}

// TestRefusedCallersKeepTheirConnection: a body that does come leaves the connection as it was.
func TestRefusedCallersKeepTheirConnection(t *testing.T) {
	e := newEnv(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(e.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, key := range []string{"wrong", "wrong", acmeKey} {
		_, err = fmt.Fprintf(conn, "POST /v1/settlements HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
			"X-API-Key: %s\r\nContent-Length: 2\r\n\r\n{}", key)
		require.NoError(t, err)
		resp, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.False(t, resp.Close)
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	e := newEnv(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+"/v1/policies", nil)
	require.NoError(t, err)
	req.Header.Set("X-Large", strings.Repeat("x", 70<<10))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
	require.Contains(t, string(body), `"code":"HEADER_TOO_LARGE"`)
	require.Contains(t, string(body), `"request_id":"`)
}

func TestAnswersArePacked(t *testing.T) {
	e := newEnv(t)
	get := func(accept string) (*http.Response, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+"/v1/openapi.yaml", nil)
		require.NoError(t, err)
		req.Header.Set("Accept-Encoding", accept)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		in := io.Reader(resp.Body)
		if resp.Header.Get("Content-Encoding") == "gzip" {
			in, err = gzip.NewReader(in)
			require.NoError(t, err)
		}
		b, err := io.ReadAll(in)
		require.NoError(t, err)
		return resp, b
	}
	packed, unpacked := get("gzip")
	require.Equal(t, "gzip", packed.Header.Get("Content-Encoding"))
	plain, text := get("gzip;q=0")
	require.Empty(t, plain.Header.Get("Content-Encoding"))
	require.Equal(t, string(text), string(unpacked))
	require.Contains(t, plain.Header.Get("Vary"), "Accept-Encoding")
}
