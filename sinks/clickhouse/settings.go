package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// insertSettings are stated with every insert, because servers differ: since 26.2 the default of async_insert is 1, and
// an asynchronous insert is acknowledged and deduplicated under other rules. Over HTTP the answer waits for the end of
// the insert, so that a late error is an error; the native protocol always does, and does not know the setting.
func insertSettings(p clickhouse.Protocol) clickhouse.Settings {
	s := clickhouse.Settings{
		"async_insert":       0,
		"insert_deduplicate": 1,
		// One block has no work for a second thread, and to start one is a fifth of what a small insert costs
		// (BenchmarkSmallInsert).
		"max_threads": 1,
		// The server, not the driver, builds the dictionaries of LowCardinality columns: the driver does it by reflection,
		// value by value.
		"low_cardinality_allow_in_native_format": 0,
	}
	if p == clickhouse.HTTP {
		s["wait_end_of_query"] = 1
	}
	return s
}

// newerSettings are stated where the server knows them; it refuses what it does not know. deduplicate_insert overrides
// insert_deduplicate.
var newerSettings = clickhouse.Settings{"deduplicate_insert": "enable"}

const querySettings = `SELECT groupArray(name) FROM system.settings WHERE name IN {names:Array(String)}`

// settingsFor completes insertSettings by asking the server.
func settingsFor(ctx context.Context, conn driver.Conn, p clickhouse.Protocol) (clickhouse.Settings, error) {
	var known []string
	names := slices.Sorted(maps.Keys(newerSettings))
	if err := conn.QueryRow(ctx, querySettings, clickhouse.Named("names", names)).Scan(&known); err != nil {
		return nil, fmt.Errorf("read system.settings: %w", err)
	}
	s := insertSettings(p)
	for _, name := range known {
		s[name] = newerSettings[name]
	}
	return s, nil
}

// withSettings makes a context whose inserts carry the settings and, unless it is empty, the token.
func withSettings(ctx context.Context, settings clickhouse.Settings, token string) context.Context {
	s := maps.Clone(settings)
	if token != "" {
		s["insert_deduplication_token"] = token
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(s))
}
