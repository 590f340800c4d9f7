package stage

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/streams/progress"
)

// This file is where a partition goes on: what its state, its group and its topic say about it, and what is told where
// they differ.

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
