package clickhouse

import (
	"errors"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Config is what the sink needs to run.
type Config struct {
	// Brokers are the Kafka seed brokers, host:port.
	Brokers []string
	// KgoOpts are further options of the Kafka client (TLS, SASL, timeouts). The sink's own options win over them.
	KgoOpts []kgo.Opt
	// ClickHouse is where the rows go. Its database must be migrated (Migrate).
	ClickHouse *clickhouse.Options
	// Log receives progress and failures, never personal data.
	Log *slog.Logger
	// Observer hears of every insert. Nil means nobody listens.
	Observer Observer
}

// Observer hears of inserts, for metrics. Inserts run side by side, so its methods are called from several goroutines.
type Observer interface {
	// Inserted tells that rows are in a table's ClickHouse. oldest is the earliest timestamp among their Kafka records.
	Inserted(table string, rows int, oldest time.Time)
	// InsertFailed tells that an insert failed or has an unknown outcome. The same rows are tried again under the same
	// token.
	InsertFailed(table string)
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
	}
}
