package stage

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/streams/progress"
)

// Dry has a task work on records of one input partition as one transaction that no Kafka hears of, and returns what it
// would have written, the changelog included. The caller merges or drops what the memory has taken in. For tests and
// benchmarks.
func Dry(row Row, task Task, memory Memory, partition, count int32, records ...*kgo.Record) ([]*kgo.Record, error) {
	if len(records) == 0 {
		return nil, nil
	}
	j := &job{
		at: progress.Place{Topic: records[0].Topic, Partition: partition}, slot: &slot{task: task, memory: memory},
		records: records, batch: Batch{Row: &row, partition: partition, Count: count, Facts: &Facts{}},
	}
	err := j.run(func([]*kgo.Record) {})
	return j.batch.out, err
}

// Restore reads the changelog partitions of a stage into empty memories, as a session does before it serves. For tests
// and benchmarks.
func Restore(ctx context.Context, cfg Config, row Row, into map[int32]Memory) error {
	slots := map[int32]*slot{}
	for p, m := range into {
		slots[p] = &slot{memory: m}
	}
	err := restore(ctx, cfg.withDefaults(), &row, slots)
	for _, m := range into {
		err = errors.Join(err, m.Whole())
	}
	return err
}
