// Package processors decides: what each record of a customer's timeline means, and when and how much to debit. The
// engine is its one door. Rooms: feeds reads what comes from outside, rules is law and contract as dated data, income
// finds out what is income, book keeps a customer's state, strategy decides, settlement makes statements, arena runs an
// engine without Kafka.
package processors

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/strategy"
	"github.com/kasi-collections/kasi/schemas"
)

// Engine decides what every record of a customer's timeline means. It is pure: the same state and record give the same
// outputs and the same next state, in every run. It holds nothing but the rules and the strategy, so it is safe for
// concurrent use on different customers.
//
// Apply either does all it has to do to the customer and the outputs, or returns an error and has touched neither: all
// checks come before the first change. A *schemas.Reject is a bad record; any other error is a mistake of the program
// (a record brought to the wrong customer, or a strategy that rules what cannot be carried out), after which the
// customer is not to be used.
type Engine struct {
	rules      *rules.Rules
	strategy   strategy.Strategy
	neverSleep bool
}

// Option changes how an engine works.
type Option func(*Engine)

// WithStrategy makes the engine follow a strategy other than strategy.Kasi.
func WithStrategy(s strategy.Strategy) Option { return func(e *Engine) { e.strategy = s } }

// NeverSleep makes every tick look at every customer. Tests compare such an engine with one that lets customers sleep.
func NeverSleep() Option { return func(e *Engine) { e.neverSleep = true } }

// NewEngine makes an engine that follows the rules.
func NewEngine(r *rules.Rules, options ...Option) *Engine {
	e := &Engine{rules: r, strategy: strategy.Kasi(false)}
	for _, o := range options {
		o(e)
	}
	return e
}

// Under is the engine under the rules of one tenant. Wakened makes it look also at customers that sleep: the rules have
// changed since they went to sleep.
func (e *Engine) Under(r *rules.Rules, wakened bool) *Engine {
	n := *e
	n.rules, n.neverSleep = r, e.neverSleep || wakened
	return &n
}

// Rules are what the engine follows.
func (e *Engine) Rules() *rules.Rules { return e.rules }

// Hash stands for the data by which the engine decides: the rules, and what the strategy brings of its own, where it
// has a method Hash.
func (e *Engine) Hash() string {
	if own, ok := e.strategy.(interface{ Hash() string }); ok {
		sum := sha256.Sum256([]byte(e.rules.Hash() + " " + own.Hash()))
		return hex.EncodeToString(sum[:8])
	}
	return e.rules.Hash()
}

// Record is a record of the timeline, decoded: a *schemas.Transaction, *schemas.Income, *schemas.Result,
// *schemas.PolicyCommand, *schemas.MoveCommand, *schemas.ExecuteCommand, *schemas.ExecutionCommand,
// *schemas.CloseItemCommand or schemas.Tick. The engine keeps nothing of it, so the caller may use its memory again
// once it has done with the outputs.
type Record any

// Apply lets one record happen to its customer at a moment of business time. What it causes is added to out. Of a tick
// only its coming counts: the moment says which day it opens (cut-off 0) or at which cut-off each open collection is
// decided, oldest first. A tick that can bring nothing new (Customer.Asleep) changes nothing.
func (e *Engine) Apply(c *book.Customer, rec Record, m schemas.Moment, out *book.Outputs) error {
	if _, ok := rec.(schemas.Tick); ok && (!e.neverSleep && c.Asleep(m) || !c.NeedsTick()) {
		return nil
	}
	b := book.Open(e.rules, c, m, out)
	switch r := rec.(type) {
	case *schemas.Transaction:
		return b.Transaction(r)
	case *schemas.Income:
		return b.Income(r)
	case *schemas.Result:
		return b.Result(r)
	case *schemas.PolicyCommand:
		return b.Policy(r)
	case *schemas.MoveCommand:
		return b.Move(r)
	case *schemas.ExecuteCommand:
		return b.Execute(r)
	case *schemas.CloseItemCommand:
		return b.CloseItem(r)
	case *schemas.ExecutionCommand:
		return b.Execution(r)
	case schemas.Tick:
		return e.tick(&b, m)
	}
	return fmt.Errorf("processors: the timeline holds no %T", rec)
}

// tick lets business time pass: what waited for the day arrives, and at a cut-off the strategy rules on what is open.
func (e *Engine) tick(b *book.Book, m schemas.Moment) error {
	b.Arrive()
	if m.Cutoff == 0 {
		return nil
	}
	period, cal := schemas.PeriodOf(m.Date), e.rules.Calendar
	last := period.Last()
	b.Prune(period)
	b.OpenOverdue()
	outstanding := b.Outstanding(period)
	b.CountAnnounced(outstanding)
	rulings, wake := e.strategy.Decide(&strategy.View{
		Customer: b.Customer, Rules: e.rules, Params: b.Params, Date: m.Date, Today: m.Today(), Cutoff: m.Cutoff,
		Period: period, PeriodEnds: schemas.DayOf(last), BankingDay: cal.IsBankingDay(m.Date),
		NextBanking: schemas.DayOf(cal.Next(m.Date)), LastBanking: schemas.DayOf(cal.OnOrBefore(last)),
		Outstanding: outstanding,
	})
	return b.CarryOut(rulings, wake, strategy.Meaning)
}
