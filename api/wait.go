package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	pollFirst = 5 * time.Millisecond
	pollMost  = 250 * time.Millisecond
)

// errLate says that a bounded wait has ended before what it waited for.
var errLate = errors.New("not there in time")

// poll asks again and again until done, with growing pauses. The bound counts from the last growth of progress, so a
// long import that moves on is not given up. A failing question is asked again within the bound: an embedded ClickHouse
// may be restarting.
func poll(ctx context.Context, bound time.Duration, ask func() (done bool, progress uint64, err error)) error {
	var best uint64
	deadline := time.Now().Add(bound)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for wait := pollFirst; ; wait = min(wait*3/2, pollMost) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
		done, progress, err := ask()
		if done && err == nil {
			return nil
		}
		if now := time.Now(); err == nil && progress > best {
			best, deadline = progress, now.Add(bound)
		} else if now.After(deadline) {
			if err != nil {
				return err
			}
			return errLate
		}
		pause.Reset(wait)
	}
}

// awaitOutcome waits for the answer to a request of one command.
func (s *server) awaitOutcome(ctx context.Context, tenant, request string) (o outcome, err error) {
	err = poll(ctx, s.wait, func() (ok bool, _ uint64, err error) {
		o, ok, err = s.firstOutcome(ctx, tenant, request)
		return ok, 0, err
	})
	return o, err
}

// awaitOutcomes waits until n commands of a request are answered. It returns the counts it has got to in any case.
func (s *server) awaitOutcomes(ctx context.Context, bound time.Duration, tenant, request string,
	n uint64,
) (c outcomeCounts, err error) {
	err = poll(ctx, bound, func() (bool, uint64, error) {
		now, err := s.outcomeCounts(ctx, tenant, request)
		if err == nil {
			c = now
		}
		return c.answered >= n, c.answered, err
	})
	return c, err
}

// awaitCount waits until a count reaches n.
func awaitCount(ctx context.Context, bound time.Duration, n uint64, count func() (uint64, error)) error {
	return poll(ctx, bound, func() (bool, uint64, error) {
		have, err := count()
		return have >= n, have, err
	})
}

// late is a 503 for a write that was accepted but cannot be read back yet: the message must tell how to go on without
// doing it twice.
func (s *server) late(err error, format string, args ...any) error {
	if errors.As(err, new(*dbError)) {
		return newError(http.StatusServiceUnavailable, codeUnavailable,
			"Accepted, but ClickHouse cannot be asked what became of it. %s",
			fmt.Sprintf(format, args...)).because(err)
	}
	if !errors.Is(err, errLate) {
		return err
	}
	return newError(http.StatusServiceUnavailable, codeUnavailable,
		"Accepted, but not answered by the pipeline within %s. %s", s.wait,
		fmt.Sprintf(format, args...)).because(err)
}
