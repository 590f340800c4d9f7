// Package chtest gives tests a real ClickHouse and says which: one for each test binary, started on first use, and a
// new migrated database for each test.
//
//	func TestMain(m *testing.M) { os.Exit(chtest.Main(m)) }
//	func TestX(t *testing.T)    { opts := chtest.New(t) ... }
//
// The first of these that is set decides:
//
//	KASI_TEST_CLICKHOUSE_ADDR=host:9000  a server that runs already; KASI_TEST_CLICKHOUSE_HTTP=host:8123 if its HTTP
//	                                     port is elsewhere. Its users are those of
//	                                     `kasi clickhouse users --also 'kasi_test_*'`, with the passwords in
//	                                     KASI_TEST_CLICKHOUSE_PASSWORD and KASI_TEST_ANALYST_PASSWORD.
//	KASI_TEST_CLICKHOUSE=containers      the image KASI_TEST_CLICKHOUSE_IMAGE in Docker
//	                                     (default clickhouse/clickhouse-server:26.7)
//	KASI_TEST_CLICKHOUSE=embedded, or nothing   the embedded engine
//
// A database is dropped after a pass. After a failure it is kept where the server stays: at an address, and of the
// embedded engine in its directory, which the message names. Nothing is skipped: where the server that was asked for
// cannot be had, the test fails and says what is missing.
package chtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/testcontainers/testcontainers-go"

	"github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
)

// databasePrefix begins the name of every test database.
const databasePrefix = "kasi_test_"

// Kind says what a ClickHouse is.
type Kind string

// The kinds.
const (
	Embedded   Kind = "embedded"
	Containers Kind = "containers"
	Addresses  Kind = "addresses"
)

// Server is a ClickHouse with the users kasi and analyst, who own and read every database kasi_test_*.
type Server struct {
	Kind                          Kind
	HTTPAddr, NativeAddr          string
	KasiPassword, AnalystPassword string

	engine    *embedded.Server         // of kind Embedded
	dir       string                   // of kind Embedded
	container testcontainers.Container // of kind Containers
}

// shared is the binary's one server. It is global because tests have only their binary in common. Main stops it.
var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Main runs the tests and then stops the server, if one was started. It must be all that TestMain does, because it also
// serves the embedded server's child process, which is the test binary again.
//
// Tests that start the test binary as something else name it in children. Each of them is called first. It must end the
// process if that is what it was started as, and return at once if not.
func Main(m *testing.M, children ...func()) int {
	embedded.RunIfChild()
	for _, runIfChild := range children {
		runIfChild()
	}
	code := m.Run()
	if shared.server == nil {
		return code
	}
	if err := shared.server.stop(code != 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// Chosen is the kind that the environment asks for.
func Chosen() Kind {
	if os.Getenv("KASI_TEST_CLICKHOUSE_ADDR") != "" {
		return Addresses
	}
	return cmp.Or(Kind(os.Getenv("KASI_TEST_CLICKHOUSE")), Embedded)
}

// External returns the binary's server where the environment asks for another than the embedded one, else nil: for
// tests of programs that carry the embedded one themselves.
func External(t testing.TB) *Server {
	t.Helper()
	if Chosen() == Embedded {
		return nil
	}
	return Shared(t)
}

// Shared returns the binary's server, started or found if it has not been yet. Tests that kill or stop a server start
// one of their own instead.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = begin() })
	if shared.err != nil {
		t.Fatalf("no ClickHouse (%s) for the tests: %v", Chosen(), shared.err)
	}
	s := shared.server
	t.Logf("ClickHouse: %s at %s (native) %s (http)", s.Kind, s.NativeAddr, s.HTTPAddr)
	return s
}

// begin starts the binary's server, or finds it.
func begin() (*Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	switch kind := Chosen(); kind {
	case Addresses:
		return atAddresses(ctx)
	case Containers:
		return inContainer(ctx)
	case Embedded:
		return inProcess(ctx)
	default:
		return nil, fmt.Errorf("KASI_TEST_CLICKHOUSE=%s is unknown: containers or embedded", kind)
	}
}

// inProcess starts the embedded engine.
func inProcess(ctx context.Context) (*Server, error) {
	dir, err := os.MkdirTemp("", "kasi-chtest-")
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: Embedded, KasiPassword: random(), AnalystPassword: random(), dir: dir}
	s.engine, err = embedded.Start(ctx, embedded.Options{
		Dir: dir, HTTPAddr: "127.0.0.1:0", NativeAddr: "127.0.0.1:0",
		KasiPassword: s.KasiPassword, AnalystPassword: s.AnalystPassword, Databases: []string{databasePrefix + "*"},
	})
	if err != nil {
		return nil, err
	}
	s.HTTPAddr, s.NativeAddr = s.engine.HTTPAddr(), s.engine.NativeAddr()
	return s, nil
}

// stop ends a server that was started for the tests; keep leaves behind what may explain a failure.
func (s *Server) stop(keep bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	switch s.Kind {
	case Containers:
		return s.container.Terminate(ctx)
	case Embedded:
		if err := s.engine.Stop(ctx); err != nil {
			return err
		}
		if keep {
			fmt.Fprintf(os.Stderr, "chtest: the ClickHouse of this run is kept in %s (logs in %s); remove it when done\n", s.dir,
				s.engine.LogDir())
			return nil
		}
		return os.RemoveAll(s.dir)
	}
	return nil
}

// Options are those of a connection as user kasi. They name no database.
func (s *Server) Options() *clickhouse.Options {
	return &clickhouse.Options{
		Addr: []string{s.NativeAddr}, Auth: clickhouse.Auth{Username: "kasi", Password: s.KasiPassword},
		DialTimeout: 5 * time.Second,
	}
}

func random() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(hex.EncodeToString(b[:]))
}
