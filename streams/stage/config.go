package stage

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Config is what every stage and tool of the Kafka side needs to reach Kafka. The zero value of each optional field
// means its documented default.
type Config struct {
	// Brokers are the seed brokers as host:port. At least one.
	Brokers []string
	// Instance is the stable id of this process. It is part of the transactional id, so that a restarted process fences
	// its own predecessor. Empty means "0". Two processes that run the same stage at the same time need two different ids.
	Instance string
	// FreshTxnID adds a random suffix to the transactional id at each start. For the embedded broker, which keeps no
	// transaction state across its own restart.
	FreshTxnID bool
	// Partitions is the number of partitions of topics we create ourselves. 0 means 8. Every partitioned topic of ours has
	// the same count.
	Partitions int32
	// Replication is the replication factor of topics we create ourselves. 0 means 1, which is for evaluation. From 3 on
	// their min.insync.replicas is 2: what Kafka acknowledged is on two brokers.
	Replication int16
	// Tenants are made with the topics where they are missing (topics.Ensure).
	Tenants []string
	// MaxRecords bounds the records one transaction takes in. 0 means 10,000.
	MaxRecords int
	// SliceKeys and SliceBytes bound what one partition puts into one transaction: the keys of one record that concerns
	// many, and the bytes of all outputs before compression, which one key's may pass. 0 means 2,000 and 8 MiB.
	SliceKeys, SliceBytes int
	// Rules is the hash of the data by which the stage decides (Engine.Hash); empty means that nobody asks. A state that
	// was made by other rules is refused, unless AcceptRules names the present ones: an operator's word.
	Rules       string
	AcceptRules []string
	// Log receives ids and counts, never personal data. Nil means no log.
	Log *slog.Logger
	// KgoOpts are appended to the options of every Kafka client (TLS, SASL, hooks).
	KgoOpts []kgo.Opt
	// Observer hears of every transaction that ended. Nil means nobody listens.
	Observer Observer
	// StopTimeout bounds how long a transaction may take to end once the stage was told to stop; then its outcome is left
	// to the next start. 0 means 15 s.
	StopTimeout time.Duration
	// LeaveTimeout bounds how long a session that ends waits until it is out of its group. 0 means 20 s: longer than a
	// join that is under way takes while the group misses a dead member.
	LeaveTimeout time.Duration
	// AgreeTimeout bounds how long an assignment waits until state, group and topic agree on how far the stage has come. 0
	// means 30 s: longer than a broker that comes back knows an old end of a partition.
	AgreeTimeout time.Duration
	// AsidePause is the first pause before a partition that was set aside is looked at again; it grows to 10 minutes. 0
	// means 15 s.
	AsidePause time.Duration
	// SnapshotAfter is the least number of changelog bytes between two snapshots of a partition, before compression. 0
	// means 16 MiB.
	SnapshotAfter int64
}

// Observer is the seam for metrics. Calls come from the stage's own goroutines.
type Observer interface {
	// Committed tells that a transaction has been committed. In and out count records read and records written (the
	// changelog included).
	Committed(stage string, in, out int)
	// Aborted tells that a transaction has been dropped, and why; its records will be read again.
	Aborted(stage string, cause error)
	// Took tells of each record of a committed transaction, with the timestamp that its producer gave it.
	Took(stage string, written time.Time)
	// Refused tells of each dead letter of a committed transaction, with its class.
	Refused(stage, class string)
	// Restored tells how long a restore of state took; partitions that move restore by themselves.
	Restored(stage string, took time.Duration)
	// Ended tells that the stage starts again from what is committed or joins its group again, and why. It serves again
	// when its ready function is called.
	Ended(stage string, cause error)
	// Troubled tells of what somebody must look at while the rest goes on. kind is one of a few words (Trouble...), where
	// names the place, text says what it is and what to do. An empty text says that it is over.
	Troubled(stage, kind, where, text string)
}

// Kinds of trouble.
const (
	TroubleRetention = "retention"       // a topic forgets what is still needed
	TroubleRemoved   = "records_removed" // records were removed before they were read
	TroublePartition = "partition_aside" // a partition cannot go on
	TroubleUndecided = "undecided"       // a transaction is never decided
	TroubleBug       = "engine_error"    // a mistake of the program has cost records
)

// NoObserver hears nothing. An observer that hears only some calls embeds it.
func NoObserver() Observer { return deaf{} }

type deaf struct{}

func (deaf) Committed(string, int, int)     {}
func (deaf) Aborted(string, error)          {}
func (deaf) Took(string, time.Time)         {}
func (deaf) Refused(string, string)         {}
func (deaf) Restored(string, time.Duration) {}
func (deaf) Ended(string, error)            {}
func (deaf) Troubled(_, _, _, _ string)     {}

// Defaults of Config.
const (
	DefaultPartitions = 8
	DefaultMaxRecords = 10_000
)

// withDefaults fills what is optional for a stage.
func (c Config) withDefaults() Config {
	c.Instance = cmp.Or(c.Instance, "0")
	c.MaxRecords = cmp.Or(c.MaxRecords, DefaultMaxRecords)
	c.StopTimeout = cmp.Or(c.StopTimeout, 15*time.Second)
	c.LeaveTimeout = cmp.Or(c.LeaveTimeout, sessionTimeout+5*time.Second)
	c.AgreeTimeout = cmp.Or(c.AgreeTimeout, 30*time.Second)
	c.AsidePause = cmp.Or(c.AsidePause, 15*time.Second)
	c.SliceKeys = cmp.Or(c.SliceKeys, 2_000)
	c.SliceBytes = cmp.Or(c.SliceBytes, 8<<20)
	c.SnapshotAfter = cmp.Or(c.SnapshotAfter, 16<<20)
	c.Log = c.Logger()
	if c.Observer == nil {
		c.Observer = NoObserver()
	}
	return c
}

// Logger is Log, or one that says nothing.
func (c Config) Logger() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}

// Trouble tells log and observer of trouble, or with an empty text that it is over.
func (c Config) Trouble(stage, kind, where, text string) {
	if text != "" {
		c.Logger().Error("trouble: "+text, "stage", stage, "kind", kind, "where", where)
	}
	if c.Observer != nil {
		c.Observer.Troubled(stage, kind, where, text)
	}
}

// PartitionsSeenAfter is how long new partitions of a topic that somebody reads may go unnoticed.
const PartitionsSeenAfter = 5 * time.Second

// Client returns the options that every Kafka client of ours starts with.
func (c Config) Client(opts ...kgo.Opt) []kgo.Opt {
	all := append([]kgo.Opt{kgo.SeedBrokers(c.Brokers...)}, opts...)
	return append(all, c.KgoOpts...)
}
