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
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/schemas"
)

// flushOnce takes every chunk as far as it gets. What failed for now is kept and tried again after a pause; only errors
// that no repetition mends are returned.
func (s *sink) flushOnce(ctx context.Context) error {
	s.lastFlush, s.oldest = time.Now(), time.Time{}
	work := s.cutAll()
	err := s.flush(ctx, work)
	s.rested = time.Now().Add(min(time.Since(s.lastFlush), s.tuning.rest))
	if errors.As(err, new(*BadRecordError)) || errors.As(err, new(*stopError)) || errors.Is(err, errFenced) ||
		ctx.Err() != nil {
		return err
	}
	s.pause = 0
	if err != nil {
		s.lastFlush = time.Now()
		s.pause = s.tuning.retryMin
		for _, c := range work {
			c.tries++
			s.pause = max(s.pause, min(s.tuning.retryMin<<min(c.tries, 16), s.tuning.retryMax))
		}
		s.cfg.Log.Warn("sink: flush failed; what is not in ClickHouse is tried again under the same token", "pause", s.pause,
			"chunks", len(work), "err", firstOf(err))
	}
	if _, workable := s.load(); workable {
		s.oldest = time.Now()
	}
	return nil
}

// firstOf shortens the errors of many chunks, which mostly say the same, to one.
func firstOf(err error) error {
	for {
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || len(joined.Unwrap()) == 0 {
			return err
		}
		err = joined.Unwrap()[0]
	}
}

// stopError wraps what only an operator can mend.
type stopError struct{ err error }

func (e *stopError) Error() string { return e.err.Error() }
func (e *stopError) Unwrap() error { return e.err }

// cutAll gives the chunks under way, after starting one in every partition that has none.
func (s *sink) cutAll() []*chunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	var work []*chunk
	for _, p := range s.parts {
		p.cut()
		if p.work != nil {
			work = append(work, p.work)
		}
	}
	// The smallest first: a debit's row need not wait for the rows of the feed. The largest come last, but together: the
	// partitions of a topic have much the same.
	slices.SortFunc(work, func(a, b *chunk) int { return len(a.records) - len(b.records) })
	return work
}

// flush is the order that makes the sink exactly once: plan, rows, marks, commit. A chunk that failed a step stays
// there; the others go on.
func (s *sink) flush(ctx context.Context, work []*chunk) error {
	var errs []error
	if err := s.reached(stepCut, work); err != nil {
		return err
	}
	for _, stage := range []struct {
		from step
		do   func(context.Context, []*chunk) error
	}{{stepCut, s.writePlans}, {stepPlanned, s.insertAll}, {stepInserted, s.mark}, {stepMarked, s.commit}} {
		var here []*chunk
		for _, c := range work {
			if c.step == stage.from {
				here = append(here, c)
			}
		}
		if len(here) == 0 {
			continue
		}
		if err := stage.do(ctx, here); err != nil {
			errs = append(errs, err)
		}
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
	now := time.Now().Round(0) // a clock that goes on while the machine sleeps
	return s.commitOffsets(ctx, cs, stepPlanned, func(c *chunk) (kgo.EpochOffset, string) {
		c.planned = now
		return kgo.EpochOffset{Epoch: c.before, Offset: c.first}, c.plan()
	})
}

// commit moves the group's offsets behind the chunks and takes the plans back.
func (s *sink) commit(ctx context.Context, cs []*chunk) error {
	err := s.commitOffsets(ctx, cs, stepCommitted, func(c *chunk) (kgo.EpochOffset, string) {
		return kgo.EpochOffset{Epoch: c.after, Offset: c.last + 1}, ""
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range cs {
		if p := s.parts[topicPartition{c.topic, c.partition}]; c.step == stepCommitted && p != nil && p.work == c {
			p.finish()
		}
	}
	return err
}

// commitOffsets commits for all chunks in one request and advances those that Kafka accepted. Kafka refuses a member
// that is no longer of the group's present generation: that is what keeps a sink that was thought dead from rewinding
// its successor's offsets. One hole is left, and closed here: after such a refusal the client joins again by itself,
// under a new member id, and until the group's answer comes it still counts its old partitions as its own. A commit
// under an id other than the one that the partitions were given to is not sent.
func (s *sink) commitOffsets(ctx context.Context, cs []*chunk, reached step, at func(*chunk) (kgo.EpochOffset,
	string),
) error {
	ctx, cancel := context.WithTimeout(ctx, s.tuning.callTimeout)
	defer cancel()
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	metadata := make(map[topicPartition]string)
	byPlace := make(map[topicPartition]*chunk)
	for _, c := range cs {
		if offsets[c.topic] == nil {
			offsets[c.topic] = make(map[int32]kgo.EpochOffset)
		}
		place := topicPartition{c.topic, c.partition}
		offsets[c.topic][c.partition], metadata[place] = at(c)
		byPlace[place] = c
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
				c := byPlace[topicPartition{t.Topic, p.Partition}]
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

// insertAll writes the rows of the chunks, a few inserts at a time, all within one time limit: a rebalance waits for
// it.
func (s *sink) insertAll(ctx context.Context, cs []*chunk) error {
	ctx, cancel := context.WithTimeout(ctx, s.tuning.insertTimeout)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(s.tuning.workers)
	errs := make([]error, len(cs))
	for i, c := range cs {
		g.Go(func() error {
			if errs[i] = s.insertChunk(ctx, c); errs[i] == nil {
				c.step = stepInserted
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs: one chunk's failure does not end the others
	return errors.Join(errs...)
}

// bounded limits one try of an insert. The context is left to run out, not cancelled when the insert has ended:
// clickhouse-go (2.50) watches it from a goroutine that may not have heard yet that the insert is over, and would then
// close a connection that another insert has taken from the pool.
func (s *sink) bounded(ctx context.Context) context.Context {
	ctx, cancel := context.WithTimeout(ctx, s.tuning.insertTimeout)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func (s *sink) insertChunk(ctx context.Context, c *chunk) error {
	if len(c.records) == 0 {
		return nil
	}
	if err := s.send(s.bounded(ctx), c); err != nil {
		c.doubt = true
		if s.cfg.Observer != nil {
			s.cfg.Observer.InsertFailed(schemas.SunkTopics[c.topic])
		}
		return fmt.Errorf("%s: %w", c.token(), err)
	}
	if s.cfg.Observer != nil {
		oldest := c.records[0].Timestamp
		for _, r := range c.records {
			if r.Timestamp.Before(oldest) {
				oldest = r.Timestamp
			}
		}
		s.cfg.Observer.Inserted(schemas.SunkTopics[c.topic], len(c.records), oldest)
	}
	return nil
}

func (s *sink) withSettings(ctx context.Context, token string) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return withSettings(ctx, s.settings, token)
}

// mark publishes that everything before last+1 is in ClickHouse, and every event up to the last record's seq. The table
// keeps the greatest of each, so a chunk of transaction markers alone, which knows no seq, takes nothing back. A mark
// set twice, or late by a sink that lost the partition, does no harm: it was true when it was set, and readers take the
// greatest.
func (s *sink) mark(ctx context.Context, cs []*chunk) error {
	ctx = s.bounded(ctx)
	b, err := s.conn.PrepareBatch(s.withSettings(ctx, ""),
		"INSERT INTO sink_marks (topic, partition, next_offset, next_seq, at)")
	if err != nil {
		return fmt.Errorf("prepare marks: %w", err)
	}
	now := time.Now()
	for _, c := range cs {
		seq, err := c.nextSeq()
		if err == nil {
			err = b.Append(c.topic, uint32(c.partition), c.last+1, seq, now)
		}
		if err != nil {
			return fmt.Errorf("marks: %w", err)
		}
	}
	if err := b.Send(); err != nil {
		return fmt.Errorf("send marks: %w", err)
	}
	for _, c := range cs {
		c.step = stepMarked
	}
	return nil
}
