package connect_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/connect"
	"github.com/kasi-collections/kasi/cmd/internal/connect/certtest"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

func checkClickHouse(t *testing.T) func(config.Config) error {
	return func(cfg config.Config) error {
		opts, err := connect.ClickHouse(cfg)
		if err != nil {
			return err
		}
		return connect.CheckClickHouse(t.Context(), cfg, opts)
	}
}

func TestClickHouseRefusesAndSaysWhy(t *testing.T) {
	ca := certtest.New(t)
	own := ca.Sign(t, "clickhouse")
	s := chtest.Secured(t, own.Cert, own.Key, "kasi-word", "analyst-word")
	good := config.Config{
		ClickHouseAddr: s.SecureNative, ClickHouseHTTP: s.SecureHTTP, ClickHouseTLS: true, ClickHouseCA: ca.File,
		Database: "kasi", Password: "kasi-word",
	}
	refusals{
		{"another CA", "--clickhouse-ca", func(c *config.Config) { c.ClickHouseCA = stranger(t) }},
		{"no TLS", "speaks TLS and we do not: set --clickhouse-tls", func(c *config.Config) { c.ClickHouseTLS = false }},
		{"a wrong password", "refuses the user kasi", func(c *config.Config) { c.Password = "wrong-word" }},
		{"TLS to a plain port", "does not speak TLS", func(c *config.Config) { c.ClickHouseAddr = s.NativeAddr() }},
	}.each(t, good, checkClickHouse(t))
	opts, err := connect.ClickHouse(good)
	require.NoError(t, err)
	conn, err := clickhouse.Open(opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.Exec(t.Context(), "SELECT 1"))

	refusals{
		{"HTTP, another CA", "--clickhouse-ca", func(c *config.Config) { c.ClickHouseCA = stranger(t) }},
		{"HTTP, no TLS", "speaks TLS and we do not: set --clickhouse-tls", func(c *config.Config) {
			c.ClickHouseTLS = false
		}},
		{"HTTP, TLS to a plain port", "does not speak TLS", func(c *config.Config) { c.ClickHouseHTTP = s.HTTPAddr() }},
	}.each(t, good, func(cfg config.Config) error {
		url, client, err := connect.ClickHouseHTTP(cfg)
		require.NoError(t, err)
		if err := connect.CheckClickHouseHTTP(t.Context(), url, client); err != nil {
			return err
		}
		return get(t.Context(), client, url+"/ping", http.StatusOK)
	})
}

func TestAClickHouseThatIsAwayIsNoMistake(t *testing.T) {
	require.NoError(t, checkClickHouse(t)(config.Config{ClickHouseAddr: "127.0.0.1:1", ClickHouseTLS: true}))
	require.NoError(t, checkClickHouse(t)(config.Config{ClickHouseAddr: "127.0.0.1:1"}))
	require.NoError(t, connect.CheckClickHouseHTTP(t.Context(), "http://127.0.0.1:1", http.DefaultClient))
}

func get(ctx context.Context, client *http.Client, url string, want int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}
