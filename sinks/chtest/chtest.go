// Package chtest gives tests a real ClickHouse: one server per test binary, started on first use, and a new migrated database per test.
//
//	func TestMain(m *testing.M) { os.Exit(chtest.Main(m)) }
//	func TestX(t *testing.T)    { opts := chtest.New(t) ... }
//
// A database is dropped after a pass and kept after a failure, whose message says where. The server's directory goes when every test has passed.
package chtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/embedded"
)

// databasePrefix begins the name of every test database.
const databasePrefix = "kasi_test_"

// shared is the binary's one server. It is global because tests have nothing else in common than their binary; Main owns its end.
var shared struct {
	once   sync.Once
	server *embedded.Server
	dir    string
	err    error
}

// Main runs the tests and then stops the server, if one was started. It must be all that TestMain does: it also serves the server's child process, which
// is the test binary again. Tests that start the test binary as something else name it in children: each is called first, and must end the process
// if that is what it was started as, and return at once if not.
func Main(m *testing.M, children ...func()) int {
	embedded.RunIfChild()
	for _, runIfChild := range children {
		runIfChild()
	}
	code := m.Run()
	if shared.server == nil {
		return code
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := shared.server.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "chtest: the ClickHouse of this run is kept in %s (logs in %s); remove it when done\n", shared.dir, shared.server.LogDir())
		return code
	}
	if err := os.RemoveAll(shared.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

// Server returns the binary's server, started if it is not running yet. Tests that kill or stop a server start one of their own instead.
func Server(t testing.TB) *embedded.Server {
	t.Helper()
	shared.once.Do(startShared)
	if shared.err != nil {
		t.Fatalf("no ClickHouse for the tests: %v", shared.err)
	}
	return shared.server
}

func startShared() {
	shared.dir, shared.err = os.MkdirTemp("", "kasi-chtest-")
	if shared.err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	shared.server, shared.err = embedded.Start(ctx, embedded.Options{
		Dir: shared.dir, HTTPAddr: "127.0.0.1:0", NativeAddr: "127.0.0.1:0",
		KasiPassword: random(), AnalystPassword: random(), KasiGrants: []string{"ALL ON " + databasePrefix + "*.*"},
	})
}

// New makes a new database on the shared server, applies all migrations and returns the options of a connection to it as user kasi.
func New(t testing.TB) *clickhouse.Options {
	t.Helper()
	opts := Empty(t)
	if err := migrate(t.Context(), opts); err != nil {
		t.Fatalf("migrate the test database: %v", err)
	}
	return opts
}

// Empty is New without the migrations.
func Empty(t testing.TB) *clickhouse.Options {
	t.Helper()
	server := Server(t)
	database := databasePrefix + random()
	exec(t, server, "CREATE DATABASE "+database)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ClickHouse database %s is kept in %s", database, shared.dir)
			return
		}
		exec(t, server, "DROP DATABASE IF EXISTS "+database+" SYNC")
	})
	opts := server.ClickHouse()
	opts.Auth.Database = database
	return opts
}

func exec(t testing.TB, server *embedded.Server, query string) {
	t.Helper()
	conn, err := clickhouse.Open(server.ClickHouse())
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = conn.Close() }()
	// Not the test's own context: it has ended when the cleanup runs.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := conn.Exec(ctx, query); err != nil {
		t.Errorf("%s: %v", query, err)
	}
}

// migrate applies the files that sinks.Migrate applies. It does not call it: importing sinks here would keep the sinks' own tests from using this package.
func migrate(ctx context.Context, opts *clickhouse.Options) error {
	files, err := fs.Sub(schemas.Migrations, "clickhouse")
	if err != nil {
		return err
	}
	db := clickhouse.OpenDB(opts)
	defer func() { _ = db.Close() }()
	provider, err := goose.NewProvider(goose.DialectClickHouse, db, files, goose.WithSlog(slog.New(slog.DiscardHandler)), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

func random() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(hex.EncodeToString(b[:]))
}
