package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// resumeImports carries out what processes before have left behind in the directory.
func (s *server) resumeImports(ctx context.Context) {
	left, _ := filepath.Glob(filepath.Join(s.ImportDir, "import-*.json"))
	for _, path := range left {
		if err := s.resumeImport(ctx, path); err != nil && ctx.Err() == nil {
			s.Log.LogAttrs(ctx, slog.LevelError, "an import that was left behind cannot go on", slog.String("file", path),
				slog.Any("error", err))
		}
	}
}

func (s *server) resumeImport(ctx context.Context, path string) error {
	lock, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil // a process beside this one works on it
	}
	var m importMeta
	if err := json.NewDecoder(lock).Decode(&m); err != nil {
		_ = os.Remove(path) // it was not accepted yet
		return nil
	}
	j := s.importOf(m)
	if j.commands, err = os.Open(j.path("rows")); err == nil {
		j.faults, err = os.Open(j.path("faults"))
	}
	if err != nil {
		return err
	}
	s.Log.LogAttrs(ctx, slog.LevelInfo, "an import that was left behind goes on", slog.String("import_id", j.ImportID))
	if err := j.settled(ctx); err != nil {
		return err
	}
	s.running.Store(j.ImportID, j)
	j.run(ctx)
	return nil
}

// settled waits until no more answers come to what the process before had sent.
func (j *importJob) settled(ctx context.Context) error {
	var best uint64
	for quiet := time.Now(); time.Since(quiet) < min(importSettles, j.importWait); {
		if err := j.again(ctx, "ClickHouse", func() error {
			c, err := j.db.ImportOutcomes(ctx, j.Counts.Rows)
			if err == nil && c.Answered > best {
				best, quiet = c.Answered, time.Now()
			}
			return err
		}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
	return nil
}
