package embedded

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/google/renameio/v2"
	"github.com/google/uuid"

	"github.com/kasi-collections/kasi/schemas"
)

// Options says where the server keeps its data, where it listens and who may log in.
type Options struct {
	// Dir holds everything: data, configuration, logs. One server at a time. Made if it is missing.
	Dir string
	// HTTPAddr and NativeAddr are host:port, with the same host. Port 0 takes a free one and keeps it over restarts of the
	// child.
	HTTPAddr, NativeAddr string
	// KasiPassword is the password of user kasi, who owns database kasi. Required.
	KasiPassword string
	// AnalystPassword is the password of the read-only user analyst; empty: there is no such user.
	AnalystPassword string
	// Tenants are further analysts, each of the rows of one tenant in the first database.
	Tenants []TenantAnalyst
	// Databases are further databases of both users, beside kasi, for tests that make their own. A name may end in *.
	Databases []string
	// Grants are further grants of user kasi, written as after the word GRANT, for benchmarks that let the server read
	// from Kafka by itself.
	Grants []string
	// Durable forces rows to the disk before an insert is acknowledged, so that they survive a power cut. Each insert then
	// costs some flushes of the disk.
	Durable bool
	// Log gets the server's life at info and warning, and its console at debug. Nil: nothing is logged.
	Log *slog.Logger

	library    string        // path of libchdb.so
	firstPause time.Duration // between the first two tries of a restart; doubled at each further one
}

// TenantAnalyst is the user analyst_<tenant>. The tenant's name holds letters, digits, _ and - only.
type TenantAnalyst struct{ Tenant, Password string }

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
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.firstPause = cmp.Or(o.firstPause, firstPause)
	var noLibrary, noDir error
	o.library, noLibrary = findLibrary()
	o.Dir, noDir = filepath.Abs(o.Dir)
	return o, errors.Join(append(errs, noLibrary, noDir)...)
}

// addr is where the server listens for one protocol.
type addr struct {
	Host string
	Port int
}

func (a addr) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// resolve gives the two addresses with free ports, or says which address cannot be had.
func (o Options) resolve() (http, native addr, err error) {
	http, httpListener, err := claim(o.HTTPAddr, "HTTP")
	if err != nil {
		return http, native, err
	}
	defer httpListener.Close() // both are held open until both are known, so that the two free ports differ
	native, nativeListener, err := claim(o.NativeAddr, "native")
	if err != nil {
		return http, native, err
	}
	defer nativeListener.Close()
	if http.Host != native.Host {
		err = fmt.Errorf("the embedded ClickHouse listens on one host, not on %s for HTTP and %s for native", http.Host,
			native.Host)
	}
	return http, native, err
}

// claim listens on an address, which tells whether the port can be had.
func claim(text, what string) (a addr, l net.Listener, err error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return a, nil, fmt.Errorf("%s address of the embedded ClickHouse: %q is not host:port: %w", what, text, err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return a, nil, fmt.Errorf("%s address of the embedded ClickHouse: %q has no port between 0 and 65535", what, text)
	}
	host = cmp.Or(host, "127.0.0.1")
	if l, err = net.Listen("tcp", net.JoinHostPort(host, port)); err != nil {
		return a, nil, fmt.Errorf("the embedded ClickHouse cannot listen on %s (%s): choose another address, or stop what "+
			"holds it (`ss -ltnp` shows it): %w", net.JoinHostPort(host, port), what, err)
	}
	return addr{host, l.Addr().(*net.TCPAddr).Port}, l, nil
}

// in is a path in Dir.
func (o Options) in(path ...string) string { return filepath.Join(append([]string{o.Dir}, path...)...) }

func (o Options) makeDirs() error {
	// data/metadata must exist before the first start: without it the engine keeps its databases in memory.
	for _, dir := range []string{o.in("data", "metadata"), o.in("config"), o.in("log"), o.in("backups")} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make the directories of the embedded ClickHouse: %w", err)
		}
	}
	// So must database system: otherwise it is in memory, and the logs in it (query_log, part_log) fail from the second
	// start on.
	path := o.in("data", "metadata", "system.sql")
	if isFile(path) {
		return nil
	}
	text := fmt.Sprintf("ATTACH DATABASE _ UUID '%s'\nENGINE = Atomic\n", uuid.NewString())
	// Whole on the disk at once: the engine does not start on an empty one, which a power cut would leave.
	if err := renameio.WriteFile(path, []byte(text), 0o640); err != nil {
		return fmt.Errorf("write the system database of the embedded ClickHouse: %w", err)
	}
	return nil
}

// maxThreads bounds a query's threads: everything else runs on this machine too.
const maxThreads = 4

//go:embed config.xml users.xml
var templates embed.FS

// configData is what the templates name.
type configData struct {
	Options
	HTTP, Native addr
	// Open are the tables and views that a tenant's analyst may read, Filtered the tables of which he sees the tenant's
	// rows.
	Open, Filtered []string
	// Threads is set for our own engine, which needs profiles and a user of its own.
	Threads int
}

// writeConfig writes config.xml and users.xml. They hold passwords only as hashes.
func (o Options) writeConfig(http, native addr) error {
	o.Databases = append([]string{databaseKasi}, o.Databases...)
	for _, name := range []string{"users.xml", "config.xml"} {
		text, err := fill(name, configData{
			Options: o, HTTP: http, Native: native, Threads: min(maxThreads, runtime.NumCPU()),
		})
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.in("config", name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the configuration of the embedded ClickHouse: %w", err)
		}
	}
	return nil
}

// ServerUsers is a file for the users.d directory of a ClickHouse server of its own. It holds the users of the options
// with the rights that they have on the embedded engine, over the databases, whose names may end in *. It holds
// passwords only as hashes.
func ServerUsers(o Options) (string, error) { return fill("users.xml", configData{Options: o}) }

func fill(name string, data configData) (string, error) {
	for _, t := range schemas.Tables() {
		data.add(t)
	}
	for _, s := range schemas.States() {
		data.add(s.Table)
	}
	for _, v := range schemas.Views() {
		data.Open = append(data.Open, v.Name)
	}
	hash := func(password string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(password))) }
	t, err := template.New(name).Funcs(template.FuncMap{"hash": hash}).ParseFS(templates, name)
	if err != nil {
		return "", fmt.Errorf("template of %s: %w", name, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "", fmt.Errorf("fill %s: %w", name, err)
	}
	return b.String(), nil
}

// add lets tenants' analysts read a table: their own rows where it has tenants, all of the calendar, else nothing.
func (d *configData) add(t schemas.Table) {
	switch {
	case slices.ContainsFunc(t.Columns, func(c schemas.Column) bool { return c.Name == "tenant_id" }):
		d.Filtered = append(d.Filtered, t.Name)
	case t.Name != schemas.SunkTopics[schemas.TopicCalendar]:
		return
	}
	d.Open = append(d.Open, t.Name)
}

// libraryEnv overrides where the library is looked for.
const libraryEnv = "KASI_LIBCHDB"

// libraryInTree is where `make setup` (npm ci --prefix deploy/chdb) puts the library.
const libraryInTree = "deploy/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"

// findLibrary returns the path of libchdb.so. That is KASI_LIBCHDB if set, else what `make setup` installed under the
// working directory, the executable's directory or a parent of either, else a libchdb.so beside the executable. The
// error names every place looked at and the ways out.
func findLibrary() (string, error) {
	if path := os.Getenv(libraryEnv); path != "" {
		if !isFile(path) {
			return "", fmt.Errorf("%s names %s, where there is no libchdb.so: get it with `make setup`, or use a ClickHouse "+
				"server with --clickhouse-addr", libraryEnv, path)
		}
		return filepath.Abs(path)
	}
	candidates := libraryCandidates()
	if i := slices.IndexFunc(candidates, isFile); i >= 0 {
		return candidates[i], nil
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("the embedded ClickHouse is packaged for Linux on x86-64 only: on this machine (%s/%s) use "+
			"a ClickHouse server with --clickhouse-addr, or set %s to a libchdb 26.7 made for it",
			runtime.GOOS, runtime.GOARCH, libraryEnv)
	}
	return "", fmt.Errorf("the embedded ClickHouse needs libchdb.so, which is not installed. Get it with `make "+
		"setup`, or set %s to where it is, or use a ClickHouse server with --clickhouse-addr. Looked at:\n  %s",
		libraryEnv, strings.Join(candidates, "\n  "))
}

func libraryCandidates() []string {
	var out, beside []string
	above := func(dir string) {
		for last := ""; dir != last; last, dir = dir, filepath.Dir(dir) {
			if path := filepath.Join(dir, libraryInTree); !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	if dir, err := os.Getwd(); err == nil {
		above(dir)
	}
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		above(dir)
		beside = []string{filepath.Join(dir, "libchdb.so"), filepath.Join(dir, "..", "lib", "kasi", "libchdb.so")}
	}
	return append(out, beside...)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
