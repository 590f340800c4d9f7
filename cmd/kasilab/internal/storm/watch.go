package storm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/retry"
)

const (
	lookEvery = 100 * time.Millisecond
	// still is how long no offset may move before the pipeline counts as quiet: longer than any transaction of a living
	// stage.
	still = 5 * time.Second
)

// groupOf is the group whose committed offsets show that a role moves.
var groupOf = map[string]string{
	"intake": schemas.GroupIntake, "collect": schemas.GroupCollect,
	"sink": schemas.GroupSink,
}

var allGroups = []string{
	schemas.GroupIntake, schemas.GroupPolicies, schemas.GroupCollect, schemas.GroupSettle,
	schemas.GroupSink,
}

type place struct {
	topic     string
	partition int32
}

// Watch sees from outside how far the groups are.
type Watch struct {
	cl     *kgo.Client
	adm    *kadm.Client
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu        sync.Mutex
	committed map[string]map[place]int64 // by group
	changed   time.Time                  // when any of them was last seen to move
	lag       int64
}

// NewWatch starts to look; end it with Close.
func NewWatch(ctx context.Context, brokers []string) (*Watch, error) {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(brokers...)}, PatientOpts...)...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &Watch{
		cl: cl, adm: kadm.NewClient(cl), cancel: cancel, committed: map[string]map[place]int64{},
		changed: time.Now(),
	}
	w.done.Go(func() {
		for retry.Pause(ctx, lookEvery) == nil {
			w.look(ctx)
		}
	})
	return w, nil
}

// Close ends it.
func (w *Watch) Close() {
	w.cancel()
	w.done.Wait()
	w.cl.Close()
}

// look asks once; what the broker does not answer stays as it was.
func (w *Watch) look(ctx context.Context) {
	fetched := w.adm.FetchManyOffsets(ctx, allGroups...)
	ends, err := w.adm.ListEndOffsets(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	lag := int64(0)
	for group, r := range fetched {
		if r.Err != nil {
			continue
		}
		at := map[place]int64{}
		r.Fetched.Each(func(o kadm.OffsetResponse) {
			if o.Err != nil {
				return
			}
			at[place{o.Topic, o.Partition}] = o.At
			if end, ok := ends.Lookup(o.Topic, o.Partition); ok && err == nil {
				lag += max(end.Offset-o.At, 0)
			}
		})
		for p, n := range at {
			if w.committed[group][p] != n {
				w.changed = time.Now()
			}
		}
		w.committed[group] = at
	}
	w.lag = lag
}

func (w *Watch) behind() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lag
}

// held is what an instance owns in its role's group now; nothing where it cannot be asked.
func (w *Watch) held(ctx context.Context, role, instance string) map[place]bool {
	group := groupOf[role]
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	described, err := w.adm.DescribeGroups(ctx, group)
	own := map[place]bool{}
	if err == nil {
		for _, m := range described[group].Members {
			assigned, ok := m.Assigned.AsConsumer()
			if !ok || !strings.HasSuffix(m.ClientID, "-"+instance) {
				continue
			}
			for _, t := range assigned.Topics {
				for _, p := range t.Partitions {
					own[place{t.Topic, p}] = true
				}
			}
		}
	}
	return own
}

// now is how far a role's group is, as the broker says it now; nil while it does not say.
func (w *Watch) now(ctx context.Context, role string) map[place]int64 {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	fetched, err := w.adm.FetchOffsets(ctx, groupOf[role])
	if err != nil || fetched.Error() != nil {
		return nil
	}
	at := map[place]int64{}
	fetched.Each(func(o kadm.OffsetResponse) { at[place{o.Topic, o.Partition}] = o.At })
	return at
}

// moved tells whether any of an instance's places (any place, where it had none) has moved on.
func moved(own map[place]bool, from, to map[place]int64) bool {
	for p, n := range to {
		if (own[p] || len(own) == 0) && n > from[p] {
			return true
		}
	}
	return false
}

// Quiet waits until everything that was fed has gone through: intake is at the end of what came from outside, and
// nothing moves any more.
func (w *Watch) Quiet(ctx context.Context) error {
	outside := []string{schemas.TopicFeedTransactions, schemas.TopicFeedIncomes, schemas.TopicRailResults}
	return WaitFor(ctx, "the pipeline to be quiet", func() bool {
		ends, err := w.adm.ListEndOffsets(ctx, outside...)
		if err != nil {
			return false
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		through := time.Since(w.changed) > still
		ends.Each(func(o kadm.ListedOffset) {
			through = through && (o.Offset == 0 || w.committed[schemas.GroupIntake][place{o.Topic, o.Partition}] >= o.Offset)
		})
		return through
	})
}

// probe is a topic of ours to which a record is written to see whether the brokers take any.
type probe struct{ cl *kgo.Client }

const probeTopic = "kasi.storm.probe"

func newProbe(ctx context.Context, brokers []string, replication int) (*probe, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.MetadataMinAge(100*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }))
	if err != nil {
		return nil, err
	}
	made, err := kadm.NewClient(cl).CreateTopics(ctx, int32(len(brokers)), int16(replication), nil, probeTopic)
	if err == nil {
		err = made.Error()
	}
	if err != nil && !strings.Contains(err.Error(), "TOPIC_ALREADY_EXISTS") {
		cl.Close()
		return nil, fmt.Errorf("make topic %s: %w", probeTopic, err)
	}
	return &probe{cl}, nil
}

// taken returns when each of the partitions has taken a record.
func (p *probe) taken(ctx context.Context, count int) error {
	var rs []*kgo.Record
	for i := range count {
		rs = append(rs, &kgo.Record{Topic: probeTopic, Partition: int32(i), Value: []byte("up")})
	}
	return p.cl.ProduceSync(ctx, rs...).FirstErr()
}

// median and greatest of some durations.
func median(ds []time.Duration) (p50, most time.Duration) {
	if len(ds) == 0 {
		return 0, 0
	}
	ds = slices.Sorted(slices.Values(ds))
	return ds[len(ds)/2], ds[len(ds)-1]
}
