package sinks

import (
	"context"
	"maps"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// insertSettings are stated with every insert, because servers differ: since 26.2 the default of async_insert is 1, and an asynchronous
// insert is acknowledged and deduplicated under other rules. Over HTTP the answer waits for the end of the insert, so that a late error is
// an error; the native protocol always does, and does not know the setting.
func insertSettings(p clickhouse.Protocol) clickhouse.Settings {
	s := clickhouse.Settings{
		"async_insert":       0,
		"insert_deduplicate": 1,
		// The server, not the driver, builds the dictionaries of LowCardinality columns: the driver does it by reflection, value by value.
		"low_cardinality_allow_in_native_format": 0,
	}
	if p == clickhouse.HTTP {
		s["wait_end_of_query"] = 1
	}
	return s
}

// withSettings makes a context whose inserts carry the settings and, unless it is empty, the token.
func withSettings(ctx context.Context, settings clickhouse.Settings, token string) context.Context {
	s := maps.Clone(settings)
	if token != "" {
		s["insert_deduplication_token"] = token
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(s))
}
