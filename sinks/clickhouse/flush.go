package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// flushOnce takes every chunk as far as it gets. What failed for now is kept and tried again after a pause. Only errors
// that no repetition mends are returned.
func (s *sink) flushOnce(ctx context.Context) error {
	s.lastFlush, s.waitingSince = time.Now(), time.Time{}
	work := s.startChunks()
	err := s.stranger(ctx, work)
	if err == nil {
		err = s.flush(ctx, work)
	}
	s.restUntil = time.Now().Add(min(time.Since(s.lastFlush), s.tuning.maxRest))
	if errors.As(err, new(*stopError)) || beginsAnew(err) || ctx.Err() != nil {
		return err
	}
	aside := false
	if bad := (*BadRecordError)(nil); errors.As(err, &bad) {
		var fatal error
		if aside, fatal = s.setAside(ctx, work, bad); fatal != nil {
			return fatal
		}
	}
	if err == nil || aside {
		s.pause = 0
		s.pauses.Reset()
	} else {
		if lacking(err) {
			s.raise()
		}
		s.lastFlush, s.pause = time.Now(), s.pauses.NextBackOff()
		s.cfg.Log.Warn("sink: flush failed; what is not in ClickHouse is tried again under the same token", "pause", s.pause,
			"chunks", len(work), "err", firstOf(err))
	}
	if _, workable := s.pending(); workable {
		s.waitingSince = time.Now()
	}
	return nil
}

// firstOf shortens the errors of many chunks, which mostly say the same, to one.
func firstOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return firstOf(joined.Unwrap()[0])
	}
	return err
}

// stopError wraps what only an operator can mend.
type stopError struct{ err error }

func (e *stopError) Error() string { return e.err.Error() }
func (e *stopError) Unwrap() error { return e.err }

// startChunks gives the chunks under way, after starting one in every partition that has none.
func (s *sink) startChunks() []*chunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	var work []*chunk
	for _, p := range s.parts {
		p.start()
		if p.work != nil {
			work = append(work, p.work)
		}
	}
	// The smallest go first, so that a debit's row need not wait for the rows of the feed. The largest come last, but
	// together: the partitions of a topic have much the same.
	slices.SortFunc(work, func(a, b *chunk) int { return len(a.records) - len(b.records) })
	return work
}

// flush is the order that makes the sink exactly once: plan, rows, states, marks, commit. A chunk that failed a step
// stays there. The others go on.
func (s *sink) flush(ctx context.Context, work []*chunk) error {
	if err := s.reached(stepStarted, work); err != nil {
		return err
	}
	var errs []error
	for _, stage := range []struct {
		from step
		do   func(context.Context, []*chunk) error
	}{
		{stepStarted, s.writePlans},
		{stepPlanned, s.insertAll},
		{stepInserted, s.keep},
		{stepKept, s.mark},
		{stepMarked, s.commit},
	} {
		var here []*chunk
		for _, c := range work {
			if c.step == stage.from {
				here = append(here, c)
			}
		}
		if len(here) == 0 {
			continue
		}
		errs = append(errs, stage.do(ctx, here))
		if err := s.reached(stage.from+1, here); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// reached lets a test stop the sink there.
func (s *sink) reached(at step, cs []*chunk) error {
	if s.tuning.hook == nil {
		return nil
	}
	if err := s.tuning.hook(at, cs); err != nil {
		return &stopError{err}
	}
	return nil
}

// writePlans commits each chunk's first offset again, with its range as metadata.
func (s *sink) writePlans(ctx context.Context, cs []*chunk) error {
	now := time.Now().Round(0) // without the monotonic clock, which stands still while the machine sleeps
	return s.commitOffsets(ctx, cs, stepPlanned, func(c *chunk) (kgo.EpochOffset, string) {
		c.plannedAt = now
		return kgo.EpochOffset{Epoch: c.epochBefore, Offset: c.first}, c.plan()
	})
}

// commit moves the group's offsets behind the chunks and takes the plans back.
func (s *sink) commit(ctx context.Context, cs []*chunk) error {
	err := s.commitOffsets(ctx, cs, stepCommitted, func(c *chunk) (kgo.EpochOffset, string) {
		return kgo.EpochOffset{Epoch: c.epochAfter, Offset: c.last + 1}, ""
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range cs {
		if p := s.parts[c.topicPartition]; c.step == stepCommitted && p != nil && p.work == c {
			p.finish()
		}
	}
	return err
}

// commitOffsets commits for all chunks in one request and advances those that Kafka accepted.
//
// Kafka refuses a member that is no longer of the group's present generation. That keeps a sink that was thought dead
// from rewinding its successor's offsets. One hole is left, and closed here: after such a refusal the client joins
// again by itself, under a new member id, and until the group's answer comes it still counts its old partitions as its
// own. So a commit under another id than the one that the partitions were given to is not sent.
func (s *sink) commitOffsets(ctx context.Context, cs []*chunk, reached step,
	at func(*chunk) (kgo.EpochOffset, string),
) error {
	ctx, cancel := context.WithTimeout(ctx, s.tuning.callTimeout)
	defer cancel()
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	metadata := make(map[topicPartition]string)
	chunks := make(map[topicPartition]*chunk)
	for _, c := range cs {
		if offsets[c.topic] == nil {
			offsets[c.topic] = make(map[int32]kgo.EpochOffset)
		}
		offsets[c.topic][c.partition], metadata[c.topicPartition] = at(c)
		chunks[c.topicPartition] = c
	}
	withMetadata := kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for _, c := range cs {
			if c.member != req.MemberID {
				return errFenced
			}
		}
		for _, t := range req.Topics {
			for i := range t.Partitions {
				text := metadata[topicPartition{t.Topic, t.Partitions[i].Partition}]
				t.Partitions[i].Metadata = &text
			}
		}
		return nil
	})
	var errs []error
	s.client.CommitOffsetsSync(withMetadata, offsets, func(_ *kgo.Client, req *kmsg.OffsetCommitRequest,
		resp *kmsg.OffsetCommitResponse, err error,
	) {
		if err != nil {
			errs = append(errs, fmt.Errorf("commit (%s): %w", reached, err))
			return
		}
		names := make(map[[16]byte]string, len(req.Topics))
		for _, t := range req.Topics {
			names[t.TopicID] = t.Topic
		}
		for _, t := range resp.Topics {
			if t.Topic == "" {
				t.Topic = names[t.TopicID]
			}
			for _, p := range t.Partitions {
				c := chunks[topicPartition{t.Topic, p.Partition}]
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					errs = append(errs, commitError(t.Topic, p.Partition, reached, err))
				} else if c != nil {
					c.step = reached
				}
			}
		}
	})
	return errors.Join(errs...)
}

func commitError(topic string, partition int32, reached step, err error) error {
	err = fmt.Errorf("commit (%s) %s partition %d: %w", reached, topic, partition, err)
	switch {
	case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.IllegalGeneration),
		errors.Is(err, kerr.FencedInstanceID), errors.Is(err, kerr.FencedMemberEpoch):
		return fmt.Errorf("%w: %w", errFenced, err)
	case errors.Is(err, kerr.UnknownTopicID):
		return &stopError{fmt.Errorf("sinks: %w; the topic was deleted and made again while it was read: empty the "+
			"ClickHouse database and start again", err)}
	}
	return err
}
