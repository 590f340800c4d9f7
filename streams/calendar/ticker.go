package calendar

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cloud.google.com/go/civil"
	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
)

// maxNap is how long the ticker sleeps at most before it looks at the clock again: a machine that was suspended, or
// whose clock was set, must not miss a cut-off.
const maxNap = 20 * time.Second

// wallClock is the ticker's view of time, so that tests can drive it.
type wallClock struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
}

// Ticker says how a calendar is moved.
type Ticker struct {
	// Manual writes the first tick of an empty calendar and leaves the rest to Advance. Otherwise the calendar follows the
	// clock.
	Manual bool
	// Start is the first day of an empty calendar; the zero date means today.
	Start civil.Date
	// CatchUpTo is an operator's word that the clock is right, up to that day: a calendar that follows the clock catches
	// up on more than a week only then.
	CatchUpTo civil.Date
}

// RunTicker starts the calendar and, unless it is manual, lets it follow the clock: the day opens at 00:00 in
// Johannesburg and its cut-offs pass at the times the rules give. Days missed while it was not running are caught up,
// each with all its cut-offs; more than a week of them only on an operator's word, since a clock that is wrong for a
// moment would move the calendar for good. Several tickers may run at once: what they write twice is ignored. ready is
// called once when the calendar stands: from then on Advance finds it. It returns nil when ctx ends.
func RunTicker(ctx context.Context, cfg stage.Config, r *rules.Rules, t Ticker, ready func()) error {
	return runTicker(ctx, cfg, r, t, ready, wallClock{now: time.Now, sleep: retry.Pause})
}

func runTicker(ctx context.Context, cfg stage.Config, r *rules.Rules, t Ticker, ready func(), clock wallClock) error {
	c, err := New(cfg, r)
	if err != nil {
		return err
	}
	defer c.Close()
	if t.Start == (civil.Date{}) {
		t.Start = schemas.DateIn(clock.now())
	}
	if !t.Manual {
		err = c.follow(ctx, cfg, t, sync.OnceFunc(ready), clock)
	} else if err = c.startManual(ctx, t.Start); err == nil {
		ready()
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// startManual writes the first tick of an empty calendar.
func (c *Clock) startManual(ctx context.Context, start civil.Date) error {
	today, mode, err := c.refresh(ctx)
	switch {
	case err != nil:
		return err
	case today.Known && mode == schemas.CalendarReal:
		return errors.New("this calendar has been following the clock: start with --calendar real, or use another data " +
			"directory or cluster for a manual one")
	case today.Known:
		return nil
	}
	_, err = c.write(ctx, schemas.CalendarManual, []schemas.Tick{{Date: start.String()}})
	return err
}

// troubleJump is the kind of trouble of a clock that is too far from the calendar.
const troubleJump = "calendar_jump"

// follow writes each tick when its time has come. A broker that is away is waited for, and so is a clock that is right
// or an operator's word that it is.
func (c *Clock) follow(ctx context.Context, cfg stage.Config, t Ticker, ready func(), clock wallClock) error {
	for jumping := false; ; {
		wait, err := c.followOnce(ctx, t, clock.now())
		jump := (*jumpError)(nil)
		switch {
		case errors.Is(err, errManual):
			return err
		case errors.As(err, &jump):
			jumping, wait = true, maxNap
			cfg.Trouble("ticker", troubleJump, schemas.TopicCalendar, err.Error())
			ready()
		case err != nil && ctx.Err() == nil:
			cfg.Logger().Error("ticker: cannot move the calendar, trying again", "error", err)
			wait = time.Second
		case err == nil:
			if jumping {
				jumping = false
				cfg.Trouble("ticker", troubleJump, schemas.TopicCalendar, "")
			}
			ready()
		}
		if err := clock.sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// mostDays is how many days the calendar catches up without an operator's word.
const mostDays = 7

// jumpError says that the clock is too far ahead of the calendar, or behind it.
type jumpError struct{ stands, clock civil.Date }

func (e *jumpError) Error() string {
	if e.stands.After(e.clock) {
		return fmt.Sprintf("the calendar stands at %s, ahead of the clock at %s: no day opens and nothing is decided until "+
			"the clock is there; mend the clock, or where it is right restore %s", e.stands, e.clock, schemas.TopicCalendar)
	}
	return fmt.Sprintf("the calendar stands at %s and the clock at %s, more than %d days ahead: it is not moved; mend "+
		"the clock, or where it is right start the ticker again with --catch-up-to %s", e.stands, e.clock, mostDays, e.clock)
}

var errManual = errors.New("this calendar is moved by hand: start with --calendar manual, or use another data " +
	"directory or cluster for a real one")

// followOnce writes every tick that is due and returns how long to sleep until the next look.
func (c *Clock) followOnce(ctx context.Context, t Ticker, now time.Time) (time.Duration, error) {
	today, mode, err := c.refresh(ctx)
	if err != nil {
		return 0, err
	}
	if today.Known && mode != schemas.CalendarReal {
		return 0, errManual
	}
	if today.Known {
		stands, err := civil.ParseDate(today.Tick.Date)
		if err != nil {
			return 0, fmt.Errorf("tick with date %q: %w", today.Tick.Date, err)
		}
		at := schemas.DateIn(now)
		if days := at.DaysSince(stands); days < -1 || days > mostDays && at.After(t.CatchUpTo) {
			return 0, &jumpError{stands, at}
		}
	}
	for {
		next, due := schemas.Tick{Date: t.Start.String()}, t.Start.In(schemas.Johannesburg)
		if today.Known {
			if next, due, err = c.next(today.Tick, c.cutoffs); err != nil {
				return 0, err
			}
		}
		if due.After(now) {
			return min(due.Sub(now), maxNap), nil
		}
		if _, err := c.write(ctx, schemas.CalendarReal, []schemas.Tick{next}); err != nil {
			return 0, err
		}
		today = Today{Tick: next, Known: true}
	}
}

// cutoffs are the day's cut-off times after midnight, in Johannesburg, ascending. There is always at least one.
func (c *Clock) cutoffs(d civil.Date) ([]time.Duration, error) {
	texts := c.times(d)
	if len(texts) == 0 {
		return nil, fmt.Errorf("the rules give no cut-off time for %s", d)
	}
	times := make([]time.Duration, len(texts))
	for i, text := range texts {
		t, err := time.Parse("15:04", text)
		if err != nil {
			return nil, fmt.Errorf("cut-off time %q of %s is not HH:MM", text, d)
		}
		times[i] = time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
		if i > 0 && times[i] <= times[i-1] {
			return nil, fmt.Errorf("cut-off times %v of %s are not in ascending order", texts, d)
		}
	}
	return times, nil
}

// nextFunc says which tick follows another, and when.
type nextFunc func(schemas.Tick, func(civil.Date) ([]time.Duration, error)) (schemas.Tick, time.Time, error)

// nextTick is the tick after t and the instant at which it is due: the day's next cut-off, or else the opening of the
// next day. No day and no cut-off is ever left out.
func nextTick(t schemas.Tick, cutoffs func(civil.Date) ([]time.Duration, error)) (schemas.Tick, time.Time, error) {
	day, err := civil.ParseDate(t.Date)
	if err != nil {
		return t, time.Time{}, fmt.Errorf("tick with date %q: %w", t.Date, err)
	}
	times, err := cutoffs(day)
	if err != nil {
		return t, time.Time{}, err
	}
	if t.Cutoff < len(times) {
		return schemas.Tick{Date: t.Date, Cutoff: t.Cutoff + 1}, day.In(schemas.Johannesburg).Add(times[t.Cutoff]), nil
	}
	day = day.AddDays(1)
	return schemas.Tick{Date: day.String()}, day.In(schemas.Johannesburg), nil
}

// write appends the ticks to every partition of the timeline and of the settlement commands, and when the brokers have
// acknowledged all of those, to the calendar topic. Their timestamp tells collect on which day a late tick is sent. It
// returns, for each partition, the offset behind the last tick.
func (c *Clock) write(ctx context.Context, mode string, ticks []schemas.Tick) (map[progress.Place]int64, error) {
	now := time.Now()
	var stages, calendar []*kgo.Record
	for _, t := range ticks {
		value, err := json.Marshal(t)
		if err != nil {
			return nil, err
		}
		record := func(topic string, p int32) *kgo.Record {
			return &kgo.Record{
				Topic: topic, Partition: p, Key: []byte("tick"), Value: value, Timestamp: now,
				Headers: []kgo.RecordHeader{
					{Key: schemas.HeaderKind, Value: []byte(schemas.KindTick)},
					{Key: schemas.HeaderCalendar, Value: []byte(mode)},
				},
			}
		}
		for p := range c.partitions {
			stages = append(stages, record(schemas.TopicTimeline, p), record(schemas.TopicSettlementCommands, p))
		}
		calendar = append(calendar, record(schemas.TopicCalendar, 0))
	}
	written := map[progress.Place]int64{}
	for _, r := range c.cl.ProduceSync(ctx, stages...) {
		if r.Err != nil {
			return nil, fmt.Errorf("writing a tick to %s partition %d: %w", r.Record.Topic, r.Record.Partition, r.Err)
		}
		at := progress.Place{Topic: r.Record.Topic, Partition: r.Record.Partition}
		written[at] = max(written[at], r.Record.Offset+1)
	}
	if err := c.cl.ProduceSync(ctx, calendar...).FirstErr(); err != nil {
		return nil, fmt.Errorf("writing a tick to %s: %w", schemas.TopicCalendar, err)
	}
	return written, nil
}
