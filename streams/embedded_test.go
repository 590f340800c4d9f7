package streams

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/embedded"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// TestEmbeddedRestart stops and starts the embedded broker and the stage on one data directory: the state comes back
// from the changelog, which nobody compacts, and the outputs are those of an uninterrupted run.
func TestEmbeddedRestart(t *testing.T) {
	t.Parallel()
	const partitions = 2
	dir := t.TempDir()
	input := countInput(900, partitions)
	for round := range 3 {
		kafka, err := embedded.StartKafka(context.Background(), dir, "127.0.0.1:0", "", testLog(t))
		require.NoError(t, err)
		h := &harness{t: t, cfg: stage.Config{
			Brokers: []string{kafka.Addr()}, Partitions: partitions, FreshTxnID: true, Log: testLog(t), SnapshotAfter: 2000,
			MaxRecords: 20,
			KgoOpts:    []kgo.Opt{kgo.MetadataMinAge(50 * time.Millisecond)},
		}}
		_, err = topics.Ensure(h.ctx(), h.cfg)
		require.NoError(t, err)
		stopStage := h.startCount(h.cfg)
		h.feed(input[300*round:300*(round+1)], 100, func(int) {})
		h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
		stopStage()
		h.requireExactly(row("collect"), newCountTask)
		require.NoError(t, kafka.Close())
	}
}
