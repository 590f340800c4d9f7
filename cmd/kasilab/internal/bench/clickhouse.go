package bench

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
	"github.com/kasi-collections/kasi/streams/retry"
)

// clickHousePassword is of a ClickHouse that only this program and its children reach, for as long as it runs.
const clickHousePassword = "kasilab"

// clickHouse is the ClickHouse of one part.
type clickHouse struct {
	server *chembed.Server
	dir    string
	conn   driver.Conn
	made   []string // databases
	n      int
}

func startClickHouse(ctx context.Context) (*clickHouse, error) {
	say("starting ClickHouse ...")
	dir, err := os.MkdirTemp("", "kasilab-clickhouse-")
	if err != nil {
		return nil, err
	}
	server, err := chembed.Start(ctx, chembed.Options{
		Dir: dir, HTTPAddr: "127.0.0.1:0", NativeAddr: "127.0.0.1:0", KasiPassword: clickHousePassword,
		AnalystPassword: clickHousePassword,
		Databases:       []string{"bench_*"},
		Grants:          []string{"READ ON KAFKA", "TABLE ENGINE ON Kafka", "SELECT ON system.merges"},
	})
	if err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(server.ClickHouse())
	if err != nil {
		return nil, err
	}
	return &clickHouse{server: server, dir: dir, conn: conn}, nil
}

func (ch *clickHouse) stop() {
	_ = ch.conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = ch.server.Stop(ctx)
	_ = os.RemoveAll(ch.dir)
}

func (ch *clickHouse) usage() time.Duration { return usage(ch.server.Pid()) }

// options are a connection's to one of the databases.
func (ch *clickHouse) options(database string) *clickhouse.Options {
	o := ch.server.ClickHouse()
	o.Auth.Database = database
	return o
}

// database makes a new, migrated database.
func (ch *clickHouse) database(ctx context.Context) (string, error) {
	ch.n++
	name := fmt.Sprintf("bench_%d", ch.n)
	if err := ch.conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	ch.made = append(ch.made, name)
	return name, migrate.Up(ctx, ch.options(name), slog.New(slog.DiscardHandler))
}

// quiet drops the databases of earlier contenders but one, and waits until nothing is merged: what one of them left to
// do would otherwise slow the next one down.
func (ch *clickHouse) quiet(ctx context.Context, keep string) error {
	for _, name := range ch.made {
		if name != keep {
			if err := ch.conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" SYNC"); err != nil {
				return err
			}
		}
	}
	for {
		var merges uint64
		if err := ch.conn.QueryRow(ctx, "SELECT count() FROM system.merges").Scan(&merges); err != nil || merges == 0 {
			return err
		}
		if err := retry.Pause(ctx, 10*look); err != nil {
			return err
		}
	}
}

// rows counts what is visible in the tables measured.
func (ch *clickHouse) rows(ctx context.Context, database string) (n uint64, err error) {
	err = ch.conn.QueryRow(ctx,
		fmt.Sprintf("SELECT (SELECT count() FROM %[1]s.transactions_log) + (SELECT count() FROM %[1]s.collections_log)",
			database)).Scan(&n)
	return n, err
}

// contend measures how fast rows get visible, from warm rows on until all are.
func (ch *clickHouse) contend(ctx context.Context, k *kafka, c *child, database string, warm, all uint64) (run, error) {
	server := func() time.Duration { return ch.usage() + k.usage() }
	client := func() time.Duration {
		if c == nil {
			return 0
		}
		return c.usage()
	}
	from, err := ch.until(ctx, c, database, warm)
	if err != nil {
		return run{}, err
	}
	began, usedHere, usedThere := time.Now(), client(), server()
	to, err := ch.until(ctx, c, database, all)
	if err != nil {
		return run{}, err
	}
	if to > all {
		return run{}, fmt.Errorf("%d rows are visible of %d that there are", to, all)
	}
	return run{int(to - from), time.Since(began), client() - usedHere, server() - usedThere}, nil
}

// until waits until so many rows are visible and says how many are.
func (ch *clickHouse) until(ctx context.Context, c *child, database string, rows uint64) (uint64, error) {
	last, came := uint64(0), time.Now()
	for said := time.Now(); ; {
		n, err := ch.rows(ctx, database)
		if err != nil || n >= rows {
			return n, err
		}
		if n > last {
			last, came = n, time.Now()
		}
		if time.Since(came) > time.Minute {
			return n, fmt.Errorf("%d of %d rows came, and none for a minute", n, rows)
		}
		if time.Since(said) > 5*time.Second {
			said = time.Now()
			say("   %d of %d rows", n, rows)
		}
		if c != nil && c.gone() {
			return n, fmt.Errorf("%d of %d rows came: %w", n, rows, c.stop())
		}
		if err := retry.Pause(ctx, 2*look); err != nil {
			return n, err
		}
	}
}
