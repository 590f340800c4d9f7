// Package retry is how the Kafka side, commands and rigs wait before they try again. Each pause ends with its context.
package retry

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Growing are pauses that begin with first and grow by half each time, up to most. They hold no chance, so that a
// simulation can be repeated.
func Growing(first, most time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: first, MaxInterval: most, Multiplier: backoff.DefaultMultiplier, RandomizationFactor: 0,
	}
}

// Pause waits for d or for the end of ctx, whose error it returns.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return ctx.Err()
}

// Constant repeats what fails after each pause, until patience is over: with a patience of 0 it is tried once. A
// backoff.Permanent error is not tried again.
func Constant[T any](ctx context.Context, patience, pause time.Duration, try func() (T, error)) (T, error) {
	return backoff.Retry(ctx, try, backoff.WithBackOff(backoff.NewConstantBackOff(pause)),
		backoff.WithMaxElapsedTime(max(patience, 1))) // 0 would be without end
}
