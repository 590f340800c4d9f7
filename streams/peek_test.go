package streams

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
)

// A leader that was elected a moment ago does not know where its log ends: a cut or an advance waits for it instead of
// failing.
func TestEndsWaitForANewLeader(t *testing.T) {
	t.Parallel()
	h := newFakeHarness(t, 1)
	h.produce(countInput(5, 1)...)
	refused := h.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: schemas.TopicTimeline,
		Err: kerr.OffsetNotAvailable, Count: 6,
	})
	ends, err := newPeeker(h.client()).ends(h.ctx(), false, schemas.TopicTimeline)
	require.NoError(t, err)
	require.Equal(t, map[place]int64{{schemas.TopicTimeline, 0}: 5}, ends)
	require.Positive(t, refused.Hits())

	// Where the caller's patience ends before the election does, the error says both.
	refused = h.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: schemas.TopicTimeline,
		Err: kerr.OffsetNotAvailable, Count: 1 << 30,
	})
	ctx, cancel := context.WithCancel(h.ctx())
	defer cancel()
	go func() {
		for tick := time.NewTicker(time.Millisecond); refused.Hits() < 3 && ctx.Err() == nil; <-tick.C {
			continue // the third question comes after the first answer
		}
		cancel()
	}()
	_, err = newPeeker(h.client()).ends(ctx, false, schemas.TopicTimeline)
	require.ErrorIs(t, err, kerr.OffsetNotAvailable)
	require.ErrorIs(t, err, context.Canceled)
}
