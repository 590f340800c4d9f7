package clickhouse

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// setAside takes somebody else's record, which cannot become a row, out of its chunk, once Config.SetAside has it.
// Nothing of the chunk has been sent: the rows are made before the insert begins. Whoever repeats the range comes to
// the same rows, since a record that cannot be read never can. It has no seq among ours, so none is missing.
//
// A stage writes in transactions. A record of a transaction is ours, and a hole in the ledger is worse than a stop.
func (s *sink) setAside(ctx context.Context, work []*chunk, bad *BadRecordError) error {
	i := slices.IndexFunc(work, func(c *chunk) bool {
		return c.topic == bad.Topic && c.partition == bad.Partition && slices.Contains(c.records, bad.record)
	})
	if i < 0 || s.cfg.SetAside == nil || bad.record.Attrs.IsTransactional() {
		return bad
	}
	where := fmt.Sprintf("no record of %s", bad.Topic)
	if bad.Column != "" {
		where += ": its column " + bad.Column + " cannot hold it"
	}
	ctx, cancel := context.WithTimeout(ctx, s.tuning.callTimeout)
	defer cancel()
	if err := s.cfg.SetAside(ctx, bad.record, where); err != nil {
		s.cfg.Log.Warn("sink: a record that cannot be stored cannot be set aside either; tried again", "topic", bad.Topic,
			"partition", bad.Partition, "offset", bad.Offset, "err", err)
		return nil
	}
	work[i].records = slices.DeleteFunc(work[i].records, func(r *kgo.Record) bool { return r == bad.record })
	return nil
}
