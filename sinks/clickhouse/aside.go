package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

var errStranger = errors.New("it was written outside of a transaction, and its seq does not follow the one before")

// stranger finds a record that claims to be an event of ours and is none: it was written outside of a transaction, and
// its seq is not the next one. Taken in, it would count for the event of that seq, or set the mark to a seq that
// nothing reaches. Our events copied record by record follow each other.
//
// Ticks have no seq and no transaction; outcomes are counted by stage and settle nothing.
func (s *sink) stranger(ctx context.Context, work []*chunk) error {
	if s.cfg.SetAside == nil {
		return nil
	}
	var marks map[topicPartition]mark
	for _, c := range work {
		plain := func(r *kgo.Record) bool { return !r.Attrs.IsTransactional() }
		if !schemas.Counted(c.topic) || c.topic == schemas.TopicOutcomes || c.step > stepPlanned ||
			!slices.ContainsFunc(c.records, plain) {
			continue
		}
		if marks == nil {
			var err error
			if marks, err = readMarks(s.bounded(ctx), s.conn, ""); err != nil {
				return err
			}
		}
		at := marks[c.topicPartition]
		fresh, next := c.first >= at.offset, max(at.seq, 1)
		for _, r := range c.records {
			n, err := numberOf(r)
			if err != nil {
				continue // its insert says so
			}
			if plain(r) && (n.Seq < 1 || fresh && n.Seq != next) {
				return badRecord(r, "seq", errStranger)
			}
			next = n.Seq + 1
		}
	}
	return nil
}

// setAside takes a record that cannot be stored out of its chunk, once Config.SetAside has it. Nothing of the chunk has
// been sent: the rows are made before the insert begins. Whoever repeats the range comes to the same rows, since a
// record that cannot be read never can.
//
// Somebody else's record has no seq among ours, so none is missing. A stage writes in transactions: a record of one is
// ours. Its seq stays missing, so no statement is made over it. The watch says so, and a program that can hold it
// brings it back. done is false where it must be tried again.
func (s *sink) setAside(ctx context.Context, work []*chunk, bad *BadRecordError) (done bool, err error) {
	i := slices.IndexFunc(work, func(c *chunk) bool {
		return c.topic == bad.Topic && c.partition == bad.Partition && slices.Contains(c.records, bad.record)
	})
	if i < 0 || s.cfg.SetAside == nil {
		return false, bad
	}
	ours, why := bad.record.Attrs.IsTransactional(), fmt.Sprintf("no record of %s", bad.Topic)
	if ours {
		why = fmt.Sprintf("an event of %s that cannot be stored", bad.Topic)
	}
	if bad.Column != "" {
		why += ": its column " + bad.Column + " cannot hold it"
	}
	if errors.Is(bad.Err, errStranger) {
		why = fmt.Sprintf("no event of %s: %v", bad.Topic, errStranger)
	}
	ctx, cancel := context.WithTimeout(ctx, s.tuning.callTimeout)
	defer cancel()
	if err := s.cfg.SetAside(ctx, bad.record, ours, why); err != nil {
		s.cfg.Log.Warn("sink: a record that cannot be stored cannot be set aside either; tried again", "topic", bad.Topic,
			"partition", bad.Partition, "offset", bad.Offset, "err", err)
		return false, nil
	}
	work[i].records = slices.DeleteFunc(work[i].records, func(r *kgo.Record) bool { return r == bad.record })
	return true, nil
}
