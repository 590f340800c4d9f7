package progress_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/embedded"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// onEmbedded opens a progress on an embedded broker with data in dir.
func onEmbedded(t *testing.T, dir string) (*embedded.Kafka, stage.Config, *progress.Tracker) {
	t.Helper()
	k, err := embedded.StartKafka(t.Context(), dir, "127.0.0.1:0", "", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Close()) })
	cfg := stage.Config{Brokers: []string{k.Addr()}, Partitions: 1, FreshTxnID: true}
	_, err = topics.Ensure(t.Context(), cfg)
	require.NoError(t, err)
	cl, err := kgo.NewClient(cfg.Client()...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return k, cfg, progress.New(cl)
}

// A crash of the embedded broker aborts what was open without a marker: the partition ends with records nobody will
// ever be given. The crash is a copy of the directory of a broker that runs on.
func TestRecordsAbortedByACrashAreNotWaitedFor(t *testing.T) {
	dir, crashed := t.TempDir(), t.TempDir()
	_, cfg, g := onEmbedded(t, dir)
	at := progress.Place{Topic: schemas.TopicRailResults}
	tx, err := kgo.NewClient(cfg.Client(kgo.TransactionalID("bank"))...)
	require.NoError(t, err)
	defer tx.Close()
	require.NoError(t, tx.BeginTransaction())
	require.NoError(t, tx.ProduceSync(t.Context(), &kgo.Record{Topic: at.Topic, Value: []byte("never")},
		&kgo.Record{Topic: at.Topic, Value: []byte("committed")}).FirstErr())
	open, err := g.OnlyMarkers(t.Context(), at, 0, 2)
	require.NoError(t, err)
	require.False(t, open, "while it is open it may still be committed")
	require.NoError(t, os.CopyFS(crashed, os.DirFS(dir)))

	_, cfg, g = onEmbedded(t, crashed)
	ends, err := g.Ends(t.Context(), false, at.Topic)
	require.NoError(t, err)
	require.Equal(t, int64(2), ends[at], "the records are there, without a marker")
	gone, err := g.OnlyMarkers(t.Context(), at, 0, ends[at])
	require.NoError(t, err)
	require.True(t, gone)

	plain, err := kgo.NewClient(cfg.Client()...)
	require.NoError(t, err)
	defer plain.Close()
	require.NoError(t, plain.ProduceSync(t.Context(), &kgo.Record{Topic: at.Topic, Value: []byte("paid")}).FirstErr())
	behind, err := g.OnlyMarkers(t.Context(), at, 0, 3)
	require.NoError(t, err)
	require.False(t, behind, "a record that counts lies behind them")
}

// What lies before the start of a log has been deleted: nobody can be behind on it.
func TestDeletedRecordsAreNotWaitedFor(t *testing.T) {
	_, cfg, g := onEmbedded(t, t.TempDir())
	at := progress.Place{Topic: schemas.TopicRailResults}
	cl, err := kgo.NewClient(cfg.Client()...)
	require.NoError(t, err)
	defer cl.Close()
	for range 5 {
		require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: at.Topic, Value: []byte("x")}).FirstErr())
	}
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: at.Topic, Partition: at.Partition, At: 3})
	_, err = g.Admin.DeleteRecords(t.Context(), offsets)
	require.NoError(t, err)
	clean, err := g.OnlyMarkers(t.Context(), at, 0, 3)
	require.NoError(t, err)
	require.True(t, clean)
	clean, err = g.OnlyMarkers(t.Context(), at, 0, 5)
	require.NoError(t, err)
	require.False(t, clean)
}
