package streams

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// What waits is told by topic, with the age of the oldest record; a transaction's marker is nobody's work.
func TestQueue(t *testing.T) {
	h := newHarness(t, 2)
	at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	tx, err := kgo.NewClient(h.cfg.client(kgo.TransactionalID("bank"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	defer tx.Close()
	require.NoError(t, tx.BeginTransaction())
	for p := range int32(2) {
		for i := range 3 {
			r := &kgo.Record{
				Topic: schemas.TopicRailResults, Partition: p,
				Timestamp: at.Add(time.Duration(10*i+int(p)) * time.Minute), Value: []byte("{}"),
			}
			require.NoError(t, tx.ProduceSync(h.ctx(), r).FirstErr())
		}
	}
	require.NoError(t, tx.EndTransaction(h.ctx(), kgo.TryCommit))
	q, err := NewQueue(h.cfg)
	require.NoError(t, err)
	defer q.Close()
	results := func() Waiting {
		rows, err := q.Of(h.ctx(), schemas.GroupIntake)
		require.NoError(t, err)
		require.Len(t, rows, 3, "the three outside topics")
		return rows[2]
	}
	want := Waiting{Group: schemas.GroupIntake, Topic: schemas.TopicRailResults, Records: 8, Oldest: at}
	require.Eventually(t, func() bool { w := results(); w.Oldest = w.Oldest.In(at.Location()); return w == want },
		patience, retryPause, "a group that never committed has all before it")

	commit := func(p int32, offset int64) {
		o := kadm.Offsets{}
		o.AddOffset(schemas.TopicRailResults, p, offset, -1)
		require.NoError(t, kadm.NewClient(tx).CommitAllOffsets(h.ctx(), schemas.GroupIntake, o))
	}
	commit(0, 2)
	commit(1, 3)
	w := results()
	require.EqualValues(t, 2, w.Records, "one record and the marker behind it")
	require.WithinDuration(t, at.Add(20*time.Minute), w.Oldest, 0)
	commit(0, 3)
	require.Equal(t, Waiting{Group: schemas.GroupIntake, Topic: schemas.TopicRailResults}, results())
}

func TestInputsOf(t *testing.T) {
	require.Len(t, inputsOf(schemas.GroupSink), len(schemas.SunkTopics))
	require.Equal(t, []string{schemas.TopicTimeline}, inputsOf(schemas.GroupCollect))
	require.Panics(t, func() { inputsOf("kasi.typo") })
}
