package main

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
)

// The engine serves alone until Ctrl-C, and takes the users that are printed for a server of one's own, whose users.d
// it reads too: both users get in, with the rights that the file names and no others.
func TestClickHouseServesAloneAndTakesThePrintedUsers(t *testing.T) {
	t.Parallel()
	dir, native := t.TempDir(), freePort(t)
	users, err := command(t.Context(), "clickhouse", "users", "--also", "kasi_test_*").Output()
	require.NoError(t, err)
	require.NotContains(t, string(users), "test-kasi", "a password")
	at := filepath.Join(dir, "clickhouse", "config", "users.d")
	require.NoError(t, os.MkdirAll(at, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(at, "kasi.xml"), users, 0o600))

	serve := command(context.Background(), "clickhouse", "serve", "--data-dir", dir, "--clickhouse-http", freePort(t),
		"--clickhouse-native", native)
	out, err := serve.StdoutPipe()
	require.NoError(t, err)
	var log strings.Builder
	serve.Stderr = &log
	require.NoError(t, serve.Start())
	t.Cleanup(func() { _ = serve.Process.Kill() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	require.Contains(t, line, "clickhouse is ready: ", &log)

	can := func(user, query string) bool {
		conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{native}, Auth: clickhouse.Auth{
			Username: user,
			Password: "test-" + user,
		}})
		require.NoError(t, err)
		defer conn.Close()
		err = conn.Exec(t.Context(), query)
		var refused *clickhouse.Exception
		if err != nil {
			require.ErrorAs(t, err, &refused)
			require.EqualValues(t, 497, refused.Code, "it is refused for a right that lacks: %v", err)
		}
		return err == nil
	}
	require.True(t, can("kasi", "CREATE DATABASE kasi_test_1"))
	require.True(t, can("kasi", "CREATE TABLE kasi_test_1.t (n UInt8) ENGINE = MergeTree ORDER BY n"))
	require.True(t, can("kasi", "INSERT INTO kasi_test_1.t VALUES (1)"))
	require.False(t, can("kasi", "CREATE DATABASE elsewhere"))
	require.True(t, can("analyst", "SELECT n FROM kasi_test_1.t"))
	require.False(t, can("analyst", "DROP TABLE kasi_test_1.t"))
	require.False(t, can("analyst", "CREATE TABLE kasi_test_1.u (n UInt8) ENGINE = Memory"))

	require.NoError(t, serve.Process.Signal(syscall.SIGINT))
	require.NoError(t, serve.Wait(), &log)
}

func TestClickHouseUsersNeedPasswords(t *testing.T) {
	cmd := command(t.Context(), "clickhouse", "users")
	cmd.Env = append(cmd.Env, "KASI_ANALYST_PASSWORD=")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "set KASI_CLICKHOUSE_PASSWORD and KASI_ANALYST_PASSWORD")
}
