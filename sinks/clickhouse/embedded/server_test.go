package embedded_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
)

func TestDataAndLogsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	for round := uint64(1); round <= 3; round++ {
		begun := time.Now()
		s, err := embedded.Start(t.Context(), options(dir))
		require.NoError(t, err)
		ready := time.Since(begun)
		conn := asKasi(t, s)
		require.NoError(t, conn.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS t (a UInt64) ENGINE = MergeTree ORDER BY a"))
		require.NoError(t, conn.Exec(t.Context(), "INSERT INTO t VALUES (?)", round))
		require.Equal(t, round, count(t, conn, "SELECT count() FROM t"))
		require.NoError(t, conn.Exec(t.Context(), "SYSTEM FLUSH LOGS"))
		require.Equal(t, round,
			count(t, conn, "SELECT count() FROM system.query_log WHERE query_kind = 'Insert' AND type = 'QueryFinish'"))
		require.Equal(t, round,
			count(t, conn, "SELECT count() FROM system.part_log WHERE event_type = 'NewPart' AND table = 't'"))
		require.NoError(t, conn.Close())

		child := s.Pid()
		begun = time.Now()
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t, s.Err())
		t.Logf("ready after %s, stopped after %s", ready.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
		require.True(t, gone(child))
		require.NoError(t, s.Stop(t.Context()), "a second Stop is harmless")
	}
	errors, err := os.ReadFile(filepath.Join(dir, "log", "clickhouse.err.log"))
	require.NoError(t, err)
	require.NotContains(t, string(errors), "<Error>")
}

func TestOpenConnectionsDoNotDelayTheStop(t *testing.T) {
	s, err := embedded.Start(t.Context(), options(t.TempDir()))
	require.NoError(t, err)
	require.NoError(t, asKasi(t, s).Ping(t.Context()))
	idle, err := net.Dial("tcp", s.HTTPAddr())
	require.NoError(t, err)
	defer func() { _ = idle.Close() }()
	begun := time.Now()
	require.NoError(t, s.Stop(t.Context()))
	require.Less(t, time.Since(begun), 2*time.Second)
}

func TestTheSettingsThatThePipelineNeedsAreInForce(t *testing.T) {
	conn := asKasi(t, start(t, t.TempDir()))
	require.Equal(t, uint64(0), count(t, conn, "SELECT toUInt64(getSetting('async_insert'))"))
	var zone, database string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT timezone(), currentDatabase()").Scan(&zone, &database))
	require.Equal(t, []string{"UTC", "kasi"}, []string{zone, database})

	require.NoError(t, conn.Exec(t.Context(),
		"CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"))
	for _, token := range []string{"x", "x", "y"} {
		require.NoError(t, conn.Exec(t.Context(),
			"INSERT INTO t SETTINGS insert_deduplication_token = '"+token+"' VALUES (1)"))
	}
	require.Equal(t, uint64(2), count(t, conn, "SELECT count() FROM t"))
}

// TestAcknowledgedRowsSurviveKills kills the server again and again while rows go in one by one, and then looks for
// each acknowledged one.
func TestAcknowledgedRowsSurviveKills(t *testing.T) {
	const kills = 5
	s := start(t, t.TempDir())
	conn := asKasi(t, s)
	require.NoError(t, conn.Exec(t.Context(),
		"CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 1000"))

	ctx, stop := context.WithCancel(t.Context())
	var acknowledged atomic.Uint64
	var refused atomic.Uint64
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for n := uint64(1); ctx.Err() == nil; {
			// A failed insert has an unknown outcome: the same row with the same token goes again, as the sink does it.
			insert := fmt.Sprintf("INSERT INTO t SETTINGS insert_deduplication_token = '%d' VALUES (%d)", n, n)
			if err := conn.Exec(context.Background(), insert); err != nil {
				refused.Add(1)
				<-time.After(5 * time.Millisecond)
				continue
			}
			acknowledged.Store(n)
			n++
		}
	}()
	for kill := 1; kill <= kills; kill++ {
		goal := acknowledged.Load() + 50
		require.Eventually(t, func() bool { return acknowledged.Load() >= goal }, soon, time.Millisecond)
		require.NoError(t, syscall.Kill(s.Pid(), syscall.SIGKILL))
		require.Eventually(t, func() bool { return s.Restarts() == kill }, soon, tick)
	}
	goal := acknowledged.Load() + 10
	require.Eventually(t, func() bool { return acknowledged.Load() >= goal }, soon, tick)
	stop()
	<-finished
	require.NotZero(t, refused.Load(), "the kills were felt")
	n := acknowledged.Load()
	t.Logf("%d rows acknowledged over %d kills, %d inserts refused", n, kills, refused.Load())
	require.Equal(t, n, count(t, conn, "SELECT count() FROM t"))
	require.Equal(t, n, count(t, conn, "SELECT uniqExact(a) FROM t"))
	require.Equal(t, n, count(t, conn, "SELECT max(a) FROM t"))
}

func TestTheServerEndsWithItsParent(t *testing.T) {
	dir := t.TempDir()
	cmd, child, line := parent(t, dir)
	require.NotZero(t, child, line)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	// A new owner may come at once: it waits for the orphan to be gone.
	s := start(t, dir)
	require.True(t, gone(child))
	require.NoError(t, asKasi(t, s).Ping(t.Context()))
}

func TestSignalsToTheChildAreTheParentsBusiness(t *testing.T) {
	s := start(t, t.TempDir())
	child := s.Pid()
	for _, signal := range []syscall.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGPIPE,
	} {
		require.NoError(t, syscall.Kill(child, signal))
	}
	require.NoError(t, asKasi(t, s).Ping(t.Context()))
	require.Equal(t, child, s.Pid())
	require.Zero(t, s.Restarts())
	group, err := syscall.Getpgid(child)
	require.NoError(t, err)
	require.Equal(t, child, group, "Ctrl-C in a terminal reaches only us")
}

func TestOneServerADirectory(t *testing.T) {
	dir := t.TempDir()
	_, child, line := parent(t, dir)
	require.NotZero(t, child, line)
	_, err := embedded.Start(t.Context(), options(dir))
	require.ErrorIs(t, err, embedded.ErrInUse)
	require.ErrorContains(t, err, "choose another data directory")
	require.ErrorContains(t, err, dir)
	require.False(t, gone(child))
}

func TestAnAddressInUseIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	for _, native := range []bool{false, true} {
		o := options(t.TempDir())
		if native {
			o.NativeAddr = l.Addr().String()
		} else {
			o.HTTPAddr = l.Addr().String()
		}
		_, err = embedded.Start(t.Context(), o)
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		require.ErrorContains(t, err, l.Addr().String())
	}
}

func TestMistakesAreNamedAllAtOnce(t *testing.T) {
	installed := os.Getenv("KASI_LIBCHDB")
	t.Setenv("KASI_LIBCHDB", "/nowhere/libchdb.so")
	_, err := embedded.Start(t.Context(), embedded.Options{})
	require.ErrorContains(t, err, "needs a directory")
	require.ErrorContains(t, err, "KASI_CLICKHOUSE_PASSWORD")
	require.ErrorContains(t, err, "/nowhere/libchdb.so")
	require.ErrorContains(t, err, "make setup")

	t.Setenv("KASI_LIBCHDB", installed)
	for addr, says := range map[string]string{
		"127.0.0.1": "is not host:port", "127.0.0.1:x": "no port between",
		"127.0.0.1:70000": "no port between",
	} {
		o := options(t.TempDir())
		o.HTTPAddr = addr
		_, err = embedded.Start(t.Context(), o)
		require.ErrorContains(t, err, says)
	}
	o := options(t.TempDir())
	o.HTTPAddr = "localhost:0"
	_, err = embedded.Start(t.Context(), o)
	require.ErrorContains(t, err, "one host")
}

func TestALibraryThatIsNoneIsNamed(t *testing.T) {
	o := options(t.TempDir())
	library := filepath.Join(t.TempDir(), "libchdb.so")
	require.NoError(t, os.WriteFile(library, []byte("not a library"), 0o600))
	installed := os.Getenv("KASI_LIBCHDB")
	t.Setenv("KASI_LIBCHDB", library)
	_, err := embedded.Start(t.Context(), o)
	require.ErrorContains(t, err, library)
	require.ErrorContains(t, err, "make setup")
	_, err = os.Stat(filepath.Join(o.Dir, "kasi.lock"))
	require.NoError(t, err)
	t.Setenv("KASI_LIBCHDB", installed)
	s, err := embedded.Start(t.Context(), o)
	require.NoError(t, err, "the failed start has let go of the directory")
	require.NoError(t, s.Stop(t.Context()))
}

func TestWhereTheLibraryIsLookedFor(t *testing.T) {
	t.Setenv("KASI_LIBCHDB", "/nowhere/libchdb.so")
	_, err := embedded.FindLibrary()
	require.ErrorContains(t, err, "KASI_LIBCHDB names /nowhere/libchdb.so")
	t.Setenv("KASI_LIBCHDB", "")
	dir := t.TempDir()
	t.Chdir(dir)
	_, err = embedded.FindLibrary()
	for _, says := range []string{dir + "/deploy/chdb/node_modules", "make setup", "--clickhouse-addr", "KASI_LIBCHDB"} {
		require.ErrorContains(t, err, says)
	}
	library := filepath.Join(dir, "deploy/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so")
	require.NoError(t, os.MkdirAll(filepath.Dir(library), 0o750))
	require.NoError(t, os.WriteFile(library, nil, 0o600))
	require.NoError(t, os.Mkdir("below", 0o750))
	t.Chdir("below")
	path, err := embedded.FindLibrary()
	require.NoError(t, err)
	require.Equal(t, library, path)
}

// TestTheSupervisorGivesUp takes the port while the server is down, so that no new one can start.
func TestTheSupervisorGivesUp(t *testing.T) {
	s, err := embedded.Start(t.Context(), embedded.WithFirstPause(options(t.TempDir()), time.Millisecond))
	require.NoError(t, err)
	require.NoError(t, s.Err())
	addr := s.NativeAddr()
	taken := make(chan net.Listener, 1)
	go func() {
		for {
			if l, err := net.Listen("tcp", addr); err == nil {
				taken <- l
				return
			}
		}
	}()
	require.NoError(t, syscall.Kill(s.Pid(), syscall.SIGKILL))
	l := <-taken
	defer func() { _ = l.Close() }()
	select {
	case <-s.Done():
	case <-time.After(soon):
		require.Fail(t, "the supervisor has not given up")
	}
	require.ErrorContains(t, s.Err(), "could not be started again")
	require.ErrorContains(t, s.Err(), s.LogDir())
	require.NoError(t, s.Stop(t.Context()))
}

func TestNothingReachesTheTerminal(t *testing.T) {
	dir := t.TempDir()
	_, child, line := parent(t, dir)
	require.NotZero(t, child, line)
	require.True(t, strings.HasPrefix(line, "ready "), line)
	for fd := range 3 {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", child, fd))
		require.NoError(t, err)
		ours, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		require.NoError(t, err)
		require.NotEqual(t, ours, target, "descriptor %d", fd)
	}
	console, err := os.ReadFile(filepath.Join(dir, "log", "console.log"))
	require.NoError(t, err)
	require.Contains(t, string(console), "SYSTEM START LISTEN")
}
