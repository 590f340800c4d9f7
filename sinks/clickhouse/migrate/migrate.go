// Package migrate makes the database and brings its tables and views up to date. Up is its only door. What is added to
// the catalogue of events (package schemas) needs nothing by hand: missing tables and columns are made, comments are
// written anew, and views whose text changed are replaced. Whatever else changes a table is a numbered file in
// schemas/clickhouse.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/pressly/goose/v3"

	"github.com/kasi-collections/kasi/schemas"
)

// RefusedError says that this version cannot use the database, and the way out. To try again does not help.
type RefusedError struct{ text string }

func (e *RefusedError) Error() string { return e.text }

// marksTable is made by the first numbered file, and nothing adds columns to it.
const marksTable = "sink_marks"

// made are the tables of numbered files, by the file that makes them. One that was dropped is made again by its file.
var made = map[string]int64{marksTable: 1, "sink_holes": 2}

var marksColumns = map[string]string{
	"topic": "LowCardinality(String)", "partition": "UInt32", "next_offset": "SimpleAggregateFunction(max, Int64)",
	"next_seq": "SimpleAggregateFunction(max, Int64)", "at": "SimpleAggregateFunction(max, DateTime64(3, 'UTC'))",
}

// Up makes the database named in opts.Auth.Database if it is missing, and brings its tables and views up to date. Doing
// it again changes nothing. Two processes at once are harmless: every statement says IF NOT EXISTS or OR REPLACE, and a
// version recorded twice counts once.
func Up(ctx context.Context, opts *clickhouse.Options, log *slog.Logger) error {
	return UpOn(ctx, "", opts, log)
}

// UpOn is Up on all servers of a cluster, whose tables replicate each other. A table that is there stays what it is.
func UpOn(ctx context.Context, on schemas.Cluster, opts *clickhouse.Options, log *slog.Logger) error {
	if err := createDatabase(ctx, on, opts); err != nil {
		return err
	}
	o := *opts
	o.Settings = maps.Clone(o.Settings)
	if o.Settings == nil {
		o.Settings = clickhouse.Settings{}
	}
	o.Settings["async_insert"] = 0 // a version must be there when its insert returns
	if o.Protocol == clickhouse.HTTP {
		o.Settings["wait_end_of_query"] = 1
	}
	// Another process that migrates at the same moment can make a statement fail once; the second look finds its work
	// done.
	for try := 0; ; try++ {
		err := up(ctx, on, &o, log)
		if err == nil {
			return nil
		}
		if try == 4 || ctx.Err() != nil || errors.As(err, new(*RefusedError)) {
			return fmt.Errorf("sinks: migrate ClickHouse database %s: %w", opts.Auth.Database, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(try+1) * 200 * time.Millisecond):
		}
	}
}

// up makes the tables, then runs the numbered files, which may mend a table, then looks at what the tables have.
func up(ctx context.Context, on schemas.Cluster, opts *clickhouse.Options, log *slog.Logger) error {
	conn, err := clickhouse.Open(opts)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, t := range everyTable() {
		if err := conn.Exec(ctx, t.Create(on)); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	if on != "" { // else the numbered file makes it
		statement, err := createMarks(on)
		if err != nil {
			return err
		}
		if err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("table %s: %w", marksTable, err)
		}
	}
	applied, err := numbered(ctx, opts, log)
	if err != nil {
		return err
	}
	changed, err := complete(ctx, on, conn, log)
	if err != nil {
		return err
	}
	log.Info("clickhouse: schema is up to date", "database", opts.Auth.Database, "applied", applied, "changed", changed)
	return nil
}

// everyTable is the tables of events, then those of current states.
func everyTable() []schemas.Table {
	tables := schemas.Tables()
	for _, state := range schemas.States() {
		tables = append(tables, state.Table)
	}
	return tables
}

// createMarks is the statement of the first numbered file for a cluster.
func createMarks(on schemas.Cluster) (string, error) {
	file, err := fs.ReadFile(schemas.Migrations, "clickhouse/00001_marks.sql")
	if err != nil {
		return "", err
	}
	_, statement, _ := strings.Cut(string(file), "-- +goose StatementBegin\n")
	statement, _, _ = strings.Cut(statement, ";\n-- +goose StatementEnd")
	const name, engine = "TABLE IF NOT EXISTS " + marksTable, "AggregatingMergeTree"
	return strings.NewReplacer(name, name+on.On(), engine, on.Engine(engine)).Replace(statement), nil
}

// numbered runs the files of schemas/clickhouse that this database has not seen.
func numbered(ctx context.Context, opts *clickhouse.Options, log *slog.Logger) (int, error) {
	files, err := fs.Sub(schemas.Migrations, "clickhouse")
	if err != nil {
		return 0, err
	}
	db := clickhouse.OpenDB(opts)
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectClickHouse, db, files, goose.WithSlog(log),
		goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return 0, err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return 0, err
	}
	var there []string
	if err := db.QueryRowContext(ctx, "SELECT groupArray(name) FROM system.tables WHERE database = currentDatabase()").
		Scan(&there); err != nil {
		return 0, err
	}
	applied := len(results)
	for table, file := range made {
		if slices.Contains(there, table) {
			continue
		}
		for _, up := range []bool{false, true} {
			if _, err := p.ApplyVersion(ctx, file, up); err != nil {
				return 0, err
			}
		}
		applied++
	}
	return applied, nil
}

// summed are the columns that sums and their proofs rest on. Every version has had them: where one is missing beside
// rows, somebody dropped it.
var summed = []string{"seq", "src_partition", "src_offset", "moved_cents"}

func lostColumn(place string) error {
	table, _, _ := strings.Cut(place, ".")
	return &RefusedError{fmt.Sprintf("column %s was dropped and its values are lost: drop table %s, and the sink makes "+
		"it again and fills it from Kafka", place, table)}
}

// Lacks names the tables and views of the catalogue that the database has not. A table that lacks a column is a
// *RefusedError: the column's values cannot be made again. It does not look at types and texts, which a newer version
// beside this one may have changed.
func Lacks(ctx context.Context, conn driver.Conn) (lacks []string, err error) {
	tables := make(map[string]bool)
	var places []string
	if err := conn.QueryRow(ctx, "SELECT groupArray(table || '.' || name) FROM system.columns WHERE database = "+
		"currentDatabase()").Scan(&places); err != nil {
		return nil, fmt.Errorf("read system.columns: %w", err)
	}
	there := make(map[string]bool, len(places))
	for _, p := range places {
		table, _, _ := strings.Cut(p, ".")
		there[p], tables[table] = true, true
	}
	names := slices.Sorted(maps.Keys(made))
	for column := range marksColumns {
		if !there[marksTable+"."+column] {
			tables[marksTable] = false // Up says what is wrong with it
		}
	}
	for _, v := range schemas.Views() {
		names = append(names, v.Name)
	}
	for _, t := range everyTable() {
		names = append(names, t.Name)
		for _, c := range t.Columns {
			if place := t.Name + "." + c.Name; tables[t.Name] && !there[place] {
				err = lostColumn(place)
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return tables[name] }), err
}

// complete compares the catalogue with what the database has, and counts what it had to change.
func complete(ctx context.Context, on schemas.Cluster, conn driver.Conn, log *slog.Logger) (changed int, err error) {
	var columnTypes, comments map[string]string
	if err := conn.QueryRow(ctx, `SELECT mapFromArrays(groupArray(table || '.' || name AS place), groupArray(type)),
		mapFromArrays(groupArray(place), groupArray(comment))
		FROM system.columns WHERE database = currentDatabase()`).Scan(&columnTypes, &comments); err != nil {
		return 0, fmt.Errorf("read system.columns: %w", err)
	}
	var rows map[string]uint64
	var engines map[string]string
	if err := conn.QueryRow(ctx, `SELECT mapFromArrays(groupArray(name), groupArray(ifNull(total_rows, 0))),
		mapFromArrays(groupArray(name), groupArray(engine_full))
		FROM system.tables WHERE database = currentDatabase()`).Scan(&rows, &engines); err != nil {
		return 0, fmt.Errorf("read system.tables: %w", err)
	}
	var statements []string
	for _, t := range everyTable() {
		if lacking := func(setting string) bool { return !strings.Contains(engines[t.Name], setting) }; slices.ContainsFunc(
			strings.Split(t.Settings(), ", "), lacking) {
			statements = append(statements, "ALTER TABLE "+t.Name+on.On()+" MODIFY SETTING "+t.Settings())
		}
		for i, c := range t.Columns {
			alter, place, at := "ALTER TABLE "+t.Name+on.On(), t.Name+"."+c.Name, " FIRST"
			if i > 0 {
				at = " AFTER " + t.Columns[i-1].Name
			}
			switch there, known := columnTypes[place]; {
			case !known && slices.Contains(summed, c.Name) && rows[t.Name] > 0:
				return 0, lostColumn(place)
			case !known:
				statements = append(statements, alter+" ADD COLUMN IF NOT EXISTS "+c.Definition()+at)
			case there != c.Type:
				return 0, &RefusedError{fmt.Sprintf("table %s has column %s of type %s, and this version needs %s; change it with "+
					"a numbered file in schemas/clickhouse (ALTER TABLE ... MODIFY COLUMN), or drop the table and let the sink fill "+
					"it again from its topic", t.Name, c.Name, there, c.Type)}
			case comments[place] != c.Comment:
				statements = append(statements, alter+" COMMENT COLUMN "+c.Name+" "+schemas.Quote(c.Comment))
			}
		}
	}
	for column, needs := range marksColumns {
		if there := columnTypes[marksTable+"."+column]; there != needs {
			return 0, &RefusedError{fmt.Sprintf("this database is of an earlier build: column %s of table %s is %q, and this "+
				"version needs %s; start with an empty database (--clickhouse-database), which the sink fills from Kafka", column,
				marksTable, there, needs)}
		}
	}
	var marks []string
	if err := conn.QueryRow(ctx, `SELECT groupArray(name || ' ' || comment) FROM system.tables
		WHERE database = currentDatabase() AND engine = 'View'`).Scan(&marks); err != nil {
		return 0, fmt.Errorf("read system.tables: %w", err)
	}
	for _, v := range schemas.Views() {
		if !slices.Contains(marks, v.Name+" "+v.Mark()) {
			statements = append(statements, v.Create(on))
		}
	}
	for _, s := range statements {
		if err := conn.Exec(ctx, s); err != nil {
			return 0, fmt.Errorf("%s: %w", s, err)
		}
		log.Debug("clickhouse: schema changed", "statement", s)
	}
	return len(statements), nil
}

// createDatabase logs in to another database, since ours may not exist: not yet, or, where it is the user's default,
// not any more.
func createDatabase(ctx context.Context, on schemas.Cluster, opts *clickhouse.Options) error {
	o := *opts
	o.Auth.Database = "system"
	conn, err := clickhouse.Open(&o)
	if err != nil {
		return fmt.Errorf("sinks: open ClickHouse: %w", err)
	}
	defer conn.Close()
	name := "`" + strings.ReplaceAll(opts.Auth.Database, "`", "``") + "`"
	if err := conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+name+on.On()+" COMMENT 'Kasi Collections'"); err != nil {
		return fmt.Errorf("sinks: create ClickHouse database %s: %w", name, err)
	}
	return nil
}
