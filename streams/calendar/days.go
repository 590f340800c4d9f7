package calendar

import (
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	"cloud.google.com/go/civil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/follow"
	"github.com/kasi-collections/kasi/streams/stage"
)

// Days knows when each business date of a manual calendar began, so that instants of the clock can be shown on the date
// that stood then (CONTRACT 3). Under the real calendar they are shown as they are. It is safe for concurrent use.
type Days struct {
	mu     sync.RWMutex
	latest string
	began  []beginning // of a manual calendar, in order
}

// beginning is the instant from which on a business date stood.
type beginning struct {
	at   time.Time
	date civil.Date
}

// FollowDays follows the calendar until ctx ends. It returns once all that is there now is known.
func FollowDays(ctx context.Context, cfg stage.Config) (*Days, error) {
	d := &Days{}
	return d, follow.Topic(ctx, cfg, schemas.TopicCalendar, d.take)
}

// take notes a tick. One that is not after the latest says nothing.
func (d *Days) take(rec *kgo.Record) {
	tick, mode, ok := tickOf(rec)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !ok || tick.Date <= d.latest {
		return
	}
	d.latest = tick.Date
	if date, err := civil.ParseDate(tick.Date); err == nil && mode == schemas.CalendarManual {
		d.began = append(d.began, beginning{rec.Timestamp, date})
	}
}

// Today is the business date, empty before the first tick.
func (d *Days) Today() string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.latest
}

// Shown is an instant as users see it: the same time of the business date that stood then.
func (d *Days) Shown(at time.Time) time.Time {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.began) == 0 {
		return at.UTC()
	}
	i := sort.Search(len(d.began), func(i int) bool { return d.began[i].at.After(at) }) - 1
	return on(d.began[max(i, 0)].date, at)
}

// Happened is the first instant that is shown as the given one or a later one.
func (d *Days) Happened(shown time.Time) time.Time {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.began) == 0 {
		return shown.UTC()
	}
	date := schemas.DateIn(shown)
	i := slices.IndexFunc(d.began, func(b beginning) bool { return !b.date.Before(date) })
	if i < 0 { // a date that has not come
		return on(schemas.DateIn(time.Now()).AddDays(1), shown)
	}
	if first := d.began[i]; first.date == date {
		at := on(schemas.DateIn(first.at), shown)
		switch {
		case i+1 < len(d.began) && at.After(d.began[i+1].at):
			return d.began[i+1].at.UTC()
		case at.After(first.at):
			return at
		}
	}
	return d.began[i].at.UTC()
}

// on is the time of an instant on a date.
func on(date civil.Date, at time.Time) time.Time {
	clock := civil.DateTimeOf(at.In(schemas.Johannesburg)).Time
	return civil.DateTime{Date: date, Time: clock}.In(schemas.Johannesburg).UTC()
}
