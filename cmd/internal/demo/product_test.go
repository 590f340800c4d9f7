package demo

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
)

// The bank must read all of a day's debits and nothing that was never committed, whichever partitions they lie on and
// whatever markers end them.
func TestTailReadsEverythingCommittedAndNothingElse(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, schemas.TopicDebits))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.TransactionalID("collect"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	send := func(end kgo.TransactionEndTry, ids ...string) {
		require.NoError(t, cl.BeginTransaction())
		for i, id := range ids {
			b, err := json.Marshal(schemas.DebitInstruction{DebitID: id, TenantID: "demo", CustomerID: "CUST000" + id})
			require.NoError(t, err)
			require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{
				Topic: schemas.TopicDebits, Partition: int32(3 - i),
				Value: b,
			}).FirstErr())
		}
		require.NoError(t, cl.EndTransaction(t.Context(), end))
	}
	ids := func(tail *tail) (ids []string) {
		debits, err := tail.debits(t.Context(), "demo")
		require.NoError(t, err)
		for _, d := range debits {
			ids = append(ids, d.DebitID)
		}
		return ids
	}

	send(kgo.TryCommit, "0")
	src := records.Source{Brokers: c.ListenAddrs()}
	fromStart, err := newTail(t.Context(), src, schemas.TopicDebits, false)
	require.NoError(t, err)
	t.Cleanup(fromStart.cl.Close)
	fromEnd, err := newTail(t.Context(), src, schemas.TopicDebits, true)
	require.NoError(t, err)
	t.Cleanup(fromEnd.cl.Close)
	require.Equal(t, []string{"0"}, ids(fromStart))
	require.Empty(t, ids(fromEnd))

	send(kgo.TryCommit, "3", "2", "1")
	require.Equal(t, []string{"1", "2", "3"}, ids(fromEnd), "by customer, not by partition")
	send(kgo.TryAbort, "4", "5")
	require.Empty(t, ids(fromEnd))
	send(kgo.TryCommit, "6")
	require.Equal(t, []string{"6"}, ids(fromEnd))
	require.Equal(t, []string{"1", "2", "3", "6"}, ids(fromStart))
	require.Empty(t, ids(fromStart))

	other, err := fromStart.debits(t.Context(), "somebody else")
	require.NoError(t, err)
	require.Empty(t, other)
}

func TestTailSaysThatATopicIsMissing(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	_, err = newTail(t.Context(), records.Source{Brokers: c.ListenAddrs()}, schemas.TopicDebits, true)
	require.ErrorContains(t, err, schemas.TopicDebits)
}
