package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/retry"
)

// tail reads a topic up to whatever has been committed when it is asked, as an outside party that polls for its day's
// work.
type tail struct {
	topic string
	cl    *kgo.Client
	adm   *kadm.Client
	next  map[int32]int64 // first offset of each partition not yet read
}

// newTail starts at the topic's end (atEnd) or at its beginning.
func newTail(ctx context.Context, brokers []string, topic string, atEnd bool, opts ...kgo.Opt) (*tail, error) {
	probe, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(brokers...)}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("demo: kafka client: %w", err)
	}
	adm := kadm.NewClient(probe)
	list := adm.ListStartOffsets
	if atEnd {
		list = adm.ListCommittedOffsets
	}
	t := &tail{topic: topic, adm: adm, next: map[int32]int64{}}
	start := map[int32]kgo.Offset{}
	at, err := offsets(ctx, topic, list)
	if err == nil {
		for p, o := range at {
			t.next[p], start[p] = o, kgo.NewOffset().At(o)
		}
		// Control records count, or the last transaction's marker would look like a record that never comes.
		t.cl, err = kgo.NewClient(append([]kgo.Opt{
			kgo.SeedBrokers(brokers...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: start}),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		}, opts...)...)
	}
	if err != nil {
		probe.Close()
		return nil, err
	}
	return t, nil
}

// offsetsPatience bounds how long offsets asks a broker that does not answer, since it is being started again.
const offsetsPatience = 30 * time.Second

func offsets(ctx context.Context, topic string, list func(context.Context, ...string) (kadm.ListedOffsets,
	error),
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

func (t *tail) close() {
	t.cl.Close()
	t.adm.Close()
}

// read returns every record committed by now that has not been read before.
func (t *tail) read(ctx context.Context) ([]*kgo.Record, error) {
	ends, err := offsets(ctx, t.topic, t.adm.ListCommittedOffsets)
	if err != nil {
		return nil, err
	}
	var got []*kgo.Record
	for t.behind(ends) {
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

func (t *tail) behind(ends map[int32]int64) bool {
	for p, end := range ends {
		if t.next[p] < end {
			return true
		}
	}
	return false
}

// debits reads what the bank has been told since the last call, in an order that does not depend on partitions.
func (t *tail) debits(ctx context.Context, tenant string) ([]schemas.DebitInstruction, error) {
	records, err := t.read(ctx)
	if err != nil {
		return nil, err
	}
	var debits []schemas.DebitInstruction
	for _, r := range records {
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
