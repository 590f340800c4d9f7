// Package wait is the pauses of commands and rigs: each ends with its context.
package wait

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// For pauses for d, or until ctx ends, whose error it then returns.
func For(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Retry repeats what fails after each pause, until patience is over: with a patience of 0 it is tried once. A
// backoff.Permanent error is not tried again.
func Retry[T any](ctx context.Context, patience, pause time.Duration, try func() (T, error)) (T, error) {
	return backoff.Retry(ctx, try, backoff.WithBackOff(backoff.NewConstantBackOff(pause)),
		backoff.WithMaxElapsedTime(max(patience, 1))) // 0 would be without end
}
