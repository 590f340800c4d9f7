package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
)

// assigned is called at each end of a rebalance, also for a sink that got nothing to do.
func (s *sink) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	if len(added) == 0 {
		s.ready()
	}
}

// dropped forgets partitions that are not ours any more, with the chunks under way. Their plan is in Kafka, and the new
// owner repeats it.
func (s *sink) dropped(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, partitions := range lost {
		for _, n := range partitions {
			delete(s.parts, topicPartition{topic, n})
			if s.cfg.Observer != nil {
				s.cfg.Observer.Missing(topic, n, 0) // another sink tells
			}
			s.trouble("hole", place(series{topic: topic}, n), nil)
		}
	}
}

// fetched learns from the committed offsets, the plans beside them and the marks in ClickHouse where each new partition
// goes on. It waits for ClickHouse as long as the partitions are ours.
func (s *sink) fetched(ctx context.Context, cl *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	found := committed(resp)
	marks, err := s.awaitClickHouse(ctx)
	if err != nil {
		return err
	}
	if err := s.resumeAll(ctx, kadm.NewClient(cl), found, marks); err != nil {
		return err
	}
	member, _ := cl.GroupMetadata()
	s.mu.Lock()
	defer s.mu.Unlock()
	for tp, p := range found {
		p.member = member
		s.parts[tp] = p
	}
	return nil
}

func (s *sink) resumeAll(ctx context.Context, admin *kadm.Client, found map[topicPartition]*partition,
	marks map[topicPartition]mark,
) error {
	topics := make(map[string]bool)
	for tp := range found {
		topics[tp.topic] = true
	}
	names := slices.Sorted(maps.Keys(topics))
	starts, err := admin.ListStartOffsets(ctx, names...)
	if err != nil {
		return fmt.Errorf("sinks: start offsets: %w", err)
	}
	ends, err := admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return fmt.Errorf("sinks: end offsets: %w", err)
	}
	for tp, p := range found {
		start, ok1 := starts.Lookup(tp.topic, tp.partition)
		end, ok2 := ends.Lookup(tp.topic, tp.partition)
		if err := errors.Join(start.Err, end.Err); err != nil || !ok1 || !ok2 {
			return fmt.Errorf("sinks: Kafka does not say where %s partition %d begins and ends: %w", tp.topic, tp.partition,
				err)
		}
		committed := p.next
		if err := p.resume(marks[tp].offset, start.Offset, end.Offset); err != nil {
			s.stop(err)
			return err
		}
		if p.next < committed {
			s.cfg.Log.Warn("sink: ClickHouse is behind the committed offset; reading again from its mark", "topic", p.topic,
				"partition", p.partition, "committed", committed, "from", p.next)
		}
	}
	return nil
}

// committed reads the group's offsets and plans.
func committed(resp *kmsg.OffsetFetchResponse) map[topicPartition]*partition {
	found := make(map[topicPartition]*partition)
	for _, t := range resp.Groups[0].Topics { // so the client reads it too, whatever form the broker's answer had
		for _, c := range t.Partitions {
			tp := topicPartition{t.Topic, c.Partition}
			p := &partition{topicPartition: tp, next: max(c.Offset, none), epoch: c.LeaderEpoch, plan: none}
			if c.Metadata != nil && c.Offset >= 0 {
				if last, ok := parsePlan(*c.Metadata, c.Offset); ok {
					p.plan = last
				}
			}
			found[tp] = p
		}
	}
	return found
}

// resume decides where a partition goes on, from the commit, ClickHouse's mark and the ends of Kafka's log.
//
// Where the group knows nothing the mark tells: below it is all. What lies behind it by now is looked up, since the
// range that was planned last is forgotten with the commit.
//
// Marks are set before commits. So a mark behind the commit means that ClickHouse has lost rows: it was emptied, or
// restored from a backup. The partition is then read again from the mark, or from where the log begins.
//
// A mark or a plan beyond the log's end means that Kafka has lost records, or that this ClickHouse belongs to another
// Kafka. Going on, ClickHouse would take new rows for old ones because their tokens are the same.
func (p *partition) resume(mark, start, end int64) error {
	if mark > end {
		return fmt.Errorf("sinks: ClickHouse holds %s partition %d up to offset %d, but Kafka's ends at %d: this "+
			"database was filled from another Kafka, or Kafka has lost data; start with an empty ClickHouse database",
			p.topic, p.partition, mark, end)
	}
	if p.plan != none && p.plan >= end {
		return fmt.Errorf("sinks: the planned range of %s partition %d goes up to offset %d, but Kafka's ends at %d: "+
			"Kafka has lost data; start with an empty ClickHouse database", p.topic, p.partition, p.plan, end)
	}
	p.marked = mark
	p.freshFrom = max(p.next, p.plan+1, mark)
	switch {
	case p.next == none && 0 < mark && mark < start:
		return p.removed(mark, start)
	case p.next == none: // a first start, or the group has expired: what was planned beyond the mark is not known
		p.next, p.freshFrom = max(mark, start), max(p.freshFrom, end)
	case p.next < start && mark < start:
		return p.removed(max(p.next, mark), start)
	case p.next < start: // removed since, but they had arrived
		p.next, p.plan, p.epoch = mark, none, -1
	}
	if from := max(mark, start); from < p.next {
		p.next, p.plan, p.epoch = from, none, -1
	}
	return nil
}

// removed says that retention took the offsets from first to before start.
func (p *partition) removed(first, start int64) error {
	return fmt.Errorf("sinks: %s partition %d: Kafka's retention removed offsets %d to %d before they were in "+
		"ClickHouse; to go on without them, set the offset of group %s by hand", p.topic, p.partition, first, start-1,
		schemas.GroupSink)
}

// adjust hands the client the offsets that resume decided; from here on the new partitions are served.
func (s *sink) adjust(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset,
	error,
) {
	defer s.ready()
	defer s.raise()
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, nums := range offsets {
		for num, o := range nums {
			if p := s.parts[topicPartition{topic, num}]; p != nil && o.EpochOffset().Offset != p.next {
				nums[num] = kgo.NewOffset().At(p.next)
			}
		}
	}
	return offsets, nil
}

// awaitClickHouse reads all marks, and which settings the server knows. It waits for ClickHouse until ctx ends.
func (s *sink) awaitClickHouse(ctx context.Context) (map[topicPartition]mark, error) {
	var settings clickhouse.Settings
	marks, err := backoff.Retry(ctx, func() (marks map[topicPartition]mark, err error) {
		if settings, err = settingsFor(ctx, s.conn, s.cfg.ClickHouse.Protocol); err == nil {
			marks, err = readMarks(ctx, s.conn, "")
		}
		if lacking(err) {
			mending := s.mendSchema(ctx)
			if errors.As(mending, new(*stopError)) {
				s.stop(mending)
				return nil, backoff.Permanent(mending)
			}
			err = errors.Join(err, mending)
		}
		return marks, err
	}, backoff.WithBackOff(doubling(s.tuning.retryMin, s.tuning.retryMax)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, _ time.Duration) { s.cfg.Log.Warn("sink: waiting for ClickHouse", "err", err) }))
	if err != nil {
		return nil, fmt.Errorf("sinks: ask ClickHouse how far it is: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings = settings
	return marks, nil
}
