// Package rules is what law, scheme and contract say, as dated data: rails, reason codes, fees, banking days, paydays
// and collecting parameters. A rule changes in data/*.yaml, never in code. It imports nothing of processors.
package rules

import (
	"cloud.google.com/go/civil"
	"github.com/shopspring/decimal"

	"github.com/kasi-collections/kasi/schemas"
)

// Rules is all that law, scheme and contract say, as dated data: rails, reason codes, fees, dispute windows, collecting
// parameters and the calendar. It comes from processors/data/*.yaml plus an override file and never changes once
// loaded, so it is safe for concurrent use.
type Rules struct {
	// Calendar knows banking days, paydays and grant days.
	Calendar *Calendar

	rails    map[schemas.Rail][]dated[RailRule]
	disputes map[schemas.Rail][]dated[int]
	reasons  reasonTable
	params   []dated[Params]
	fees     []dated[feePair]
	vat      []dated[decimal.Decimal]
	tenants  map[string][]dated[feePair] // rates of single tenants
	payday   []dated[int]                // day of the month on which statements are paid
}

// RailRule says what is legal on a rail (CONTRACT 4.8).
type RailRule struct {
	Name schemas.Rail
	// RePresent allows a further debit of the same collection after a failed one.
	RePresent bool
	// PartialAllowed allows a debit of less than the outstanding amount, where the mandate's amount is variable.
	PartialAllowed bool
	// UnpaidsEndMandate is how many unpaids in a row end the mandate; 0 means never.
	UnpaidsEndMandate int
	// LateUnpaidDays is how many banking days after a paid result an unpaid may still arrive.
	LateUnpaidDays int
	// TrackingDays is for how many days the bank may track the account for credit; 0 means no tracking.
	TrackingDays int
	// AttemptsPerCycle is the most debits one collection may have; 0 means unlimited.
	AttemptsPerCycle int
}

// Params are the collecting parameters in force on a day. Words are in upper case.
type Params struct {
	// FirstAttemptDay, 1-31, is the day of the first attempt of a collection whose customer has no known income.
	FirstAttemptDay int
	// MinDebitCents is the least amount of a partial debit, and the least credit that counts as income.
	MinDebitCents schemas.Cents
	// SeenDays is for how many days transaction ids are remembered; an older booking is refused, unless it is a backfill.
	SeenDays int
	// BackfillDays is how old a booking may be during the first SeenDays after the customer's first transaction.
	BackfillDays int
	// ArrearsPeriods is how many earlier periods' shortfalls are still collected.
	ArrearsPeriods int
	// CutoffTimes are the cut-offs of a day, HH:MM in Johannesburg, ascending.
	CutoffTimes []string
	// DepositDays is for how many days an unused deposit counts towards the budget at all.
	DepositDays int
	// MoneyDays is for how many banking days, from the one on which it became usable, a salary, grant, wage or larger sum
	// counts without a balance that shows that it is still there.
	MoneyDays int
	// KnownIncomeDays: a customer without any deposit in so many days has no known income.
	KnownIncomeDays int
	// StreamHistory is how many deposits a stream keeps.
	StreamHistory int
	// SameMoneyDays is how many days the bank feed's credit may lie from the income feed's pay date and still be the same
	// money.
	SameMoneyDays int
	// NotIncome are words in a credit's description or category that mark reversals, refunds, returned debits and the
	// bank's interest.
	NotIncome []string
	// KindWords are the words that mark each kind of income, in the order in which the kinds are tried.
	KindWords []KindWords
}

// KindWords are the words, in upper case, whose occurrence in a deposit's description, category or counterparty marks
// its kind.
type KindWords struct {
	Kind  schemas.IncomeKind
	Words []string
}

// Default are the rules of the embedded data alone. It panics when the embedded data are broken, which a test
// rules out.
func Default() *Rules {
	r, err := Load(nil)
	if err != nil {
		panic("processors: embedded data: " + err.Error())
	}
	return r
}

// Rail is the rule of a rail on a day. A rail the data do not know gets the strictest rule: one attempt, no part, no
// tracking.
func (r *Rules) Rail(rail schemas.Rail, on civil.Date) RailRule {
	if list, ok := r.rails[rail]; ok {
		return at(list, on)
	}
	return RailRule{Name: rail, UnpaidsEndMandate: 1, AttemptsPerCycle: 1}
}

// DisputeDays is for how many calendar days after its action date a debit may be disputed, by the rule in force on a
// day (CONTRACT 4.9).
func (r *Rules) DisputeDays(rail schemas.Rail, on civil.Date) int { return at(r.disputes[rail], on) }

// Params are the collecting parameters in force on a day. They are shared and must not be changed.
func (r *Rules) Params(on civil.Date) *Params { return inForce(r.params, on) }
