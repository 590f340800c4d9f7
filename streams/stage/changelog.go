package stage

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/schemas"
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
	all, err := bounds(ctx, looks, row.State)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for p, s := range slots {
		at := progress.Place{Topic: row.State, Partition: p}
		b, ok := all[at]
		if !ok {
			return Fatal(fmt.Errorf("changelog %s has no partition %d, but the input has; create it with as many partitions "+
				"as the input", row.State, p))
		}
		g.Go(func() error {
			r := restoring{looks: looks, place: at, bound: b, log: cfg.Log, last: map[string][]byte{}}
			return r.into(ctx, s)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	keys, bytes := 0, int64(0)
	for _, s := range slots {
		keys, bytes = keys+s.memory.Keys(), bytes+s.memory.Bytes()
	}
	cfg.Observer.Restored(row.Name, time.Since(start))
	cfg.Log.Info("state restored", "stage", row.Name, "partitions", len(slots), "keys", keys, "bytes", bytes,
		"took", time.Since(start).Round(time.Millisecond))
	return nil
}

// restoring is the restore of one partition.
type restoring struct {
	looks *progress.Tracker
	place progress.Place
	bound
	log     *slog.Logger
	last    map[string][]byte
	records int
	bytes   int64
}

// into reads to the end and then decodes the last value of each key only: a changelog that was never compacted holds
// many. A stretch that brings nothing is held back by a transaction that is not decided yet.
func (r *restoring) into(ctx context.Context, s *slot) error {
	said := time.Now()
	for at := r.start; at < r.end; {
		next, err := r.looks.Scan(ctx, r.place, at, min(r.end, at+restoreStretch), restoreBytes, r.keep)
		if err != nil {
			return err
		}
		if next <= at {
			if err := retry.Pause(ctx, restorePause); err != nil {
				return err
			}
		}
		at = max(next, at)
		if time.Since(said) >= restoreEvery {
			said = time.Now()
			r.log.Info("restoring state", "topic", r.place.Topic, "partition", r.place.Partition, "at", at, "end", r.end,
				"percent", 100*(at-r.start)/(r.end-r.start), "keys", len(r.last))
		}
	}
	for key, value := range r.last {
		if value == nil {
			continue
		}
		if err := s.memory.Load(key, value); err != nil {
			return fmt.Errorf("restore of %s partition %d: %w", r.place.Topic, r.place.Partition, err)
		}
	}
	s.written = max(0, r.bytes-s.memory.Bytes())
	r.log.Debug("partition restored", "topic", r.place.Topic, "partition", r.place.Partition, "records", r.records, "keys",
		s.memory.Keys(), "bytes", s.memory.Bytes())
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

// A changelog whose topic the broker does not compact (the embedded broker's compaction is not crash-safe) would grow
// without end, and every start would read all of it. So once it holds several times the state, a transaction writes the
// whole state instead of what changed, and when that is committed the partition is cut before it. What is cut off is
// never needed again: each key that was there is in the snapshot too, since no state is ever deleted. A crash between
// commit and cut leaves a longer log, nothing else.
//
// snapshotRatio is how many times the size of the state may be written before the next one: a quarter of the writes at
// most are snapshots.
const snapshotRatio = 4

// snapshotDue tells whether the next transaction should hold the whole state of the partition.
func (r *session) snapshotDue(s *slot) bool {
	return r.snapshots && s.memory != nil && s.written > max(r.cfg.SnapshotAfter, snapshotRatio*s.memory.Bytes())
}

// stateHeaders are a changelog record's: they choose its codec (compress.go).
var stateHeaders = []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindState)}}

// changelog appends the states that changed, each once, and the facts; or, for a snapshot, all of them.
func (j *job) changelog() error {
	at := j.records[max(j.done-1, 0)].Timestamp
	put := func(key string, value []byte) {
		rec := j.batch.Emit(j.batch.Row.State, key, value, at)
		rec.Headers = stateHeaders
		if j.first == nil {
			j.first = rec
		}
		j.bytes += int64(len(value))
	}
	return j.slot.memory.Write(j.snapshot, put)
}

// trimChangelog counts what a committed transaction added to the changelog, and cuts the partition before a snapshot. A
// cut that fails is tried again after the next snapshot.
func (r *session) trimChangelog(ctx context.Context, j *job) {
	if !j.snapshot {
		j.slot.written += j.bytes
		return
	}
	j.slot.written = 0
	cut := kadm.Offsets{}
	cut.Add(kadm.Offset{Topic: r.row.State, Partition: j.at.Partition, At: j.first.Offset, LeaderEpoch: -1})
	done, err := kadm.NewClient(r.sess.Client()).DeleteRecords(ctx, cut)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		r.log.Warn("the changelog could not be cut; it stays longer than it need be", "topic", r.row.State, "partition",
			j.at.Partition, "err", err)
		return
	}
	r.log.Debug("changelog cut before a snapshot", "topic", r.row.State, "partition", j.at.Partition, "offset",
		j.first.Offset, "bytes", j.bytes)
}

// needsSnapshots tells whether the stage must keep its changelog short itself: the broker does not compact it.
func needsSnapshots(ctx context.Context, adm *kadm.Client, topic string) (bool, error) {
	if topic == "" {
		return false, nil
	}
	configs, err := adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return false, fmt.Errorf("configuration of %s: %w", topic, err)
	}
	rc, err := configs.On(topic, nil)
	if err := cmp.Or(err, rc.Err); err != nil {
		return false, fmt.Errorf("configuration of %s: %w", topic, err)
	}
	i := slices.IndexFunc(rc.Configs, func(c kadm.Config) bool { return c.Key == "cleanup.policy" })
	return i >= 0 && !strings.Contains(rc.Configs[i].MaybeValue(), "compact"), nil
}
