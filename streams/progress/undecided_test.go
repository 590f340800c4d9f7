package progress_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/internal/rig"
	"github.com/kasi-collections/kasi/streams/progress"
)

// A transaction whose end never comes is named by its place and its producer, and it is told when it is over. One that
// is decided in time is not mentioned.
func TestUndecidedTransactionsAreNamed(t *testing.T) {
	t.Parallel()
	r := rig.New(t)
	producer, err := kgo.NewClient(r.Cfg.Client(kgo.TransactionalID("a producer that goes silent"),
		kgo.TransactionTimeout(10*time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	defer producer.Close()
	r.Produce(schemas.TopicDebits, 2, "before", "another", kgo.TryCommit)
	require.NoError(t, producer.BeginTransaction())
	rec := &kgo.Record{Topic: schemas.TopicDebits, Partition: 2, Value: []byte("x")}
	require.NoError(t, producer.ProduceSync(r.Context(), rec).FirstErr())
	id, epoch, err := producer.ProducerID(r.Context())
	require.NoError(t, err)

	cl, err := kgo.NewClient(r.Cfg.Client()...)
	require.NoError(t, err)
	defer cl.Close()
	type told struct {
		progress.Undecided
		text string
	}
	heard := make(chan told, 10)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	began := time.Now()
	go progress.New(cl).WatchUndecided(ctx, 20*time.Millisecond, time.Second,
		[]string{schemas.TopicTransactions, schemas.TopicDebits},
		func(context.Context, progress.Undecided) string { return "it is here" },
		func(u progress.Undecided, text string) { heard <- told{u, text} })
	u := <-heard
	require.Equal(t, "it is here", u.text)
	require.GreaterOrEqual(t, time.Since(began), time.Second)
	require.Equal(t, progress.Place{Topic: schemas.TopicDebits, Partition: 2}, u.Place)
	require.Equal(t, rec.Offset, u.Offset)
	require.Equal(t, id, u.Producer)
	require.Equal(t, epoch, u.Epoch)
	require.WithinDuration(t, began, u.Since, time.Minute)
	require.Contains(t, u.String(), "kasi.debits.v1 partition 2: the transaction of producer ")
	require.NoError(t, producer.EndTransaction(r.Context(), kgo.TryAbort))
	over := <-heard
	require.Empty(t, over.text)
	require.Equal(t, u.Undecided, over.Undecided)
}
