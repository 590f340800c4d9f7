package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/civil"
	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// Filled is a stretch of one partition that was filled from Kafka: from the first number that was missing to the last.
type Filled struct {
	schemas.Hole
	// Rows is how many events came back so far.
	Rows int64
	// Gone are the events that Kafka does not hold any more either.
	Gone []schemas.Hole
}

const (
	// most is how many holes are looked for at once; what is beyond them is found when they are filled.
	most = 10_000
	// near is how many offsets may lie between two holes that are filled by one reading.
	near = 100_000
)

// heal finds what is missing below the marks and brings it back from Kafka. told hears of each step. What Kafka's
// retention took cannot be brought back: that is said, and left.
func (s *sink) heal(ctx context.Context, marks map[topicPartition]mark, told func(Filled)) (all []Filled, err error) {
	for _, of := range denseSeries(marks) {
		filled, err := s.healSeries(ctx, of, marks, told)
		all = append(all, filled...)
		if err != nil {
			return all, err
		}
	}
	return all, s.healCalendar(ctx, marks[topicPartition{topic: schemas.TopicCalendar}].offset)
}

func (s *sink) healSeries(ctx context.Context, of series, marks map[topicPartition]mark, told func(Filled)) (
	all []Filled, err error,
) {
	until, ends := of.bounds(marks)
	for short := true; short; {
		there, err := of.count(ctx, s.conn, until)
		if err != nil {
			return all, err
		}
		if short = s.tellMissing(of, until, there); !short {
			return all, nil
		}
		holes, err := of.holes(ctx, s.conn, until, ends, most)
		if err != nil {
			return all, err
		}
		short = false
		holes = slices.DeleteFunc(holes, func(h hole) bool { return s.gone[h.Hole] })
		for len(holes) > 0 {
			n := 1
			for n < len(holes) && holes[n].Partition == holes[0].Partition && holes[n].first-holes[n-1].end <= near {
				n++
			}
			f, err := s.fill(ctx, holes[:n], told)
			if err != nil {
				return all, fmt.Errorf("fill %s, numbers %d to %d: %w", f.Place(), f.From, f.To, err)
			}
			short = short || f.Rows > 0 // look again: there may be more holes, and the rows must be there now
			all, holes = append(all, f), holes[n:]
		}
	}
	return all, nil
}

// bounds are a series' marks by partition: the seq and the offset up to which it must be whole.
func (s series) bounds(marks map[topicPartition]mark) (until, ends []int64) {
	for tp, m := range marks {
		if tp.topic != s.name() {
			continue
		}
		if grow := int(tp.partition) + 1 - len(until); grow > 0 {
			until, ends = append(until, make([]int64, grow)...), append(ends, make([]int64, grow)...)
		}
		until[tp.partition], ends[tp.partition] = m.seq, m.offset
	}
	return until, ends
}

// tellMissing says how many events each partition lacks, and returns whether any does.
func (s *sink) tellMissing(of series, until []int64, there map[int]there) (short bool) {
	for p, seq := range until {
		if seq == 0 {
			continue // another sink's, or nothing
		}
		missing := max(0, seq-1-there[p].numbers)
		short = short || missing > 0
		if s.cfg.Observer != nil {
			s.cfg.Observer.Missing(of.name(), int32(p), missing)
		}
		if missing == 0 {
			s.trouble("hole", place(of, int32(p)), nil)
		}
	}
	return short
}

func place(of series, partition int32) string { return fmt.Sprintf("%s/%d", of.name(), partition) }

// fillRows is how many records are brought back in one insert.
const fillRows = 20_000

// fill reads the records of some holes of one partition, in their order, from Kafka and inserts what is missing. Doing
// it again, or beside another, changes nothing: what is there is looked up before, the insert's token is its own, and
// rows of one event collapse.
func (s *sink) fill(ctx context.Context, holes []hole, told func(Filled)) (Filled, error) {
	first, last := holes[0], holes[len(holes)-1]
	tp := topicPartition{first.Topic, first.Partition}
	s.cfg.Log.Warn("sink: ClickHouse has lost events; they are read again from Kafka", "topic", tp.topic, "partition",
		tp.partition, "stage", first.Stage, "from", first.From, "to", last.To, "holes", len(holes))
	f, next, batch := Filled{Hole: first.part(first.From, last.To)}, first.From, []*kgo.Record(nil)
	var refused error // the last record that cannot be stored
	put := func() error {
		for len(batch) > 0 {
			rows, err := s.bringBack(ctx, tp, batch)
			f.Rows += rows
			told(f)
			bad := (*BadRecordError)(nil)
			if !errors.As(err, &bad) || !slices.Contains(batch, bad.record) {
				batch = nil
				return err
			}
			refused = bad
			n, _ := numberOf(bad.record) // it was read before
			f.Gone = append(f.Gone, first.part(n.Seq, n.Seq))
			batch = slices.DeleteFunc(batch, func(r *kgo.Record) bool { return r == bad.record })
		}
		return nil
	}
	goOn := func(behind int64) {
		if next = behind + 1; next > holes[0].To {
			if holes = holes[1:]; len(holes) > 0 {
				next = holes[0].From
			}
		}
	}
	gone := func(to int64) { // what is missing up to this number will not come any more
		for len(holes) > 0 && next <= to {
			until := min(to, holes[0].To)
			f.Gone = append(f.Gone, first.part(next, until))
			goOn(until)
		}
	}
	err := s.readAgain(ctx, tp, first.first, last.end, func(r *kgo.Record) error {
		n, err := numberOf(r)
		if err != nil {
			if r.Attrs.IsTransactional() {
				refused = err // the number after it shows the hole
			}
			return nil // it was set aside
		}
		if n.stage != first.Stage || len(holes) == 0 || n.Seq < next {
			return nil
		}
		if n.Seq != next && !r.Attrs.IsTransactional() {
			return nil // a stranger, which was set aside
		}
		if gone(n.Seq - 1); len(holes) == 0 || n.Seq != next {
			return nil // it is there
		}
		goOn(n.Seq)
		if batch = append(batch, r); len(batch) < fillRows {
			return nil
		}
		return put()
	})
	if err == nil && len(batch) > 0 {
		err = put()
	}
	if err != nil {
		return f, err
	}
	gone(last.To)
	if err := s.tellGone(ctx, f.Gone, refused); err != nil {
		return f, err
	}
	s.cfg.Log.Info("sink: filled", "topic", tp.topic, "partition", tp.partition, "stage", first.Stage, "from", f.From,
		"to", f.To, "rows", f.Rows)
	return f, nil
}

// tellGone tells of holes that cannot be filled, so that they are not looked for again.
func (s *sink) tellGone(ctx context.Context, holes []schemas.Hole, refused error) error {
	for _, gone := range holes {
		lost := &goneError{gone, refused}
		s.cfg.Log.Error("sink: "+lost.Error(), "topic", gone.Topic, "partition", gone.Partition, "stage", gone.Stage, "from",
			gone.From, "to", gone.To)
		s.trouble("hole", place(series{topic: gone.Topic, stage: gone.Stage}, gone.Partition), lost)
		if err := s.tellWhy(ctx, gone, lost); err != nil {
			return err
		}
		s.gone[gone] = true
	}
	return nil
}

// tellWhy writes down why a hole cannot be filled, for those who meet it in other processes.
func (s *sink) tellWhy(ctx context.Context, h schemas.Hole, why error) error {
	b, err := s.conn.PrepareBatch(s.withSettings(s.bounded(ctx), ""),
		"INSERT INTO sink_holes (topic, stage, partition, from_seq, to_seq, why, at)")
	if err == nil {
		err = b.Append(h.Topic, h.Stage, uint32(h.Partition), h.From, h.To, why.Error(), time.Now())
	}
	if err == nil {
		err = b.Send()
	}
	if err != nil {
		return fmt.Errorf("write down that %w: %w", why, err)
	}
	return nil
}

// goneError is a hole that cannot be filled: refused says why, where Kafka has what cannot be stored.
type goneError struct {
	schemas.Hole
	refused error
}

func (e *goneError) Error() string {
	if e.refused != nil {
		return fmt.Sprintf("%s, and it cannot be stored; statements wait for it: %v", e.Hole.Error(), e.refused)
	}
	return e.Hole.Error() + ", and Kafka does not hold them any more; settlements wait for them: bring the rows back " +
		"from a copy of table " + schemas.SunkTopics[e.Topic] + " (INSERT INTO ... SELECT)"
}

// part is a part of a hole.
func (h hole) part(from, to int64) schemas.Hole {
	part := h.Hole
	part.From, part.To = from, to
	return part
}

// bringBack inserts what is missing of some records of one partition, in order, and says how many that were. The token
// is not that of an earlier insert, which ClickHouse may remember though it has lost the rows. Two sinks that fill the
// same hole at once, while a partition changes hands, share it: both may look before either has inserted.
func (s *sink) bringBack(ctx context.Context, tp topicPartition, records []*kgo.Record) (int64, error) {
	c := &chunk{
		topicPartition: tp, first: records[0].Offset, last: records[len(records)-1].Offset, records: records,
		maybeStored: true, again: fmt.Sprintf("-refill-%d", time.Now().Truncate(refillShares).Unix()),
	}
	lost, err := s.missing(ctx, c)
	if err != nil || len(lost) == 0 {
		return 0, err
	}
	if err := s.send(s.bounded(ctx), c); err != nil {
		return 0, err
	}
	if err := s.keepRecords(s.bounded(ctx), tp.topic, records); err != nil {
		return 0, err
	}
	if s.cfg.Observer != nil {
		s.cfg.Observer.Refilled(schemas.SunkTopics[tp.topic], len(lost))
	}
	return int64(len(lost)), nil
}

// refillShares is for how long sinks that fill one hole use one token. Rows that are lost again within it go in under
// the next (sink.reinsert).
const refillShares = 10 * time.Minute

// healCalendar brings back ticks. They have no seq, but they are few: what the topic holds is remembered and compared.
func (s *sink) healCalendar(ctx context.Context, mark int64) error {
	tp := topicPartition{topic: schemas.TopicCalendar}
	err := s.readAgain(ctx, tp, s.ticks.next, mark, func(r *kgo.Record) error {
		var tick schemas.Tick
		if err := json.Unmarshal(r.Value, &tick); err != nil && r.Attrs.IsTransactional() {
			return badRecord(r, "", err)
		}
		if _, err := civil.ParseDate(tick.Date); err != nil {
			return nil //nolint:nilerr // somebody else's, which was set aside
		}
		if !s.ticks.seen[tick] {
			s.ticks.seen[tick] = true
			s.ticks.records = append(s.ticks.records, r)
		}
		return nil
	})
	if err != nil || len(s.ticks.seen) == 0 {
		return err
	}
	s.ticks.next = mark
	var stored uint64
	if err := s.conn.QueryRow(ctx, "SELECT uniqExact(business_date, cutoff) FROM calendar_log").Scan(&stored); err != nil {
		return fmt.Errorf("count calendar_log: %w", err)
	}
	if stored >= uint64(len(s.ticks.seen)) {
		return nil
	}
	rows, err := s.bringBack(ctx, tp, s.ticks.records)
	s.cfg.Log.Warn("sink: ClickHouse had lost ticks of the calendar; they are read again from Kafka", "rows", rows,
		"err", err)
	return err
}

// ticks is what the calendar's topic holds up to an offset, each tick once.
type ticks struct {
	next    int64
	seen    map[schemas.Tick]bool
	records []*kgo.Record
}

// readAgain calls each for the committed records of one partition from offset first to before end, as far as Kafka has
// them. It has a client of its own, so that the group's is not disturbed.
func (s *sink) readAgain(ctx context.Context, tp topicPartition, first, end int64, each func(*kgo.Record) error) error {
	admin := kadm.NewClient(s.client)
	starts, err := admin.ListStartOffsets(ctx, tp.topic)
	if err != nil {
		return fmt.Errorf("start offsets: %w", err)
	}
	ends, err := admin.ListCommittedOffsets(ctx, tp.topic)
	if err != nil {
		return fmt.Errorf("end offsets: %w", err)
	}
	log, ok1 := starts.Lookup(tp.topic, tp.partition)
	stable, ok2 := ends.Lookup(tp.topic, tp.partition)
	if err := errors.Join(log.Err, stable.Err); err != nil || !ok1 || !ok2 {
		return fmt.Errorf("no answer of Kafka where %s partition %d begins and ends: %w", tp.topic, tp.partition, err)
	}
	next, end := max(first, log.Offset), min(end, stable.Offset)
	if next >= end {
		return nil
	}
	cl, err := kgo.NewClient(append(s.readOptions(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		tp.topic: {tp.partition: kgo.NewOffset().At(next)},
	}))...)
	if err != nil {
		return fmt.Errorf("client of Kafka: %w", err)
	}
	defer cl.Close()
	for next < end {
		fetches := cl.PollFetches(ctx)
		if err := errors.Join(ctx.Err(), fetches.Err()); err != nil {
			return fmt.Errorf("read %s partition %d from offset %d: %w", tp.topic, tp.partition, next, err)
		}
		for _, r := range fetches.Records() {
			if next = r.Offset + 1; r.Offset < end && !r.Attrs.IsControl() {
				if err := each(r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
