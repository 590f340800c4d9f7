package stage

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

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

// position is where to read on. The state's own note wins over the group's committed offset: both travel in one
// transaction, but only the first is in the same log as the state. A group that an operator moved back, or whose
// offsets have expired, changes nothing.
//
// A group that is ahead of the state is another matter: then the state has been read too short, or its changelog has
// lost what the group stands for. On the embedded broker, which can lose one marker of a transaction when it is killed,
// the state counts all the same, unless all of it is gone.
//
// What may pass by itself is a plain error; what cannot is fatal.
func (r *session) position(at progress.Place, s *slot, input, changelog bound) (int64, error) {
	committed := s.group
	if s.memory == nil {
		if max(committed, 0) < input.start {
			r.removed(at, max(committed, 0), input.start)
		}
		s.group = max(committed, input.start)
		return s.group, nil
	}
	facts := s.memory.Now()
	next := facts.Next
	s.mark = facts.Slice.mark()
	anew := fmt.Sprintf("restore the topic, or delete %s and the group %s with it to start from nothing", r.row.State,
		r.row.Group)
	// Where only the very first transaction was torn, its records lie in the log, and none is committed.
	lost := next == 0 && (changelog.start > 0 || changelog.end == 0)
	whole := s.memory.Whole()
	if err := r.checkRules(at, facts); err != nil {
		return 0, err
	}
	switch {
	case facts.Topic != "" && s.topic != "" && facts.Topic != s.topic:
		return 0, Fatal(fmt.Errorf("%s partition %d was created anew (its topic's id is %s) since stage %s took it in (%s) "+
			"up to offset %d: its records are not those that the state knows; %s", at.Topic, at.Partition, s.topic, r.row.Name,
			facts.Topic, next, anew))
	case next > input.end:
		return 0, fmt.Errorf("%s partition %d ends at offset %d, but the state of stage %s has taken in everything up to "+
			"%d: the topic has lost records or was created anew; %s", at.Topic, at.Partition, input.end, r.row.Name, next, anew)
	case whole != nil:
		return 0, fmt.Errorf("changelog %s partition %d does not hold the whole state of stage %s: %w; it was cut or made "+
			"anew, or has lost records, and premiums would be debited again: restore it, or delete it and the group %s to "+
			"rebuild from the timeline", r.row.State, at.Partition, r.row.Name, whole, r.row.Group)
	case committed > next && (!r.cfg.FreshTxnID || lost):
		err := fmt.Errorf("group %s has taken %s partition %d in up to offset %d, but the state on %s partition %d knows "+
			"only what lies before %d: going on there would take records in a second time; where the changelog was cut or "+
			"created anew, restore it; where someone moved the group forward, move it back: kafka-consumer-groups.sh "+
			"--bootstrap-server %s --group %s --topic %s:%d --reset-offsets --to-offset %d --execute", r.row.Group, at.Topic,
			at.Partition, committed, r.row.State, at.Partition, next, r.cfg.Brokers[0], r.row.Group, at.Topic, at.Partition,
			next)
		if r.cfg.FreshTxnID {
			err = Fatal(err) // one broker, which knows its own ends
		}
		return 0, err
	case next < input.start && (next > 0 || committed > 0):
		return 0, r.gone(at, next, input.start)
	case next < input.start:
		next = input.start
	}
	if committed >= 0 && committed != next {
		r.log.Warn("the group's committed offset differs from the state's; the state's counts", "topic", at.Topic,
			"partition", at.Partition, "committed", committed, "state", next)
	}
	return next, nil
}

// checkRules refuses a state that was made by other rules: a replay would not make it again, and what is decided may
// change for everybody. A state that does not say takes the present ones.
func (r *session) checkRules(at progress.Place, facts *Facts) error {
	made, now := facts.Rules, r.cfg.Rules
	switch {
	case made == "" || now == "" || made == now:
	case slices.Contains(r.cfg.AcceptRules, now):
		r.log.Warn("the rules have changed, by an operator's word", "topic", at.Topic, "partition", at.Partition, "offset",
			facts.Next, "from", made, "to", now)
	default:
		return Fatal(fmt.Errorf("%s partition %d was decided by the rules %s up to offset %d, and stage %s has rules %s: "+
			"if the change is meant, start it with --accept-rules %s; else bring back the file of --rules, or the program",
			at.Topic, at.Partition, made, facts.Next, r.row.Name, now, now))
	}
	return nil
}

// gone ends a stage whose state needs records that its topic no longer holds.
func (r *session) gone(at progress.Place, next, start int64) error {
	return Fatal(fmt.Errorf("%s partition %d begins at offset %d, but the state of stage %s needs to go on from %d: the "+
		"records between are gone; restore the topic, and switch its retention off", at.Topic, at.Partition, start,
		r.row.Name, next))
}

// removed tells that an outside topic has lost records that intake had not read. Nobody can bring them back but their
// sender, so the rest goes on.
func (r *session) removed(at progress.Place, from, to int64) {
	r.cfg.Trouble(r.row.Name, TroubleRemoved, at.String(), fmt.Sprintf("%s partition "+
		"%d: offsets %d to %d were removed before they were read; have their sender send them again, and switch the "+
		"retention of the topic off", at.Topic, at.Partition, from, to-1))
}

// missed looks whether records were removed between what is taken in and what a poll has brought: the client goes on
// from the start of the log without a word.
func (r *session) missed(fetches kgo.Fetches) (err error) {
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		at := progress.Place{Topic: p.Topic, Partition: p.Partition}
		s := r.parts.find(at)
		if s == nil || len(p.Records) == 0 {
			return
		}
		next := s.group
		switch {
		case len(s.rest) > 0:
			next = s.rest[len(s.rest)-1].Offset + 1
		case s.memory != nil:
			next = s.memory.Now().Next
		}
		first := p.Records[0].Offset
		switch {
		case p.LogStartOffset <= next || first <= next:
		case s.memory != nil:
			err = r.gone(at, next, p.LogStartOffset)
		default:
			r.removed(at, next, min(first, p.LogStartOffset))
		}
	})
	return err
}

// tellGroup commits for the group what the states know and it does not: its offsets have expired, or were reset. Who
// waits for the group (a settlement, the calendar, a probe) would otherwise wait until each partition has a new record.
// The commit carries member and generation, so a stage that has lost its partitions meanwhile is refused.
func (r *session) tellGroup(ctx context.Context, ids map[string]topicID, slots map[progress.Place]*slot,
	next map[progress.Place]int64,
) error {
	cl := r.sess.Client()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = r.row.Group
	req.MemberID, req.Generation = cl.GroupMetadata()
	for _, topic := range r.row.Inputs {
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic, rt.TopicID = topic, ids[topic]
		for at, s := range slots {
			if at.Topic != topic || s.memory == nil || s.group == next[at] || s.memory.Now().Next == 0 {
				continue
			}
			part := kmsg.NewOffsetCommitRequestTopicPartition()
			part.Partition, part.Offset, part.Metadata = at.Partition, next[at], &s.mark
			rt.Partitions = append(rt.Partitions, part)
			s.group = next[at]
		}
		if len(rt.Partitions) > 0 {
			req.Topics = append(req.Topics, rt)
		}
	}
	if len(req.Topics) == 0 {
		return nil
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("telling group %s what the state knows: %w", r.row.Group, err)
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("telling group %s what the state knows of partition %d: %w", r.row.Group, p.Partition, err)
			}
		}
	}
	r.log.Info("the group knows what the state knows", "partitions", len(req.Topics[0].Partitions))
	return nil
}

// topicID tells a topic from another one of the same name. It is empty where the broker knows no ids.
type topicID [16]byte

// text is the id as Kafka's tools write it.
func (id topicID) text() string {
	if id == (topicID{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// topicIDs are the ids of topics.
func (r *session) topicIDs(ctx context.Context, names ...string) (map[string]topicID, error) {
	topics, err := progress.Topics(ctx, r.sess.Client(), names...)
	if err != nil {
		return nil, fmt.Errorf("ids of the topics: %w", err)
	}
	ids := map[string]topicID{}
	for name, t := range topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, fmt.Errorf("id of topic %s: %w", name, err)
		}
		ids[name] = t.TopicID
	}
	return ids, nil
}

// bound is where a partition begins and ends, records of open transactions included.
type bound struct{ start, end int64 }

func bounds(ctx context.Context, looks *progress.Tracker, topics ...string) (map[progress.Place]bound, error) {
	starts, err := looks.Starts(ctx, topics...)
	if err != nil {
		return nil, err
	}
	ends, err := looks.Ends(ctx, false, topics...)
	if err != nil {
		return nil, err
	}
	out := map[progress.Place]bound{}
	for at, end := range ends {
		if start, ok := starts[at]; ok {
			out[at] = bound{start, end}
		}
	}
	return out, nil
}
