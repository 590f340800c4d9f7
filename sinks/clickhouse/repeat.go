package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// queryStored asks which offsets of a range are in a table. It reads two columns of the parts that hold such offsets
// (BenchmarkLook), and only a repetition asks.
const queryStored = `SELECT groupUniqArray(src_offset) FROM %s
WHERE src_partition = {partition:UInt32} AND src_offset BETWEEN {first:Int64} AND {last:Int64}`

// doubtful tells whether the chunk's rows may be in ClickHouse already, or may be brought there by somebody else: what
// commit, plan or mark say of the range, a try of ours has an unknown outcome, or so much time has gone by since Kafka
// took our plan (a paused process) that others may have taken over.
func (s *sink) doubtful(c *chunk) bool {
	return c.doubt || time.Since(c.planned) > s.tuning.session
}

// missing gives the records of a chunk that are not in its table yet. The token alone does not do for a repetition:
// ClickHouse forgets it after as many other inserts into the table as the deduplication window holds. It still guards
// what the look cannot see, an insert that is on its way while we look: of two under way at once both tokens are in the
// window.
func (s *sink) missing(ctx context.Context, c *chunk) ([]*kgo.Record, error) {
	var stored []int64
	query := fmt.Sprintf(queryStored, schemas.SunkTopics[c.topic])
	if err := s.conn.QueryRow(ctx, query, clickhouse.Named("partition", uint32(c.partition)), clickhouse.Named("first",
		c.first), clickhouse.Named("last", c.last)).
		Scan(&stored); err != nil {
		return nil, fmt.Errorf("look for offsets %d to %d: %w", c.first, c.last, err)
	}
	there := make(map[int64]bool, len(stored))
	for _, o := range stored {
		there[o] = true
	}
	var rest []*kgo.Record
	for _, r := range c.records {
		if !there[r.Offset] {
			rest = append(rest, r)
		}
	}
	return rest, nil
}

// send brings records of the chunk into its table, all at first, in a repetition what is missing. Where a repetition
// was accepted and rows are still missing, ClickHouse knows the token and has lost its rows, or a replica is behind: no
// mark may promise them.
func (s *sink) send(ctx context.Context, c *chunk) error {
	records, again, err := c.records, s.doubtful(c), error(nil)
	if again {
		if records, err = s.missing(ctx, c); err != nil || len(records) == 0 {
			return err
		}
	}
	if err := s.put(ctx, c, c.token(), records); err != nil || !again {
		return err
	}
	if records, err = s.missing(ctx, c); err != nil || len(records) == 0 {
		return err
	}
	return s.replace(ctx, c)
}
