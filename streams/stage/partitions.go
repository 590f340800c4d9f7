package stage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/streams/progress"
)

// slot is what this instance holds for an input partition that is assigned to it.
type slot struct {
	task   Task
	memory Memory // nil for a stage without state
	// group is the group's committed offset as far as we know, negative where there is none.
	group int64
	// written counts the changelog bytes since the last snapshot (changelog.go).
	written int64
}

// partitions holds the slots. Kafka's callbacks put them in and take them out, while the stage loop works with those it
// has looked up: a slot that was taken out meanwhile is an orphan, and the loop asks owns before it commits.
type partitions struct {
	mu    sync.Mutex
	slots map[progress.Place]*slot
}

func (p *partitions) find(at progress.Place) *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slots[at]
}

func (p *partitions) put(slots map[progress.Place]*slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(p.slots, slots)
}

func (p *partitions) drop(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for topic, parts := range gone {
		for _, part := range parts {
			delete(p.slots, progress.Place{Topic: topic, Partition: part})
		}
	}
}

func (p *partitions) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.slots)
}

// offsets are by topic and partition, as kgo has them.
type offsets = map[string]map[int32]kgo.Offset

// assign makes the slots of newly assigned partitions and says where to read on. It runs inside the group session,
// after the broker handed out the group's offsets, while partitions that we keep go on being processed. Its context
// ends when the group rebalances again.
//
// Offsets are always explicit, also where the group has committed none: an aborted first transaction is read again from
// a known place.
func (r *session) assign(ctx context.Context, offsets offsets) (offsets, error) {
	all, err := bounds(ctx, kadm.NewClient(r.sess.Client()), slices.Collect(maps.Keys(offsets))...)
	if err != nil {
		return nil, err
	}
	slots, kept := map[progress.Place]*slot{}, map[int32]*slot{}
	for topic, parts := range offsets {
		for p, committed := range parts {
			s := &slot{group: committed.EpochOffset().Offset}
			s.task, s.memory = r.open()
			slots[progress.Place{Topic: topic, Partition: p}] = s
			if s.memory != nil {
				kept[p] = s
			}
		}
	}
	if err := restore(ctx, r.cfg, &r.row, kept); err != nil {
		return nil, err
	}
	for at, s := range slots {
		next, err := r.position(at, s, all[at])
		if err != nil {
			return nil, err
		}
		offsets[at.Topic][at.Partition] = kgo.NewOffset().At(next)
	}
	r.parts.put(slots)
	return offsets, nil
}

// position is where to read on. The state's own note wins over the group's committed offset: both travel in one
// transaction, but only the first is in the same log as the state (the embedded broker can lose one of the two when it
// is killed, and an operator can reset the other).
func (r *session) position(at progress.Place, s *slot, b bound) (int64, error) {
	committed := s.group
	if s.memory == nil {
		if committed < 0 {
			return b.start, nil
		}
		return committed, nil
	}
	next := s.memory.Now().Next
	switch {
	case next > b.end:
		return 0, Fatal(fmt.Errorf("%s partition %d ends at offset %d, but the state of stage %s has taken in everything "+
			"up to %d: the topic has lost records or was created anew; restore the topic, or delete %s and the group %s with "+
			"it to start from nothing", at.Topic, at.Partition, b.end, r.row.Name, next, r.row.State, r.row.Group))
	case next < b.start && (next > 0 || committed > 0):
		return 0, Fatal(fmt.Errorf("%s partition %d begins at offset %d, but the state of stage %s needs to go on from %d: "+
			"the records between are gone; restore the topic, and switch its retention off", at.Topic, at.Partition, b.start,
			r.row.Name, next))
	case next < b.start:
		next = b.start
	}
	if committed >= 0 && committed != next {
		r.log.Warn("the group's committed offset differs from the state's; the state's counts", "topic", at.Topic,
			"partition", at.Partition, "committed", committed, "state", next)
	}
	return next, nil
}

// bound is where a partition begins and ends, records of open transactions included.
type bound struct{ start, end int64 }

func bounds(ctx context.Context, adm *kadm.Client, topics ...string) (map[progress.Place]bound, error) {
	starts, err := adm.ListStartOffsets(ctx, topics...)
	if err := cmp.Or(err, starts.Error()); err != nil {
		return nil, fmt.Errorf("start offsets of %v: %w", topics, err)
	}
	ends, err := adm.ListEndOffsets(ctx, topics...)
	if err := cmp.Or(err, ends.Error()); err != nil {
		return nil, fmt.Errorf("end offsets of %v: %w", topics, err)
	}
	out := map[progress.Place]bound{}
	ends.Each(func(end kadm.ListedOffset) {
		if start, ok := starts.Lookup(end.Topic, end.Partition); ok {
			out[progress.Place{Topic: end.Topic, Partition: end.Partition}] = bound{start.Offset, end.Offset}
		}
	})
	return out, nil
}
