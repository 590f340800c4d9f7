package app_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
)

func TestMain(m *testing.M) {
	chembed.RunIfChild()
	os.Exit(m.Run())
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func settings(t *testing.T, change func(*config.Config)) config.Config {
	t.Helper()
	c, err := config.Load("", new(pflag.FlagSet), func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	c.DataDir, c.Calendar, c.Date = t.TempDir(), "manual", "2025-11-01"
	c.HTTP, c.Kafka, c.ClickHouseHTTP, c.ClickHouseNative = freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t)
	if change != nil {
		change(&c)
	}
	return c
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestRoleThatCannotStartFailsTheStack(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = app.Up(t.Context(), settings(t, func(c *config.Config) { c.HTTP = taken.Addr().String() }), quiet())
	require.ErrorContains(t, err, "api: ")
	require.ErrorContains(t, err, "choose another address with --http")
}

func TestStackStopsWhenItsStartIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := app.Up(ctx, settings(t, nil), quiet())
	require.ErrorIs(t, err, context.Canceled)
}

func TestSecretsAreMadeOnceAndKept(t *testing.T) {
	c := settings(t, func(c *config.Config) { c.Password = "mine" })
	first, err := app.FillSecrets(c)
	require.NoError(t, err)
	require.Equal(t, "mine", first.Password, "what was set stays")
	keys, err := first.Keys()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.NotEmpty(t, first.AnalystPassword)
	again, err := app.FillSecrets(c)
	require.NoError(t, err)
	require.Equal(t, first, again)
	info, err := os.Stat(app.SecretsFile(c.DataDir))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, os.WriteFile(app.SecretsFile(c.DataDir), []byte("\tnot yaml"), 0o600))
	_, err = app.FillSecrets(c)
	require.ErrorContains(t, err, filepath.Base(app.SecretsFile(c.DataDir))+" is damaged")
}
