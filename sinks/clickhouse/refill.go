package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

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
		(r.Partition < 0 || !schemas.Counted(r.Topic) || r.Topic == schemas.TopicOutcomes):
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
	f, err := s.fill(ctx, []hole{h}, told)
	return []Filled{f}, err
}
