package sinks

import (
	"context"
	"maps"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// insertSettings are stated with every insert, because servers differ: since 26.2 the default of async_insert is 1, and an asynchronous
// insert is acknowledged and deduplicated under other rules.
var insertSettings = clickhouse.Settings{
	"async_insert":       0,
	"insert_deduplicate": 1,
	// Over HTTP the answer waits for the end of the insert, so that an error late in it is an error; the native protocol always does.
	"wait_end_of_query":      1,
	"http_wait_end_of_query": 1,
}

// insertContext carries the settings of one insert. An empty token is for tables whose rows need none.
func insertContext(ctx context.Context, token string) context.Context {
	s := maps.Clone(insertSettings)
	if token != "" {
		s["insert_deduplication_token"] = token
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(s))
}
