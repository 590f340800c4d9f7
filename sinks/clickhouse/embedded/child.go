package embedded

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
)

// childEnv makes a process of our binary the ClickHouse child. Its value is the path of libchdb.so.
const childEnv = "KASI_CLICKHOUSE_CHILD"

// childName is what ps and top show.
const childName = "kasi-clickhouse"

// Descriptors the child gets from its parent beside standard input (a pty), output and error.
const (
	childPipeFD = 3 // read end of a pipe whose write end only the parent holds: end of file means the parent is gone
	childLockFD = 4 // the directory's lock; held open so that an orphan still counts as the directory's owner
)

// orphanGrace is how long a child whose parent has died may take for a clean end.
const orphanGrace = 3 * time.Second

// ranIfChild says that RunIfChild was called in this process. So a child made of the same binary will be a server and
// not a second copy of the program.
var ranIfChild atomic.Bool

// RunIfChild serves ClickHouse and ends the process if this process was started as the ClickHouse child; otherwise it
// returns at once. It must be the first line of main and of every TestMain of a binary that calls Start.
func RunIfChild() {
	ranIfChild.Store(true)
	library := os.Getenv(childEnv)
	if library == "" {
		return
	}
	os.Exit(serve(library, os.Args))
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
	argv, keep := cStrings(args)
	query(int32(len(args)), unsafe.Pointer(&argv[0]))
	runtime.KeepAlive(keep)
	return 0
}

// loadEngine opens libchdb and returns chdb_query_cmdline. It switches the engine's own signal handlers off. They sleep
// for minutes before a crash ends the process, and the supervisor wants it to end at once.
func loadEngine(library string) (query func(argc int32, argv unsafe.Pointer) unsafe.Pointer, err error) {
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
	pipe := os.NewFile(childPipeFD, "parent")
	_, _ = io.Copy(io.Discard, pipe)
	<-time.After(orphanGrace)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// cStrings makes a C argv; keep holds the memory that argv points into.
func cStrings(args []string) (argv []*byte, keep [][]byte) {
	for _, arg := range args {
		b := append([]byte(arg), 0)
		keep = append(keep, b)
		argv = append(argv, &b[0])
	}
	return append(argv, nil), keep
}
