package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/kasi-collections/kasi/schemas"
)

// Marks say what was written. This file asks what is there: seq counts a partition's events 1, 2, 3... without a gap,
// so a partition is whole up to a bound where it has as many different numbers below it as the bound says.
const (
	// queryCount counts the rows and the different numbers of each partition below its bound. groupBitmap is exact, and a
	// bitmap of dense numbers takes a bit each.
	queryCount = `
SELECT src_partition, toInt64(count()), toInt64(groupBitmap(toUInt64(seq)))
FROM %s
WHERE seq >= 1 AND seq < {until:Array(Int64)}[src_partition + 1]
GROUP BY src_partition`

	// queryHoles lists runs of missing numbers, the lowest first, and the offsets between which their records lie: from
	// the one after the row before them to before the row after them. A row that stands for the bound ends each partition.
	queryHoles = `
SELECT src_partition, before + 1, seq - 1, offset_before + 1, src_offset
FROM
(
    SELECT src_partition, seq, src_offset, lagInFrame(seq, 1, toInt64(0)) OVER w AS before,
        lagInFrame(src_offset, 1, toInt64(-1)) OVER w AS offset_before
    FROM
    (
        SELECT src_partition, seq, src_offset FROM %s
        WHERE seq >= 1 AND seq < {until:Array(Int64)}[src_partition + 1]
        UNION ALL
        SELECT toUInt32(number), {until:Array(Int64)}[number + 1], {ends:Array(Int64)}[number + 1]
        FROM numbers(length({until:Array(Int64)})) WHERE {until:Array(Int64)}[number + 1] > 0
    )
    WINDOW w AS (PARTITION BY src_partition ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
WHERE seq > before + 1
ORDER BY src_partition, seq
LIMIT {most:UInt32}`
)

// series is one count of events: of a topic, or of one stage's events where several write the topic.
type series struct {
	topic, stage string
	final        bool // rows of one event are looked at as one
}

// denseSeries are the series of which the marks know numbers. Ticks have none.
func denseSeries(marks map[topicPartition]mark) []series {
	found := make(map[series]bool)
	for tp := range marks {
		topic, stage, _ := strings.Cut(tp.topic, "/")
		byStage := topic == schemas.TopicOutcomes
		if schemas.Counted(topic) && schemas.SunkTopics[topic] != "" && byStage == (stage != "") {
			found[series{topic: topic, stage: stage}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b series) int { return strings.Compare(a.name(), b.name()) })
}

// name is what sink_marks calls the series.
func (s series) name() string {
	if s.stage == "" {
		return s.topic
	}
	return s.topic + "/" + s.stage
}

// rows is where its rows are, as FROM takes it.
func (s series) rows() string {
	table := schemas.SunkTopics[s.topic]
	if s.final {
		table += " FINAL"
	}
	if s.stage == "" {
		return table
	}
	return "(SELECT src_partition, src_offset, seq FROM " + table + " WHERE stage = " + schemas.Quote(s.stage) + ")"
}

// hole is a run of missing events and where their records lie on Kafka: from offset first to before offset end.
type hole struct {
	schemas.Hole
	first, end int64
}

// Whole returns nil where ClickHouse holds every event of the topic whose seq is below the partition's bound: until[p]
// of partition p. The error is a *schemas.Hole where some are missing, and *schemas.Twins where two have one number. A
// row that is stored twice is one event.
func Whole(ctx context.Context, conn driver.Conn, topic string, until []int64) error {
	for _, of := range []series{{topic: topic}, {topic: topic, final: true}} {
		there, err := of.count(ctx, conn, until)
		if err != nil {
			return err
		}
		twice := -1
		for p, seq := range until {
			if there[p].numbers < seq-1 {
				return of.firstHole(ctx, conn, until)
			}
			if there[p].rows > there[p].numbers {
				twice = p
			}
		}
		switch {
		case twice < 0:
			return nil
		case of.final:
			return &schemas.Twins{Topic: topic, Partition: int32(twice)}
		}
	}
	return nil
}

// there is how many rows of a partition are stored, and how many different numbers they have.
type there struct{ rows, numbers int64 }

func (s series) count(ctx context.Context, conn driver.Conn, until []int64) (map[int]there, error) {
	rows, err := conn.Query(ctx, fmt.Sprintf(queryCount, s.rows()), clickhouse.Named("until", until))
	if err != nil {
		return nil, fmt.Errorf("count %s: %w", s.name(), err)
	}
	defer rows.Close()
	out := make(map[int]there)
	for rows.Next() {
		var p uint32
		var t there
		if err := rows.Scan(&p, &t.rows, &t.numbers); err != nil {
			return nil, fmt.Errorf("count %s: %w", s.name(), err)
		}
		out[int(p)] = t
	}
	return out, rows.Err()
}

// firstHole names a hole that a count has found.
func (s series) firstHole(ctx context.Context, conn driver.Conn, until []int64) error {
	holes, err := s.holes(ctx, conn, until, make([]int64, len(until)), 1) // only the numbers are wanted
	if err != nil {
		return err
	}
	if len(holes) == 0 {
		return fmt.Errorf("%s was not whole in ClickHouse when it was counted, and is by now: ask again", s.name())
	}
	return &holes[0].Hole
}

// holes lists at most so many runs of missing numbers below the bounds. ends[p] is the offset of partition p before
// which the records below its bound lie.
func (s series) holes(ctx context.Context, conn driver.Conn, until, ends []int64, most int) ([]hole, error) {
	rows, err := conn.Query(ctx, fmt.Sprintf(queryHoles, s.rows()), clickhouse.Named("until", until),
		clickhouse.Named("ends", ends), clickhouse.Named("most", most))
	if err != nil {
		return nil, fmt.Errorf("holes of %s: %w", s.name(), err)
	}
	defer rows.Close()
	var out []hole
	for rows.Next() {
		h := hole{Hole: schemas.Hole{Topic: s.topic, Stage: s.stage}}
		var p uint32
		if err := rows.Scan(&p, &h.From, &h.To, &h.first, &h.end); err != nil {
			return nil, fmt.Errorf("holes of %s: %w", s.name(), err)
		}
		h.Partition = int32(p)
		out = append(out, h)
	}
	return out, rows.Err()
}
