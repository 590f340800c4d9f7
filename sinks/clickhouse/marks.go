package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cenkalti/backoff/v5"
)

// mark is how far a partition is in ClickHouse: everything before the offset, and every event with a smaller seq.
type mark struct{ offset, seq int64 }

// queryMarks takes the greatest mark. The table is small, and a maximum needs no FINAL. The argument is a topic, or ""
// for all. The text is compared whole in a test.
const queryMarks = `
SELECT topic, partition, max(next_offset), max(next_seq)
FROM sink_marks
WHERE {topic:String} IN ('', topic)
GROUP BY topic, partition`

// readMarks gives the mark of each partition; an empty topic means all.
func readMarks(ctx context.Context, conn driver.Conn, topic string) (map[topicPartition]mark, error) {
	var rows []struct {
		Topic     string `ch:"topic"`
		Partition uint32 `ch:"partition"`
		Offset    int64  `ch:"max(next_offset)"`
		Seq       int64  `ch:"max(next_seq)"`
	}
	if err := conn.Select(ctx, &rows, queryMarks, clickhouse.Named("topic", topic)); err != nil {
		return nil, fmt.Errorf("read sink_marks: %w", err)
	}
	marks := make(map[topicPartition]mark)
	for _, r := range rows {
		marks[topicPartition{r.Topic, int32(r.Partition)}] = mark{r.Offset, r.Seq}
	}
	return marks, nil
}

// mark publishes that everything before last+1 is in ClickHouse, and every event up to the last record's seq.
//
// The table keeps the greatest of each. So a chunk of transaction markers alone, which knows no seq, takes nothing
// back. A mark set twice, or late by a sink that lost the partition, does no harm: it was true when it was set.
//
// Before it, ClickHouse's own marks are compared with what this sink knows of them. A new mark joins the one before it:
// where that has gone, the rows below it have gone too, and the new mark would promise them.
func (s *sink) mark(ctx context.Context, cs []*chunk) error {
	marks, err := readMarks(s.bounded(ctx), s.conn, "")
	if err != nil {
		return err
	}
	for _, c := range cs {
		if err := setBack(c.topicPartition, c.marked, marks); err != nil {
			return err
		}
	}
	b, err := s.conn.PrepareBatch(s.withSettings(s.bounded(ctx), ""),
		"INSERT INTO sink_marks (topic, partition, next_offset, next_seq, at)")
	if err != nil {
		return fmt.Errorf("prepare marks: %w", err)
	}
	now := time.Now()
	for _, c := range cs {
		seqs, err := c.nextSeqs()
		if err != nil {
			return fmt.Errorf("marks: %w", err)
		}
		for of, seq := range seqs {
			if err := b.Append(of.name(), uint32(c.partition), c.last+1, seq, now); err != nil {
				return fmt.Errorf("marks: %w", err)
			}
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

// setBackError ends a session: ClickHouse's mark of a partition is behind what this sink had found or set. ClickHouse
// was emptied, or an older copy of it was brought back. The next session reads again from ClickHouse's mark.
type setBackError struct {
	topicPartition
	had, has int64
}

func (e *setBackError) Error() string {
	return fmt.Sprintf("sinks: ClickHouse had %s partition %d up to offset %d and has it up to %d now: it was emptied, "+
		"or an older copy was brought back; what is missing is read again", e.topic, e.partition, e.had, e.has)
}

func setBack(tp topicPartition, had int64, marks map[topicPartition]mark) error {
	if has := marks[tp].offset; has < had {
		return &setBackError{tp, had, has}
	}
	return nil
}

// waitMarks returns when every event with a seq before until[p] is in ClickHouse for each partition p of the topic. If
// ctx ends before, the error says which partition is behind and by how much.
func waitMarks(ctx context.Context, conn driver.Conn, topic string, until []int64) error {
	var short, unread error // what the last answered query said, and why the one after it got no answer
	_, err := backoff.Retry(ctx, func() (marks map[topicPartition]mark, err error) {
		if marks, unread = readMarks(ctx, conn, topic); unread != nil {
			return nil, unread
		}
		short = behind(marks, topic, until)
		return nil, short
	}, backoff.WithBackOff(doubling(2*time.Millisecond, 50*time.Millisecond)), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return fmt.Errorf("waiting for the ClickHouse sink: %w: %w", lastAnswer(short, unread), ctx.Err())
	}
	return nil
}

// lastAnswer says how far the sink was when that was last known. The query that ctx ends explains nothing by
// itself.
func lastAnswer(short, unread error) error {
	if short != nil && unread != nil {
		return fmt.Errorf("%w (the query after that: %w)", short, unread)
	}
	return cmp.Or(short, unread)
}

// behind names the first partition whose mark is short of until.
func behind(marks map[topicPartition]mark, topic string, until []int64) error {
	for p, seq := range until {
		if m := marks[topicPartition{topic, int32(p)}]; m.seq < seq {
			return fmt.Errorf("%s partition %d is in ClickHouse up to number %d of %d", topic, p, max(m.seq-1, 0), seq-1)
		}
	}
	return nil
}
