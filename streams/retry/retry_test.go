package retry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/streams/retry"
)

func TestConstantLastsAsLongAsPatience(t *testing.T) {
	tries := 0
	try := func() (int, error) {
		if tries++; tries < 3 {
			return 0, errors.New("away")
		}
		return 7, nil
	}
	_, err := retry.Constant(t.Context(), 0, time.Millisecond, try)
	require.EqualError(t, err, "away")
	require.Equal(t, 1, tries, "without patience it is tried once")
	n, err := retry.Constant(t.Context(), time.Minute, time.Millisecond, try)
	require.NoError(t, err)
	require.Equal(t, []int{7, 3}, []int{n, tries})
}

func TestPauseEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, retry.Pause(ctx, 0))
	cancel()
	require.ErrorIs(t, retry.Pause(ctx, time.Hour), context.Canceled)
}
