// Package retry is how the Kafka side waits before it tries again: growing pauses, each bound to a context.
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
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
