package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// ErrInUse is returned when another process runs a server on the directory.
var ErrInUse = errors.New("the directory is in use")

// lockDir takes the directory. The lock belongs to the open file, which the child inherits. So it is free only when
// both processes are gone. A directory whose owner has died is waited for, because that owner's child is about to end.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the directory of the embedded ClickHouse: %w", err)
	}
	path := filepath.Join(dir, "kasi.lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the directory of the embedded ClickHouse: %w", err)
	}
	owner, err := backoff.Retry(ctx, func() (owner int, err error) {
		if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			if owner = readOwner(path); alive(owner) {
				err = backoff.Permanent(err)
			}
		}
		return owner, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)),
		backoff.WithMaxElapsedTime(orphanGrace+2*time.Second))
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%w: process %d runs an embedded ClickHouse on %s; stop it, or choose another data directory",
			ErrInUse, owner, dir)
	}
	return file, writeOwner(file)
}

func writeOwner(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("write the lock file: %w", err)
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("write the lock file: %w", err)
	}
	return nil
}

func readOwner(path string) int {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }()
	line, _ := bufio.NewReader(file).ReadString('\n')
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	return pid
}

// alive is false for a zombie too: where nobody reaps orphans (a container without an init process) the dead keep their
// process id.
func alive(pid int) bool {
	if pid <= 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, found := strings.Cut(string(stat), ") ")
	return !found || !strings.HasPrefix(state, "Z")
}
