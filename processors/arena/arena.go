// Package arena runs an engine over a customer's life without Kafka: records in the order of time, the calendar's
// ticks, and the bank's answers. Customers know nothing of each other, so an arena runs one after another; run an arena
// in each goroutine to run many. Backtests and the tests of the engine are its users.
package arena

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Arena is a customer and the moment of business time at which they stand.
type Arena struct {
	Engine   *processors.Engine
	Rules    *rules.Rules
	Customer *book.Customer
	Now      schemas.Moment
	Out      book.Outputs // what the latest step emitted; the next step uses its memory again

	answers []Answer // to come, by time
	result  schemas.Result
	clocks  clocks
}

// clocks are the cut-off times of the parameters that were in force last.
type clocks struct {
	of *rules.Params
	at []time.Duration // since the day's opening
}

// on are the cut-off times of a day.
func (c *clocks) on(p *rules.Params) ([]time.Duration, error) {
	if c.of == p {
		return c.at, nil
	}
	c.at = nil
	for _, text := range p.CutoffTimes {
		clock, err := time.Parse("15:04", text)
		if err != nil {
			return nil, fmt.Errorf("cut-off %q: %w", text, err)
		}
		c.at = append(c.at, time.Duration(clock.Hour())*time.Hour+time.Duration(clock.Minute())*time.Minute)
	}
	c.of = p
	return c.at, nil
}

// New makes an arena with a new customer before the first tick. The rules are those of the engine: their calendar and
// their cut-offs make the days.
func New(e *processors.Engine, r *rules.Rules) *Arena {
	return &Arena{Engine: e, Rules: r, Customer: &book.Customer{}}
}

// Reset gives the arena a new customer and keeps its memory.
func (a *Arena) Reset() {
	a.Customer, a.Now, a.answers = &book.Customer{}, schemas.Moment{}, a.answers[:0]
	a.Out.Reset()
}

// Step lets a record happen to the customer now. Errors are those of Engine.Apply.
func (a *Arena) Step(rec processors.Record) error {
	if !a.Out.Empty() || a.Out.Execution != (schemas.ExecutionCounts{}) { // most ticks find nothing to do
		a.Out.Reset()
	}
	return a.Engine.Apply(a.Customer, rec, a.Now, &a.Out)
}

// Tick lets the day open (cut-off 0) or brings one of its cut-offs.
func (a *Arena) Tick(date civil.Date, cutoff int) error {
	a.Now.Date, a.Now.Cutoff = date, cutoff
	return a.Step(schemas.Tick{})
}

// Outside is what happens to a customer outside of the engine.
type Outside interface {
	// Next is the next record that arrives until then, and when it does; nil: none. Times never run backwards. The memory
	// of the record may be used again by the next call.
	Next(until time.Time) (processors.Record, time.Time)
	// Answer appends what the bank will say of a debit.
	Answer(d *schemas.DebitInstruction, to []Answer) []Answer
	// Saw is told what a step emitted. reject says why a record was refused; most such emit nothing.
	Saw(out *book.Outputs, reject *schemas.Reject)
}

// Answer is what the bank will say of a debit.
type Answer struct {
	At     time.Time // when it arrives
	Result schemas.Result
}

// Run lets the customer live from the opening of a day through the last cut-off of another. A record or answer that
// arrives at the very time of a tick comes before it.
func (a *Arena) Run(from, to civil.Date, o Outside) error {
	for date := from; !date.After(to); date = date.AddDays(1) {
		opening := date.In(schemas.Johannesburg)
		if err := a.tickAt(opening, date, 0, o); err != nil {
			return err
		}
		cutoffs, err := a.clocks.on(a.Rules.Params(date))
		if err != nil {
			return fmt.Errorf("arena: %s: %w", date, err)
		}
		for i, clock := range cutoffs {
			if err := a.tickAt(opening.Add(clock), date, i+1, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// tickAt brings all that arrives until the time of a tick, then the tick.
func (a *Arena) tickAt(at time.Time, date civil.Date, cutoff int, o Outside) error {
	rec, arrives := o.Next(at)
	for {
		answered := len(a.answers) > 0 && !a.answers[0].At.After(at)
		var err error
		switch {
		case answered && (rec == nil || !arrives.Before(a.answers[0].At)):
			a.Now.At, a.result = a.answers[0].At, a.answers[0].Result
			a.answers = slices.Delete(a.answers, 0, 1)
			err = a.happen(&a.result, o)
		case rec != nil:
			a.Now.At = arrives
			err = a.happen(rec, o)
			rec, arrives = o.Next(at)
		default:
			a.Now.Date, a.Now.Cutoff, a.Now.At = date, cutoff, at
			return a.happen(schemas.Tick{}, o)
		}
		if err != nil {
			return err
		}
	}
}

// happen makes a step, shows what it emitted, and brings its debits to the bank.
func (a *Arena) happen(rec processors.Record, o Outside) error {
	var reject *schemas.Reject
	if err := a.Step(rec); err != nil && !errors.As(err, &reject) {
		return err
	}
	if reject == nil {
		reject = a.Out.Refused
	}
	if reject != nil || !a.Out.Empty() {
		o.Saw(&a.Out, reject)
	}
	for i := range a.Out.Debits {
		a.answers = o.Answer(&a.Out.Debits[i], a.answers)
	}
	if len(a.Out.Debits) > 0 {
		slices.SortStableFunc(a.answers, func(x, y Answer) int { return x.At.Compare(y.At) })
	}
	return nil
}
