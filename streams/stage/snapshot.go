package stage

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// A changelog whose topic the broker does not compact (the embedded broker's compaction is not crash-safe) would grow
// without end, and every start would read all of it. So once it holds several times the state, a transaction writes the
// whole state instead of what changed, and when that is committed the partition is cut before it. What is cut off is
// never needed again: each key that was there is in the snapshot too, since no state is ever deleted. A crash between
// commit and cut leaves a longer log, nothing else.
const (
	// snapshotAfter is the least number of changelog bytes between two snapshots of a partition, before compression.
	snapshotAfter = 16 << 20
	// snapshotRatio is how many times the size of the state may be written before the next snapshot: a quarter of the
	// writes at most are snapshots.
	snapshotRatio = 4
)

// snapshotDue tells whether the next transaction should hold the whole state of the partition.
func (r *session) snapshotDue(s *slot) bool {
	return r.snapshots && s.memory != nil && s.written > max(cmp.Or(r.cfg.SnapshotAfter, snapshotAfter),
		snapshotRatio*s.memory.Bytes())
}

// stateHeaders are a changelog record's: they choose its codec (compress.go).
var stateHeaders = []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindState)}}

// changelog appends the states that changed, each once, and the facts; or, for a snapshot, all of them.
func (j *job) changelog() error {
	at := j.records[len(j.records)-1].Timestamp
	put := func(key string, value []byte) {
		rec := j.batch.Emit(j.batch.Row.State, key, value, at)
		rec.Headers = stateHeaders
		if j.first == nil {
			j.first = rec
		}
		j.bytes += int64(len(value))
	}
	if j.snapshot {
		return j.slot.memory.WriteAll(put)
	}
	return j.slot.memory.Write(put)
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
	if err == nil {
		err = rc.Err
	}
	if err != nil {
		return false, fmt.Errorf("configuration of %s: %w", topic, err)
	}
	for _, c := range rc.Configs {
		if c.Key == "cleanup.policy" {
			return !strings.Contains(c.MaybeValue(), "compact"), nil
		}
	}
	return false, nil
}
