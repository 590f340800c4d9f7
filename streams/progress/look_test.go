package progress_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/internal/rig"
	"github.com/kasi-collections/kasi/streams/progress"
)

// A leader that was elected a moment ago does not know where its log ends: a cut or an advance waits for it instead of
// failing.
func TestEndsWaitForANewLeader(t *testing.T) {
	t.Parallel()
	r := rig.NewFake(t)
	for range 5 {
		r.Produce(schemas.TopicTimeline, 0, "x", "", kgo.TryCommit)
	}
	cl, err := kgo.NewClient(r.Cfg.Client()...)
	require.NoError(t, err)
	defer cl.Close()
	at := progress.Place{Topic: schemas.TopicTimeline}
	refused := r.Cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: schemas.TopicTimeline,
		Err: kerr.OffsetNotAvailable, Count: 6,
	})
	ends, err := progress.New(cl).Ends(r.Context(), false, schemas.TopicTimeline)
	require.NoError(t, err)
	require.Equal(t, int64(5), ends[at])
	require.Positive(t, refused.Hits())

	// Where the caller's patience ends before the election does, the error says both.
	refused = r.Cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: schemas.TopicTimeline,
		Err: kerr.OffsetNotAvailable, Count: 1 << 30,
	})
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		for tick := time.NewTicker(time.Millisecond); refused.Hits() < 3 && ctx.Err() == nil; <-tick.C {
			continue // the third question comes after the first answer
		}
		cancel()
	}()
	_, err = progress.New(cl).Ends(ctx, false, schemas.TopicTimeline)
	require.ErrorIs(t, err, kerr.OffsetNotAvailable)
	require.ErrorIs(t, err, context.Canceled)
}
