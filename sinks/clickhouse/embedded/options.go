package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Options says where the server keeps its data, where it listens and who may log in.
type Options struct {
	// Dir holds everything: data, configuration, logs. One server at a time. Made if it is missing.
	Dir string
	// HTTPAddr and NativeAddr are host:port, with the same host. Port 0 takes a free one and keeps it over restarts of the
	// child.
	HTTPAddr, NativeAddr string
	// Library is the path of libchdb.so; empty: FindLibrary.
	Library string
	// KasiPassword is the password of user kasi, who owns database kasi. Required.
	KasiPassword string
	// AnalystPassword is the password of the read-only user analyst; empty: there is no such user.
	AnalystPassword string
	// Databases are further databases of both users, beside kasi, for tests that make their own. A name may end in *.
	Databases []string
	// Grants are further grants of user kasi, written as after the word GRANT, for benchmarks that let the server read
	// from Kafka by itself.
	Grants []string
	// Log gets the server's life at info and warning, and its console at debug. Nil: nothing is logged.
	Log *slog.Logger

	firstPause time.Duration // between the first two tries of a restart; doubled at each further one
}

// endpoint is where the server listens.
type endpoint struct {
	host                 string
	httpPort, nativePort int
}

func (e endpoint) httpAddr() string   { return net.JoinHostPort(e.host, strconv.Itoa(e.httpPort)) }
func (e endpoint) nativeAddr() string { return net.JoinHostPort(e.host, strconv.Itoa(e.nativePort)) }

// check fills what was left open and refuses what cannot work, all errors at once.
func (o Options) check() (Options, error) {
	var errs []error
	if !ranIfChild.Load() {
		errs = append(errs, errors.New("embedded.RunIfChild must be the first line of main, or of TestMain: the "+
			"server is our own binary started again"))
	}
	if o.Dir == "" {
		errs = append(errs, errors.New("the embedded ClickHouse needs a directory"))
	}
	if o.KasiPassword == "" {
		errs = append(errs, errors.New("the embedded ClickHouse needs a password for user kasi: set "+
			"KASI_CLICKHOUSE_PASSWORD"))
	}
	if o.Library == "" {
		path, err := FindLibrary()
		errs = append(errs, err)
		o.Library = path
	} else if path, err := checkLibrary(o.Library, "Library"); err != nil {
		errs = append(errs, err)
	} else {
		o.Library = path
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.firstPause == 0 {
		o.firstPause = firstPause
	}
	dir, err := filepath.Abs(o.Dir)
	o.Dir = dir
	return o, errors.Join(append(errs, err)...)
}

// resolve turns the two addresses into an endpoint with free ports, or says which address cannot be had.
func (o Options) resolve() (endpoint, error) {
	httpHost, httpPort, err := splitAddr(o.HTTPAddr)
	if err != nil {
		return endpoint{}, fmt.Errorf("HTTP address of the embedded ClickHouse: %w", err)
	}
	nativeHost, nativePort, err := splitAddr(o.NativeAddr)
	if err != nil {
		return endpoint{}, fmt.Errorf("native address of the embedded ClickHouse: %w", err)
	}
	if httpHost != nativeHost {
		return endpoint{}, fmt.Errorf("the embedded ClickHouse listens on one host, not on %s for HTTP and %s for native",
			httpHost, nativeHost)
	}
	// Both are held open until both are known, so that the two free ports differ.
	httpListener, err := claim(httpHost, httpPort, "HTTP")
	if err != nil {
		return endpoint{}, err
	}
	defer func() { _ = httpListener.Close() }()
	nativeListener, err := claim(nativeHost, nativePort, "native")
	if err != nil {
		return endpoint{}, err
	}
	defer func() { _ = nativeListener.Close() }()
	return endpoint{host: httpHost, httpPort: portOf(httpListener), nativePort: portOf(nativeListener)}, nil
}

func splitAddr(addr string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port: %w", addr, err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	port, err = strconv.Atoi(service)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q has no port between 0 and 65535", addr)
	}
	return host, port, nil
}

// claim listens on an address, which tells whether the port can be had.
func claim(host string, port int, what string) (net.Listener, error) {
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("the embedded ClickHouse cannot listen on %s (%s): choose another address, or stop what "+
			"holds it (`ss -ltnp` shows it): %w", addr, what, err)
	}
	return l, nil
}

func portOf(l net.Listener) int {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n, _ := strconv.Atoi(port)
	return n
}

// Layout of Dir.
func (o Options) dataDir() string    { return filepath.Join(o.Dir, "data") }
func (o Options) configDir() string  { return filepath.Join(o.Dir, "config") }
func (o Options) backupsDir() string { return filepath.Join(o.Dir, "backups") }

// LogDir is where the server writes clickhouse.log, clickhouse.err.log and console.log.
func (o Options) LogDir() string { return filepath.Join(o.Dir, "log") }

func (o Options) makeDirs() error {
	// data/metadata must exist before the first start: without it the engine keeps its databases in memory.
	for _, dir := range []string{filepath.Join(o.dataDir(), "metadata"), o.configDir(), o.LogDir(), o.backupsDir()} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make the directories of the embedded ClickHouse: %w", err)
		}
	}
	return writeSystemDatabase(filepath.Join(o.dataDir(), "metadata", "system.sql"))
}

// writeSystemDatabase makes database system one on disk: otherwise it is in memory, and the logs in it (query_log,
// part_log) fail from the second start on.
func writeSystemDatabase(path string) error {
	if isFile(path) {
		return nil
	}
	text := fmt.Sprintf("ATTACH DATABASE _ UUID '%s'\nENGINE = Atomic\n", uuid.NewString())
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		return fmt.Errorf("write the system database of the embedded ClickHouse: %w", err)
	}
	return nil
}
