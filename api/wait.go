package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kasi-collections/kasi/api/read"
)

// errLate says that a bounded wait has ended before what it waited for.
var errLate = errors.New("not there in time")

// poll asks again and again until done, with growing pauses. The bound counts from the last growth of progress, so a
// long import that moves on is not given up. A failing question is asked again within the bound: an embedded ClickHouse
// may be restarting.
func poll(ctx context.Context, bound time.Duration, ask func() (done bool, progress uint64, err error)) error {
	var best uint64
	deadline := time.Now().Add(bound)
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: 5 * time.Millisecond, Multiplier: backoff.DefaultMultiplier, MaxInterval: 250 * time.Millisecond,
	}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		done, progress, err := ask()
		if done && err == nil {
			return struct{}{}, nil
		}
		late := cmp.Or(err, errLate)
		if now := time.Now(); err == nil && progress > best {
			best, deadline = progress, now.Add(bound)
		} else if now.After(deadline) {
			return struct{}{}, backoff.Permanent(late)
		}
		return struct{}{}, late
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0))
	return err
}

// pollUntil asks for an object until it is there.
func pollUntil[T any](ctx context.Context, bound time.Duration, ask func(context.Context) (T, bool, error)) (T, error) {
	var v T
	err := poll(ctx, bound, func() (ok bool, _ uint64, err error) {
		v, ok, err = ask(ctx)
		return ok, 0, err
	})
	return v, err
}

// outcome sends one command and waits for what became of it. Where an earlier try under the same Idempotency-Key may
// have sent it, that one's outcome is looked for first, once the pipeline has worked off what was there: the caller is
// to hear what the call has done, not that it was done already.
func (s *server) outcome(ctx context.Context, send func() error) (o read.Outcome, err error) {
	info := infoOf(ctx)
	if info.again {
		if err = s.workedOff(ctx); err != nil {
			return o, err
		}
		if o, err = pollUntil(ctx, earlierPatience, info.db.Outcome); !errors.Is(err, errLate) {
			return o, err
		}
	}
	if err := send(); err != nil {
		return o, unavailable(err, "The command could not be written to Kafka")
	}
	return pollUntil(ctx, s.Wait, info.db.Outcome)
}

// earlierPatience is how long the sink may take to bring what an earlier try has done.
const earlierPatience = 2 * time.Second

// workedOff waits until the pipeline has worked off all that was there at the call.
func (s *server) workedOff(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	if _, err := s.Commands.Owed(ctx); err != nil {
		return unavailable(err, "An earlier try of this call may not have been worked off yet; try again")
	}
	return nil
}

// count asks how many there are by now.
type count func(ctx context.Context) (uint64, error)

// awaitCount waits until a count reaches n.
func awaitCount(ctx context.Context, bound time.Duration, n uint64, ask count) error {
	return poll(ctx, bound, func() (bool, uint64, error) {
		have, err := ask(ctx)
		return have >= n, have, err
	})
}

// late is a 503 for a write that was accepted but cannot be read back yet: the message must tell how to go on without
// doing it twice.
func (s *server) late(err error, hint string) error {
	why := "ClickHouse cannot be asked what became of it"
	if errors.Is(err, errLate) {
		why = fmt.Sprintf("not answered by the pipeline within %s", s.Wait)
	} else if !errors.As(err, new(*read.Error)) {
		return err
	}
	return newError(http.StatusServiceUnavailable, "Accepted, but %s. %s", why, hint).because(err)
}
