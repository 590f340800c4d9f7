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

// console takes what the child writes to its standard output and error: into log/console.log, to slog at debug, and its
// last lines into error messages.
type console struct {
	mu   sync.Mutex
	log  *slog.Logger
	file *os.File
	rest []byte
	tail []string
	// refused is closed when the engine says that one of the start's own statements failed: being interactive, it would
	// then wait for further ones.
	refused     chan struct{}
	refusedOnce sync.Once
}

// refusalMark is what clickhouse-local prints before the error of a statement.
const refusalMark = "Received exception"

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
	return &console{log: log, file: file, refused: make(chan struct{})}
}

// Write takes a piece of output. It never fails: the child must not stop because of its log.
func (c *console) Write(piece []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest = append(c.rest, piece...)
	for {
		advance, line, _ := bufio.ScanLines(c.rest, false)
		if advance == 0 {
			break
		}
		c.line(string(line))
		c.rest = c.rest[advance:]
	}
	if len(c.rest) > 64<<10 {
		c.line(string(c.rest))
		c.rest = nil
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
	if strings.HasPrefix(line, refusalMark) {
		c.refusedOnce.Do(func() { close(c.refused) })
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
	if len(c.rest) > 0 {
		c.line(string(c.rest))
		c.rest = nil
	}
	if c.file != nil {
		_ = c.file.Close()
	}
}
