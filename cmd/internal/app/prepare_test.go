package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// A process that is started again while ClickHouse is being started again does not end: what needs ClickHouse waits for
// it, what does not need it works.
func TestRolesOutlastAClickHouseThatIsAway(t *testing.T) {
	cfg := settings(t, func(c *config.Config) {
		c.Password, c.AnalystPassword, c.ClickHouseAddr, c.Partitions = "pw", "pw", c.ClickHouseNative, 1
	})
	env, err := app.NewEnv(cfg)
	require.NoError(t, err)
	env.Brokers = kafkatest.Fake(t).Brokers
	without := 0
	for _, role := range app.Roles {
		if !role.ClickHouse {
			without++
			require.NoError(t, env.Prepare(t.Context(), cfg, quiet(), role.Name), role.Name)
		}
	}
	require.Equal(t, 4, without, "ticker, intake, collect and webhooks")
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for _, role := range app.Roles {
		if role.ClickHouse {
			require.Error(t, env.Prepare(short, cfg, quiet(), role.Name), role.Name)
		}
	}
	prepared := make(chan error, 1)
	go func() { prepared <- env.Prepare(t.Context(), cfg, quiet(), "sink") }()
	select {
	case err := <-prepared:
		require.Fail(t, "ready without ClickHouse", "%v", err)
	case <-time.After(500 * time.Millisecond):
	}
	server, err := chembed.Start(t.Context(), chembed.Options{
		Dir: t.TempDir(), HTTPAddr: cfg.ClickHouseHTTP, NativeAddr: cfg.ClickHouseNative, KasiPassword: cfg.Password,
		AnalystPassword: cfg.AnalystPassword,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	require.NoError(t, <-prepared)
}
