// Package rules is what law, scheme and contract say, as dated data: rails, reason codes, fees, banking days, paydays
// and collecting parameters. A rule changes in data/*.yaml, never in code. It imports nothing of processors.
package rules

import (
	"slices"

	"cloud.google.com/go/civil"
	"github.com/shopspring/decimal"

	"github.com/kasi-collections/kasi/schemas"
)

// Rules is all that law, scheme and contract say: data/*.yaml plus an override file. It never changes once loaded, so
// it is safe for concurrent use.
type Rules struct {
	// Calendar knows banking days, paydays and grant days.
	Calendar *Calendar

	rails    map[schemas.Rail][]dated[RailRule]
	disputes map[schemas.Rail][]dated[window]
	reasons  reasonTable
	params   []dated[collecting]
	fees     []dated[feePair]
	vat      []dated[percentage]
	tenants  map[string][]dated[feePair] // rates of single tenants
	payday   []dated[dayOfMonth]         // on which statements are paid
	// statements is for how many days those may be disputed.
	statements []dated[window]
	hash       string
}

// Hash stands for all that the rules say, as 16 hexadecimal digits: the built-in data and the override file. What was
// decided under one hash may be decided otherwise under another.
func (r *Rules) Hash() string { return r.hash }

// RailRule says what is legal on a rail (CONTRACT 4.8).
type RailRule struct {
	Name              schemas.Rail `yaml:"rail"`
	RePresent         bool         `yaml:"re_present"`          // a further debit of a collection after a failed one
	PartialAllowed    bool         `yaml:"partial_allowed"`     // a debit of a part, by a variable mandate
	UnpaidsEndMandate int          `yaml:"unpaids_end_mandate"` // so many in a row end it; 0: never
	TrackingDays      int          `yaml:"tracking_days"`       // after the action date, of credit tracking; 0: none
	AttemptsPerCycle  int          `yaml:"attempts_per_cycle"`  // most debits of one collection; 0: unlimited
}

// Params are the collecting parameters in force on a day. Words are in upper case.
type Params struct {
	// FirstAttemptDay, 1-31, is the day of the first attempt of a collection whose customer has no known income.
	FirstAttemptDay int `yaml:"first_attempt_day"`
	// CommonPayday, 1-31, is the day of the month on which most people are paid, or the banking day before it. It stands
	// in for the paydays of customers of whom no feed says anything.
	CommonPayday int `yaml:"common_payday"`
	// MinDebitCents is the least amount of a partial debit, and the least credit that counts as income.
	MinDebitCents schemas.Cents `yaml:"-"`
	// SeenDays is for how many days transaction ids are remembered; an older booking is refused, unless it is a backfill:
	// in the first SeenDays after the customer's first transaction a booking may be BackfillDays old.
	SeenDays        int      `yaml:"seen_days"`
	BackfillDays    int      `yaml:"backfill_days"`
	AheadDays       int      `yaml:"ahead_days"`        // for which a feed may run ahead of the business date
	DebitDays       int      `yaml:"debit_days"`        // after the action date for which a debit is kept whole at least
	AnswerDays      int      `yaml:"answer_days"`       // after the action date, then a debit without an answer is an item
	CancelBackDays  int      `yaml:"cancel_back_days"`  // for which a cancellation can be taken back
	ArrearsPeriods  int      `yaml:"arrears_periods"`   // earlier periods whose shortfall is still collected
	CutoffTimes     []string `yaml:"cutoff_times"`      // HH:MM in Johannesburg, ascending
	DepositDays     int      `yaml:"deposit_days"`      // for which an unused deposit counts at all
	KnownIncomeDays int      `yaml:"known_income_days"` // without a deposit for so long, no income is known
	StreamHistory   int      `yaml:"stream_history"`    // deposits that a stream keeps
	// FailureDays is on how many days of a month debits of a customer may fail for want of money (CONTRACT 4.6).
	FailureDays int `yaml:"failure_days"`
	// A failed presentment costs FailureCents and FailurePercent of the amount. On a rail where unpaids end the mandate it
	// costs the premiums of MandateMonths beside, where it is the last that the mandate bears, and a fifth of that else.
	FailureCents   schemas.Cents `yaml:"failure_cents"`
	FailurePercent int           `yaml:"failure_percent"`
	MandateMonths  int           `yaml:"mandate_months"`
	// Patience is what of an amount is still worth it after waiting, in 1/10,000; PatienceNew the same of an account of
	// which fewer than three full months are known.
	Patience    int `yaml:"patience"`
	PatienceNew int `yaml:"patience_new"`
	// HoldoutPercent is how many customers of a hundred are collected from on their planned day, whatever is known.
	HoldoutPercent int `yaml:"holdout_percent"`
	// FailurePauses are the days without a debit after so many failed days in a row; the last holds for all further.
	FailurePauses []int `yaml:"failure_pauses"`
	// MoneyDays is for how many banking days, from the one on which it became usable, a salary, grant, wage or larger sum
	// counts without a balance that shows that it is still there.
	MoneyDays int `yaml:"money_days"`
	// SameMoneyDays is how far the bank feed's credit may lie from the income feed's pay date and still be the same money.
	SameMoneyDays int `yaml:"same_money_days"`
	// What a credit's words say, each list as whole words or phrases. Of two phrases that begin at one word the longer
	// counts. NeverIncome, NotIncome and NotAfterKind mark money that is no income, in a description or category: the
	// first whatever else is named, the others unless a kind that outweighs them is named too. Right behind a kind's word
	// NotAfterKind is not outweighed: SALARY LOAN. NotIncomePayers do the same as NotIncome, by the counterparty too.
	// Names say nothing, though a word in them would: GRANT THORNTON.
	NeverIncome     []string    `yaml:"never_income"`
	NotIncome       []string    `yaml:"not_income"`
	NotAfterKind    []string    `yaml:"not_after_kind"`
	NotIncomePayers []string    `yaml:"not_income_payers"`
	Names           []string    `yaml:"names"`
	KindWords       []KindWords `yaml:"kinds"` // in the order in which the kinds are tried
	Phrases         Phrases     `yaml:"-"`     // all of these
	// Reversal are words in a debit's description or category that mark a credit going back: one of the same amount on the
	// same account, ReversalDays before at most.
	Reversal     []string `yaml:"reversal"`
	Reversals    Phrases  `yaml:"-"` // the same
	ReversalDays int      `yaml:"reversal_days"`
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
		return *inForce(list, on)
	}
	return RailRule{Name: rail, UnpaidsEndMandate: 1, AttemptsPerCycle: 1}
}

// TrackingUntil is the last day on which the bank may present a debit of an action date until it is paid (CONTRACT
// 4.8): a banking day, in the month of the action date, at most the rail's tracking days after it. It is the action
// date itself where the rail tracks nothing, or nothing is left of the month.
func (r *Rules) TrackingUntil(rail schemas.Rail, action civil.Date) civil.Date {
	days := r.Rail(rail, action).TrackingDays
	if days == 0 {
		return action
	}
	last, end := action.AddDays(days), schemas.PeriodOf(action).Last()
	if last.After(end) {
		last = end
	}
	if on := r.Calendar.OnOrBefore(last); on.After(action) {
		return on
	}
	return action
}

// DisputeDays is for how many calendar days after its action date a debit may be disputed, by the rule in force on a
// day (CONTRACT 4.9).
func (r *Rules) DisputeDays(rail schemas.Rail, on civil.Date) int {
	return inForce(r.disputes[rail], on).Days
}

// Params are the collecting parameters in force on a day. They are shared and must not be changed.
func (r *Rules) Params(on civil.Date) *Params { return &inForce(r.params, on).Params }

// FeeRates are a tenant's rates in force on a day, as fractions: 0.25 is 25 %.
type FeeRates struct{ Distribution, Collections, VAT decimal.Decimal }

// feePair is the part of the rates that a tenant may have of its own; what it does not name is the general rate.
type feePair struct {
	Distribution rate `yaml:"distribution_percent"`
	Collections  rate `yaml:"collections_percent"`
}

// Fees are the tenant's rates in force on a day.
func (r *Rules) Fees(tenant string, on civil.Date) FeeRates {
	pair := *inForce(r.fees, on)
	// A tenant's own rates hold from their date only; before it the general ones do.
	if own := r.tenants[tenant]; len(own) > 0 && !own[0].From.After(on) {
		special := inForce(own, on)
		if special.Distribution.Valid {
			pair.Distribution = special.Distribution
		}
		if special.Collections.Valid {
			pair.Collections = special.Collections
		}
	}
	return FeeRates{pair.Distribution.Decimal, pair.Collections.Decimal, inForce(r.vat, on).Percent.Decimal}
}

// PaymentDate is the day a statement of period p is paid: the 3rd of the next month (data) or the business day before
// it. Where that lies before notBefore, it is the next month's such day, and so on.
func (r *Rules) PaymentDate(p schemas.Period, notBefore civil.Date) civil.Date {
	for month := p.Next().First(); ; month = month.AddMonths(1) {
		date := civil.Date{Year: month.Year, Month: month.Month, Day: inForce(r.payday, month).Day}
		if pay := r.Calendar.OnOrBefore(date); !pay.Before(notBefore) {
			return pay
		}
	}
}

// DisputedUntil is the last day on which a statement made on a day may be disputed.
func (r *Rules) DisputedUntil(made civil.Date) civil.Date {
	return made.AddDays(inForce(r.statements, made).Days)
}

// WithoutArrears are the same rules, but a period that has ended is not collected later: what a backtest judges by.
func (r *Rules) WithoutArrears() *Rules {
	n := *r
	n.params = slices.Clone(r.params)
	for i := range n.params {
		n.params[i].Value.ArrearsPeriods = 0
	}
	return &n
}
