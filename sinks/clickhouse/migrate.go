package clickhouse

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"

	"github.com/kasi-collections/kasi/schemas"
)

// Migrate makes the database named in opts.Auth.Database if it is missing, and brings its tables and views up to date.
// Doing it again changes nothing. Two processes at once are harmless: every statement says IF NOT EXISTS, and a version
// recorded twice counts once.
func Migrate(ctx context.Context, opts *clickhouse.Options, log *slog.Logger) error {
	if err := createDatabase(ctx, opts); err != nil {
		return err
	}
	files, err := fs.Sub(schemas.Migrations, "clickhouse")
	if err != nil {
		return fmt.Errorf("sinks: migrations: %w", err)
	}
	o := *opts
	o.Settings = maps.Clone(o.Settings)
	if o.Settings == nil {
		o.Settings = clickhouse.Settings{}
	}
	maps.Copy(o.Settings, insertSettings(o.Protocol)) // a version must be there when its insert returns
	db := clickhouse.OpenDB(&o)
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectClickHouse, db, files, goose.WithSlog(log),
		goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("sinks: migrations: %w", err)
	}
	// Another process that migrates at the same moment can make a statement fail once; the second look finds its work
	// done.
	for try := 0; ; try++ {
		results, err := p.Up(ctx)
		if err == nil {
			log.Info("clickhouse: schema is up to date", "database", opts.Auth.Database, "applied", len(results))
			return nil
		}
		if try == 4 || ctx.Err() != nil {
			return fmt.Errorf("sinks: migrate ClickHouse database %s: %w", opts.Auth.Database, err)
		}
		sleep(ctx, time.Duration(try+1)*200*time.Millisecond)
	}
}

// createDatabase logs in without naming the database, since it may not exist yet.
func createDatabase(ctx context.Context, opts *clickhouse.Options) error {
	o := *opts
	o.Auth.Database = ""
	conn, err := clickhouse.Open(&o)
	if err != nil {
		return fmt.Errorf("sinks: open ClickHouse: %w", err)
	}
	defer conn.Close()
	name := "`" + strings.ReplaceAll(opts.Auth.Database, "`", "``") + "`"
	if err := conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+name+" COMMENT 'Kasi Collections'"); err != nil {
		return fmt.Errorf("sinks: create ClickHouse database %s: %w", name, err)
	}
	return nil
}
