package book

import "github.com/kasi-collections/kasi/schemas"

// Basis is what a strategy that prices knew and found out, for the decision's event. The book does nothing with it.
type Basis struct {
	Lowest  schemas.Cents // what the account holds at least, by what is known
	Highest schemas.Cents // what it holds at most, where Bounded
	Bounded bool
	// Chance is that of the debit that was ruled, or of the best one possible, to be paid, in 1/10,000. Below zero: no
	// debit is possible.
	Chance int64
	Value  *schemas.Cents // of what was ruled, by month end; nil: it has no price
	// Cell is the cell of the learned table that the chance rests on, CellCount how many cases it was learned from.
	Cell      string
	CellCount int64
	// WindowFrom and WindowTo are the window of the next payday; 0: none is expected.
	WindowFrom, WindowTo schemas.Day
	Veto                 string // the guard that forbade what was worth most
	TableHash            string
	Options              []Option  // what else was priced
	Situation            Situation // nil: nothing was priced
}

// Option is something that was priced and not ruled.
type Option struct {
	Action   schemas.DecisionAction
	Reason   string
	Amount   schemas.Cents  // of the debit; 0 where it is none
	Tracking schemas.Day    // last day on which the bank would present it; 0: one day only
	Chance   int64          // of the debit to be paid, in 1/10,000
	Value    *schemas.Cents // by month end; nil: it has no price
}

// Situation is all that a price was computed from. It is asked for its text where a decision is emitted.
type Situation interface {
	// Text is a JSON object of integers. The same situation always has the same text.
	Text() string
}

// explain puts the basis into the decision's event.
func (s *Basis) explain(ev *schemas.DecisionEvent) {
	if s == nil {
		return
	}
	in := &ev.Inputs
	in.LowestCents, in.ValueCents = cloneCents(&s.Lowest), cloneCents(s.Value)
	if s.Bounded {
		in.HighestCents = cloneCents(&s.Highest)
	}
	if s.Chance >= 0 {
		in.ChancePer10000 = new(s.Chance)
	}
	in.Cell, in.CellCount, in.Veto, in.TableHash = s.Cell, s.CellCount, s.Veto, s.TableHash
	in.WindowFrom, in.WindowTo = s.WindowFrom.Text(), s.WindowTo.Text()
	if s.Situation != nil {
		ev.Situation = s.Situation.Text()
	}
	if len(s.Options) == 0 {
		return
	}
	ev.Alternatives = make([]schemas.Alternative, len(s.Options)) // those of the reason are shared by all events
	for i, o := range s.Options {
		a := &ev.Alternatives[i]
		*a = schemas.Alternative{
			Action: o.Action, Reason: o.Reason, AmountCents: o.Amount, TrackingUntil: o.Tracking.Text(),
			ValueCents: cloneCents(o.Value),
		}
		if o.Amount > 0 {
			a.ChancePer10000 = new(o.Chance)
		}
	}
}
