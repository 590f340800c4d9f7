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
			r := restoring{looks: looks, place: at, bound: b, log: cfg.Log, memory: s.memory}
			if err := r.read(ctx); err != nil {
				return err
			}
			s.memory.Loaded()
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
	cfg.Observer.Restored(row.Name, time.Since(start))
	cfg.Log.Info("state restored", "stage", row.Name, "partitions", len(slots), "keys", keys, "bytes", bytes,
		"took", time.Since(start).Round(time.Millisecond))
	return nil
}

// restoring is the restore of one partition.
type restoring struct {
	looks  *progress.Tracker
	place  progress.Place
	bound  // what is still to be read
	log    *slog.Logger
	memory Memory
	bytes  int64
}

// read puts the rows up to the end in place as they come: of a key the last one counts, and a compacted log is in order
// too. A stretch that brings nothing is held back by a transaction that is not decided yet.
func (r *restoring) read(ctx context.Context) error {
	said, moved, from := time.Now(), time.Now(), r.start
	for r.start < r.end {
		next, err := r.looks.Scan(ctx, r.place, r.start, min(r.end, r.start+restoreStretch), restoreBytes, r.load)
		if err != nil {
			return err
		}
		if next > r.start {
			moved = time.Now()
		} else if err := retry.Pause(ctx, restorePause); err != nil {
			return err
		}
		r.start = max(next, r.start)
		if time.Since(said) >= restoreEvery {
			said = time.Now()
			if time.Since(moved) >= restoreEvery {
				r.sayWhatHolds(ctx)
			}
			r.log.Info("restoring state", "topic", r.place.Topic, "partition", r.place.Partition, "at", r.start, "end", r.end,
				"percent", 100*(r.start-from)/(r.end-from), "keys", r.memory.Keys())
		}
	}
	r.log.Debug("partition restored", "topic", r.place.Topic, "partition", r.place.Partition, "keys", r.memory.Keys(),
		"bytes", r.memory.Bytes())
	return nil
}

// sayWhatHolds names the transaction that a restore waits for.
func (r *restoring) sayWhatHolds(ctx context.Context) {
	all, err := r.looks.Undecided(ctx, r.place.Topic)
	if err != nil {
		r.log.Warn("the restore waits for a transaction; nobody says whose", "topic", r.place.Topic, "partition",
			r.place.Partition, "err", err)
	}
	for _, u := range all {
		if u.Place == r.place {
			r.log.Warn("the restore waits for a transaction; it is ended by itself where it is proved how it ended: "+u.String(),
				"topic", u.Topic, "partition", u.Partition,
				"offset", u.Offset, "producer", u.Producer, "epoch", u.Epoch)
		}
	}
}

func (r *restoring) load(rec *kgo.Record) error {
	if rec.Attrs.IsControl() {
		return nil
	}
	if progress.Header(rec, schemas.HeaderKind) != string(schemas.KindState) {
		r.log.Warn("a record that no stage of ours wrote is passed over", "topic", rec.Topic, "partition", rec.Partition,
			"offset", rec.Offset)
		return nil
	}
	r.bytes += int64(len(rec.Value))
	if err := r.memory.Load(string(rec.Key), rec.Value); err != nil {
		return fmt.Errorf("restore of %s partition %d: %w", r.place.Topic, r.place.Partition, err)
	}
	return nil
}

// A changelog whose topic the broker does not compact (the embedded broker's compaction is not crash-safe) would grow
// without end, and every start would read all of it. So once it holds several times the state, the transactions that
// follow write whole states too, so many bytes each, until every state that there was has had its turn. Then the
// partition is cut before the first of these transactions. What is cut off is never needed again: a row that was there
// has been written again in the round, or changed since, or is gone, and each of these lies behind the cut. A crash in
// mid-round begins it anew; one between the last commit and the cut leaves a longer log, nothing else.
//
// snapshotRatio is how many times the size of the state may be written before the next round, the states of the round
// included: a quarter of the writes are snapshots.
const snapshotRatio = 4

// snapshotShare is the part of Config.SnapshotAfter that a transaction adds of whole states, at least: 1 MiB where that
// is 16. One state more than that may be added, whatever its size, and as much as the transaction writes anyway.
const snapshotShare = 16

// round is a snapshot that is being written.
type round struct {
	rest  []string // keys of the states to come
	begin int64    // the first offset that stays; negative before the first commit
}

// snapshot is the round that the next transaction goes on with, or nil.
func (r *session) snapshot(s *slot) *round {
	switch {
	case !r.snapshots || s.memory == nil:
		return nil
	case s.round != nil:
		return s.round
	case s.written > max(r.cfg.SnapshotAfter, snapshotRatio*s.memory.Bytes()):
		return &round{rest: s.memory.All(), begin: -1}
	}
	return nil
}

// stateHeaders are a changelog record's: they choose its codec (compress.go), and tell it from a stray record.
var stateHeaders = []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindState)}}

// changelog appends the rows that changed, each once, the next states of a snapshot, and the facts.
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
	var whole []string
	if j.round != nil {
		whole = j.round.rest
	}
	wrote, err := j.slot.memory.Write(whole, j.share, put)
	j.wrote = wrote
	return err
}

// trimChangelog counts what a committed transaction added to the changelog, and cuts the partition at the end of a
// snapshot. A cut that fails is tried again after the next one.
func (r *session) trimChangelog(ctx context.Context, j *job) {
	s := j.slot
	if j.round != nil && j.round.begin < 0 {
		j.round.begin, s.written = j.first.Offset, 0
	}
	s.written += j.bytes
	if s.round = j.round; s.round == nil {
		return
	}
	if s.round.rest = s.round.rest[j.wrote:]; len(s.round.rest) > 0 {
		return
	}
	begin := s.round.begin
	s.round = nil
	cut := kadm.Offsets{}
	cut.Add(kadm.Offset{Topic: r.row.State, Partition: j.at.Partition, At: begin, LeaderEpoch: -1})
	done, err := kadm.NewClient(r.sess.Client()).DeleteRecords(ctx, cut)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		r.log.Warn("the changelog could not be cut; it stays longer than it need be", "topic", r.row.State, "partition",
			j.at.Partition, "err", err)
		return
	}
	r.log.Debug("changelog cut before a snapshot", "topic", r.row.State, "partition", j.at.Partition, "offset", begin,
		"bytes", s.written)
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
