package embedded

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

const (
	// childEnv makes a process of our binary the ClickHouse child. Its value is the path of libchdb.so.
	childEnv = "KASI_CLICKHOUSE_CHILD"
	// childName is what ps and top show.
	childName = "kasi-clickhouse"

	// Descriptors the child gets from its parent beside standard input (a pty), output and error.
	childPipeFD = 3 // read end of a pipe whose write end only the parent holds: end of file means the parent is gone
	childLockFD = 4 // the directory's lock; held open so that an orphan still counts as the directory's owner

	stopGrace   = 900 * time.Millisecond // for a clean end; then comes the kill, which loses nothing acknowledged
	orphanGrace = 3 * time.Second        // the same for a child whose parent has died

	consoleTail    = 12      // lines
	consoleMaxSize = 4 << 20 // bytes; the file is begun anew beyond that
	// failurePrefix is what clickhouse-local prints before the error of a statement.
	failurePrefix = "Received exception"
)

// process is one life of the child.
type process struct {
	cmd    *exec.Cmd
	end    context.CancelFunc
	exited chan struct{}
	err    error    // how it ended; valid once exited is closed
	tail   []string // its last lines; valid once exited is closed
	// startFailed is closed when the engine says that one of the start's own statements failed. Being interactive, it
	// would then wait for further ones.
	startFailed chan struct{}
}

// startProcess starts the child. It does not wait for the server to answer.
func startProcess(o Options, lock *os.File) (*process, error) {
	exe, err := ownProgram()
	if err != nil {
		return nil, err
	}
	tty, stdin, err := openTTY() // our end is closed to end the server
	if err != nil {
		return nil, fmt.Errorf("open a pty for the embedded ClickHouse (is /dev/pts mounted?): %w", err)
	}
	defer stdin.Close()
	childEnd, ourEnd, err := os.Pipe()
	if err != nil {
		_ = tty.Close()
		return nil, fmt.Errorf("open a pipe for the embedded ClickHouse: %w", err)
	}
	defer childEnd.Close()

	ctx, end := context.WithCancel(context.Background())
	output, console := io.Pipe()
	cmd := exec.CommandContext(ctx, exe) //nolint:gosec // our own program
	cmd.Cancel, cmd.WaitDelay = tty.Close, stopGrace
	cmd.Args = append([]string{childName}, childArgs(o)...)
	cmd.Env, cmd.Dir = childEnvironment(o), o.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, console, console
	cmd.ExtraFiles = []*os.File{childEnd, lock}
	// In a session of its own Ctrl-C reaches only us, and the child cannot touch the user's terminal. Pdeathsig would not
	// do: it follows the thread that started the child, and Go's threads come and go.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		end()
		_ = tty.Close()
		_ = ourEnd.Close()
		return nil, fmt.Errorf("start the embedded ClickHouse: %w", err)
	}
	p := &process{cmd: cmd, end: end, exited: make(chan struct{}), startFailed: make(chan struct{})}
	go func() { _, _ = io.Copy(io.Discard, tty) }()
	go func() {
		p.err = cmd.Wait()
		_ = tty.Close()
		_ = ourEnd.Close()
		_ = console.Close()
	}()
	go func() {
		defer close(p.exited)
		p.follow(output, o)
	}()
	return p, nil
}

// ownProgram is what to start again. The link of /proc leads to the program that is running even when its file has been
// replaced by a newer build.
func ownProgram() (string, error) {
	const running = "/proc/self/exe"
	if _, err := os.Stat(running); err == nil {
		return running, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find our own program to start the embedded ClickHouse: %w", err)
	}
	return exe, nil
}

// openTTY opens a pty whose near end can be closed while it is read from. pty.Open's own file is in blocking mode,
// where a pending read keeps the descriptor open past Close, and the child would never see the end of its input.
func openTTY() (near, far *os.File, err error) {
	blocking, far, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer blocking.Close()
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		_ = far.Close()
		return nil, nil, err
	}
	return os.NewFile(uintptr(fd), blocking.Name()), far, nil
}

var controlCodes = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]|[\x00-\x08\x0b-\x1f]`)

// follow takes what the child writes to its standard output and error. It goes into log/console.log and to slog at
// debug. The last lines go into error messages.
func (p *process) follow(output io.Reader, o Options) {
	path := o.in("log", "console.log")
	if info, err := os.Stat(path); err == nil && info.Size() > consoleMaxSize {
		_ = os.Remove(path)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil { // to write into no file does nothing: the child must not stop because of its log
		o.Log.Warn("no console log of the embedded ClickHouse", "error", err)
	}
	defer file.Close()
	fail := sync.OnceFunc(func() { close(p.startFailed) })
	for lines := bufio.NewReaderSize(output, 64<<10); ; {
		raw, _, err := lines.ReadLine()
		if err != nil {
			return
		}
		line := strings.TrimSpace(controlCodes.ReplaceAllString(string(raw), ""))
		if line == "" {
			continue
		}
		if p.tail = append(p.tail, line); len(p.tail) > consoleTail {
			p.tail = p.tail[1:]
		}
		_, _ = fmt.Fprintf(file, "%s %s\n", time.Now().UTC().Format(time.RFC3339), line)
		o.Log.Debug("clickhouse", "line", line)
		if strings.HasPrefix(line, failurePrefix) {
			fail()
		}
	}
}

// last are the last lines of a process that has ended.
func (p *process) last() string { return strings.Join(p.tail, "\n") }

// stop ends the server cleanly and kills it if it is still there after stopGrace.
func (p *process) stop() (clean bool) {
	p.end()
	<-p.exited
	return p.cmd.ProcessState.Success()
}

// childArgs are clickhouse-local's. --interactive and the pty matter: otherwise any exception in a connection's thread
// ends the process.
func childArgs(o Options) []string {
	return []string{
		"--path=" + o.in("data"), "--config-file=" + o.in("config", "config.xml"), "--log-level=warning",
		"--progress=off", "--progress-table=off", "--enable-progress-table-toggle=0",
		"--interactive", "--disable_suggestion", "--highlight=0", "--history_file=/dev/null",
		"--query=CREATE DATABASE IF NOT EXISTS kasi; SYSTEM START LISTEN QUERIES ALL",
	}
}

func childEnvironment(o Options) []string {
	env := []string{childEnv + "=" + o.library, "HOME=" + o.Dir, "TZ=UTC", "TERM=dumb", "LC_ALL=C.UTF-8"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "TMPDIR", "GOCOVERDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// ranIfChild says that RunIfChild was called in this process. So a child made of the same binary will be a server and
// not a second copy of the program.
var ranIfChild atomic.Bool

// RunIfChild serves ClickHouse and ends the process if this process was started as the ClickHouse child; otherwise it
// returns at once. It must be the first line of main and of every TestMain of a binary that calls Start.
func RunIfChild() {
	ranIfChild.Store(true)
	if library := os.Getenv(childEnv); library != "" {
		os.Exit(serve(library, os.Args))
	}
}

// serve hands the arguments to clickhouse-local inside libchdb and returns when standard input is closed.
func serve(library string, args []string) int {
	// The parent decides when the server ends. A terminal's Ctrl-C or a service manager's TERM to the whole group must
	// not, and neither must a broken pipe on one of the engine's own threads.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGTSTP)
	syscall.CloseOnExec(childPipeFD)
	syscall.CloseOnExec(childLockFD)
	go endWithParent()
	// Started through /proc/self/exe, the process would be called "exe" in top.
	_ = os.WriteFile("/proc/self/comm", []byte(childName), 0)

	query, err := loadEngine(library)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	runtime.LockOSThread()
	var argv []*byte // as C has it: strings that end in 0, and nil after the last
	for _, arg := range args {
		argv = append(argv, &append([]byte(arg), 0)[0])
	}
	argv = append(argv, nil)
	query(int32(len(args)), &argv[0])
	runtime.KeepAlive(argv)
	return 0
}

// loadEngine opens libchdb and returns chdb_query_cmdline. It switches the engine's own signal handlers off. They sleep
// for minutes before a crash ends the process, and the supervisor wants it to end at once.
func loadEngine(library string) (query func(argc int32, argv **byte) uintptr, err error) {
	lib, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load the ClickHouse engine %s (run `make setup` again, it may be incomplete): %w", library,
			err)
	}
	var handlers func(enabled int32)
	for name, fn := range map[string]any{"chdb_set_signal_handlers_enabled": &handlers, "chdb_query_cmdline": &query} {
		symbol, err := purego.Dlsym(lib, name)
		if err != nil {
			return nil, fmt.Errorf("%s is not a libchdb this program knows (26.7 is needed): %w", library, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	handlers(0)
	return query, nil
}

// endWithParent waits for the end of the parent. With the parent the pty's other end closes, which ends the server
// cleanly. The kill is for a server that does not manage that in time.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.NewFile(childPipeFD, "parent"))
	<-time.After(orphanGrace)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}
