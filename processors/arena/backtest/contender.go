package backtest

import (
	"strings"

	"github.com/kasi-collections/kasi/processors/strategy"
	"github.com/kasi-collections/kasi/schemas"
)

// Contender is a way to collect premiums. Exactly one of Strategy and rule is set, or neither for the oracle.
type Contender struct {
	Name, About string
	// Strategy makes decisions in the product's own engine.
	Strategy strategy.Strategy

	rule rule // a schedule that any insurer could follow
}

// Contenders are all contenders, in the order of the table. A strategy of the product is one row.
func Contenders() []Contender {
	return append(schedules(), []Contender{
		{Name: "standard", About: "the engine that follows the money, without prices", Strategy: strategy.Standard{}},
		{Name: "kasi", About: "the product's engine", Strategy: strategy.Kasi(false)},
		{Name: "kasi-careful", About: "the product's engine, set to fail seldom", Strategy: strategy.Kasi(true)},
		{Name: "kasi-careful-1", About: "that setting before it doubted what little is known of", Strategy: careful1()},
		{Name: Oracle, About: "knows every balance to come"},
	}...)
}

func careful1() *strategy.Priced {
	k := strategy.Kasi(true)
	k.Setting = strategy.Setting{
		FailurePercent: 130, KeenPercent: 130, Patience: 9_900, PatienceNew: 9_900, Careful: true,
	}
	return k
}

// Oracle is the name of the contender that knows everything.
const Oracle = "oracle"

// rule decides at the cut-off of a day what to debit that day. It is asked while something is outstanding and no debit
// is with the bank. cents is 0 for nothing; until is the last day of a tracked debit.
type rule func(s *sight) (cents schemas.Cents, until schemas.Day)

// sight is what a schedule knows.
type sight struct {
	*days
	today       schemas.Day
	first, last schemas.Day   // of the month
	outstanding schemas.Cents // of the month's premium
	tried       int           // debits of the month
	payday      schemas.Day   // the last payday's day of the month, in this month; 0 where none is known
}

func nameList(all []Contender) string {
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}
