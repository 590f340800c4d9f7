package calendar

import (
	"context"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/internal/rig"
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
func followTo(r *rig.Rig, start civil.Date, from, to string) *fakeClock {
	r.Helper()
	c, err := New(r.Cfg, nil)
	require.NoError(r, err)
	defer c.Close()
	c.times = func(civil.Date) []string { return []string{"10:00", "15:30"} }
	f := &fakeClock{at: sast(r, from), end: sast(r, to)}
	require.ErrorIs(r, c.follow(r.Context(), r.Cfg, Ticker{Start: start}, func() {}, f.clock()), context.Canceled)
	return f
}

func TestTheRealTickerFollowsTheClock(t *testing.T) {
	r := rig.New(t)
	friday := rig.Date(t, "2025-11-28")
	followTo(r, friday, "2025-11-28 00:00:00", "2025-11-28 09:59:59")
	require.NoError(t, r.CheckTicks([]schemas.Tick{{Date: "2025-11-28"}}), "the day is open, no cut-off has passed")

	f := followTo(r, friday, "2025-11-28 09:59:59", "2025-11-28 15:29:59")
	require.Equal(t, time.Second, f.naps[0], "awake at the cut-off itself")
	require.Equal(t, maxNap, f.naps[1], "a suspended machine must not oversleep the next")
	require.NoError(t, r.CheckTicks([]schemas.Tick{{Date: "2025-11-28"}, {Date: "2025-11-28", Cutoff: 1}}))

	followTo(r, friday, "2025-11-28 15:29:59", "2025-11-28 23:59:59")
	require.NoError(t, r.CheckTicks(rig.Span(friday, friday, 2)))
}

// A day begins at midnight in Johannesburg, two hours before UTC's.
func TestTheDayOpensAtMidnightInJohannesburg(t *testing.T) {
	r := rig.New(t)
	friday := rig.Date(t, "2025-11-28")
	followTo(r, friday, "2025-11-28 16:00:00", "2025-11-28 23:59:40")
	require.NoError(t, r.CheckTicks(rig.Span(friday, friday, 2)))
	followTo(r, friday, "2025-11-29 00:00:00", "2025-11-29 00:00:01")
	require.NoError(t, r.CheckTicks(append(rig.Span(friday, friday, 2), schemas.Tick{Date: "2025-11-29"})))
}

func TestTheRealTickerCatchesUpEveryMissedDay(t *testing.T) {
	r := rig.New(t)
	friday := rig.Date(t, "2025-11-28")
	followTo(r, friday, "2025-11-28 16:00:00", "2025-11-28 16:00:05")
	followTo(r, rig.Date(t, "2026-01-01"), "2025-12-03 12:00:00", "2025-12-03 12:00:05")
	want := append(rig.Span(friday, rig.Date(t, "2025-12-02"), 2), schemas.Tick{Date: "2025-12-03"},
		schemas.Tick{Date: "2025-12-03", Cutoff: 1})
	require.NoError(t, r.CheckTicks(want))
}

// A clock that runs a year ahead for a moment leaves no trace. A rest of more than a week is caught up on an operator's
// word, up to the day that he names.
func TestTheRealTickerDoesNotJump(t *testing.T) {
	r := rig.New(t)
	friday := rig.Date(t, "2025-11-28")
	run := func(to civil.Date, from, until string) {
		c, err := New(r.Cfg, nil)
		require.NoError(t, err)
		defer c.Close()
		c.times = func(civil.Date) []string { return []string{"10:00", "15:30"} }
		f := &fakeClock{at: sast(t, from), end: sast(t, until)}
		ready := 0
		ticker := Ticker{Start: friday, CatchUpTo: to}
		require.ErrorIs(t, c.follow(r.Context(), r.Cfg, ticker, func() { ready++ }, f.clock()), context.Canceled)
		require.Positive(t, ready)
	}
	run(civil.Date{}, "2025-11-28 16:00:00", "2025-11-28 16:00:05")
	want := rig.Span(friday, friday, 2)
	require.NoError(t, r.CheckTicks(want))
	run(civil.Date{}, "2026-11-28 16:00:00", "2026-11-28 16:00:15")
	run(rig.Date(t, "2026-11-27"), "2026-11-28 16:00:00", "2026-11-28 16:00:15")
	run(civil.Date{}, "2025-12-06 00:00:00", "2025-12-06 00:00:15")
	require.NoError(t, r.CheckTicks(want), "nothing is written before the word")

	run(civil.Date{}, "2025-12-05 16:00:00", "2025-12-05 16:00:15")
	require.NoError(t, r.CheckTicks(rig.Span(friday, rig.Date(t, "2025-12-05"), 2)), "a week is caught up")
	run(rig.Date(t, "2025-12-20"), "2025-12-20 16:00:00", "2025-12-20 16:00:15")
	require.NoError(t, r.CheckTicks(rig.Span(friday, rig.Date(t, "2025-12-20"), 2)))

	c, err := New(r.Cfg, nil)
	require.NoError(t, err)
	defer c.Close()
	c.times = func(civil.Date) []string { return []string{"10:00", "15:30"} }
	_, err = c.followOnce(r.Context(), Ticker{}, sast(t, "2025-12-18 12:00:00"))
	require.ErrorContains(t, err, "ahead of the clock", "a calendar that some clock has moved too far is said")
	_, err = c.followOnce(r.Context(), Ticker{}, sast(t, "2025-12-19 23:59:59"))
	require.NoError(t, err, "another ticker's clock may be the first at midnight")
}

func TestARealTickerStartsOnItsFirstDayOnly(t *testing.T) {
	r := rig.New(t)
	followTo(r, rig.Date(t, "2025-11-28"), "2025-11-27 23:00:00", "2025-11-27 23:59:59")
	require.Empty(t, r.Ticks(schemas.TopicCalendar, 0))
	followTo(r, rig.Date(t, "2025-11-28"), "2025-11-27 23:00:00", "2025-11-28 00:00:01")
	require.NoError(t, r.CheckTicks([]schemas.Tick{{Date: "2025-11-28"}}))
}

func TestSeveralTickersAtOnceAreHarmless(t *testing.T) {
	r := rig.New(t)
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			followTo(r, rig.Date(t, "2025-11-01"), "2025-11-30 16:00:00", "2025-11-30 16:00:01")
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.NoError(t, r.CheckTicks(rig.Span(rig.Date(t, "2025-11-01"), rig.Date(t, "2025-11-30"), 2)))
}

func TestNobodyMixesTheTwoCalendars(t *testing.T) {
	r := rig.New(t)
	followTo(r, rig.Date(t, "2025-11-28"), "2025-11-28 16:00:00", "2025-11-28 16:00:05")
	err := advance(r, "2025-11-29")
	require.ErrorIs(t, err, ErrReal)
	require.ErrorContains(t, RunTicker(r.Context(), r.Cfg, rules.Default(), Ticker{Manual: true}, func() {}),
		"--calendar real")

	r = rig.NewFake(t) // at the same time as the first one
	manual := Ticker{Manual: true, Start: rig.Date(t, "2025-11-28")}
	require.NoError(t, RunTicker(r.Context(), r.Cfg, rules.Default(), manual, func() {}))
	require.ErrorIs(t, RunTicker(r.Context(), r.Cfg, rules.Default(), Ticker{}, func() {}), errManual)
}

func TestTheManualTickerWritesTheFirstDayOnce(t *testing.T) {
	r := rig.New(t)
	for _, day := range []string{"2025-11-28", "2025-12-24"} {
		ready := 0
		manual := Ticker{Manual: true, Start: rig.Date(t, day)}
		require.NoError(t, RunTicker(r.Context(), r.Cfg, rules.Default(), manual, func() {
			ready++
			require.NotEmpty(t, r.Ticks(schemas.TopicCalendar, 0), "ready before there was a calendar to advance")
		}))
		require.Equal(t, 1, ready)
	}
	require.NoError(t, r.CheckTicks([]schemas.Tick{{Date: "2025-11-28"}}))
}

func TestRunTickerEndsWithItsContext(t *testing.T) {
	r := rig.New(t)
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		ended <- RunTicker(ctx, r.Cfg, rules.Default(), Ticker{}, func() { close(ready) })
	}()
	<-ready
	require.NotEmpty(t, r.Ticks(schemas.TopicCalendar, 0), "ready before there was a calendar")
	cancel()
	require.NoError(t, <-ended)
	require.Equal(t, schemas.DateIn(time.Now()).String(), r.Ticks(schemas.TopicCalendar, 0)[0].Date)
}

func TestWrongCutoffTimesAreErrors(t *testing.T) {
	for _, times := range [][]string{nil, {"25:00"}, {"15:00", "10:00"}, {"3pm"}} {
		c := &Clock{times: func(civil.Date) []string { return times }}
		_, err := c.cutoffs(rig.Date(t, "2025-11-28"))
		require.Error(t, err, "%v", times)
	}
}
