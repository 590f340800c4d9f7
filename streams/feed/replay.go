// Package feed reads files of real bank transactions and pushes them to Kafka the way any outside bank feed would: with
// an ordinary client, as the JSON of CONTRACT 8, in date order, with the manual calendar following day by day.
package feed

import (
	"context"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/civil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/retry"
)

// Advancer moves Kasi's manual calendar through every cut-off up to and including the day, and returns when all that
// they caused is through (CONTRACT 9).
type Advancer interface {
	Advance(ctx context.Context, to civil.Date) error
}

// Options of a replay.
type Options struct {
	Rows    []Row // in date order, at least one
	Brokers []string
	// Pace is the time one business day takes at least; 0 means as fast as possible.
	Pace     time.Duration
	Advancer Advancer
	// Before runs ahead of each day's rows, and may change them; After runs when the calendar has passed the day. Both may
	// be nil.
	Before   func(ctx context.Context, day civil.Date, rows []Row) error
	After    func(ctx context.Context, day civil.Date) error
	Out      io.Writer
	Terminal bool
	KgoOpts  []kgo.Opt // TLS, SASL
}

// Stats is what a replay did.
type Stats struct {
	Rows    int
	Days    int
	Elapsed time.Duration
}

// RowsPerSecond is the mean rate of the replay.
func (s Stats) RowsPerSecond() int64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return int64(s.Rows) * int64(time.Second) / int64(s.Elapsed)
}

// Replay pushes the rows in date order and drives the manual calendar: the rows of a day, then the day itself, its
// cut-off included. Days without rows pass like any other, because waiting is a decision too. The same file into an
// empty installation gives the same result every time.
func Replay(ctx context.Context, o Options) (Stats, error) {
	p, err := NewProducer(o.Brokers, o.KgoOpts...)
	if err != nil {
		return Stats{}, err
	}
	defer p.Close()
	rows := o.Rows
	bar := NewProgress(o.Out, o.Terminal, "replay", int64(len(rows)))
	defer bar.Done()
	var s Stats
	for day := rows[0].Date; s.Rows < len(rows); day = day.AddDays(1) {
		next := s.Rows
		for next < len(rows) && rows[next].Date == day {
			next++
		}
		began := time.Now()
		if err := o.day(ctx, p, day, rows[s.Rows:next]); err != nil {
			return s, fmt.Errorf("feed: day %s, after %d of %d rows: %w", day, s.Rows, len(rows), err)
		}
		s.Rows, s.Days, s.Elapsed = next, s.Days+1, bar.Elapsed()
		bar.Step(int64(next), fmt.Sprintf("%s  %d rows  %d rows/s", day, next, s.RowsPerSecond()))
		if err := retry.Pause(ctx, o.Pace-time.Since(began)); err != nil {
			return s, err
		}
	}
	return s, nil
}

// day pushes one day's rows and lets the day pass.
func (o Options) day(ctx context.Context, p *Producer, day civil.Date, rows []Row) error {
	if o.Before != nil {
		if err := o.Before(ctx, day, rows); err != nil {
			return err
		}
	}
	txs := make([]schemas.Transaction, len(rows))
	for i := range rows {
		txs[i] = rows[i].Transaction
	}
	if err := p.Transactions(ctx, txs...); err != nil {
		return err
	}
	if err := p.Flush(ctx); err != nil {
		return err
	}
	if err := o.Advancer.Advance(ctx, day); err != nil {
		return fmt.Errorf("advance the calendar: %w", err)
	}
	if o.After != nil {
		return o.After(ctx, day)
	}
	return nil
}
