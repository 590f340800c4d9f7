package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
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

// dropped forgets partitions that are not ours any more, with the chunks under way: their plan is in Kafka, and the new
// owner repeats it.
func (s *sink) dropped(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, nums := range lost {
		for _, n := range nums {
			delete(s.parts, topicPartition{topic, n})
		}
	}
}

// fetched learns from the committed offsets, the plans beside them and the marks in ClickHouse where each new partition
// goes on. It waits for ClickHouse as long as the partitions are ours.
func (s *sink) fetched(ctx context.Context, cl *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	found := committed(resp)
	marks, err := s.marksWithRetry(ctx)
	if err != nil {
		return err
	}
	if err := s.resumeAll(ctx, kadm.NewClient(cl), found, marks); err != nil {
		return err
	}
	member, _ := cl.GroupMetadata()
	s.mu.Lock()
	defer s.mu.Unlock()
	for place, p := range found {
		p.member = member
		s.parts[place] = p
	}
	return nil
}

func (s *sink) resumeAll(ctx context.Context, admin *kadm.Client, found map[topicPartition]*partition,
	marks map[topicPartition]mark,
) error {
	topics := make(map[string]bool)
	for place := range found {
		topics[place.topic] = true
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
	for place, p := range found {
		start, ok1 := starts.Lookup(place.topic, place.partition)
		end, ok2 := ends.Lookup(place.topic, place.partition)
		if err := errors.Join(start.Err, end.Err); err != nil || !ok1 || !ok2 {
			return fmt.Errorf("sinks: Kafka does not say where %s partition %d begins and ends: %w", place.topic,
				place.partition, err)
		}
		was := p.next
		if err := p.resume(marks[place].offset, start.Offset, end.Offset); err != nil {
			s.stop(err)
			return err
		}
		if p.next < was {
			s.cfg.Log.Warn("sink: ClickHouse is behind the committed offset; reading again from its mark", "topic", p.topic,
				"partition", p.num,
				"committed", was, "from", p.next)
		}
	}
	return nil
}

// committed reads the group's offsets and plans.
func committed(resp *kmsg.OffsetFetchResponse) map[topicPartition]*partition {
	found := make(map[topicPartition]*partition)
	add := func(topic string, num int32, offset int64, epoch int32, metadata *string) {
		p := &partition{topic: topic, num: num, next: max(offset, none), epoch: epoch, plan: none}
		if metadata != nil && offset >= 0 {
			if last, ok := parsePlan(*metadata, offset); ok {
				p.plan = last
			}
		}
		found[topicPartition{topic, num}] = p
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			add(t.Topic, p.Partition, p.Offset, p.LeaderEpoch, p.Metadata)
		}
	}
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				add(t.Topic, p.Partition, p.Offset, p.LeaderEpoch, p.Metadata)
			}
		}
	}
	return found
}

// resume decides where a partition goes on, from the commit, ClickHouse's mark and the ends of Kafka's log. Marks are
// set before commits, so a mark behind the commit means that ClickHouse has lost rows (it was emptied, or restored from
// a backup): the partition is read again from the mark, or from where the log begins. A mark or a plan beyond the log's
// end means that Kafka has lost records, or that this ClickHouse belongs to another Kafka; going on, it would take new
// rows for old ones because their tokens are the same.
func (p *partition) resume(mark, start, end int64) error {
	if mark > end {
		return fmt.Errorf("sinks: ClickHouse holds %s partition %d up to offset %d, but Kafka's ends at %d: this "+
			"database was filled from another "+
			"Kafka, or Kafka has lost data; start with an empty ClickHouse database", p.topic, p.num, mark, end)
	}
	if p.plan != none && p.plan >= end {
		return fmt.Errorf("sinks: the planned range of %s partition %d goes up to offset %d, but Kafka's ends at %d: "+
			"Kafka has lost data; "+
			"start with an empty ClickHouse database", p.topic, p.num, p.plan, end)
	}
	p.known = max(p.next, p.plan+1, mark)
	switch {
	case p.next == none:
		p.next = start
	case p.next < start && mark < start:
		return fmt.Errorf("sinks: %s partition %d: Kafka's retention removed offsets %d to %d before they were in "+
			"ClickHouse; to go on without them, "+
			"set the offset of group %s by hand", p.topic, p.num, max(p.next, mark), start-1, schemas.GroupSink)
	case p.next < start: // removed since, but they had arrived
		p.next, p.plan, p.epoch = mark, none, -1
	}
	if from := max(mark, start); from < p.next {
		p.next, p.plan, p.epoch = from, none, -1
	}
	return nil
}

// adjust hands the client the offsets that resume decided; from here on the new partitions are served.
func (s *sink) adjust(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset,
	error,
) {
	defer s.ready()
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

// marksWithRetry reads all marks, and what settings the server knows, waiting for ClickHouse until ctx ends.
func (s *sink) marksWithRetry(ctx context.Context) (map[topicPartition]mark, error) {
	for pause := s.tuning.retryMin; ; pause = min(2*pause, s.tuning.retryMax) {
		marks, err := readMarks(ctx, s.conn, "")
		if err == nil {
			var settings clickhouse.Settings
			if settings, err = settingsFor(ctx, s.conn, s.cfg.ClickHouse.Protocol); err == nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.settings = settings
				return marks, nil
			}
		}
		s.cfg.Log.Warn("sink: waiting for ClickHouse", "err", err)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("sinks: ask ClickHouse how far it is: %w", err)
		case <-time.After(pause):
		}
	}
}
