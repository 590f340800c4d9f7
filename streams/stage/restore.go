package stage

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
)

const (
	// restoreEvery is how often a long restore says how far it is.
	restoreEvery = 2 * time.Second
	// restorePause is the pause while a transaction holds the rest of the changelog back.
	restorePause = 20 * time.Millisecond
	// restoreBytes and restoreStretch bound one request, in bytes and in offsets.
	restoreBytes   = 8 << 20
	restoreStretch = 100_000
)

// restore reads the changelog partitions of the slots up to their end, several at a time.
//
// The end is the high watermark, not the last stable offset, asked for after the group's offsets were fetched: the
// broker hands those out only once the predecessor's transaction is decided, but its markers may reach the changelog
// later. Reading committed records up to the high watermark waits for exactly that.
func restore(ctx context.Context, cfg Config, row *Row, slots map[int32]*slot) error {
	if len(slots) == 0 {
		return nil
	}
	start := time.Now()
	cl, err := kgo.NewClient(cfg.Client(kgo.ClientID("kasi-" + row.Name + "-restore"))...)
	if err != nil {
		return fmt.Errorf("restore of %s: %w", row.State, err)
	}
	defer cl.Close()
	looks := progress.New(cl)
	adm := looks.Admin
	ends, err := adm.ListEndOffsets(ctx, row.State)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("restore: end offsets of %s: %w", row.State, err)
	}
	starts, err := adm.ListStartOffsets(ctx, row.State)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return fmt.Errorf("restore: start offsets of %s: %w", row.State, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for p, s := range slots {
		from, okFrom := starts.Lookup(row.State, p)
		to, okTo := ends.Lookup(row.State, p)
		if !okFrom || !okTo {
			return Fatal(fmt.Errorf("changelog %s has no partition %d, but the input has; create it with as many partitions "+
				"as the input", row.State, p))
		}
		g.Go(func() error {
			r := restoring{
				looks: looks, place: progress.Place{Topic: row.State, Partition: p}, at: from.Offset, from: from.Offset, end: to.Offset,
				into: s.memory, log: cfg.Logger(),
			}
			if err := r.run(ctx); err != nil {
				return err
			}
			s.written = max(0, r.bytes-s.memory.Bytes())
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	keys, bytes := 0, int64(0)
	for _, s := range slots {
		keys, bytes = keys+s.memory.Keys(), bytes+s.memory.Bytes()
	}
	if o, ok := cfg.Observer.(SessionObserver); ok {
		o.Restored(row.Name, time.Since(start))
	}
	cfg.Logger().Info("state restored", "stage", row.Name, "partitions", len(slots), "keys", keys, "bytes", bytes,
		"took", time.Since(start).Round(time.Millisecond))
	return nil
}

// restoring is the restore of one partition.
type restoring struct {
	looks         *progress.Tracker
	place         progress.Place
	from, at, end int64
	into          Memory
	log           *slog.Logger
	last          map[string][]byte
	records       int
	bytes         int64
}

// run reads to the end and then decodes the last value of each key only: a changelog that was never compacted holds
// many.
func (r *restoring) run(ctx context.Context) error {
	r.last = map[string][]byte{}
	if r.at < r.end {
		if err := r.read(ctx); err != nil {
			return err
		}
	}
	for key, value := range r.last {
		if value == nil {
			continue
		}
		if err := r.into.Load(key, value); err != nil {
			return fmt.Errorf("restore of %s partition %d: %w", r.place.Topic, r.place.Partition, err)
		}
	}
	r.log.Debug("partition restored", "topic", r.place.Topic, "partition", r.place.Partition, "records", r.records, "keys",
		r.into.Keys(), "bytes", r.into.Bytes())
	return nil
}

// read asks for one stretch after the other. A stretch that brings nothing is held back by a transaction that is not
// decided yet.
func (r *restoring) read(ctx context.Context) error {
	for said := time.Now(); r.at < r.end; {
		next, err := r.looks.Scan(ctx, r.place, r.at, min(r.end, r.at+restoreStretch), restoreBytes, r.keep)
		if err != nil {
			return err
		}
		if next <= r.at {
			if err := retry.Pause(ctx, restorePause); err != nil {
				return err
			}
		}
		r.at = max(next, r.at)
		if time.Since(said) >= restoreEvery {
			said = time.Now()
			r.log.Info("restoring state", "topic", r.place.Topic, "partition", r.place.Partition, "at", r.at, "end", r.end,
				"percent", 100*(r.at-r.from)/(r.end-r.from), "keys", len(r.last))
		}
	}
	return nil
}

// keep remembers the last value of a key, in its own memory: a record's bytes belong to a whole fetched batch.
func (r *restoring) keep(rec *kgo.Record) error {
	if rec.Attrs.IsControl() {
		return nil
	}
	r.records++
	r.bytes += int64(len(rec.Value))
	if rec.Value == nil {
		r.last[string(rec.Key)] = nil
		return nil
	}
	r.last[string(rec.Key)] = append(r.last[string(rec.Key)][:0], rec.Value...)
	return nil
}
