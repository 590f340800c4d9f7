package chtest_test

import (
	"os"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

func TestMain(m *testing.M) { os.Exit(chtest.Main(m)) }

func TestNewDatabasesAreMigratedAndApart(t *testing.T) {
	first, second := chtest.New(t), chtest.New(t)
	require.NotEqual(t, first.Auth.Database, second.Auth.Database)
	for i, opts := range []*clickhouse.Options{first, second} {
		conn, err := clickhouse.Open(opts)
		require.NoError(t, err)
		require.NoError(t, conn.Exec(t.Context(), "INSERT INTO sink_marks (topic, partition, next_offset) VALUES ('t', ?, 1)",
			i))
		var marks, views uint64
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM sink_marks WHERE partition = ?", i).Scan(&marks))
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM sink_marks").Scan(&views))
		require.Equal(t, []uint64{1, 1}, []uint64{marks, views})
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM collections").Scan(&views))
		require.NoError(t, conn.Close())
	}
}

func TestADatabaseIsDroppedAfterAPass(t *testing.T) {
	var name string
	require.True(t, t.Run("inner", func(t *testing.T) { name = chtest.Empty(t).Auth.Database }))
	conn, err := clickhouse.Open(chtest.Shared(t).Options())
	require.NoError(t, err)
	var n uint64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM system.databases WHERE name = ?", name).Scan(&n))
	require.Zero(t, n)
	require.NoError(t, conn.Close())
}
