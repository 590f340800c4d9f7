package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// arrivalPatience bounds how long ClickHouse may make no progress at all.
const arrivalPatience = time.Minute

// arrived waits until ClickHouse holds everything that lies on Kafka now. Only then do its figures mean something: the
// calendar may be days ahead of the sink.
func (p Product) arrived(ctx context.Context) error {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(p.Brokers...)}, p.KgoOpts...)...)
	if err != nil {
		return fmt.Errorf("demo: kafka client: %w", err)
	}
	defer cl.Close()
	missing := map[string]int64{} // topic and partition, to the offset that ClickHouse must have reached
	for topic := range schemas.SunkTopics {
		ends, err := offsets(ctx, topic, kadm.NewClient(cl).ListCommittedOffsets)
		if err != nil {
			return err
		}
		for partition, end := range ends {
			if end > 0 {
				missing[fmt.Sprintf("%s/%d", topic, partition)] = end
			}
		}
	}
	a, last := p.analyst(), ""
	deadline := time.Now().Add(arrivalPatience)
	for {
		rows, err := a.query(ctx,
			"SELECT concat(topic, '/', toString(partition)), max(next_offset) FROM sink_marks GROUP BY topic, partition "+
				"ORDER BY topic, partition", nil)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if n, err := integers(row[1:]); err == nil && n[0] >= missing[row[0]] {
				delete(missing, row[0])
			}
		}
		if len(missing) == 0 {
			return nil
		}
		if now := fmt.Sprint(rows); now != last {
			last, deadline = now, time.Now().Add(arrivalPatience)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("demo: ClickHouse has taken nothing over for %s; it still misses what Kafka holds of %v: is "+
				"the sink running?", arrivalPatience, missing)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
