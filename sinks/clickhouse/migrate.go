package clickhouse

import (
	"context"
	"log/slog"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
)

// Migrate makes the database and brings its tables and views up to date (package migrate).
func Migrate(ctx context.Context, opts *clickhouse.Options, log *slog.Logger) error {
	return migrate.Up(ctx, opts, log)
}
