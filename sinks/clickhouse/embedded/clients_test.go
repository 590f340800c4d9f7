package embedded_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBrokenClientsDoNotHurt throws at both ports what broken or hostile clients send. Without the pty and
// --interactive any of these would end the server; run this at each upgrade of libchdb.
func TestBrokenClientsDoNotHurt(t *testing.T) {
	const rounds = 4
	s := start(t, t.TempDir())
	child := s.Pid()
	random := rand.New(rand.NewPCG(1, 2))
	attacks := 0
	for _, addr := range []string{s.HTTPAddr(), s.NativeAddr()} {
		for range rounds {
			var all sync.WaitGroup
			for _, payload := range payloads(random) {
				for _, reset := range []bool{false, true} {
					attacks++
					all.Go(func() { attack(addr, payload, reset) })
				}
			}
			all.Wait()
		}
	}
	require.NoError(t, asKasi(t, s).Ping(t.Context()))
	status, body := post(t, s, "kasi", kasiPassword, "SELECT 1")
	require.Equal(t, 200, status, body)
	require.Equal(t, child, s.Pid(), "the same process survived %d attacks", attacks)
	require.Zero(t, s.Restarts())
}

func payloads(random *rand.Rand) [][]byte {
	garbage := make([]byte, 4096)
	for i := range garbage {
		garbage[i] = byte(random.Uint32())
	}
	hello := []byte("\x00\x04test\x1a\x07\xd8\xa9\x03\x04kasi\x04kasi\x05wrong")
	long := bytes.Repeat([]byte("A"), 300_000)
	out := [][]byte{
		nil, garbage, garbage[:1], long, hello, hello[:7], hello[:len(hello)-3],
		[]byte("\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), // a client name of 2^63 bytes
		[]byte("GET / HTTP/1.1\r\n"), []byte("GET /?query=SELECT+1 HTTP/1.1\r\nHost: x\r\n\r\n"),
		[]byte("GET /play HTTP/1.1\r\nHost: x\r\n\r\n"),
		[]byte("POST /?query=INSERT+INTO+t+VALUES HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n(1),(2"),
		[]byte("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello"),
		// TLS
		[]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
		[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		append([]byte("GET /?query="), long...), []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		// Half of a slow answer read by a client with the right to ask: the connection breaks while the server sends.
		[]byte("GET /?user=analyst&password=" + analystPassword +
			"&query=SELECT+repeat('x',1000)+FROM+numbers(900000) HTTP/1.1\r\nHost: x\r\n\r\n"),
	}
	return out
}

// attack sends the payload, reads a little, and leaves: politely, or with a reset.
func attack(addr string, payload []byte, reset bool) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
	_, _ = conn.Write(payload)
	if reset {
		_ = conn.(*net.TCPConn).SetLinger(0)
		return
	}
	_, _ = io.CopyN(io.Discard, conn, 2000)
}
