package api

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

const (
	importBatch = 1000 // commands sent at once
	// importStretch is how many rows are sent before the answers to as many before them are there. So at most twice as
	// many rows of one import are on their way, and what others ask for waits behind those, not behind a million.
	importStretch = 25_000
	// importSettles is for how long no answer came, when an import that a process left behind goes on.
	importSettles = 5 * time.Second
)

// importMeta is what is known of an import once it is accepted.
type importMeta struct {
	ImportID, TenantID, KeyID, Mode string
	DryRun                          bool
	AskedAt                         time.Time
	Counts                          schemas.ImportCounts
	Sent                            int64 // commands: good rows and cancellations
	Entries                         int64 // errors and warnings
}

// importJob is an import. What it is to do lies in files: the commands, one JSON a line, and the errors and warnings of
// the check. Once the file with its importMeta is there, it is accepted. Until it is done these files stay, so that the
// next process to use the directory carries it out to its end. A command that has been answered is not sent again.
type importJob struct {
	*server
	importMeta
	db                     *read.DB
	meta, commands, faults *os.File
	toCommands, toFaults   *bufio.Writer
	index                  []inFile // of the check alone
	total                  schemas.Cents
	noNumber               int64      // rows whose policy number cannot be read
	refusals               int        // rows that the book refuses as it stands
	refused                []RowError // the first of them, where the stage is to say it
	given                  []string   // the fields that the file has columns for

	mu               sync.Mutex
	moved            time.Time // when something was heard last
	errors, warnings []RowError
	done             chan struct{} // closed once this process does nothing more for it
	completed        bool          // set before
}

func (s *server) newImport(ctx context.Context, info *requestInfo) (*importJob, error) {
	j := s.importOf(importMeta{
		ImportID: info.requestID, TenantID: info.tenant, KeyID: info.grant.KeyID, AskedAt: s.shown(time.Now()),
		Mode: "merge",
	})
	for _, f := range []struct {
		file **os.File
		kind string
	}{{&j.commands, "rows"}, {&j.faults, "faults"}} {
		file, err := os.OpenFile(j.path(f.kind), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			j.discard()
			return nil, fmt.Errorf("the directory of imports: %w", err)
		}
		*f.file = file
	}
	j.toCommands, j.toFaults = bufio.NewWriterSize(j.commands, 64<<10), bufio.NewWriter(j.faults)
	return j, nil
}

func (s *server) importOf(m importMeta) *importJob {
	return &importJob{
		server: s, importMeta: m, db: read.New(s.DB, m.TenantID, m.ImportID), moved: time.Now(), errors: []RowError{},
		warnings: []RowError{}, done: make(chan struct{}),
	}
}

func (j *importJob) path(kind string) string {
	return filepath.Join(cmp.Or(j.ImportDir, os.TempDir()), "import-"+j.ImportID+"."+kind)
}

// keep makes the import an accepted one.
func (j *importJob) keep() error {
	text, err := json.Marshal(j.importMeta)
	if err == nil {
		err = errors.Join(j.commands.Sync(), j.faults.Sync())
	}
	if err == nil {
		j.meta, err = os.OpenFile(j.path("json"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err == nil {
		err = syscall.Flock(int(j.meta.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		_, err = j.meta.Write(text)
	}
	if err == nil {
		err = j.meta.Sync()
	}
	if err != nil {
		return fmt.Errorf("keep an import: %w", err)
	}
	j.index = nil
	j.running.Store(j.ImportID, j)
	return nil
}

// discard closes the files and removes them.
func (j *importJob) discard() {
	j.close()
	for _, kind := range []string{"json", "rows", "faults"} {
		_ = os.Remove(j.path(kind))
	}
}

func (j *importJob) close() {
	for _, f := range []*os.File{j.meta, j.commands, j.faults} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// run carries the import out. It tries what fails again until ctx ends; then the rest is for the next process.
func (j *importJob) run(ctx context.Context) {
	defer j.running.Delete(j.ImportID)
	defer close(j.done)
	for _, step := range []func(context.Context) error{j.tell, j.send, j.finish} {
		if err := step(ctx); err != nil {
			j.Log.LogAttrs(ctx, slog.LevelWarn, "an import is left for the next start", slog.String("import_id", j.ImportID),
				slog.Any("error", err))
			j.close()
			return
		}
	}
	j.completed = true
	j.discard()
}

// again tries something until it works or ctx ends.
func (j *importJob) again(ctx context.Context, what string, try func() error) error {
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: 50 * time.Millisecond,
		Multiplier:      2,
		MaxInterval:     5 * time.Second,
	}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := try()
		if err != nil && ctx.Err() == nil {
			j.Log.LogAttrs(ctx, slog.LevelWarn, "an import waits", slog.String("import_id", j.ImportID),
				slog.String("for", what), slog.Any("error", err))
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0))
	return err
}

func (j *importJob) heard() {
	j.mu.Lock()
	j.moved = time.Now()
	j.mu.Unlock()
}

func (j *importJob) entry(no int64, kind schemas.ImportKind) schemas.ImportEntry {
	return schemas.ImportEntry{
		ImportID: j.ImportID, TenantID: j.TenantID, No: no, Kind: kind, Mode: j.Mode, DryRun: j.DryRun, KeyID: j.KeyID,
		AskedAt: j.AskedAt, ImportCounts: j.Counts,
	}
}

// tell writes down that the import was accepted, and what its check has found.
func (j *importJob) tell(ctx context.Context) error {
	batch := []schemas.ImportEntry{j.entry(1, schemas.ImportAccepted)}
	send := func() error {
		err := j.again(ctx, "Kafka", func() error { return j.Commands.Import(ctx, batch) })
		batch = nil
		j.heard()
		return err
	}
	no := int64(1)
	err := eachLine(j.faults, func(f importFault) error {
		no++
		e := j.entry(no, f.Kind)
		e.ImportCounts = schemas.ImportCounts{}
		e.Line, e.Row, e.PolicyNumber, e.Column = f.Line, f.Row, f.PolicyNumber, f.Column
		e.Code, e.Message = f.Code, f.Message
		if batch = append(batch, e); len(batch) < importBatch {
			return nil
		}
		return send()
	})
	if err == nil && len(batch) > 0 {
		err = send()
	}
	return err
}

// importFault is an error or a warning of the check.
type importFault struct {
	Kind schemas.ImportKind
	RowError
}

// eachLine reads a file of JSON lines from its start.
func eachLine[T any](f *os.File, use func(T) error) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for lines := json.NewDecoder(bufio.NewReaderSize(f, 64<<10)); ; {
		var v T
		if err := lines.Decode(&v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := use(v); err != nil {
			return err
		}
	}
}

// stretch is some commands of an import that follow each other, and how many of them were sent.
type stretch struct{ from, to, sent int }

// send sends the commands that have no answer yet.
func (j *importJob) send(ctx context.Context) error {
	var last, before stretch // the commands sent last, and those whose answers are waited for next
	var batch []schemas.PolicyCommand
	send := func() error {
		from, to := batch[0].Row, batch[len(batch)-1].Row
		var answered map[int]bool
		if j.meta == nil { // left behind by another process
			if err := j.again(ctx, "ClickHouse", func() (err error) {
				answered, err = j.db.RowsAnswered(ctx, from, to)
				return err
			}); err != nil {
				return err
			}
		}
		batch = slices.DeleteFunc(batch, func(c schemas.PolicyCommand) bool { return answered[c.Row] })
		if err := j.again(ctx, "Kafka", func() error { return j.Commands.Policies(ctx, batch) }); err != nil {
			return err
		}
		j.heard()
		last.sent, last.to = last.sent+len(batch), to
		batch = make([]schemas.PolicyCommand, 0, importBatch) // not reused: the callee may keep the old one
		if last.sent < importStretch {
			return nil
		}
		err := j.awaitCount(ctx, uint64(before.sent), func(ctx context.Context) (uint64, error) {
			return j.db.AnsweredBetween(ctx, before.from, before.to)
		})
		before, last = last, stretch{from: to + 1}
		return err
	}
	err := eachLine(j.commands, func(cmd schemas.PolicyCommand) error {
		if batch = append(batch, cmd); len(batch) < importBatch {
			return nil
		}
		return send()
	})
	if err == nil && len(batch) > 0 {
		err = send()
	}
	return err
}

// awaitCount waits until a count reaches n, however long it takes.
func (j *importJob) awaitCount(ctx context.Context, n uint64, ask count) error {
	var best uint64
	return j.again(ctx, "the answers to its rows", func() error {
		return awaitCount(ctx, time.Minute, n, func(ctx context.Context) (uint64, error) {
			have, err := ask(ctx)
			if have > best {
				best = have
				j.heard()
			}
			return have, err
		})
	})
}

// finish waits for what became of the rows, and says it.
func (j *importJob) finish(ctx context.Context) error {
	var c read.ImportOutcomes
	err := j.awaitCount(ctx, uint64(j.Sent), func(ctx context.Context) (n uint64, err error) {
		c, err = j.db.ImportOutcomes(ctx, j.Counts.Rows)
		return c.Answered, err
	})
	if err == nil {
		err = j.awaitCount(ctx, c.Versions, j.db.VersionsOfRequest)
	}
	if err == nil && c.Unchanged > 0 {
		// Sent again after an answer that was lost, the file changes nothing, but what it did the first time may still be on
		// its way to ClickHouse. Whoever hears "imported" executes next, and would leave out what cannot be read yet.
		err = j.awaitCount(ctx, c.Unchanged, j.db.PoliciesUnchanged)
	}
	var refused []read.Refusal
	var cancelled uint64
	if err == nil {
		err = j.again(ctx, "ClickHouse", func() (err error) {
			if refused, err = j.db.Refusals(ctx, maxListedErrors); err == nil {
				cancelled, err = j.db.CancelledByRequest(ctx)
			}
			return err
		})
	}
	if err != nil {
		return err
	}
	j.mu.Lock()
	n := &j.Counts
	n.Imported = int64(c.Created + c.Updated + c.Unchanged)
	n.Created, n.Updated, n.Unchanged = int64(c.Created), int64(c.Updated), int64(c.Unchanged)
	n.Cancelled, n.Failed = int64(cancelled), n.Failed+int64(c.Refused)
	for _, f := range refused {
		j.errors = append(j.errors, RowError{
			Line: int(f.Line), Row: int(f.Row), PolicyNumber: f.PolicyNumber, Column: "policy_number", Code: f.Code,
			Message: f.Message,
		})
	}
	slices.SortStableFunc(j.errors, func(a, b RowError) int { return a.Row - b.Row })
	j.errors = firstOf(j.errors, maxListedErrors)
	j.mu.Unlock()
	entry := []schemas.ImportEntry{j.entry(j.Entries+2, schemas.ImportCompleted)}
	if err := j.again(ctx, "Kafka", func() error { return j.Commands.Import(ctx, entry) }); err != nil {
		return err
	}
	_, _ = pollUntil(ctx, j.Wait, func(ctx context.Context) (read.Import, bool, error) { // so that GET says the same
		i, ok, err := j.db.Import(ctx, j.ImportID)
		return i, ok && i.Completed, err
	})
	return nil
}

// await waits until the import is done, as long as it moves.
func (j *importJob) await(ctx context.Context, bound time.Duration) error {
	for look := time.NewTicker(min(bound, time.Second)); ; {
		select {
		case <-j.done:
			if !j.completed {
				return newError(http.StatusServiceUnavailable, "%s", j.accepted("this process ends"))
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		j.mu.Lock()
		still := time.Since(j.moved)
		j.mu.Unlock()
		if still > bound {
			c, _ := j.db.ImportOutcomes(ctx, j.Counts.Rows)
			return newError(http.StatusServiceUnavailable, "%s", j.accepted(fmt.Sprintf(
				"the answers to only %d of its %d rows can be read, and no more came in %s", c.Answered, j.Sent, bound)))
		}
	}
}

// result is the answer.
func (j *importJob) result() ImportResult {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.Counts
	return ImportResult{
		Imported: int(c.Imported), Failed: int(c.Failed), Errors: j.errors, ImportID: j.ImportID, Created: int(c.Created),
		Updated: int(c.Updated), Unchanged: int(c.Unchanged), Cancelled: int(c.Cancelled), Warnings: j.warnings,
	}
}
