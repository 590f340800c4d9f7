package stage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
)

const (
	// sessionTimeout is how long the group waits for an instance that died before its partitions move.
	sessionTimeout = 15 * time.Second
	// transactionTimeout is how long an instance that died can hold back readers of its outputs and whoever takes over its
	// partitions, unless it comes back earlier; the broker looks every 10 s for transactions past it. A transaction is
	// open while one poll is worked on.
	transactionTimeout = 20 * time.Second
)

// ClientPrefix begins the transactional ids of stages.
const ClientPrefix = "kasi-"

// Run keeps one stage running until ctx ends. ready, where not nil, is called each time it serves. Each session ends
// with the first error whose outcome is not certain, and the next one starts from what the broker has committed, with
// restored state.
func Run(ctx context.Context, cfg Config, row Row, open Open, ready func()) error {
	cfg = cfg.withDefaults()
	log := cfg.Log.With("stage", row.Name)
	for pauses := retry.Growing(100*time.Millisecond, 5*time.Second); ; {
		s := &session{
			cfg: cfg, row: row, open: open, ready: ready, log: log, onCommitted: pauses.Reset,
			aborts: retry.Growing(10*time.Millisecond, time.Second),
		}
		s.parts.slots, s.parts.aside = map[progress.Place]*slot{}, map[progress.Place]bool{}
		err := s.run(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the stop was asked for
		}
		if errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) {
			err = fmt.Errorf("fenced; if this repeats, another process runs with the same instance id %q and one of them "+
				"needs its own: %w", cfg.Instance, err)
		}
		if IsFatal(err) {
			return fmt.Errorf("stage %s: %w", row.Name, err)
		}
		log.Warn("stage starts again from what is committed", "err", err)
		cfg.Observer.Ended(row.Name, err)
		if retry.Pause(ctx, pauses.NextBackOff()) != nil {
			return nil
		}
	}
}

// session is one life of a stage: a group member, a transactional producer and the states of the assigned partitions.
//
// Guarantee: what a transaction wrote, the offsets it consumed and the state that came of it become visible together or
// not at all.
//   - End says committed: the batch is merged into the state.
//   - End says not committed (a rebalance, a refused offset commit, a failed produce): the batch is dropped, kgo
//     reads again from the committed offsets, and the sequence numbers go back with the state.
//   - End fails: the outcome is unknown. The session and all its state are dropped; the next one finds out from the
//     broker.
type session struct {
	cfg         Config
	row         Row
	open        Open
	ready       func()
	onCommitted func()
	log         *slog.Logger
	aborts      *backoff.ExponentialBackOff // pauses between transactions that were aborted one after the other

	sess      *kgo.GroupTransactSession
	created   chan struct{} // closed once sess is set: the group calls back earlier than that
	count     int32
	snapshots bool // the stage keeps its changelog short itself (changelog.go)
	parts     partitions
	fail      context.CancelCauseFunc
	endClient context.CancelFunc // ends whatever the client still waits for
	once      sync.Once          // closes sess: kgo must not be closed from two sides at once
}

// close leaves the group and closes the client. A join that is under way ends only when the group has come together,
// which other members may hold up for a minute: it is not waited for so long. A member that could not leave is
// forgotten after its session.
func (r *session) close() {
	r.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), r.cfg.LeaveTimeout)
		defer cancel()
		if err := r.sess.Client().LeaveGroupContext(ctx); err != nil {
			r.log.Info("the group could not be left", "err", err)
		}
		r.endClient()
		r.sess.Close()
	})
}

// run returns when ctx ends or with the error that ended the session.
func (r *session) run(ctx context.Context) error {
	loop, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	client, endClient := context.WithCancel(context.WithoutCancel(ctx))
	defer endClient()
	r.fail, r.endClient, r.created = fail, endClient, make(chan struct{})
	err := r.checkTopics(ctx)
	if err != nil {
		return err
	}
	if r.sess, err = kgo.NewGroupTransactSession(r.options(client)...); err != nil {
		return Fatal(fmt.Errorf("kafka client: %w", err))
	}
	close(r.created)
	defer r.close()
	defer r.closeAfterTimeout(ctx)()
	// Asking for the producer id fences a predecessor and aborts its open transaction at once, which a restore would
	// otherwise wait for.
	if _, _, err := r.sess.Client().ProducerID(loop); err != nil {
		return fmt.Errorf("producer id: %w", err)
	}
	if r.row.State != "" {
		go r.comeBack(loop)
	}
	for {
		if err := r.step(loop); err != nil {
			if cause := context.Cause(loop); cause != nil {
				return cause
			}
			return err
		}
	}
}

// closeAfterTimeout closes the client when a stop takes too long: a broker that is gone must not keep the process from
// ending. The context of End is never cancelled; the outcome of what was under way is found out by the next start.
func (r *session) closeAfterTimeout(ctx context.Context) (stop func()) {
	done, end := context.WithCancel(context.Background())
	unhook := context.AfterFunc(ctx, func() {
		if retry.Pause(done, r.cfg.StopTimeout) == nil {
			r.log.Warn("the last transaction did not end in time; its outcome is left to the next start")
			r.sess.Client().UnsafeAbortBufferedRecords()
			r.close()
		}
	})
	return func() { unhook(); end() }
}

func (r *session) options(client context.Context) []kgo.Opt {
	id := ClientPrefix + r.row.Name + "-" + r.cfg.Instance
	txn := id
	if r.cfg.FreshTxnID {
		txn += "-" + rand.Text()
	}
	return r.cfg.Client(
		kgo.ClientID(id), kgo.ConsumerGroup(r.row.Group), kgo.SessionTimeout(sessionTimeout),
		kgo.ConsumeTopics(r.row.Inputs...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.MetadataMaxAge(PartitionsSeenAfter),
		// Cooperative: partitions that stay here keep their state; only those that move are restored.
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.AdjustFetchOffsetsFn(func(ctx context.Context, offsets offsets) (offsets, error) {
			<-r.created
			adjusted, err := r.assign(ctx, offsets)
			switch {
			case err == nil:
				r.serving()
			case ctx.Err() == nil: // not merely the next rebalance
				r.fail(err)
			}
			return adjusted, err
		}),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			if len(added) == 0 && r.parts.len() == 0 {
				r.serving() // more instances than partitions: this one stands by
			}
		}),
		kgo.OnPartitionsRevoked(r.dropped), kgo.OnPartitionsLost(r.dropped),
		kgo.TransactionalID(txn), kgo.TransactionTimeout(transactionTimeout),
		kgo.ProducerLinger(0), kgo.MaxBufferedRecords(1<<20), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.WithCompressor(Compressor()), kgo.WithContext(client),
	)
}

func (r *session) serving() {
	r.log.Info("stage serves", "partitions", r.parts.len())
	if r.ready != nil {
		r.ready()
	}
}

// checkTopics refuses topics that the stage cannot work with, and finds out how many partitions ours have and whether
// the stage must keep its changelog short itself.
func (r *session) checkTopics(ctx context.Context) error {
	row := &r.row
	cl, err := kgo.NewClient(r.cfg.Client(kgo.ClientID("kasi-" + row.Name + "-check"))...)
	if err != nil {
		return Fatal(fmt.Errorf("kafka client: %w", err))
	}
	defer cl.Close()
	names := append([]string{row.CountOf}, row.Inputs...)
	for _, o := range row.Outputs {
		names = append(names, o.Topic)
	}
	if row.State != "" {
		names = append(names, row.State)
	}
	adm := kadm.NewClient(cl)
	topics, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("topic list: %w", err)
	}
	if err := topics.Error(); err != nil {
		return fmt.Errorf("topics of the stage: %w", err)
	}
	if err := samePartitions(row, topics); err != nil {
		return Fatal(err)
	}
	r.count = int32(len(topics[row.CountOf].Partitions))
	r.snapshots, err = needsSnapshots(ctx, adm, row.State)
	return err
}

// samePartitions refuses topics of ours whose partition counts differ: a partition's outputs and state would have no
// place to go.
func samePartitions(row *Row, topics kadm.TopicDetails) error {
	n := len(topics[row.CountOf].Partitions)
	var wrong []error
	same := func(topic string) {
		if have := len(topics[topic].Partitions); have != n {
			wrong = append(wrong, fmt.Errorf("topic %s has %d partitions and %s has %d; ours must have the same number", topic,
				have, row.CountOf, n))
		}
	}
	if row.State != "" {
		same(row.State)
		same(row.Inputs[0])
	}
	for _, o := range row.Outputs {
		if o.Dense {
			same(o.Topic)
		}
	}
	return errors.Join(wrong...)
}

// Fatal marks an error as one that trying again cannot cure. Nil stays nil.
//
// There are four classes of error: a bad record is a *schemas.Reject and goes to the dead letters; a bug of a task
// costs its record (bug.go); a fatal one is an operator's, or a bug that concerns many, and stops the stage; everything
// else is transient: the stage starts again from what is committed.
func Fatal(err error) error { return backoff.Permanent(err) }

// IsFatal tells whether the stage must stop.
func IsFatal(err error) bool {
	return errors.As(err, new(*backoff.PermanentError)) || slices.ContainsFunc([]error{
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed,
		kerr.ClusterAuthorizationFailed, kerr.SaslAuthenticationFailed, kerr.UnsupportedVersion,
		kerr.InvalidTransactionTimeout, kerr.InconsistentGroupProtocol,
	}, func(e error) bool { return errors.Is(err, e) })
}
