package embedded

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// launch starts a broker that ends with the test.
func launch(t *testing.T, dir, addr string) *Kafka {
	t.Helper()
	k, err := StartKafka(t.Context(), dir, addr, "", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Close()) })
	return k
}

func client(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(addr), kgo.ProducerLinger(0),
		kgo.MetadataMinAge(50 * time.Millisecond),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t *testing.T, addr, topic string) {
	t.Helper()
	_, err := kadm.NewClient(client(t, addr)).CreateTopic(t.Context(), 1, 1, nil, topic)
	require.NoError(t, err)
}

// readAll reads the committed values of a topic up to the last stable offset.
func readAll(t *testing.T, addr, topic string) []string {
	t.Helper()
	cl := client(t, addr, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(t.Context(), topic)
	require.NoError(t, err)
	end, _ := ends.Lookup(topic, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var values []string
	for next := int64(0); next < end.Offset; {
		fetches := cl.PollFetches(ctx)
		require.NoError(t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			if !r.Attrs.IsControl() {
				values = append(values, string(r.Value))
			}
		})
	}
	return values
}

func put(t *testing.T, cl *kgo.Client, topic, value string) {
	t.Helper()
	require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr())
}

func TestDataSurvivesARestartAndLeftoversDoNot(t *testing.T) {
	dir := t.TempDir()
	k := launch(t, dir, "127.0.0.1:0")
	createTopic(t, k.Addr(), "t")
	put(t, client(t, k.Addr()), "t", "kept")

	// A transaction left open, and a group member whose process is gone without leaving.
	tx := client(t, k.Addr(), kgo.TransactionalID("gone"))
	require.NoError(t, tx.BeginTransaction())
	put(t, tx, "t", "never committed")
	member := client(t, k.Addr(), kgo.ConsumeTopics("t"), kgo.ConsumerGroup("g"), kgo.RetryTimeout(100*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	require.Len(t, member.PollFetches(t.Context()).Records(), 2, "read uncommitted")

	began := time.Now()
	require.NoError(t, k.Close())
	require.Less(t, time.Since(began), time.Second, "clients are connected, and closing is fast all the same")
	tx.CloseAllowingRebalance()
	member.CloseAllowingRebalance()

	k = launch(t, dir, "127.0.0.1:0")
	later := client(t, k.Addr())
	put(t, later, "t", "after")
	require.Equal(t, []string{"kept", "after"}, readAll(t, k.Addr(), "t"),
		"the open transaction does not hold back what comes after it")
	groups, err := kadm.NewClient(later).DescribeGroups(t.Context(), "g")
	require.NoError(t, err)
	require.Empty(t, groups["g"].Members, "a dead member would delay the next assignment by its session time-out")
}

func TestOneProcessADirectory(t *testing.T) {
	dir := t.TempDir()
	k := launch(t, dir, "127.0.0.1:0")
	_, err := StartKafka(t.Context(), dir, "127.0.0.1:0", "", nil)
	require.ErrorContains(t, err, "another process uses "+dir)
	require.NoError(t, k.Close())
	launch(t, dir, "127.0.0.1:0")
}

func TestATakenPortIsAnErrorAndLeavesTheDirectoryFree(t *testing.T) {
	k, dir := launch(t, t.TempDir(), "127.0.0.1:0"), t.TempDir()
	_, err := StartKafka(t.Context(), dir, k.Addr(), "", nil)
	require.ErrorContains(t, err, "address already in use; choose another address")
	launch(t, dir, "127.0.0.1:0")
}

func TestOnlyLoopback(t *testing.T) {
	for _, addr := range []string{
		"0.0.0.0:0", "192.168.1.7:9092", "[::]:9092", "example.com:9092", "127.0.0.1",
		"127.0.0.1:kafka", "127.0.0.1:70000",
	} {
		_, err := StartKafka(t.Context(), t.TempDir(), addr, "", nil)
		require.Error(t, err, addr)
	}
}

// In a container the port is published: clients come from elsewhere and use the host that is advertised.
func TestListensElsewhereWhereThatIsSaid(t *testing.T) {
	k, err := StartKafka(t.Context(), t.TempDir(), "localhost:0", "0.0.0.0", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Close()) })
	host, port, err := net.SplitHostPort(k.Addr())
	require.NoError(t, err)
	require.Equal(t, "localhost", host)
	brokers, err := kadm.NewClient(client(t, net.JoinHostPort("127.0.0.2", port))).ListBrokers(t.Context())
	require.NoError(t, err)
	require.Equal(t, "localhost", brokers[0].Host, "what is advertised is what --kafka says")
	_, err = StartKafka(t.Context(), t.TempDir(), "kasi:0", "everywhere", nil)
	require.ErrorContains(t, err, "--kafka-listen \"everywhere\" is not an IP address")
}

func TestAdvertisesTheHostThatClientsUse(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost", ""} {
		k := launch(t, t.TempDir(), host+":0")
		brokers, err := kadm.NewClient(client(t, k.Addr())).ListBrokers(t.Context())
		require.NoError(t, err)
		want := host
		if want == "" {
			want = "127.0.0.1"
		}
		require.Equal(t, want, brokers[0].Host)
		require.Equal(t, k.Addr(), fmt.Sprintf("%s:%d", want, brokers[0].Port))
	}
}

func TestSaysAtStartWhatItIsFor(t *testing.T) {
	var out bytes.Buffer
	k, err := StartKafka(t.Context(), t.TempDir(), "127.0.0.1:0", "", slog.New(slog.NewTextHandler(&out, nil)))
	require.NoError(t, err)
	require.NoError(t, k.Close())
	require.Contains(t, out.String(), "level=WARN")
	require.Contains(t, out.String(), "evaluation")
}
