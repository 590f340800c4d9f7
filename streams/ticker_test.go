package streams

import (
	"context"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// fakeClock passes only while somebody sleeps on it, and stops the ticker when it reaches the end.
type fakeClock struct {
	at, end time.Time
	naps    []time.Duration
}

func (f *fakeClock) clock() wallClock {
	return wallClock{now: func() time.Time { return f.at }, sleep: func(ctx context.Context, d time.Duration) error {
		f.naps = append(f.naps, d)
		f.at = f.at.Add(d)
		if f.at.After(f.end) {
			return context.Canceled
		}
		return ctx.Err()
	}}
}

func sast(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04:05", s, schemas.Johannesburg)
	require.NoError(t, err)
	return at
}

// followTo runs a real ticker with cut-offs at 10:00 and 15:30 from one instant to another.
func (r *rig) followTo(start civil.Date, from, to string) *fakeClock {
	r.Helper()
	c, err := NewCalendar(r.cfg, nil)
	require.NoError(r, err)
	defer c.Close()
	c.times = func(civil.Date) []string { return []string{"10:00", "15:30"} }
	f := &fakeClock{at: sast(r, from), end: sast(r, to)}
	require.ErrorIs(r, c.follow(r.context(), r.cfg, start, func() {}, f.clock()), context.Canceled)
	return f
}

func TestTheRealTickerFollowsTheClock(t *testing.T) {
	r := newRig(t)
	friday := date(t, "2025-11-28")
	r.followTo(friday, "2025-11-28 00:00:00", "2025-11-28 09:59:59")
	require.NoError(t, r.checkTicks([]schemas.Tick{{Date: "2025-11-28"}}), "the day is open, no cut-off has passed")

	f := r.followTo(friday, "2025-11-28 09:59:59", "2025-11-28 15:29:59")
	require.Equal(t, time.Second, f.naps[0], "awake at the cut-off itself")
	require.Equal(t, maxNap, f.naps[1], "a suspended machine must not oversleep the next")
	require.NoError(t, r.checkTicks([]schemas.Tick{{Date: "2025-11-28"}, {Date: "2025-11-28", Cutoff: 1}}))

	r.followTo(friday, "2025-11-28 15:29:59", "2025-11-28 23:59:59")
	require.NoError(t, r.checkTicks(span(friday, friday, 2)))
}

func TestTheRealTickerCatchesUpEveryMissedDay(t *testing.T) {
	r := newRig(t)
	friday := date(t, "2025-11-28")
	r.followTo(friday, "2025-11-28 16:00:00", "2025-11-28 16:00:05")
	r.followTo(date(t, "2026-01-01"), "2025-12-03 12:00:00", "2025-12-03 12:00:05")
	want := append(span(friday, date(t, "2025-12-02"), 2), schemas.Tick{Date: "2025-12-03"},
		schemas.Tick{Date: "2025-12-03", Cutoff: 1})
	require.NoError(t, r.checkTicks(want))
}

func TestARealTickerStartsOnItsFirstDayOnly(t *testing.T) {
	r := newRig(t)
	r.followTo(date(t, "2025-11-28"), "2025-11-27 23:00:00", "2025-11-27 23:59:59")
	require.Empty(t, r.ticks(schemas.TopicCalendar, 0))
	r.followTo(date(t, "2025-11-28"), "2025-11-27 23:00:00", "2025-11-28 00:00:01")
	require.NoError(t, r.checkTicks([]schemas.Tick{{Date: "2025-11-28"}}))
}

func TestSeveralTickersAtOnceAreHarmless(t *testing.T) {
	r := newRig(t)
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			r.followTo(date(t, "2025-11-01"), "2025-11-30 16:00:00", "2025-11-30 16:00:01")
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.NoError(t, r.checkTicks(span(date(t, "2025-11-01"), date(t, "2025-11-30"), 2)))
}

func TestNobodyMixesTheTwoCalendars(t *testing.T) {
	r := newRig(t)
	r.followTo(date(t, "2025-11-28"), "2025-11-28 16:00:00", "2025-11-28 16:00:05")
	_, err := Advance(r.context(), r.cfg, nil, date(t, "2025-11-29"), AdvanceOpts{})
	require.ErrorIs(t, err, ErrReal)
	require.ErrorContains(t, RunTicker(r.context(), r.cfg, rules.Default(), civil.Date{}, true, func() {}),
		"--calendar real")

	r = newFakeRig(t) // at the same time as the first one
	require.NoError(t, RunTicker(r.context(), r.cfg, rules.Default(), date(t, "2025-11-28"), true, func() {}))
	require.ErrorIs(t, RunTicker(r.context(), r.cfg, rules.Default(), civil.Date{}, false, func() {}), errManual)
}

func TestTheManualTickerWritesTheFirstDayOnce(t *testing.T) {
	r := newRig(t)
	for _, day := range []string{"2025-11-28", "2025-12-24"} {
		ready := 0
		require.NoError(t, RunTicker(r.context(), r.cfg, rules.Default(), date(t, day), true, func() {
			ready++
			require.NotEmpty(t, r.ticks(schemas.TopicCalendar, 0), "ready before there was a calendar to advance")
		}))
		require.Equal(t, 1, ready)
	}
	require.NoError(t, r.checkTicks([]schemas.Tick{{Date: "2025-11-28"}}))
}

func TestRunTickerEndsWithItsContext(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(r.context())
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		ended <- RunTicker(ctx, r.cfg, rules.Default(), civil.Date{}, false, func() { close(ready) })
	}()
	<-ready
	require.NotEmpty(t, r.ticks(schemas.TopicCalendar, 0), "ready before there was a calendar")
	cancel()
	require.NoError(t, <-ended)
	require.Equal(t, schemas.DateIn(time.Now()).String(), r.ticks(schemas.TopicCalendar, 0)[0].Date)
}

func TestWrongCutoffTimesAreErrors(t *testing.T) {
	for _, times := range [][]string{nil, {"25:00"}, {"15:00", "10:00"}, {"3pm"}} {
		c := &Calendar{times: func(civil.Date) []string { return times }}
		_, err := c.cutoffs(date(t, "2025-11-28"))
		require.Error(t, err, "%v", times)
	}
}
