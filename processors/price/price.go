// Package price says what it is worth to debit now, to let the bank track a debit, or to wait. It is a pure function of
// integers, so that a decision can carry what it was priced from and anybody can price it again.
package price

import (
	"github.com/kasi-collections/kasi/processors/chance"
	"github.com/kasi-collections/kasi/schemas"
)

// Situation is all that a price is made from. Money is cents, chances are of chance.One: what the table says of the
// facts of the account.
type Situation struct {
	Amount schemas.Cents `json:"amount"` // that would be debited
	Lowest schemas.Cents `json:"lowest"` // what the account holds at least, by what is known
	// Highest is what it holds at most, where Known: a balance of the feed says it.
	Highest schemas.Cents `json:"highest,omitempty"`
	Known   bool          `json:"known,omitempty"`

	Tracks bool `json:"tracks,omitempty"` // the rail lets the bank track the debit
	Ends   bool `json:"ends,omitempty"`   // the tracked days reach to the end of the period
	Last   bool `json:"last,omitempty"`   // no banking day of the period follows

	PaidChance  int `json:"paid_chance"`  // a tracked debit of what is not proved is paid
	TodayChance int `json:"today_chance"` // without tracking
	LaterChance int `json:"later_chance"` // what comes before the period's end proves the amount
	LastChance  int `json:"last_chance"`  // if nothing does, a debit tracked through the last days is paid all the same
	ProofChance int `json:"proof_chance"` // a debit of what is proved is paid
	ProofToday  int `json:"proof_today"`  // without tracking

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

// Of prices a situation. A debit now is paid or not; what comes after one that failed counts for nothing, since it pays
// for little. Whoever waits debits what comes, and at the end tries what may be there.
func Of(s *Situation) Verdict {
	var v Verdict
	v.Proved = s.Lowest >= s.Amount
	v.Chance, v.Today = s.PaidChance, min(s.TodayChance, s.PaidChance)
	last := s.LastChance
	if s.Known && s.Highest < s.Amount { // it takes money that is still to come
		v.Chance, v.Today, last = min(s.PaidChance, s.LaterChance), 0, 0
	}
	if v.Proved {
		v.Chance, v.Today = s.ProofChance, s.ProofToday
	}
	if !s.Tracks {
		v.Chance = v.Today
	}
	v.Debit, v.Track = s.worth(v.Today), s.worth(v.Chance)
	if v.Proved || s.Last { // waiting proves no more
		return v
	}
	later := times(s.LaterChance, s.ProofChance)
	v.Wait = s.share(later)
	if !s.Ends { // else the tracked days are all that is left
		v.Wait += schemas.Cents(chance.One-later) * max(0, s.worth(last)) / chance.One
	}
	v.Wait = v.Wait * schemas.Cents(s.Patience) / chance.One
	return v
}

// worth is what a debit is worth that is paid with a chance.
func (s *Situation) worth(paid int) schemas.Cents {
	return s.share(paid) - s.FailureCost*schemas.Cents(chance.One-paid)/chance.One
}

func (s *Situation) share(of int) schemas.Cents { return s.Amount * schemas.Cents(of) / chance.One }

func times(a, b int) int { return a * b / chance.One }
