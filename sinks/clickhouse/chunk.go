package clickhouse

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// step is how far a chunk has got. Each step is repeatable; a chunk never goes back.
type step int

const (
	stepStarted   step = iota // the range is chosen, in memory only
	stepPlanned               // the range is written down in Kafka
	stepInserted              // its rows are in the tables of events
	stepKept                  // and in those of current states
	stepMarked                // sink_marks says so
	stepCommitted             // Kafka knows the next offset; the chunk is done
)

func (s step) String() string {
	return [...]string{"started", "planned", "inserted", "kept", "marked", "committed"}[s]
}

// chunk is one range of one partition: what one insert writes and one token names.
type chunk struct {
	topicPartition
	member      string
	first, last int64
	// epochBefore is the leader epoch of what was committed before the chunk, epochAfter that of its last record. Kafka
	// needs them in commits.
	epochBefore, epochAfter int32
	// records are the range's records without transaction markers. Aborted records are not among them.
	records []*kgo.Record
	step    step
	// plannedAt is when Kafka was asked to write the range down.
	plannedAt time.Time
	// maybeStored says that its rows may be in ClickHouse although its step does not say so.
	maybeStored bool
	// reinserts counts the further tokens under which lost rows went in again.
	reinserts int
	// marked is ClickHouse's mark as this sink knew it when it began the chunk.
	marked int64
	// again, where not empty, makes the token one that no insert has had.
	again string
}

// token names the chunk to ClickHouse. It depends on nothing but the range, but for a chunk that is brought back.
func (c *chunk) token() string {
	return fmt.Sprintf("%s-%d-%d-%d", c.topic, c.partition, c.first, c.last) + c.again
}

const planFormat = "plan %d-%d"

// plan is the commit metadata that writes the range down.
func (c *chunk) plan() string { return fmt.Sprintf(planFormat, c.first, c.last) }

// parsePlan reads the last offset of the range that a commit at offset first had planned. Metadata of other origin
// (another tool's reset) is no plan.
func parsePlan(metadata string, first int64) (last int64, ok bool) {
	c := chunk{first: first}
	_, _ = fmt.Sscanf(metadata, planFormat, new(int64), &c.last) // the comparison finds what it misreads
	return c.last, c.last >= first && metadata == c.plan()
}

// nextSeqs is the seq that follows the chunk's last record, by series. It is 0 where the topic itself has no dense
// count (ticks have none, outcomes one for each stage), and where there is no record.
func (c *chunk) nextSeqs() (map[series]int64, error) {
	next := map[series]int64{{topic: c.topic}: 0}
	if len(c.records) == 0 || !schemas.Counted(c.topic) {
		return next, nil
	}
	records := c.records[len(c.records)-1:]
	if c.topic == schemas.TopicOutcomes {
		records = c.records
	}
	for _, r := range records {
		n, err := numberOf(r)
		if err != nil {
			return nil, err
		}
		next[n.series] = n.Seq + 1
	}
	return next, nil
}

// number is where a record of ours stands in its series.
type number struct {
	series
	Seq int64
}

func numberOf(r *kgo.Record) (number, error) {
	var counted struct {
		Seq   int64
		Stage string
	}
	if err := json.Unmarshal(r.Value, &counted); err != nil {
		return number{}, badRecord(r, "", err)
	}
	if r.Topic != schemas.TopicOutcomes {
		counted.Stage = ""
	}
	return number{series{topic: r.Topic, stage: counted.Stage}, counted.Seq}, nil
}

// none stands where an offset is not known or not set.
const none int64 = -1

type topicPartition struct {
	topic     string
	partition int32
}

// partition is one that this sink owns.
type partition struct {
	topicPartition
	// member is the member id under which the group gave us the partition. Under another id it is not ours, whatever the
	// client believes.
	member string
	// next is the first offset not committed, epoch the leader epoch committed with it.
	next  int64
	epoch int32
	// plan is the last offset of a range that an earlier owner wrote down and may have inserted; none if there is no such
	// range.
	plan int64
	// freshFrom is the first offset that cannot be in ClickHouse yet, as far as commit, plan and mark tell. Offsets below
	// it are looked up before they are inserted.
	freshFrom int64
	// marked is ClickHouse's mark of the partition as this sink found it, or set it since.
	marked int64
	// buffer holds what was fetched and belongs to no chunk yet, transaction markers included, in offset order.
	buffer []*kgo.Record
	// work is the chunk under way. There is at most one, so that rows arrive in order.
	work *chunk
}

// canStart tells whether start has something to take.
func (p *partition) canStart() bool {
	n := len(p.buffer)
	return p.work == nil && n > 0 && (p.plan == none || p.buffer[n-1].Offset >= p.plan)
}

// start takes the next chunk off the buffer. Under an earlier owner's plan it takes exactly the planned range, and
// nothing before all of that range has been fetched.
func (p *partition) start() {
	if !p.canStart() {
		return
	}
	n := len(p.buffer)
	last := p.buffer[n-1].Offset
	if p.plan != none {
		last = p.plan
		n, _ = slices.BinarySearchFunc(p.buffer, last+1, func(r *kgo.Record, o int64) int { return cmp.Compare(r.Offset, o) })
	}
	c := &chunk{
		topicPartition: p.topicPartition, member: p.member, first: p.next, last: last,
		epochBefore: p.epoch, epochAfter: p.epoch, maybeStored: p.next < p.freshFrom, marked: p.marked,
	}
	for _, r := range p.buffer[:n] {
		c.epochAfter = r.LeaderEpoch
		if !r.Attrs.IsControl() {
			c.records = append(c.records, r)
		}
	}
	if p.plan != none || len(c.records) == 0 {
		c.step = stepPlanned // written down already, or nothing to insert that a plan would have to protect
	}
	p.buffer, p.plan, p.work = p.buffer[n:], none, c
}

// finish forgets a committed chunk.
func (p *partition) finish() {
	p.next, p.epoch, p.marked, p.work = p.work.last+1, p.work.epochAfter, p.work.last+1, nil
}
