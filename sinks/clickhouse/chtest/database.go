package chtest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
)

// New makes a new database on the binary's server, applies all migrations and returns the options of a connection to it
// as user kasi.
func New(t testing.TB) *clickhouse.Options {
	t.Helper()
	opts := Empty(t)
	if err := migrate.Up(t.Context(), opts, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatalf("migrate the test database: %v", err)
	}
	return opts
}

// Empty is New without the migrations.
func Empty(t testing.TB) *clickhouse.Options {
	t.Helper()
	s := Shared(t)
	opts := s.Options()
	database := s.Database(t)
	s.exec(t, "CREATE DATABASE "+database)
	opts.Auth.Database = database
	return opts
}

// Database is a name that no test has had. The database is the test's to make; it is dropped after a pass.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	database := databasePrefix + random()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ClickHouse (%s at %s) keeps database %s %s", s.Kind, s.NativeAddr, database, s.dir)
			return
		}
		s.exec(t, "DROP DATABASE IF EXISTS "+database+" SYNC")
	})
	return database
}

func (s *Server) exec(t testing.TB, query string) {
	t.Helper()
	// Not the test's own context: it has ended when the cleanup runs.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.try(ctx, query); err != nil {
		t.Errorf("%s: %v", query, err)
	}
}

func (s *Server) try(ctx context.Context, query string) error {
	conn, err := clickhouse.Open(s.Options())
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Exec(ctx, query)
}
