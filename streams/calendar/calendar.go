// Package calendar moves business time: by hand, or along with the wall clock.
package calendar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cloud.google.com/go/civil"
	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// Today is how far the calendar has come. Known is false while it has not been started.
type Today struct {
	Tick  schemas.Tick
	Known bool
}

// AdvanceOpts are the options of Advance.
type AdvanceOpts struct {
	// WaitSink waits at the end until all that the stages wrote is in ClickHouse.
	WaitSink bool
	// Each is called for each tick once collect and settle have passed it on every partition. Nil is fine.
	Each func(schemas.Tick)
	// Stall is how long to wait while nothing moves. 0 means progress.DefaultStall.
	Stall time.Duration
}

// The errors that tell a caller of Advance what it may not do.
var (
	ErrNotStarted = errors.New("the calendar has not been started: run `kasi run ticker --calendar manual --date " +
		"YYYY-MM-DD` first")
	ErrReal      = errors.New("the calendar follows the clock (--calendar real) and cannot be advanced by hand")
	ErrBackwards = errors.New("the calendar cannot go backwards")
)

// Clock moves business time. It keeps one client for any number of calls; its methods may be called at once from
// several goroutines and processes: a tick written twice is ignored by the stages.
//
// A tick goes to every partition of the timeline and of the settlement commands first and to kasi.calendar.v1 last. So
// the calendar never claims a tick that some partition lacks, and a call that was interrupted in between is repaired by
// the next one.
type Clock struct {
	cl         *kgo.Client
	log        *slog.Logger
	progress   *progress.Tracker
	times      func(civil.Date) []string // cut-off times of a day, HH:MM
	partitions int32
	next       nextFunc // nextTick; a field so that a test can plant a ticker that skips a day

	turn       sync.Mutex // one Advance at a time
	executions executions // its own

	mu   sync.Mutex // guards the rest
	read int64      // next offset of kasi.calendar.v1 to read
	last Today
	mode string
}

// New opens the calendar on topics that exist (topics.Ensure).
func New(cfg stage.Config, rules *rules.Rules) (*Clock, error) {
	cl, n, err := topics.Open(cfg)
	if err != nil {
		return nil, fmt.Errorf("calendar: %w", err)
	}
	times := func(d civil.Date) []string { return rules.Params(d).CutoffTimes }
	return &Clock{
		cl: cl, log: cfg.Logger(), progress: progress.New(cl), times: times, partitions: n, next: nextTick,
		executions: executions{map[progress.Place]int64{}, map[underWay]schemas.ExecutionEvent{}},
	}, nil
}

// Close releases the client.
func (c *Clock) Close() { c.cl.Close() }

// Show reads the calendar, also while an Advance is under way.
func (c *Clock) Show(ctx context.Context) (Today, error) {
	last, _, err := c.refresh(ctx)
	return last, err
}

// Advance goes day by day through every missing tick up to the last cut-off of the day to. Where that has passed
// already it adds one more cut-off of the same day, so that what came in since is decided. Before each day it waits
// until intake and collect have taken over what lay on the outside topics and the policy commands, and until no
// execution is under way; after each day until collect and settle have passed it on every partition. On an error (often
// a *progress.Behind) some ticks may have been written; calling it again goes on from there.
func (c *Clock) Advance(ctx context.Context, to civil.Date, o AdvanceOpts) (Today, error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	today, mode, err := c.refresh(ctx)
	switch {
	case err != nil:
		return today, err
	case !to.IsValid():
		return today, fmt.Errorf("%v is not a date", to)
	case !today.Known:
		return today, ErrNotStarted
	case mode == schemas.CalendarReal:
		return today, ErrReal
	case to.String() < today.Tick.Date:
		return today, fmt.Errorf("%w: it stands at %s, asked for %s", ErrBackwards, today.Tick.Date, to)
	}
	for first := true; ; first = false {
		day, err := c.nextDay(today.Tick, to, first)
		if err != nil {
			return today, err
		}
		if len(day) == 0 {
			break
		}
		if err := c.pass(ctx, day, o); err != nil {
			return today, fmt.Errorf("calendar at %s: %w", day[0].Date, err)
		}
		today.Tick = day[len(day)-1]
	}
	if o.WaitSink {
		return today, c.WaitSink(ctx, o.Stall)
	}
	return today, nil
}

// nextDay is the next day's missing ticks, none when the calendar has arrived. extra adds a cut-off to a day that has
// had its last.
func (c *Clock) nextDay(tick schemas.Tick, to civil.Date, extra bool) ([]schemas.Tick, error) {
	if extra && tick.Date == to.String() {
		cutoffs, err := c.cutoffs(to)
		if err != nil {
			return nil, err
		}
		if tick.Cutoff >= len(cutoffs) {
			return []schemas.Tick{{Date: tick.Date, Cutoff: tick.Cutoff + 1}}, nil
		}
	}
	var day []schemas.Tick
	for {
		next, _, err := c.next(tick, c.cutoffs)
		if err != nil {
			return nil, err
		}
		if next.Date > to.String() || len(day) > 0 && next.Date != day[0].Date {
			return day, nil
		}
		day, tick = append(day, next), next
	}
}

// pass writes the ticks of one day and waits for the stages.
func (c *Clock) pass(ctx context.Context, day []schemas.Tick, o AdvanceOpts) error {
	if err := streams.TakenOver(ctx, c.progress, o.Stall); err != nil {
		return err
	}
	if err := c.executed(ctx, o.Stall); err != nil {
		return err
	}
	written, err := c.write(ctx, schemas.CalendarManual, day)
	if err != nil {
		return err
	}
	stages := append(streams.GroupsOf("collect"), streams.GroupsOf("settle")...)
	if err := c.progress.Wait(ctx, o.Stall, written, stages...); err != nil {
		return err
	}
	for _, t := range day {
		if o.Each != nil {
			o.Each(t)
		}
	}
	return nil
}

// WaitSink waits until the sink has passed what lies on its topics now. stall is how long it waits while nothing moves;
// 0 means progress.DefaultStall.
func (c *Clock) WaitSink(ctx context.Context, stall time.Duration) error {
	return c.progress.CatchUp(ctx, stall, streams.GroupsOf("sink")...)
}

// tickOf reads a record of the calendar. What another has written there says nothing about the calendar.
func tickOf(r *kgo.Record) (t schemas.Tick, mode string, ok bool) {
	mode = progress.Header(r, schemas.HeaderCalendar)
	if err := json.Unmarshal(r.Value, &t); err != nil || mode != schemas.CalendarReal && mode != schemas.CalendarManual {
		return t, mode, false
	}
	d, err := civil.ParseDate(t.Date)
	return t, mode, err == nil && d.String() == t.Date && t.Cutoff >= 0
}

// refresh reads what has been added to the calendar topic and returns the latest tick and its mode. The latest tick
// counts, wherever it stands: a slow writer may add an old one behind it.
func (c *Clock) refresh(ctx context.Context) (Today, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ends, err := c.progress.Ends(ctx, true, schemas.TopicCalendar)
	if err != nil {
		return c.last, c.mode, fmt.Errorf("calendar: %w", err)
	}
	starts, err := c.progress.Starts(ctx, schemas.TopicCalendar)
	if err != nil {
		return c.last, c.mode, fmt.Errorf("calendar: %w", err)
	}
	at := progress.Place{Topic: schemas.TopicCalendar}
	next, err := c.progress.Scan(ctx, at, c.read, ends[at], 1<<20, func(r *kgo.Record) error {
		if r.Attrs.IsControl() {
			return nil
		}
		t, mode, ok := tickOf(r)
		if !ok {
			c.log.Warn("calendar: a record that is no tick of a ticker of ours is passed over", "topic", r.Topic, "offset",
				r.Offset)
			return nil
		}
		if !c.last.Known || t.After(c.last.Tick) {
			c.last, c.mode = Today{Tick: t, Known: true}, mode
		}
		return nil
	})
	if err != nil {
		return c.last, c.mode, fmt.Errorf("calendar: %w", err)
	}
	c.read = next
	if !c.last.Known && starts[at] > 0 {
		return c.last, c.mode, fmt.Errorf("calendar: the ticks on %s are gone, its log begins at offset %d: restore the "+
			"topic, and switch its retention off; a new calendar would leave out days", schemas.TopicCalendar, starts[at])
	}
	return c.last, c.mode, nil
}
