package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
	"github.com/kasi-collections/kasi/streams/retry"
)

// tail reads a topic up to whatever has been committed when it is asked, as an outside party that polls for its day's
// work.
type tail struct {
	topic string
	cl    *kgo.Client
	next  map[int32]int64 // first offset of each partition not yet read
}

// newTail starts at the topic's end (atEnd) or at its beginning.
func newTail(ctx context.Context, src records.Source, topic string, atEnd bool) (*tail, error) {
	// Control records count, or the last transaction's marker would look like a record that never comes.
	cl, err := src.Client(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	list := kadm.NewClient(cl).ListStartOffsets
	if atEnd {
		list = kadm.NewClient(cl).ListCommittedOffsets
	}
	next, err := offsets(ctx, topic, list)
	if err != nil {
		cl.Close()
		return nil, err
	}
	start := map[int32]kgo.Offset{}
	for p, o := range next {
		start[p] = kgo.NewOffset().At(o)
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: start})
	return &tail{topic, cl, next}, nil
}

// offsetsPatience bounds how long offsets asks a broker that does not answer, since it is being started again.
const offsetsPatience = 30 * time.Second

func offsets(ctx context.Context, topic string,
	list func(context.Context, ...string) (kadm.ListedOffsets, error),
) (map[int32]int64, error) {
	listed, err := retry.Constant(ctx, offsetsPatience, 100*time.Millisecond, func() (kadm.ListedOffsets, error) {
		listed, err := list(ctx, topic)
		return listed, cmp.Or(err, listed.Error())
	})
	if err != nil {
		return nil, fmt.Errorf("demo: list the offsets of %s: %w", topic, err)
	}
	at := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { at[o.Partition] = o.Offset })
	if len(at) == 0 {
		return nil, fmt.Errorf("demo: topic %s does not exist: start kasi first", topic)
	}
	return at, nil
}

// read returns every record committed by now that has not been read before.
func (t *tail) read(ctx context.Context) ([]*kgo.Record, error) {
	ends, err := offsets(ctx, t.topic, kadm.NewClient(t.cl).ListCommittedOffsets)
	if err != nil {
		return nil, err
	}
	var got []*kgo.Record
	behind := func() bool {
		maps.DeleteFunc(ends, func(p int32, end int64) bool { return t.next[p] >= end })
		return len(ends) > 0
	}
	for behind() {
		fetches := t.cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if errs := fetches.Errors(); len(errs) > 0 {
			return nil, fmt.Errorf("demo: read %s partition %d: %w", t.topic, errs[0].Partition, errs[0].Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			t.next[r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				got = append(got, r)
			}
		})
	}
	return got, nil
}

// debits reads what the bank has been told since the last call, in an order that does not depend on partitions.
func (t *tail) debits(ctx context.Context, tenant string) ([]schemas.DebitInstruction, error) {
	all, err := t.read(ctx)
	if err != nil {
		return nil, err
	}
	var debits []schemas.DebitInstruction
	for _, r := range all {
		var d schemas.DebitInstruction
		if err := json.Unmarshal(r.Value, &d); err != nil {
			return nil, fmt.Errorf("demo: %s partition %d offset %d is not a debit: %w", t.topic, r.Partition, r.Offset, err)
		}
		if d.TenantID == tenant {
			debits = append(debits, d)
		}
	}
	slices.SortStableFunc(debits, func(a, b schemas.DebitInstruction) int {
		return cmp.Or(cmp.Compare(a.CustomerID, b.CustomerID), cmp.Compare(a.PolicyNumber, b.PolicyNumber),
			cmp.Compare(a.PeriodMonth, b.PeriodMonth), cmp.Compare(a.Attempt, b.Attempt))
	})
	return debits, nil
}
