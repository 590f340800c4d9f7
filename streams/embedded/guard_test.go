package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// bareEnv makes the test binary run a broker without the guard until it dies.
const bareEnv = "KASI_TEST_BARE_BROKER"

func TestMain(m *testing.M) {
	if os.Getenv(bareEnv) != "" {
		c := kfake.MustCluster(kfake.NumBrokers(1))
		_, _ = os.Stdout.WriteString(c.ListenAddrs()[0] + "\n")
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test closes it
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// frame is a request with nothing but its head and a null client id.
func frame(size uint32, key, version int16) []byte {
	b := binary.BigEndian.AppendUint32(nil, size)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	return append(b, 0, 0, 0, 7, 0xff, 0xff)
}

// broken is what broken clients and port scanners send. refused tells that the guard must close the connection by
// itself.
var broken = []struct {
	name    string
	bytes   []byte
	refused bool
}{
	{"text", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), true},
	{"tls hello", []byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 0x00}, true},
	{"zero size", []byte{0, 0, 0, 0}, true},
	{"size too small for a head", []byte{0, 0, 0, 7}, true},
	{"negative size", []byte{0xff, 0xff, 0xff, 0xff}, true},
	{"2 GiB size", frame(math.MaxInt32, 0, 9), true},
	{"101 MiB produce", frame(101<<20, 0, 9), true},
	{"9 MiB metadata", frame(9<<20, 3, 9), true},
	{"unknown API key", frame(10, 32000, 0), true},
	{"negative API key", frame(10, -1, 0), true},
	{"API key of a gap", frame(10, 5999, 0), true},
	{"negative version", frame(10, 3, -1), true},
	{"version from the future", frame(10, 3, 99), true},
	{"half a size", []byte{0, 0}, false},
	{"half a head", frame(10, 3, 9)[:9], false},
	{"half a request", frame(5000, 0, 9), false},
	{"garbage body", append(frame(18, 1, 13), 0xff, 0xff, 0xff, 0x7f, 1, 2, 3, 4), false},
}

func TestTheBrokerSurvivesBrokenClients(t *testing.T) {
	k := launch(t, t.TempDir(), "127.0.0.1:0")
	createTopic(t, k.Addr(), "t")
	good := client(t, k.Addr())
	var want []string
	for _, b := range broken {
		c := send(t, k.Addr(), b.bytes)
		if b.refused {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
			_, err := c.Read(make([]byte, 1))
			require.True(t, errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET), "%s: not closed: %v", b.name, err)
		}
		require.NoError(t, c.(*net.TCPConn).SetLinger(0)) // the end is a reset
		require.NoError(t, c.Close())
		put(t, good, "t", b.name)
		want = append(want, b.name)
	}
	require.Equal(t, want, readAll(t, k.Addr(), "t"), "a new client and the old one are served all the same")
}

// The control: without the guard the same bytes end the process.
func TestTheGuardIsNeeded(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), bareEnv+"=1")
	_, err := cmd.StdinPipe() // open until Wait
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	addr := make([]byte, 64)
	n, err := out.Read(addr)
	require.NoError(t, err)
	send(t, string(addr[:n-1]), frame(10, 32000, 0))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit, "kfake takes unknown API keys now: the guard's reason is gone")
	require.Equal(t, 2, exit.ExitCode(), "a panic")
}

// The guard hands requests on unchanged, however they are cut into packets.
func TestRequestsInSmallPieces(t *testing.T) {
	k := launch(t, t.TempDir(), "127.0.0.1:0")
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version = 0
	body := append([]byte{0, byte(kmsg.ApiVersions), 0, 0, 0, 0, 0, 9, 0xff, 0xff}, req.AppendTo(nil)...)
	one := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	c := send(t, k.Addr(), nil)
	defer func() { require.NoError(t, c.Close()) }()
	for range 3 {
		for _, b := range one {
			_, err := c.Write([]byte{b})
			require.NoError(t, err)
		}
		head := make([]byte, 8)
		_, err := io.ReadFull(c, head)
		require.NoError(t, err)
		require.Equal(t, uint32(9), binary.BigEndian.Uint32(head[4:]), "the correlation id comes back")
		_, err = io.ReadFull(c, make([]byte, binary.BigEndian.Uint32(head)-4))
		require.NoError(t, err)
	}
}

func send(t *testing.T, addr string, b []byte) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = c.Write(b)
	require.NoError(t, err)
	return c
}
