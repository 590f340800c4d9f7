package wait_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/wait"
)

func TestRetryLastsAsLongAsPatience(t *testing.T) {
	tries := 0
	try := func() (int, error) {
		if tries++; tries < 3 {
			return 0, errors.New("away")
		}
		return 7, nil
	}
	_, err := wait.Retry(t.Context(), 0, time.Millisecond, try)
	require.EqualError(t, err, "away")
	require.Equal(t, 1, tries, "without patience it is tried once")
	n, err := wait.Retry(t.Context(), time.Minute, time.Millisecond, try)
	require.NoError(t, err)
	require.Equal(t, []int{7, 3}, []int{n, tries})
}

func TestForEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, wait.For(ctx, 0))
	cancel()
	require.ErrorIs(t, wait.For(ctx, time.Hour), context.Canceled)
}
