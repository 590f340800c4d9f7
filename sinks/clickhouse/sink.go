// Package clickhouse brings Kasi's topics into ClickHouse and reads from there what settlements need.
//
// The guarantee of Run: every record committed to a topic of schemas.SunkTopics is in its table once, whatever crashes,
// breaks off or changes hands in between. It stands on three legs, each of which alone would do for most failures
// (DESIGN.md beside this file lists them, with the test of each):
//
//  1. Rows are named by facts, and the tables collapse equal names. So a whole replay changes no view.
//  2. A retry carries the same rows under the same token. So ClickHouse itself drops what it has already.
//  3. The range of offsets of an insert is written down in Kafka before the insert. So whoever comes next repeats
//     exactly that range, and therefore exactly that token. What may be there already is looked up first, because
//     ClickHouse forgets tokens.
//
// What has arrived is published in sink_marks after the rows and before Kafka's commit. A mark never promises a row
// that is not there.
package clickhouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// Config is what the sink needs to run.
type Config struct {
	// Brokers are the Kafka seed brokers, host:port.
	Brokers []string
	// KgoOpts are further options of the Kafka client (TLS, SASL, timeouts). The sink's own options win over them.
	KgoOpts []kgo.Opt
	// ClickHouse is where the rows go. Its database must be migrated (package migrate).
	ClickHouse *clickhouse.Options
	// Cluster is where dropped tables are made again; empty is one server.
	Cluster schemas.Cluster
	// Log receives progress and failures, never personal data.
	Log *slog.Logger
	// Observer hears of every insert. Nil means nobody listens.
	Observer Observer
	// SetAside takes a record that cannot become a row, whether it is an event of ours, and why, without personal data. It
	// is asked again after an error, and may be asked again after a crash. Nil means that such a record stops the sink.
	SetAside func(ctx context.Context, r *kgo.Record, ours bool, why string) error
}

// Observer hears of inserts, for metrics. Inserts run side by side, so its methods are called from several goroutines.
type Observer interface {
	// Inserted tells that rows are in a table's ClickHouse. oldest is the earliest timestamp among their Kafka records.
	Inserted(table string, rows int, oldest time.Time)
	// InsertFailed tells that an insert failed or has an unknown outcome. The same rows are tried again under the same
	// token.
	InsertFailed(table string)
	// Missing tells how many events ClickHouse lacks of those that it once held: 0 where it is whole. series is the topic,
	// and for kasi.outcomes.v1 the stage behind a slash.
	Missing(series string, partition int32, events int64)
	// Refilled tells that lost rows were brought back from Kafka.
	Refilled(table string, rows int)
	// Troubled tells of what somebody may have to look at while the sink goes on; an empty text says that it is over.
	Troubled(stage, kind, where, text string)
}

func (c Config) validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("sinks: Config.Brokers is empty; name at least one Kafka broker"))
	}
	if c.ClickHouse == nil {
		errs = append(errs, errors.New("sinks: Config.ClickHouse is nil; give the address of a ClickHouse server"))
	}
	if c.Log == nil {
		errs = append(errs, errors.New("sinks: Config.Log is nil; give a logger"))
	}
	return errors.Join(errs...)
}

// tuning holds what is fixed in operation and varied in tests.
type tuning struct {
	// maxRows bounds the records held in memory and so the rows of one flush.
	maxRows int
	// linger is how long the first record of an idle sink waits for company: a stage's transaction ends on several
	// partitions at once.
	linger time.Duration
	// interval is the least time between the starts of two flushes. It bounds the number of parts ClickHouse has to merge.
	interval time.Duration
	// maxRest bounds the pause after a flush, which is otherwise as long as the flush was. What came meanwhile goes in
	// together. An insert costs ClickHouse the same for few rows as for thousands, so without the pause a loaded machine
	// would spend itself on small ones.
	maxRest time.Duration
	// insertTimeout bounds one try of a flush's inserts, and of its marks. callTimeout bounds each of its two commits.
	// Together they are no more than Kafka's rebalance timeout (60 s), because a rebalance waits for the flush.
	insertTimeout, callTimeout time.Duration
	// retryMin and retryMax bound the pause after a failed flush.
	retryMin, retryMax time.Duration
	// session is how long Kafka waits for a silent sink before others get its partitions. The library's 45 s are more than
	// the views may be late.
	session time.Duration
	// watch is the least time between two looks at what is stored already; 0, in tests, means no looks. rest is how many
	// times as long as the look was the pause is at least.
	watch time.Duration
	rest  time.Duration
	// workers is how many inserts run at once.
	workers int
	// hook, in tests, is called when chunks are started and after each step of a flush; an error from it stops the sink
	// there, as a crash would.
	hook func(s step, cs []*chunk) error
}

func defaults() tuning {
	return tuning{
		maxRows: 200_000, linger: 5 * time.Millisecond, interval: 50 * time.Millisecond, maxRest: 200 * time.Millisecond,
		insertTimeout: 20 * time.Second, callTimeout: 10 * time.Second,
		retryMin: 100 * time.Millisecond, retryMax: 5 * time.Second, session: 15 * time.Second, workers: 4,
		watch: 5 * time.Second, rest: 10,
	}
}

// Run brings schemas.SunkTopics into ClickHouse, each record exactly once. It returns nil when ctx ends.
//
// It returns an error where no repetition helps: a record can be neither stored nor set aside, Kafka has lost data, or
// the ClickHouse belongs to another Kafka. An unreachable Kafka or ClickHouse is waited for. Any number of sinks may
// run; they share the partitions. ready is called when the sink has its partitions and knows where each goes on,
// possibly more than once.
func Run(ctx context.Context, cfg Config, ready func()) error {
	return run(ctx, cfg, defaults(), ready)
}

func run(ctx context.Context, cfg Config, t tuning, ready func()) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	conn, err := clickhouse.Open(cfg.ClickHouse)
	if err != nil {
		return fmt.Errorf("sinks: open ClickHouse: %w", err)
	}
	defer conn.Close()
	for {
		err := newSink(cfg, t, conn, ready).session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !beginsAnew(err) {
			return err
		}
		cfg.Log.Warn("sink: joining the group anew", "err", err)
	}
}

func newSink(cfg Config, t tuning, conn driver.Conn, ready func()) *sink {
	return &sink{
		cfg: cfg, tuning: t, conn: conn, ready: ready,
		tables: withStates(tables()), parts: make(map[topicPartition]*partition),
		pauses: doubling(t.retryMin, t.retryMax), alarm: make(chan struct{}, 1), gone: make(map[schemas.Hole]bool),
		ticks: ticks{seen: make(map[schemas.Tick]bool)},
	}
}

// beginsAnew tells whether a session has ended so that the next one starts from what Kafka and ClickHouse say.
func beginsAnew(err error) bool {
	return errors.Is(err, errFenced) || errors.As(err, new(*setBackError))
}

// errFenced ends a session whose membership of the group is over: others may own its partitions, and nothing it
// remembers of them counts.
var errFenced = errors.New("sinks: the group went on without this sink")

// session is one membership of the group, from its first assignment to the end of ctx or an error.
func (s *sink) session(ctx context.Context) (err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s.stop = stop
	opts := append(s.readOptions(),
		kgo.ConsumerGroup(schemas.GroupSink),
		kgo.SessionTimeout(s.tuning.session),
		kgo.ConsumeTopics(slices.Sorted(maps.Keys(schemas.SunkTopics))...),
		kgo.DisableAutoCommit(),
		// Between a poll and AllowRebalance no partition is taken from us, so that a flush works on partitions we own.
		kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(s.assigned), kgo.OnOffsetsFetched(s.fetched), kgo.AdjustFetchOffsetsFn(s.adjust),
		kgo.OnPartitionsRevoked(s.dropped), kgo.OnPartitionsLost(s.dropped),
	)
	if s.client, err = kgo.NewClient(opts...); err != nil {
		return fmt.Errorf("sinks: Kafka client: %w", err)
	}
	defer s.client.CloseAllowingRebalance()
	if s.tuning.watch > 0 {
		watching := make(chan struct{})
		go func() { defer close(watching); s.watch(ctx) }()
		defer func() { stop(nil); <-watching }()
	}
	err = s.loop(ctx)
	return cmp.Or(context.Cause(ctx), err) // what has ended the context explains the loop's error, not the other way round
}

// readOptions are those of every client that reads records.
func (s *sink) readOptions() []kgo.Opt {
	return append(slices.Clone(s.cfg.KgoOpts),
		kgo.SeedBrokers(s.cfg.Brokers...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// Transaction markers take offsets too: without them marks and commits would stop short of the end of a partition.
		kgo.KeepControlRecords(),
		// kfake started again after a kill does not wake the fetches that wait for a commit. Without this limit the first
		// rows would be 5 s late.
		kgo.FetchMaxWait(500*time.Millisecond),
		// The limit of a whole fetch stays far above the sum of its partitions' limits. Where the former limit ends a
		// partition early, kfake forgets to say which of its transactions were aborted, and aborted records would come
		// through (TestAbortedRecordsStayOut). In a backlog larger fetches make larger blocks (DESIGN.md, Cost).
		kgo.FetchMaxPartitionBytes(1<<20), kgo.FetchMaxBytes(512<<20), kgo.BrokerMaxReadBytes(1<<30),
		// Where Kafka has lost what we had not read yet, stop: going on from elsewhere would skip in silence.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)
}

type sink struct {
	cfg    Config
	tuning tuning
	client *kgo.Client
	conn   driver.Conn
	tables map[string]table
	ready  func()
	// stop ends the loop from a callback of the group, or from the watch.
	stop context.CancelCauseFunc
	// alarm wakes the watch, which alone uses what follows: the holes that Kafka cannot fill any more, and the calendar.
	alarm chan struct{}
	gone  map[schemas.Hole]bool
	ticks ticks
	// statesDue is when the states are compared with the events again.
	statesDue time.Time

	// mu guards parts and settings: the group's callbacks run beside the loop. What is inside a partition belongs to the
	// loop alone, and no partition is dropped between a poll and AllowRebalance.
	mu    sync.Mutex
	parts map[topicPartition]*partition
	// settings go with every insert; known since the first assignment.
	settings clickhouse.Settings

	waitingSince time.Time     // since when there has been work that no flush has seen; zero if there is none
	lastFlush    time.Time     // when the last flush began, or failed
	restUntil    time.Time     // ClickHouse rests from the last flush
	pause        time.Duration // before the next try after a failure; 0 while all goes well
	pauses       *backoff.ExponentialBackOff
}

// loop is: poll until a flush is due, flush, let the group rebalance. After a failure the same chunks are tried again.
func (s *sink) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.poll(ctx); err != nil {
			return err
		}
		if wait, due := s.untilDue(time.Now()); due && wait <= 0 && ctx.Err() == nil {
			if err := s.flushOnce(ctx); err != nil {
				return err
			}
		}
		s.client.AllowRebalance()
	}
	return nil
}

// untilDue says how long the next flush may still wait; false if there is nothing to flush.
func (s *sink) untilDue(now time.Time) (time.Duration, bool) {
	records, workable := s.pending()
	switch {
	case !workable:
		return 0, false
	case s.pause > 0:
		return s.lastFlush.Add(s.pause).Sub(now), true
	case records >= s.tuning.maxRows:
		return 0, true
	}
	return max(s.waitingSince.Add(s.tuning.linger).Sub(now), s.lastFlush.Add(s.tuning.interval).Sub(now),
		s.restUntil.Sub(now)), true
}

// pending counts the records in memory and tells whether any of them can be worked on now.
func (s *sink) pending() (records int, workable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		records += len(p.buffer)
		if p.work != nil {
			records += len(p.work.records)
		}
		workable = workable || p.work != nil || p.canStart()
	}
	return records, workable
}

// poll waits until ctx ends, something came, or a flush is due. When it returns, rebalances are blocked.
func (s *sink) poll(ctx context.Context) error {
	wait, due := s.untilDue(time.Now())
	records, _ := s.pending()
	room := s.tuning.maxRows - records
	if due {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
		if room <= 0 {
			<-ctx.Done()
			s.client.PollRecords(ctx, 1) // fetches nothing: it only blocks rebalances
			return nil
		}
	}
	if room <= 0 {
		room = s.tuning.maxRows // an earlier owner's plan is beyond our memory bound, and must still be read whole
	}
	return s.buffer(s.client.PollRecords(ctx, room))
}

// doubling are the pauses of a retry: first, then twice the one before, most at most.
func doubling(first, most time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: first, Multiplier: 2, MaxInterval: most}
}

// buffer puts fetched records into their partitions' buffers.
func (s *sink) buffer(fetches kgo.Fetches) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if err := s.fetchError(f); err != nil {
			errs = append(errs, err)
			return
		}
		p := s.parts[topicPartition{f.Topic, f.Partition}]
		if p == nil || len(f.Records) == 0 {
			return
		}
		if idle := p.work == nil && len(p.buffer) == 0; idle && f.LogStartOffset > p.next {
			errs = append(errs, p.removed(p.next, f.LogStartOffset))
			return
		}
		p.buffer = append(p.buffer, f.Records...)
		if s.waitingSince.IsZero() {
			s.waitingSince = time.Now()
		}
	})
	return errors.Join(errs...)
}

// fetchError sorts errors of fetching. What the client retries by itself is logged. What it gives up for good stops
// the sink.
func (s *sink) fetchError(f kgo.FetchTopicPartition) error {
	switch err := f.Err; {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, kgo.ErrClientClosed):
		return nil
	case errors.As(err, new(*kgo.ErrDataLoss)), errors.Is(err, kerr.OffsetOutOfRange):
		return fmt.Errorf("sinks: %s partition %d: Kafka no longer has the offset at which the sink stands: %w; was the "+
			"topic's data deleted or restored? Empty the ClickHouse database and delete group %s to build it anew", f.Topic,
			f.Partition, err, schemas.GroupSink)
	default:
		s.cfg.Log.Warn("sink: fetch", "topic", f.Topic, "partition", f.Partition, "err", err)
		return nil
	}
}
