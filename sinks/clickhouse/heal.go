package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/civil"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
)

// lacksCodes are ClickHouse's words for "I have no such thing": column in an insert, identifier, table, database.
var lacksCodes = []int32{16, 47, 60, 81}

// lacking tells whether ClickHouse refuses because a table, a column or the whole database is not there.
func lacking(err error) bool {
	var refusal *clickhouse.Exception
	return errors.As(err, &refusal) && slices.Contains(lacksCodes, refusal.Code)
}

// watch looks again and again after what is stored already, beside the loop that stores what is new: whether ClickHouse
// has all tables, whether its marks are where this sink left them, and whether each partition that this sink owns is
// whole up to its mark. It rests ten times as long as it looked. An alarm calls it at once.
func (s *sink) watch(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		err := s.lookAfter(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case beginsAnew(err) || errors.As(err, new(*stopError)):
			s.stop(err)
			return
		case err != nil:
			s.cfg.Log.Warn("sink: looking for what ClickHouse may have lost", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-s.alarm:
		case <-time.After(max(s.tuning.watch, s.tuning.rest*time.Since(began))):
		}
	}
}

// raise calls the watch.
func (s *sink) raise() {
	select {
	case s.alarm <- struct{}{}:
	default: // it is on its way
	}
}

func (s *sink) lookAfter(ctx context.Context) error {
	if err := s.mendSchema(ctx); err != nil {
		return err
	}
	had := s.marked() // before the marks are read: by then the loop may have set new ones
	if len(had) == 0 {
		return nil
	}
	marks, err := readMarks(ctx, s.conn, "")
	if err != nil {
		return err
	}
	for tp, offset := range had {
		if err := setBack(tp, offset, marks); err != nil {
			return err
		}
	}
	own := make(map[topicPartition]mark)
	for tp, m := range marks {
		topic, _, _ := strings.Cut(tp.topic, "/")
		if _, ours := had[topicPartition{topic, tp.partition}]; ours {
			own[tp] = m
		}
	}
	_, err = s.heal(ctx, own, func(Filled) {})
	return err
}

// marked is ClickHouse's mark of each partition of ours as we know it.
func (s *sink) marked() map[topicPartition]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[topicPartition]int64, len(s.parts))
	for tp, p := range s.parts {
		out[tp] = p.marked
	}
	return out
}

// mendSchema makes again what was dropped: the database, tables, views. A database that this version cannot use stops
// the sink.
func (s *sink) mendSchema(ctx context.Context) error {
	lacks, err := migrate.Lacks(ctx, s.conn)
	if len(lacks) == 0 && !lacking(err) {
		return err
	}
	s.cfg.Log.Warn("sink: ClickHouse lacks parts of the database, which are made again and filled from Kafka", "lacks",
		strings.Join(lacks, ", "), "err", err)
	err = migrate.Up(ctx, s.cfg.ClickHouse, s.cfg.Log)
	if errors.As(err, new(*migrate.RefusedError)) {
		return &stopError{err}
	}
	return err
}

// Filled is one hole that was filled from Kafka.
type Filled struct {
	schemas.Hole
	// Rows is how many events came back so far.
	Rows int64
	// Gone are the events that Kafka does not hold any more either.
	Gone []schemas.Hole
}

// most is how many holes are looked for at once; what is beyond them is found when they are filled.
const most = 1000

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
		for _, h := range holes {
			if s.gone[h.Hole] {
				continue
			}
			f, err := s.fill(ctx, h, told)
			if err != nil {
				return all, fmt.Errorf("fill %s, numbers %d to %d: %w", h.Place(), h.From, h.To, err)
			}
			short = true // look again: there may be more holes, and the rows must be there now
			all = append(all, f)
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
		missing := max(0, seq-1-there[p].numbers)
		short = short || missing > 0
		if s.cfg.Observer != nil && seq > 0 {
			s.cfg.Observer.Missing(of.name(), int32(p), missing)
		}
	}
	return short
}

// fillRows is how many records are brought back in one insert.
const fillRows = 20_000

// fill reads the records of a hole from Kafka and inserts what is missing. Doing it again, or beside another, changes
// nothing: what is there is looked up before, the insert's token is its own, and rows of one event collapse.
func (s *sink) fill(ctx context.Context, h hole, told func(Filled)) (Filled, error) {
	tp := topicPartition{h.Topic, h.Partition}
	s.cfg.Log.Warn("sink: ClickHouse has lost events; they are read again from Kafka", "topic", h.Topic, "partition",
		h.Partition, "stage", h.Stage, "from", h.From, "to", h.To)
	f, next, batch := Filled{Hole: h.Hole}, h.From, []*kgo.Record(nil)
	put := func() error {
		rows, err := s.bringBack(ctx, tp, batch)
		f.Rows, batch = f.Rows+rows, nil
		told(f)
		return err
	}
	err := s.readAgain(ctx, tp, h.first, h.end, func(r *kgo.Record) error {
		n, err := numberOf(r)
		if err != nil && !r.Attrs.IsTransactional() {
			return nil // somebody else's, which was set aside
		}
		if err != nil || n.stage != h.Stage || n.Seq < h.From || n.Seq > h.To {
			return err
		}
		if n.Seq > next {
			f.Gone = append(f.Gone, h.part(next, n.Seq-1))
		}
		next = n.Seq + 1
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
	if next <= h.To {
		f.Gone = append(f.Gone, h.part(next, h.To))
	}
	for _, gone := range f.Gone {
		s.gone[gone] = true
		s.cfg.Log.Error("sink: events are lost in ClickHouse and Kafka does not hold them any more; settlements wait for "+
			"them: bring the rows back from a copy of the table (INSERT INTO ... SELECT)", "topic", gone.Topic, "partition",
			gone.Partition, "stage", gone.Stage, "from", gone.From, "to", gone.To)
	}
	s.cfg.Log.Info("sink: filled", "topic", h.Topic, "partition", h.Partition, "stage", h.Stage, "from", h.From, "to",
		h.To, "rows", f.Rows)
	return f, nil
}

// part is a part of a hole.
func (h hole) part(from, to int64) schemas.Hole {
	part := h.Hole
	part.From, part.To = from, to
	return part
}

// bringBack inserts what is missing of some records of one partition, in order, and says how many that were. The token
// is one that no insert has had: ClickHouse may remember that of the insert whose rows it has lost.
func (s *sink) bringBack(ctx context.Context, tp topicPartition, records []*kgo.Record) (int64, error) {
	c := &chunk{
		topicPartition: tp, first: records[0].Offset, last: records[len(records)-1].Offset, records: records,
		maybeStored: true, again: fmt.Sprintf("-refill-%d", time.Now().UnixNano()),
	}
	lost, err := s.missing(ctx, c)
	if err != nil || len(lost) == 0 {
		return 0, err
	}
	if err := s.send(s.bounded(ctx), c); err != nil {
		return 0, err
	}
	if s.cfg.Observer != nil {
		s.cfg.Observer.Refilled(schemas.SunkTopics[tp.topic], len(lost))
	}
	return int64(len(lost)), nil
}

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

// Range says what Refill brings back: the numbers From to To of a partition of a topic. An empty topic means all
// topics, a negative partition all of them, and From or To 0 no bound on that side. With bounds a partition must be
// named.
type Range struct {
	Topic     string
	Partition int32
	From, To  int64
}

func (r Range) check() error {
	switch {
	case r.Topic != "" && schemas.SunkTopics[r.Topic] == "":
		return fmt.Errorf("topic %q is not one that ClickHouse holds; these are: %s", r.Topic,
			strings.Join(slices.Sorted(maps.Keys(schemas.SunkTopics)), ", "))
	case r.Topic == "" && r.Partition >= 0:
		return errors.New("a partition needs a topic")
	case (r.From != 0 || r.To != 0) &&
		(r.Partition < 0 || r.Topic == schemas.TopicCalendar || r.Topic == schemas.TopicOutcomes):
		return fmt.Errorf("numbers need a topic, other than %s and %s, and a partition", schemas.TopicCalendar,
			schemas.TopicOutcomes)
	case r.From < 0 || r.To < 0 || r.To != 0 && r.To < r.From:
		return fmt.Errorf("numbers %d to %d are no range", r.From, r.To)
	}
	return nil
}

// Refill brings back from Kafka what ClickHouse has lost of the range, up to its marks. It may run beside sinks, and
// any number of times. told hears of each step of each hole.
func Refill(ctx context.Context, cfg Config, only Range, told func(Filled)) ([]Filled, error) {
	if err := errors.Join(cfg.validate(), only.check()); err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(cfg.ClickHouse)
	if err != nil {
		return nil, fmt.Errorf("sinks: open ClickHouse: %w", err)
	}
	defer conn.Close()
	s := newSink(cfg, defaults(), conn, nil)
	if s.client, err = kgo.NewClient(s.readOptions()...); err != nil {
		return nil, fmt.Errorf("sinks: Kafka client: %w", err)
	}
	defer s.client.Close()
	if err := s.mendSchema(ctx); err != nil {
		return nil, err
	}
	if s.settings, err = settingsFor(ctx, conn, cfg.ClickHouse.Protocol); err != nil {
		return nil, err
	}
	marks, err := readMarks(ctx, conn, "")
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(marks, func(tp topicPartition, _ mark) bool {
		topic, _, _ := strings.Cut(tp.topic, "/")
		return only.Topic != "" && topic != only.Topic || only.Partition >= 0 && tp.partition != only.Partition
	})
	if only.From == 0 && only.To == 0 {
		return s.heal(ctx, marks, told)
	}
	return s.refillNumbers(ctx, only, marks[topicPartition{only.Topic, only.Partition}], told)
}

// queryAround gives the offsets between which the records of a range of numbers lie: after the last row below it, and
// before the first row above it; 0 where there is none.
const queryAround = `
SELECT maxIf(src_offset, seq < {from:Int64}) + (countIf(seq < {from:Int64}) > 0), minIf(src_offset, seq > {to:Int64})
FROM %s WHERE src_partition = {partition:UInt32}`

func (s *sink) refillNumbers(ctx context.Context, only Range, m mark, told func(Filled)) ([]Filled, error) {
	h := hole{Hole: schemas.Hole{Topic: only.Topic, Partition: only.Partition, From: max(1, only.From), To: m.seq - 1}}
	if only.To > 0 {
		h.To = min(h.To, only.To)
	}
	if h.To < h.From {
		return nil, fmt.Errorf("%s: ClickHouse's mark stands before number %d; what is behind it the sink brings by itself",
			h.Place(), m.seq)
	}
	err := s.conn.QueryRow(ctx, fmt.Sprintf(queryAround, schemas.SunkTopics[h.Topic]), clickhouse.Named("from", h.From),
		clickhouse.Named("to", h.To), clickhouse.Named("partition", uint32(h.Partition))).Scan(&h.first, &h.end)
	if err != nil {
		return nil, fmt.Errorf("offsets around numbers %d to %d of %s: %w", h.From, h.To, h.Place(), err)
	}
	if h.end == 0 {
		h.end = m.offset
	}
	f, err := s.fill(ctx, h, told)
	return []Filled{f}, err
}
