package bench

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"
)

// columns are a table's rows as clickhouse-go appends them fastest: a typed slice a column.
type columns struct {
	names  []string
	values []reflect.Value
	next   int
}

// block is what one insert of the sink held.
type block struct {
	table    string
	from, to int
}

// runRaw inserts the rows of a database that the sink has filled into another one, cut as the sink cut them, with its
// settings and as many inserts at once. args are ClickHouse's address, the database to fill, the one to take the rows
// from, and the file of blocks.
func runRaw(ctx context.Context, args []string) error {
	conn, err := clickhouse.Open(childClickHouse(args[0], args[1]))
	if err != nil {
		return err
	}
	defer conn.Close()
	list, err := os.ReadFile(args[3])
	if err != nil {
		return err
	}
	tables := map[string]*columns{}
	var blocks []block
	for line := range strings.Lines(string(list)) {
		var b block
		var rows int
		if _, err := fmt.Sscan(line, &b.table, &rows); err != nil {
			return err
		}
		if tables[b.table] == nil {
			if tables[b.table], err = load(ctx, conn, args[2], b.table); err != nil {
				return err
			}
		}
		t := tables[b.table]
		b.from, b.to = t.next, t.next+rows
		t.next = b.to
		blocks = append(blocks, b)
	}
	for name, t := range tables { // the sink is stopped when its last rows are seen, perhaps before it is told so
		if rows := t.values[0].Len(); t.next < rows {
			blocks = append(blocks, block{name, t.next, rows})
		}
	}
	var g errgroup.Group
	g.SetLimit(4)
	for i, b := range blocks {
		g.Go(func() error { return tables[b.table].insert(ctx, conn, b, fmt.Sprint("raw-", i)) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// load reads a whole table, in the order in which the sink got it.
func load(ctx context.Context, conn driver.Conn, database, table string) (*columns, error) {
	rows, err := conn.Query(ctx, fmt.Sprintf("SELECT * FROM %s.%s ORDER BY src_partition, src_offset", database, table))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	c := &columns{names: rows.Columns()}
	var into []any
	for _, t := range rows.ColumnTypes() {
		c.values = append(c.values, reflect.MakeSlice(reflect.SliceOf(t.ScanType()), 0, 1<<20))
		into = append(into, reflect.New(t.ScanType()).Interface())
	}
	for rows.Next() {
		for i := range into {
			into[i] = reflect.New(c.values[i].Type().Elem()).Interface() // of its own: nullable values are pointers
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		for i := range into {
			c.values[i] = reflect.Append(c.values[i], reflect.ValueOf(into[i]).Elem())
		}
	}
	return c, rows.Err()
}

func (c *columns) insert(ctx context.Context, conn driver.Conn, b block, token string) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"async_insert": 0, "insert_deduplicate": 1, "deduplicate_insert": "enable", "max_threads": 1,
		"low_cardinality_allow_in_native_format": 0, "insert_deduplication_token": token,
	}))
	batch, err := conn.PrepareBatch(ctx, fmt.Sprintf("INSERT INTO %s (%s)", b.table, strings.Join(c.names, ", ")))
	if err != nil {
		return err
	}
	for i, v := range c.values {
		if err := batch.Column(i).Append(v.Slice(b.from, b.to).Interface()); err != nil {
			return err
		}
	}
	return batch.Send()
}
