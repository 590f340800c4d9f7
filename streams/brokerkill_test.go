package streams

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// TestBrokerGone takes the broker away in the middle of the stage's work, again and again: a local Apache Kafka is killed with kill -9 and started again, one
// broker after the other; of any other Kafka all connections are cut. The input is fed by a client that goes through the same.
func TestBrokerGone(t *testing.T) {
	t.Parallel()
	const partitions = 3
	kafka := kafkatest.Start(t)
	h := harnessOn(t, kafka, partitions)
	w := &wire{}
	cfg := h.wired(w)
	cfg.MaxRecords = 10
	h.startCount(cfg)
	gone := 0
	h.feed(countInput(3000, partitions), 250, func(done int) {
		if done%750 != 0 {
			return
		}
		gone++
		if kafka.Cluster == nil {
			w.cut()
			return
		}
		broker := gone % len(kafka.Brokers)
		kafka.Cluster.Kill(broker)
		require.NoError(t, kafka.Cluster.Start(broker))
		require.NoError(t, kafka.Cluster.Ready(h.ctx()))
	})
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	require.Equal(t, 4, gone)
	h.requireExactly(row("collect"), newCountTask)
}
