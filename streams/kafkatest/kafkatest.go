// Package kafkatest gives a test the Kafka that the environment asks for:
//
//	k := kafkatest.Start(t)
//
// README.md says which test needs which Kafka, and lists the variables. The embedded Kafka is a new one for each test.
// The others are one for each test binary, started on first use: tests take turns, parallel ones too, and each finds no
// topic, group or open transaction of ours. A test that kills brokers has three of them (StartThree). Nothing is
// skipped: where the Kafka that was asked for cannot be had, the test fails and says what is missing.
package kafkatest

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Kind says what a Kafka is.
type Kind string

// The kinds.
const (
	Embedded   Kind = "embedded"
	Local      Kind = "local"
	Containers Kind = "containers"
	Addresses  Kind = "addresses"
)

// minSession is the least session timeout that the Kafkas started here accept, so that tests need not wait 6 seconds
// for a dead group member.
const minSession = 100 * time.Millisecond

// Kafka is what a test got.
type Kafka struct {
	Kind    Kind
	Brokers []string
	// Replication is what topics should have here.
	Replication int16
	// Fake is the embedded cluster, nil for the other kinds.
	Fake *kfake.Cluster
	// Cluster has the brokers as processes, nil unless Kind is Local.
	Cluster *Cluster
}

// shared is the Kafka of a test binary. It is global because tests have nothing else in common than their binary; turn
// is held by the test that has it.
var shared struct {
	turn sync.Mutex
	who  atomic.Value // the name of the test that has the turn

	// begun is guarded by turn. Key: brokers, where they are ours to start. A start that failed is not tried again.
	begun map[int]begun
}

type begun struct {
	kafka *Kafka
	err   error
}

// Chosen is the kind that the environment asks for.
func Chosen() Kind {
	if os.Getenv("KASI_TEST_KAFKA_BROKERS") != "" {
		return Addresses
	}
	return cmp.Or(Kind(os.Getenv("KASI_TEST_KAFKA")), Embedded)
}

// Start gives the test a Kafka without topics of ours. A test calls it once.
func Start(t testing.TB) *Kafka {
	t.Helper()
	return start(t, nodes())
}

// StartThree is Start for a test that kills brokers: a local Kafka has three, whatever KASI_TEST_KAFKA_NODES says.
// Topics of three replicas, of which two must be in sync, outlive the death of one broker. Where Cluster is nil the
// test can only cut connections.
func StartThree(t testing.TB) *Kafka {
	t.Helper()
	return start(t, 3)
}

func start(t testing.TB, n int) *Kafka {
	t.Helper()
	if k := external(t, n); k != nil {
		return k
	}
	return Fake(t)
}

// Fake gives the test an embedded Kafka whatever the environment says: for tests that need its fault control, clock or
// hooks.
func Fake(t testing.TB, opts ...kfake.Opt) *Kafka {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(minSession)},
		opts...)...)
	if err != nil {
		t.Fatalf("embedded Kafka: %v", err)
	}
	t.Cleanup(cluster.Close)
	return &Kafka{Kind: Embedded, Brokers: cluster.ListenAddrs(), Replication: 1, Fake: cluster}
}

// External is Start for tests that bring an embedded Kafka of their own: it returns nil where the environment asks for
// none other.
func External(t testing.TB) *Kafka {
	t.Helper()
	return external(t, nodes())
}

func external(t testing.TB, n int) *Kafka {
	t.Helper()
	switch Chosen() {
	case Embedded:
		return nil
	case Local:
	default:
		n = 0 // not ours to choose
	}
	if shared.who.Load() == t.Name() {
		t.Fatal("the test has a Kafka already and would wait for itself")
	}
	shared.turn.Lock()
	shared.who.Store(t.Name())
	b, have := shared.begun[n]
	t.Cleanup(func() {
		if b.kafka != nil {
			b.kafka.leave(t)
		}
		shared.who.Store("")
		shared.turn.Unlock()
	})
	if !have {
		b.kafka, b.err = begin(t, n)
		if shared.begun == nil {
			shared.begun = map[int]begun{}
		}
		shared.begun[n] = b
	}
	if b.err != nil {
		t.Fatalf("no Kafka (%s) for the tests: %v", Chosen(), b.err)
	}
	k := b.kafka
	if err := k.empty(); err != nil {
		t.Fatal(err)
	}
	t.Logf("Kafka: %s at %s", k.Kind, strings.Join(k.Brokers, ","))
	return k
}

// begin starts a Kafka for the binary, a local one with n brokers, or finds it.
func begin(t testing.TB, n int) (*Kafka, error) {
	switch kind := Chosen(); kind {
	case Addresses:
		return atAddresses(strings.Split(os.Getenv("KASI_TEST_KAFKA_BROKERS"), ","))
	case Local:
		began := time.Now()
		c, err := StartCluster(n)
		if err != nil {
			return nil, err
		}
		t.Logf("Apache Kafka with %d broker(s) started in %s, log in %s", len(c.nodes),
			time.Since(began).Round(time.Millisecond), c.dir)
		return &Kafka{Kind: Local, Brokers: c.Brokers(), Replication: c.replication(), Cluster: c}, nil
	case Containers:
		return inContainer()
	default:
		return nil, fmt.Errorf("KASI_TEST_KAFKA=%s is unknown: local, containers or embedded", kind)
	}
}

func nodes() int {
	if os.Getenv("KASI_TEST_KAFKA_NODES") == "3" {
		return 3
	}
	return 1
}

// atAddresses takes a cluster that runs already. Topics of ours that somebody else may need are not deleted unasked.
func atAddresses(brokers []string) (*Kafka, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	topics, replication, err := look(ctx, brokers)
	if err != nil {
		return nil, err
	}
	if len(topics) > 0 && os.Getenv("KASI_TEST_KAFKA_WIPE") != "1" {
		return nil, fmt.Errorf("it holds %d topics kasi.*, which the tests would delete: set KASI_TEST_KAFKA_WIPE=1 if "+
			"that is meant", len(topics))
	}
	return &Kafka{Kind: Addresses, Brokers: brokers, Replication: replication}, nil
}

// empty removes all that is ours.
func (k *Kafka) empty() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := wipe(ctx, k.Brokers); err != nil {
		return fmt.Errorf("kafka (%s) at %v: cannot be emptied for the tests: %w", k.Kind, k.Brokers, err)
	}
	return nil
}

// leave is called at a test's end. A Kafka that is not ours is left as empty as it was found: the next test binary
// refuses what it did not make. After a failure logs and data of one that is ours are kept.
func (k *Kafka) leave(t testing.TB) {
	if k.Kind == Addresses {
		if err := k.empty(); err != nil {
			t.Error(err)
		}
	}
	if t.Failed() && k.Cluster != nil {
		k.Cluster.Keep()
		t.Logf("Kafka's logs and data are kept in %s", k.Cluster.dir)
	}
}

// Topics creates topics and returns when the brokers show them with all their leaders.
func (k *Kafka) Topics(t testing.TB, partitions int32, names ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers...), kgo.MetadataMinAge(pause))
	if err != nil {
		t.Fatalf("topics: %v", err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	made, err := adm.CreateTopics(ctx, partitions, k.Replication, nil, names...)
	if err == nil {
		err = made.Error()
	}
	for err == nil {
		var topics kadm.TopicDetails
		if topics, err = adm.ListTopics(ctx, names...); err == nil && allLed(topics, names, partitions) {
			return
		}
		<-time.After(pause)
	}
	t.Fatalf("topics: %v", err)
}

func allLed(topics kadm.TopicDetails, names []string, partitions int32) bool {
	for _, name := range names {
		topic := topics[name]
		if topic.Err != nil || len(topic.Partitions) != int(partitions) {
			return false
		}
		for _, p := range topic.Partitions {
			if p.Err != nil || p.Leader < 0 {
				return false
			}
		}
	}
	return true
}
