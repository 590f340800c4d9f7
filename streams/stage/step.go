package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
)

// produceEvery is how many records a job takes in before it sends what they caused. Compression and the broker then
// work beside it, instead of after it; in fewer records the batches that go out would compress worse.
const produceEvery = 512

// job is the work of one poll on one input partition.
type job struct {
	at      progress.Place
	slot    *slot
	rules   string        // the hash of what is decided by
	records []*kgo.Record // what the slot had left, and what was polled
	done    int           // records that need not be taken again
	failed  *bugError     // what its records failed on
	batch   Batch
	sent    int // records of the batch that were handed to the client

	round *round      // the snapshot that the changelog gets a part of
	share int64       // of the snapshot, in bytes
	wrote int         // of the snapshot, in states
	first *kgo.Record // of the changelog
	bytes int64       // of the changelog
}

// step is one poll and one transaction.
func (r *session) step(ctx context.Context) error {
	fetches := r.poll(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := errors.Join(r.pollError(fetches), r.missed(fetches)); err != nil {
		return err
	}
	jobs, owned := r.jobs(fetches)
	if len(jobs) == 0 && owned {
		return nil
	}
	if err := r.sess.Begin(); err != nil {
		return fmt.Errorf("begin of a transaction: %w", err)
	}
	return r.commit(ctx, jobs, owned, r.work(jobs))
}

// poll fetches the records of one transaction. Where a partition has records left, it takes what others have and does
// not wait: together no more than MaxRecords are in memory. Partitions without a rest wait only where that much is
// left.
func (r *session) poll(ctx context.Context) kgo.Fetches {
	left := 0
	for _, s := range r.parts.all() {
		left += len(s.rest)
	}
	switch {
	case left == 0:
		return r.sess.PollRecords(ctx, r.cfg.MaxRecords)
	case left < r.cfg.MaxRecords:
		return r.sess.PollRecords(nil, r.cfg.MaxRecords-left) //nolint:staticcheck // kgo: nil does not wait
	}
	return nil
}

// pollError is the first error of a poll that a new session must cure. Kgo has already tried again what it could.
//
// A group out of reach is no such error: kgo goes on joining, under the member id that the broker knows. A new session
// would be a new member, and the group would wait for the old one until that is given up. What we held is dropped by
// then (OnPartitionsLost), and restored with the next assignment.
func (r *session) pollError(fetches kgo.Fetches) error {
	var first error
	fetches.EachError(func(topic string, partition int32, err error) {
		switch lost := (*kgo.ErrGroupSession)(nil); {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		case errors.As(err, &lost) && progress.Retriable(err):
			r.log.Warn("out of the group; joining it again", "err", err)
			r.cfg.Observer.Ended(r.row.Name, err)
		case first == nil:
			first = fmt.Errorf("fetch of %s partition %d: %w", topic, partition, err)
		}
	})
	return first
}

// jobs puts the records of each partition behind what its slot has left. owned is false when a partition was taken away
// since the poll: then the transaction aborts.
func (r *session) jobs(fetches kgo.Fetches) (jobs []*job, owned bool) {
	slots, polled := r.parts.all(), map[progress.Place][]*kgo.Record{}
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) > 0 {
			at := progress.Place{Topic: p.Topic, Partition: p.Partition}
			polled[at] = append(polled[at], p.Records...)
		}
	})
	owned = true
	for at := range polled {
		owned = owned && slots[at] != nil
	}
	for at, s := range slots {
		records := slices.Concat(s.rest, polled[at])
		if len(records) == 0 {
			continue
		}
		jobs = append(jobs, &job{
			at: at, slot: s, rules: r.cfg.Rules, records: records, round: r.snapshot(s),
			share: r.cfg.SnapshotAfter / snapshotShare,
			batch: Batch{
				Row: &r.row, partition: at.Partition, Count: r.count, Facts: &Facts{},
				bound: sliceBound{r.cfg.SliceKeys, r.cfg.SliceBytes}, faults: s.faults,
			},
		})
	}
	slices.SortFunc(jobs, func(a, b *job) int { return a.at.Compare(b.at) })
	return jobs, owned
}

// work runs the jobs on all processors and waits for the broker's answers to what they sent. Partitions share nothing,
// so each is as deterministic as if it ran alone. After an error the transaction must abort.
func (r *session) work(jobs []*job) error {
	var mu sync.Mutex
	var refused error // the broker's first
	answered := func(rec *kgo.Record, err error) {
		if err == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if refused == nil {
			refused = fmt.Errorf("produce to %s partition %d: %w", rec.Topic, rec.Partition, err)
		}
	}
	send := func(records []*kgo.Record) {
		for _, rec := range records {
			r.sess.Produce(context.Background(), rec, answered)
		}
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, j := range jobs {
		g.Go(func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = Fatal(fmt.Errorf("%s partition %d: panic: %v\n%s", j.at.Topic, j.at.Partition, p, debug.Stack()))
				}
			}()
			err = j.run(send)
			_ = errors.As(err, &j.failed)
			return err
		})
	}
	failed := g.Wait()
	flushed := r.sess.Client().Flush(context.Background())
	mu.Lock()
	defer mu.Unlock()
	return cmp.Or(failed, flushed, refused)
}

// run processes the records of one partition in order, appends the changelog of what they changed, and sends
// everything.
func (j *job) run(send func([]*kgo.Record)) error {
	m := j.slot.memory
	if m != nil {
		j.batch.Facts = m.Now()
		j.batch.Facts.Topic = cmp.Or(j.slot.topic, j.batch.Facts.Topic)
		j.batch.Facts.Rules = cmp.Or(j.rules, j.batch.Facts.Rules)
	}
	if b, ok := j.slot.task.(Beginner); ok {
		b.Begin()
	}
	for i, rec := range j.records {
		if i%produceEvery == 0 {
			j.send(send)
		}
		if m != nil && rec.Offset < j.batch.Facts.Next {
			j.done = i + 1
			continue // the state has it already
		}
		if j.batch.full() {
			break
		}
		if err := j.take(rec); err != nil {
			return err
		}
		if j.batch.Unfinished {
			break
		}
		j.done, j.batch.Facts.Next, j.batch.Facts.Slice = i+1, rec.Offset+1, nil
	}
	if m != nil {
		// The group commits the offset of the record that comes next, and markers of transactions may lie before it. The
		// state stands there too: a group ahead of its state is one whose state has lost something.
		j.batch.Facts.Next = max(j.batch.Facts.Next, j.next().Offset)
		if err := j.changelog(); err != nil {
			return err
		}
	}
	j.send(send)
	return nil
}

// take has the task work on a record. A *schemas.Reject makes it a dead letter, a fatal error stops the stage, and
// every other one is a bug (bug.go).
func (j *job) take(rec *kgo.Record) error {
	at, err := fault{offset: rec.Offset}, checkTimestamp(rec)
	switch {
	case err != nil:
	case j.batch.faults[at] >= failures:
		err = refusal(j.batch.Row.Name)
	default:
		err = caught(at, func() error { return j.slot.task.Take(&j.batch, rec) })
	}
	if err == nil {
		return nil
	}
	if why := (*schemas.Reject)(nil); errors.As(err, &why) && !IsFatal(err) {
		j.batch.reject(rec, why)
		return nil
	}
	return fmt.Errorf("%s stopped at %s partition %d offset %d: %w", j.batch.Row.Name, rec.Topic, rec.Partition,
		rec.Offset, err)
}

// checkTimestamp refuses a record whose own timestamp no column holds: what the record causes carries it. Kafka lets
// producers give any number, and the broker's bound reaches an hour ahead only where nobody has lifted it.
func checkTimestamp(rec *kgo.Record) error {
	if y := rec.Timestamp.UTC().Year(); y < schemas.FirstYear || y > schemas.LastYear {
		return schemas.Refuse(schemas.RejectBadTime, fmt.Sprintf("the record's own timestamp lies outside the years %d to %d",
			schemas.FirstYear, schemas.LastYear))
	}
	return nil
}

// send hands over what the batch has gained since the last time.
func (j *job) send(send func([]*kgo.Record)) {
	send(j.batch.out[j.sent:])
	j.sent = len(j.batch.out)
}

// commit ends the transaction and settles the state by its outcome. worked is the error of the work, after which it
// aborts.
func (r *session) commit(ctx context.Context, jobs []*job, owned bool, worked error) error {
	in, out := 0, 0
	for _, j := range jobs {
		in, out = in+j.done, out+len(j.batch.out)
	}
	owned = owned && r.parts.owns(jobs)
	try := kgo.TryCommit
	if worked != nil || !owned {
		try = kgo.TryAbort
	}
	// Not the stage's context: cancelling End leaves the transaction in an unknown state.
	committed, err := r.sess.End(kgo.PreTxnCommitFnContext(context.Background(), commitNext(jobs)), try)
	switch {
	case err != nil:
		r.aborted(jobs, err)
		return errors.Join(worked, fmt.Errorf("end of a transaction, outcome unknown: %w", err))
	case !committed:
		r.aborted(jobs, worked)
		if err := r.note(jobs, worked); err != nil {
			return err
		}
		if err := r.confirmAbort(ctx, jobs); err != nil {
			return err
		}
		// A slot with a rest does not wait for a poll. Without a pause the stage would go round at full speed until the
		// group has come together again.
		_ = retry.Pause(ctx, r.aborts.NextBackOff()) // the next step hears that ctx has ended
		return nil
	}
	for _, j := range jobs {
		j.slot.group, j.slot.mark, j.slot.rest = j.next().Offset, j.batch.Facts.Slice.mark(), slices.Clone(j.rest())
		if j.slot.memory != nil {
			j.slot.memory.Merge()
			r.trimChangelog(ctx, j)
		}
		r.observe(j)
	}
	r.onCommitted()
	r.aborts.Reset()
	r.log.Debug("committed", "in", in, "out", out)
	r.cfg.Observer.Committed(r.row.Name, in, out)
	return nil
}

// observe tells of the records of a committed transaction.
func (r *session) observe(j *job) {
	for _, rec := range j.records[:j.done] {
		r.cfg.Observer.Took(r.row.Name, rec.Timestamp)
	}
	for _, rec := range j.batch.out {
		if rec.Topic == r.row.DeadLetters {
			r.cfg.Observer.Refused(r.row.Name, progress.Header(rec, letters.HeaderErrorClass))
		}
	}
}

// confirmAbort makes sure that a transaction of which End says "not committed" is not: where the broker applied it and
// answered with an error all the same, kgo reports the abort that it tried next. Then our state is behind, and only a
// new session that restores it helps.
func (r *session) confirmAbort(ctx context.Context, jobs []*job) error {
	offsets, err := kadm.NewClient(r.sess.Client()).FetchOffsets(kadm.RequireStable(ctx), r.row.Group)
	if err != nil {
		return fmt.Errorf("offsets of group %s after an abort: %w", r.row.Group, err)
	}
	for _, j := range jobs {
		if r.parts.find(j.at) != j.slot {
			continue // it has moved to another instance, or will be restored
		}
		o, ok := offsets.Lookup(j.at.Topic, j.at.Partition)
		switch {
		case o.Err != nil:
			return fmt.Errorf("offset of group %s on %s partition %d after an abort: %w", r.row.Group, j.at.Topic,
				j.at.Partition, o.Err)
		case ok && o.At >= 0 && (o.At != j.slot.group || markOf(o.Metadata) != j.slot.mark):
			return fmt.Errorf("%s partition %d: the transaction was reported as aborted, but the group has gone on from "+
				"offset %d %s to %d %s", j.at.Topic, j.at.Partition, j.slot.group, j.slot.mark, o.At, markOf(o.Metadata))
		}
	}
	return nil
}

// aborted forgets what the jobs changed.
func (r *session) aborted(jobs []*job, cause error) {
	for _, j := range jobs {
		if j.slot.memory != nil {
			j.slot.memory.Drop()
		}
	}
	if cause == nil {
		cause = errors.New("rebalance")
	}
	r.log.Info("transaction aborted; its records are read again", "err", cause)
	r.cfg.Observer.Aborted(r.row.Name, cause)
}
