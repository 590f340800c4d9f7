package progress_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/internal/rig"
	"github.com/kasi-collections/kasi/streams/progress"
)

// What waits is told by topic, with the age of the oldest record; a transaction's marker is nobody's work.
func TestQueue(t *testing.T) {
	r := rig.New(t)
	at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	tx, err := kgo.NewClient(r.Cfg.Client(kgo.TransactionalID("bank"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	defer tx.Close()
	require.NoError(t, tx.BeginTransaction())
	for p := range int32(2) {
		for i := range 3 {
			rec := &kgo.Record{
				Topic: schemas.TopicRailResults, Partition: p,
				Timestamp: at.Add(time.Duration(10*i+int(p)) * time.Minute), Value: []byte("{}"),
			}
			require.NoError(t, tx.ProduceSync(r.Context(), rec).FirstErr())
		}
	}
	require.NoError(t, tx.EndTransaction(r.Context(), kgo.TryCommit))
	q, intake := progress.New(tx), streams.GroupsOf("intake")[0]
	require.Eventually(t, func() bool { _, err := q.Waiting(r.Context(), intake); return err == nil },
		60*time.Second, progress.RetryPause, "a broker that was just made has no coordinator of groups yet")
	results := func() progress.Waiting {
		rows, err := q.Waiting(r.Context(), intake)
		require.NoError(t, err)
		require.Len(t, rows, 4, "the outside topics")
		return rows[2]
	}
	want := progress.Waiting{Group: schemas.GroupIntake, Topic: schemas.TopicRailResults, Records: 8, Oldest: at}
	require.Eventually(t, func() bool { w := results(); w.Oldest = w.Oldest.In(at.Location()); return w == want },
		60*time.Second, progress.RetryPause, "a group that never committed has all before it")

	commit := func(p int32, offset int64) {
		o := kadm.Offsets{}
		o.AddOffset(schemas.TopicRailResults, p, offset, -1)
		require.NoError(t, kadm.NewClient(tx).CommitAllOffsets(r.Context(), schemas.GroupIntake, o))
	}
	commit(0, 2)
	commit(1, 3)
	w := results()
	require.EqualValues(t, 2, w.Records, "one record and the marker behind it")
	require.WithinDuration(t, at.Add(20*time.Minute), w.Oldest, 0)
	commit(0, 3)
	require.Equal(t, progress.Waiting{Group: schemas.GroupIntake, Topic: schemas.TopicRailResults}, results())
}
