package stage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
)

// slot is what this instance holds for an input partition that is assigned to it.
type slot struct {
	task   Task
	memory Memory // nil for a stage without state
	// group is the group's committed offset as far as we know, negative where there is none.
	group int64
	// topic is the id of the input topic; it goes among the facts.
	topic string
	// mark is what the group's commit says beside its offset (slice.go).
	mark string
	// rest are the records that were polled and are not done, as of the last commit: the first is worked on in slices, or
	// the last transaction was full before it.
	rest []*kgo.Record
	// faults counts how often records failed on mistakes of the program (bug.go).
	faults map[fault]int
	// written counts the changelog bytes since the last snapshot began, and round is the one under way (changelog.go).
	written int64
	round   *round
}

// partitions holds the slots. Kafka's callbacks put them in and take them out, while the stage loop works with those it
// has looked up: a slot that was taken out meanwhile is an orphan, and the loop asks owns before it commits.
type partitions struct {
	mu    sync.Mutex
	slots map[progress.Place]*slot
	aside map[progress.Place]bool // ours, and not worked on
}

func (p *partitions) find(at progress.Place) *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slots[at]
}

// owns tells whether the jobs still work on slots of ours. A partition that was lost and given back meanwhile has
// another slot: the state that the job has worked on is an orphan, which must not be committed.
func (p *partitions) owns(jobs []*job) bool {
	return !slices.ContainsFunc(jobs, func(j *job) bool { return p.find(j.at) != j.slot })
}

// all are the slots as they are now.
func (p *partitions) all() map[progress.Place]*slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.slots)
}

func (p *partitions) put(slots map[progress.Place]*slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(p.slots, slots)
}

// drop takes partitions out. It returns those of them that had been set aside.
func (p *partitions) drop(gone map[string][]int32) (aside []progress.Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for topic, parts := range gone {
		for _, part := range parts {
			at := progress.Place{Topic: topic, Partition: part}
			delete(p.slots, at)
			if p.aside[at] {
				delete(p.aside, at)
				aside = append(aside, at)
			}
		}
	}
	return aside
}

// dropped is called when partitions are taken from this instance.
func (r *session) dropped(_ context.Context, cl *kgo.Client, gone map[string][]int32) {
	for _, at := range r.parts.drop(gone) {
		cl.ResumeFetchPartitions(map[string][]int32{at.Topic: {at.Partition}})
		r.cfg.Trouble(r.row.Name, TroublePartition, at.String(), "")
	}
}

// setAside leaves a partition unread that cannot go on, while the others do. It has no slot, so nothing of it could be
// committed either.
func (r *session) setAside(at progress.Place, why error) {
	r.sess.Client().PauseFetchPartitions(map[string][]int32{at.Topic: {at.Partition}})
	r.parts.mu.Lock()
	r.parts.aside[at] = true
	r.parts.mu.Unlock()
	r.cfg.Trouble(r.row.Name, TroublePartition, at.String(), fmt.Sprintf("%s partition %d is set aside and the others go "+
		"on; stage %s looks again after growing pauses, and at once where it is started again: %v", at.Topic, at.Partition,
		r.row.Name, why))
}

// setAside are the partitions of ours that are set aside, in order.
func (p *partitions) setAside() []progress.Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Keys(p.aside), progress.Place.Compare)
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
	ids, err := r.topicIDs(ctx, r.row.Inputs...)
	if err != nil {
		return nil, err
	}
	slots, next := map[progress.Place]*slot{}, map[progress.Place]int64{}
	for topic, parts := range offsets {
		for p, committed := range parts {
			s := &slot{group: committed.EpochOffset().Offset, topic: ids[topic].text()}
			slots[progress.Place{Topic: topic, Partition: p}] = s
		}
	}
	hopeless, err := r.restoreAll(ctx, slots, next, r.cfg.AgreeTimeout)
	if err != nil {
		return nil, err
	}
	if err := r.serveOthers(slots, next, hopeless); err != nil {
		return nil, err
	}
	if err := r.tellGroup(ctx, ids, slots, next); err != nil {
		return nil, err
	}
	for at, offset := range next {
		offsets[at.Topic][at.Partition] = kgo.NewOffset().At(offset)
	}
	r.parts.put(slots)
	return offsets, nil
}

// agreePause is the pause before a state that does not agree with its group or its topic is restored again.
const agreePause = 250 * time.Millisecond

// restoreAll restores the slots and finds out where each goes on.
//
// State, group and topic can disagree for a moment: a broker that comes back as the leader that it was knows an old
// high watermark, so the restore ends too early, or the topic seems to. Taken at its word, the stage would take records
// in a second time, and debit a second time. So what disagrees is restored again, up to bounds that are asked for anew,
// until it agrees, for as long as patience lasts. What stays is hopeless: it is for an operator.
func (r *session) restoreAll(ctx context.Context, slots map[progress.Place]*slot, next map[progress.Place]int64,
	patience time.Duration,
) (hopeless map[progress.Place]error, err error) {
	looks := progress.New(r.sess.Client())
	open := maps.Clone(slots)
	hopeless = map[progress.Place]error{}
	for began := time.Now(); ; {
		kept := map[int32]*slot{}
		for at, s := range open {
			if s.task, s.memory = r.open(); s.memory != nil {
				kept[at.Partition] = s
			}
		}
		if err := restore(ctx, r.cfg, &r.row, kept); err != nil {
			return nil, err
		}
		topics := r.row.Inputs
		if r.row.State != "" {
			topics = append(slices.Clone(topics), r.row.State)
		}
		all, err := bounds(ctx, looks, topics...)
		if err != nil {
			return nil, err
		}
		var odd []error
		for at, s := range open {
			offset, err := r.position(at, s, all[at], all[progress.Place{Topic: r.row.State, Partition: at.Partition}])
			switch {
			case err == nil:
				next[at] = offset
				delete(open, at)
			case IsFatal(err) || time.Since(began) >= patience:
				hopeless[at] = err
				delete(open, at)
			default:
				odd = append(odd, err)
			}
		}
		err = errors.Join(odd...)
		if err == nil {
			return hopeless, nil
		}
		r.log.Warn("state, group and topic do not agree; restoring again", "partitions", len(open), "err", err)
		if err := retry.Pause(ctx, agreePause); err != nil {
			return nil, err
		}
	}
}

// serveOthers sets partitions aside that cannot go on. Where there is no other, the stage ends.
func (r *session) serveOthers(slots map[progress.Place]*slot, next map[progress.Place]int64,
	hopeless map[progress.Place]error,
) error {
	if len(hopeless) > 0 && len(next) == 0 && r.parts.len() == 0 {
		return Fatal(errors.Join(slices.Collect(maps.Values(hopeless))...))
	}
	for at, why := range hopeless {
		r.setAside(at, why)
		next[at] = max(slots[at].group, 0) // nobody reads there
		delete(slots, at)
	}
	return nil
}
