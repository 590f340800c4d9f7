package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
)

// parentEnv makes the test binary a process that runs a server on the named directory until it is killed.
const parentEnv = "KASI_TEST_PARENT"

const (
	kasiPassword    = `k'"<&>pass`
	analystPassword = "a-password"
	tenantPassword  = "t-password"
)

func TestMain(m *testing.M) {
	embedded.RunIfChild()
	if dir := os.Getenv(parentEnv); dir != "" {
		os.Exit(beParent(dir))
	}
	os.Exit(m.Run())
}

func beParent(dir string) int {
	s, err := embedded.Start(context.Background(), options(dir))
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("ready", s.Pid(), s.NativeAddr())
	<-s.Done()
	return 0
}

func options(dir string) embedded.Options {
	return embedded.Options{
		Dir: dir, HTTPAddr: "127.0.0.1:0", NativeAddr: "127.0.0.1:0", KasiPassword: kasiPassword,
		AnalystPassword: analystPassword, Tenants: []embedded.TenantAnalyst{{Tenant: "acme", Password: tenantPassword}},
	}
}

// start runs a server on dir for the length of the test.
func start(t *testing.T, dir string) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), options(dir))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

// connect opens a pool of one connection as the user; it is closed with the test.
func connect(t *testing.T, s *embedded.Server, user, password string) driver.Conn {
	t.Helper()
	opts := s.ClickHouse()
	opts.Auth.Username, opts.Auth.Password = user, password
	conn, err := clickhouse.Open(opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func asKasi(t *testing.T, s *embedded.Server) driver.Conn {
	t.Helper()
	return connect(t, s, "kasi", kasiPassword)
}

func count(t *testing.T, conn driver.Conn, query string) uint64 {
	t.Helper()
	var n uint64
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&n), query)
	return n
}

// post asks a query over HTTP and returns the status and the body.
func post(t *testing.T, s *embedded.Server, user, password, query string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.HTTPAddr()+"/",
		strings.NewReader(query))
	require.NoError(t, err)
	request.SetBasicAuth(user, password)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, strings.TrimSpace(string(body))
}

// code is ClickHouse's error code in err; 0 if there is none.
func code(err error) int32 {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		return exception.Code
	}
	return 0
}

func gone(pid int) bool { return !embedded.Alive(pid) }

// parent starts another process that runs a server on dir, and returns it with the server's process id and its first
// line of output.
func parent(t *testing.T, dir string) (cmd *exec.Cmd, child int, line string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), parentEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		require.Eventually(t, func() bool { return gone(child) }, soon, tick) // only then can its directory be removed
	})
	line, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	_, _ = fmt.Sscanf(line, "ready %d", &child)
	return cmd, child, line
}

const (
	soon = 20 * time.Second
	tick = 20 * time.Millisecond
)
