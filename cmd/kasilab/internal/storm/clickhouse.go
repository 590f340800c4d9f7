package storm

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/kasi-collections/kasi/schemas"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
)

// clickHouse is ClickHouse in a process of its own, started again on its directory whenever it dies.
type clickHouse struct{ server *chembed.Server }

// startClickHouse starts it with the product's tables, in which nothing is ever merged: a merge would hide duplicates.
// SYSTEM STOP MERGES would be forgotten at a restart, so a setting of each table forbids them, and others lift the
// limits on the number of parts that then come about.
func startClickHouse(ctx context.Context, dir string) (*clickHouse, error) {
	server, err := chembed.Start(ctx, chembed.Options{
		Dir: filepath.Join(dir, "clickhouse"), HTTPAddr: "127.0.0.1:0", NativeAddr: "127.0.0.1:0", KasiPassword: kasiPW,
		AnalystPassword: analystPW,
	})
	if err != nil {
		return nil, err
	}
	ch := &clickHouse{server}
	if err := ch.prepare(ctx); err != nil {
		ch.stop()
		return nil, err
	}
	return ch, nil
}

func (ch *clickHouse) prepare(ctx context.Context) error {
	if err := migrate.Up(ctx, ch.server.ClickHouse(), slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	conn, err := clickhouse.Open(ch.server.ClickHouse())
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, table := range append(slices.Sorted(maps.Values(schemas.SunkTopics)), "sink_marks") {
		err := conn.Exec(ctx,
			"ALTER TABLE "+table+" MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1, "+
				"max_bytes_to_merge_at_min_space_in_pool = 1, "+
				"parts_to_delay_insert = 1000000, parts_to_throw_insert = 1000000, max_parts_in_total = 1000000")
		if err != nil {
			return fmt.Errorf("forbid merges of %s: %w", table, err)
		}
	}
	return nil
}

// bringBack takes away every part that was written since then, marks included: what an older copy would not have. Parts
// are never merged here.
func (ch *clickHouse) bringBack(ctx context.Context, since time.Time) error {
	conn, err := clickhouse.Open(ch.server.ClickHouse())
	if err != nil {
		return err
	}
	defer conn.Close()
	var parts []struct {
		Table string `ch:"table"`
		Name  string `ch:"name"`
	}
	err = conn.Select(ctx, &parts, "SELECT table, name FROM system.parts WHERE active AND database = currentDatabase() "+
		"AND (table LIKE '%_log' OR table = 'sink_marks') AND modification_time > toDateTime({since:Int64})",
		clickhouse.Named("since", since.Unix()))
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := conn.Exec(ctx, "ALTER TABLE "+p.Table+" DROP PART "+schemas.Quote(p.Name)); err != nil {
			return err
		}
	}
	return nil
}

// kill ends the process; the supervisor in this one starts it again.
func (ch *clickHouse) kill() { _ = syscall.Kill(ch.server.Pid(), syscall.SIGKILL) }

func (ch *clickHouse) answers(ctx context.Context) bool {
	return Answers(ctx, "http://"+ch.server.HTTPAddr()+"/?query=SELECT+1&user=analyst&password="+analystPW)
}

func (ch *clickHouse) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = ch.server.Stop(ctx) // its directory is thrown away or looked at: it is read again either way
}
