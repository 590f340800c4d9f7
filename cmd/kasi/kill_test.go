package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks"
	chembed "github.com/kasi-collections/kasi/sinks/embedded"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// killRounds is how often each victim is killed; KASI_TEST_KILLS sets another number.
const killRounds = 3

// farm is the product as processes of their own, on a Kafka and a ClickHouse that stay.
type farm struct {
	*product
	dir   string
	flags []string
	roles map[string]*exec.Cmd
}

func newFarm(t *testing.T) *farm {
	t.Helper()
	k := kafkatest.Start(t)
	dir := t.TempDir()
	server, err := chembed.Start(t.Context(), chembed.Options{
		Dir: filepath.Join(dir, "clickhouse"), HTTPAddr: "127.0.0.1:0", NativeAddr: "127.0.0.1:0", KasiPassword: "test-kasi", AnalystPassword: "test-analyst",
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	f := &farm{product: &product{t: t, kafka: k.Brokers[0], house: server.HTTPAddr(), native: server.NativeAddr()}, dir: dir, roles: map[string]*exec.Cmd{}}
	f.flags = []string{
		"--kafka-brokers", k.Brokers[0], "--clickhouse-addr", f.native, "--partitions", "4", "--replication", strconv.Itoa(int(k.Replication)),
		"--calendar", "manual", "--date", "2025-11-01",
	}
	require.NoError(t, sinks.Migrate(t.Context(), server.ClickHouse(), slog.New(slog.DiscardHandler)))
	conn, err := clickhouse.Open(server.ClickHouse())
	require.NoError(t, err)
	defer conn.Close()
	for _, table := range schemas.SunkTopics {
		require.NoError(t, conn.Exec(t.Context(), "SYSTEM STOP MERGES "+table), "a merge would hide duplicates")
	}
	f.client, err = kgo.NewClient(kgo.SeedBrokers(k.Brokers...), kgo.MetadataMinAge(50*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(f.client.Close)
	return f
}

// run starts a process of a role, "collect" or "collect-2".
func (f *farm) run(role, instance string) {
	f.t.Helper()
	log, err := os.OpenFile(filepath.Join(f.dir, instance+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(f.t, err)
	defer log.Close()
	cmd := command(context.Background(), append([]string{"run", role, "--instance", instance}, f.flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(f.t, cmd.Start())
	f.roles[instance] = cmd
	f.t.Cleanup(func() {
		if f.roles[instance] != cmd {
			return
		}
		f.kill(instance)
		if b, err := os.ReadFile(log.Name()); err == nil && f.t.Failed() {
			f.t.Logf("log of %s:\n%s", instance, b[max(0, len(b)-4000):])
		}
	})
}

func (f *farm) kill(instance string) {
	_ = f.roles[instance].Process.Kill()
	_ = f.roles[instance].Wait()
}

// feed writes deposits of many customers, some hundred a second, until stop is called, which returns how many there are.
func (f *farm) feed() (stop func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	sent, tick := 0, time.NewTicker(50*time.Millisecond)
	var done sync.WaitGroup
	done.Go(func() {
		for ; ctx.Err() == nil; <-tick.C {
			var batch []*kgo.Record
			for range 25 {
				customer := fmt.Sprintf("C%04d", sent%3000)
				value := fmt.Sprintf(`{"transaction_id":"T%06d","tenant_id":"demo","customer_id":%q,"booked_at":"2025-11-01T09:00:00+02:00","amount_cents":%d,"direction":"CREDIT","description":"TIPS"}`,
					sent, customer, 2000+sent)
				batch = append(batch, &kgo.Record{Topic: schemas.TopicFeedTransactions, Key: []byte(customer), Value: []byte(value)})
				sent++
			}
			if err := f.client.ProduceSync(context.Background(), batch...).FirstErr(); err != nil {
				f.t.Errorf("feed: %v", err)
				return
			}
		}
	})
	f.t.Cleanup(cancel)
	return func() int { cancel(); done.Wait(); tick.Stop(); return sent }
}

// written is how many records of a topic have been decided, markers included; -1 where the broker does not say.
func (f *farm) written(topic string) (n int64) {
	ends, err := kadm.NewClient(f.client).ListCommittedOffsets(context.Background(), topic)
	if err != nil || ends.Error() != nil {
		return -1
	}
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

// moves waits until count has grown by some, from what it is now.
func (f *farm) moves(what string, count func() int64) {
	f.t.Helper()
	from := count()
	require.Eventually(f.t, func() bool { return count() > from+200 }, 90*time.Second, 50*time.Millisecond, "%s does not go on", what)
}

func (f *farm) stored() int64 {
	n, _ := strconv.ParseInt(f.sql("SELECT count() FROM transactions_log"), 10, 64)
	return n
}

// TestKilledInMidStream kills stages and sinks with kill -9 while deposits flow, again and again, and starts them again. At the end every deposit is there once:
// on Kafka and in ClickHouse, with sequence numbers that have no gap.
func TestKilledInMidStream(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	f.run("ticker", "ticker-1")
	f.run("intake", "intake-1")
	f.run("collect", "collect-1")
	f.run("collect", "collect-2")
	f.run("sink", "sink-1")
	f.run("sink", "sink-2")
	require.Eventually(t, func() bool { return f.written(schemas.TopicTimeline) > 0 }, time.Minute, 50*time.Millisecond, "the ticker never ticked")
	stop := f.feed()
	rounds := killRounds
	if n, err := strconv.Atoi(os.Getenv("KASI_TEST_KILLS")); err == nil {
		rounds = n
	}
	began, kills := time.Now(), 0
	for i := range rounds {
		// A stage and a sink die together, while the other one of each lives, or has just come back.
		for _, victims := range [][][2]string{{{"collect", "collect-1"}, {"sink", "sink-2"}}, {{"collect", "collect-2"}, {"sink", "sink-1"}, {"intake", "intake-1"}}} {
			f.moves("collect", func() int64 { return f.written(schemas.TopicTransactions) })
			f.moves("sink", f.stored)
			for _, v := range victims {
				f.kill(v[1])
				kills++
			}
			for _, v := range victims {
				f.run(v[0], v[1])
			}
		}
		t.Logf("round %d: %d kills after %s", i+1, kills, time.Since(began).Round(time.Second))
	}
	fed := stop()
	f.everything(fed)
	t.Logf("%d deposits, %d kills", fed, kills)
}

// everything waits until all that was fed is stored and checks that each is there once.
func (f *farm) everything(fed int) {
	t := f.t
	t.Helper()
	for _, table := range []string{"transactions_log", "deposits_log"} {
		require.Eventually(t, func() bool { return f.sql("SELECT uniqExact(transaction_id) FROM "+table) == strconv.Itoa(fed) },
			2*time.Minute, 100*time.Millisecond, "%s never has all %d", table, fed)
		require.Equal(t, fmt.Sprintf("%d\t%d", fed, fed*2000+fed*(fed-1)/2), f.sql("SELECT count(), sum(amount_cents) FROM "+table), table)
	}
	require.Equal(t, "ok", f.sound())
	for _, topic := range []string{schemas.TopicTransactions, schemas.TopicDeposits} {
		next, seen := map[int32]int64{}, map[string]bool{}
		for _, r := range f.read(topic) {
			var ev struct {
				Seq           int64
				TransactionID string `json:"transaction_id"`
			}
			require.NoError(t, json.Unmarshal(r.Value, &ev))
			next[r.Partition]++
			require.Equal(t, next[r.Partition], ev.Seq, "%s partition %d offset %d", topic, r.Partition, r.Offset)
			require.False(t, seen[ev.TransactionID], "%s has %s twice", topic, ev.TransactionID)
			seen[ev.TransactionID] = true
		}
		require.Len(t, seen, fed, topic)
	}
	require.Empty(t, f.deadLetters())
}
