// Package strategy says when and how much to debit. A strategy sees a customer at a cut-off and rules on each open
// collection; the book carries the rulings out. A strategy changes nothing that it sees. To add one, implement Strategy
// and give the engine's option WithStrategy; a new reason is a row of the table in reasons.go.
package strategy

import (
	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Strategy decides at cut-offs. It is pure: the same view gives the same rulings. It is used for many customers at
// once.
type Strategy interface {
	// Decide rules on each open collection of the view, in their order. wake is the first day after today on which a
	// cut-off could decide otherwise if no record comes before; 0: the next cut-off already, even of the same day.
	Decide(v *View) (rulings []Ruling, wake schemas.Day)
}

// Ruling is what a strategy rules for one open collection.
type Ruling = book.Ruling

// View is a customer as one cut-off sees it.
type View struct {
	*book.Customer // its rows; only to be read. The collections that are open are to be ruled on

	Rules       *rules.Rules  // rails and calendar
	Params      *rules.Params // in force today
	Date        civil.Date
	Today       schemas.Day // the same date
	Cutoff      int         // of the day, from 1
	Period      schemas.Period
	PeriodEnds  schemas.Day   // its last day
	BankingDay  bool          // today is one
	NextBanking schemas.Day   // first banking day after today
	LastBanking schemas.Day   // last banking day of the period
	Outstanding schemas.Cents // what all collections that may be debited now still lack
}
