// Package price says what it is worth to debit now, to let the bank track a debit, or to wait. It is a pure function of
// integers, so that a decision can carry what it was priced from and anybody can price it again.
package price

import (
	"github.com/kasi-collections/kasi/processors/chance"
	"github.com/kasi-collections/kasi/schemas"
)

// Situation is all that a price is made from. Money is cents, chances are of chance.One. Own counts are full months of
// the account in which something happened from this day of the month on, population chances what Table says.
type Situation struct {
	Amount schemas.Cents `json:"amount"` // that would be debited
	Lowest schemas.Cents `json:"lowest"` // what the account holds at least, by what is known
	// Highest is what it holds at most, where Known: a balance of the feed says it.
	Highest schemas.Cents `json:"highest,omitempty"`
	Known   bool          `json:"known,omitempty"`

	Tracks bool `json:"tracks,omitempty"` // the rail lets the bank track the debit
	Ends   bool `json:"ends,omitempty"`   // the tracked days reach to the end of the period
	Last   bool `json:"last,omitempty"`   // no banking day of the period follows

	Months   int `json:"months"`              // own months known
	Held     int `json:"held,omitempty"`      // the amount was there though no money came in the tracked days
	HeldLast int `json:"held_last,omitempty"` // the same in the last tracked days of the period
	Soon     int `json:"soon,omitempty"`      // what came in the tracked days proved the amount
	Later    int `json:"later,omitempty"`     // what came before the period's end did
	After    int `json:"after,omitempty"`     // what came between the tracked days and the period's end did

	HeldChance     int `json:"held_chance"` // the population's
	HeldToday      int `json:"held_today"`  // without tracking
	HeldLastChance int `json:"held_last_chance"`
	SoonChance     int `json:"soon_chance"`
	LaterChance    int `json:"later_chance"`
	ProofChance    int `json:"proof_chance"` // a debit of what is proved is paid
	ProofToday     int `json:"proof_today"`  // without tracking

	FailureCost schemas.Cents `json:"failure_cost"` // what a failed presentment costs
	Patience    int           `json:"patience"`     // what of the amount is still worth it after waiting, of chance.One
}

// Verdict is the price of each thing that can be done, in cents of what is collected in the end, less what failures
// cost on average.
type Verdict struct {
	Chance int           `json:"chance"` // that the debit is paid, tracked where that is better
	Today  int           `json:"today"`  // that a debit of today only is paid
	Debit  schemas.Cents `json:"debit"`  // today only
	Track  schemas.Cents `json:"track"`  // the same where the rail tracks nothing
	Wait   schemas.Cents `json:"wait"`
	Proved bool          `json:"proved"`
}

// Best tells whether a debit is worth more than waiting.
func (v *Verdict) Best() bool { return max(v.Debit, v.Track) > v.Wait }

// Of prices a situation. Money comes, and is seen, or it does not: what comes in the tracked days pays a tracked debit,
// and so does what is still there (Held). Whoever waits debits what comes, and at the end tries what may be there.
func Of(s *Situation) Verdict {
	var v Verdict
	v.Proved = s.Lowest >= s.Amount
	none := s.Known && s.Highest < s.Amount
	own := func(happened, population int) int { return chance.Own(happened, s.Months, population) }
	soon := own(s.Soon, s.SoonChance)
	later := max(soon, own(s.Later, s.LaterChance))
	after := own(s.After, later-soon)
	held, heldToday := own(s.Held, s.HeldChance), min(own(s.Held, s.HeldToday), own(s.Held, s.HeldChance))
	last := own(s.HeldLast, s.HeldLastChance)
	if none {
		held, heldToday, last = 0, 0, 0
	}
	paid := s.ProofChance // of a debit once the money is proved
	v.Chance, v.Today = times(soon, paid)+times(chance.One-soon, held), heldToday
	if v.Proved {
		v.Chance, v.Today = s.ProofChance, s.ProofToday
	}
	if !s.Tracks {
		v.Chance = v.Today
	}
	again := times(after, paid) // a debit that fails leaves what comes after it
	if s.Ends || s.Last {
		again = 0
	}
	v.Debit = s.worth(v.Today, times(chance.One-v.Today, max(again, times(later, paid))))
	v.Track = s.worth(v.Chance, times(chance.One-v.Chance, again))
	if !s.Tracks {
		v.Track = v.Debit
	}
	switch {
	case v.Proved || s.Last: // waiting proves no more
		return v
	case s.Ends: // the tracked days are all that is left
		v.Wait = s.share(times(later, paid))
	default:
		v.Wait = s.share(times(later, paid)) +
			schemas.Cents(chance.One-later)*max(0, s.worth(last, 0))/chance.One
	}
	v.Wait = v.Wait * schemas.Cents(s.Patience) / chance.One
	return v
}

// worth is what a debit is worth that is paid with one chance, or the amount collected later with another.
func (s *Situation) worth(paid, later int) schemas.Cents {
	return s.share(paid+later) - s.FailureCost*schemas.Cents(chance.One-paid)/chance.One
}

func (s *Situation) share(of int) schemas.Cents { return s.Amount * schemas.Cents(of) / chance.One }

func times(a, b int) int { return a * b / chance.One }
