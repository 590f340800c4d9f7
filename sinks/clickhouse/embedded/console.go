package embedded

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// console takes what the child writes to its standard output and error. It goes into log/console.log and to slog at
// debug. The last lines go into error messages.
type console struct {
	mu   sync.Mutex
	log  *slog.Logger
	file *os.File
	part []byte // of a line whose end has not come
	tail []string
	// startFailed is closed when the engine says that one of the start's own statements failed. Being interactive, it
	// would then wait for further ones.
	startFailed     chan struct{}
	startFailedOnce sync.Once
}

// failurePrefix is what clickhouse-local prints before the error of a statement.
const failurePrefix = "Received exception"

const (
	consoleTail    = 12
	consoleMaxSize = 4 << 20 // bytes; the file is begun anew beyond that
)

var controlCodes = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]|[\x00-\x08\x0b-\x1f]`)

func newConsole(dir string, log *slog.Logger) *console {
	path := filepath.Join(dir, "console.log")
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > consoleMaxSize {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		log.Warn("no console log of the embedded ClickHouse", "error", err)
		file = nil
	}
	return &console{log: log, file: file, startFailed: make(chan struct{})}
}

// Write takes a piece of output. It never fails: the child must not stop because of its log.
func (c *console) Write(piece []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.part = append(c.part, piece...)
	for {
		advance, line, _ := bufio.ScanLines(c.part, false)
		if advance == 0 {
			break
		}
		c.line(string(line))
		c.part = c.part[advance:]
	}
	if len(c.part) > 64<<10 {
		c.line(string(c.part))
		c.part = nil
	}
	return len(piece), nil
}

func (c *console) line(raw string) {
	line := strings.TrimSpace(controlCodes.ReplaceAllString(raw, ""))
	if line == "" {
		return
	}
	if c.tail = append(c.tail, line); len(c.tail) > consoleTail {
		c.tail = c.tail[1:]
	}
	if c.file != nil {
		_, _ = fmt.Fprintf(c.file, "%s %s\n", time.Now().UTC().Format(time.RFC3339), line)
	}
	c.log.Debug("clickhouse", "line", line)
	if strings.HasPrefix(line, failurePrefix) {
		c.startFailedOnce.Do(func() { close(c.startFailed) })
	}
}

func (c *console) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.tail, "\n")
}

func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.part) > 0 {
		c.line(string(c.part))
		c.part = nil
	}
	if c.file != nil {
		_ = c.file.Close()
	}
}
