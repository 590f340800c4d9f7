package people

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Household is the life of a simulated customer over months, as far as it does not depend on what the account holds:
// when money comes, what other creditors ask for, and what share of what is there is spent. Whoever lives it follows
// the acts in their order and keeps the balance.
//
// Where its figures come from: net salaries, spending and fees as the South-African press and industry reported them in
// 2024 and 2025; grants by the rules' calendar. The sources contradict one another, so households differ widely.
type Household struct {
	ID   string
	Kind string // of income: SALARY, PENSION, GRANT, WAGE, GIG or CASH
	// Monthly is about what it earns in a month.
	Monthly, Opening schemas.Cents
	// Keep is what spending leaves in the account.
	Keep schemas.Cents
	// BankFee is what its bank charges for a debit that it does not pay: R 6 to R 150.
	BankFee schemas.Cents
	// NoFeed households bank where no feed comes from. FeedFrom is the first day that a feed reports of the others.
	NoFeed   bool
	FeedFrom civil.Date
	// Listed households stand on a payroll's or grant's list, which announces each payment three days before.
	Listed bool
	Acts   []Act // in the order of time
}

// ActKind is what an act does.
type ActKind int8

// The acts.
const (
	Earn     ActKind = iota // Cents come in
	Creditor                // another creditor's debit order of Cents
	Spend                   // Share of what lies above Keep is spent
)

// Act is one thing that happens to a household's account.
type Act struct {
	ID                    string // of its transaction
	At                    time.Time
	Kind                  ActKind
	Cents                 schemas.Cents
	Share                 int64 // in 1/10,000
	Bounces               bool  // a creditor's debit order is not paid, and the bank charges its fee
	Text, Party, Category string
}

const (
	kindPension = "PENSION"
	kindCash    = "CASH"
)

// householdShares is the mix of households, in percent.
var householdShares = []struct {
	kind  string
	share int
}{
	{string(schemas.Salary), 44},
	{kindPension, 8},
	{string(schemas.Grant), 16},
	{string(schemas.Wage), 13},
	{string(schemas.Gig), 10},
	{kindCash, 9},
}

// household is one under construction.
type household struct {
	*Household
	*Neighbourhood
	rng    *rand.Rand
	income incomePlan
	paid   []bool     // by day: a payday
	to     civil.Date // the day after the last
	// lost is the stretch without income, of those who lose it.
	lost, again civil.Date
	creditors   []creditor
	spendShare  int64
}

// Neighbourhood makes the households of a seed. It is safe for concurrent use.
type Neighbourhood struct {
	seed    uint64
	from    civil.Date
	cal     *rules.Calendar
	banking []bool // by day
	mu      sync.Mutex
	paydays map[payPlan][]bool // by day; guarded by mu
}

// payPlan is what the paydays of an income follow from.
type payPlan struct {
	kind  schemas.IncomeKind
	day   int
	grant string
}

// NewNeighbourhood is where households live from a day for so many months.
func NewNeighbourhood(seed uint64, from civil.Date, months int, cal *rules.Calendar) *Neighbourhood {
	n := &Neighbourhood{seed: seed, from: from, cal: cal, paydays: map[payPlan][]bool{}}
	for d := from; d.Before(from.AddMonths(months)); d = d.AddDays(1) {
		n.banking = append(n.banking, cal.IsBankingDay(d))
	}
	return n
}

// of are the paydays of a plan, by day.
func (n *Neighbourhood) of(p incomePlan) []bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := payPlan{p.kind, p.day, p.grant}
	paid, known := n.paydays[key]
	if !known {
		paid = make([]bool, len(n.banking))
		for i := range paid {
			paid[i] = p.falls(n.cal, n.from.AddDays(i))
		}
		n.paydays[key] = paid
	}
	return paid
}

// creditor is another creditor's monthly debit order.
type creditor struct {
	cents schemas.Cents
	// day of the month, moved to the next banking day; 0: on the payday itself, -1: the banking day after it.
	day int
}

// HouseholdID is the id of the ith household, counted from 1.
func HouseholdID(i int) string { return "H" + strconv.Itoa(i) }

// Household is the ith household, counted from 1. It draws its chances from a source of its own, so how many others
// there are changes nothing.
func (n *Neighbourhood) Household(i int) *Household {
	h := household{
		Household: &Household{ID: HouseholdID(i), FeedFrom: n.from}, Neighbourhood: n,
		rng: rand.New(rand.NewPCG(n.seed, 1<<40+uint64(i))), to: n.from.AddDays(len(n.banking)),
	}
	roll := h.rng.IntN(100)
	for _, k := range householdShares {
		if h.Kind = k.kind; roll < k.share {
			break
		}
		roll -= k.share
	}
	h.drawIncome()
	h.drawHabits()
	h.drawCreditors()
	h.drawFeed()
	h.paid = n.of(h.income)
	for i, d := 0, n.from; i < len(n.banking); i, d = i+1, d.AddDays(1) {
		h.liveDay(i, d)
	}
	slices.SortStableFunc(h.Acts, func(a, b Act) int { return a.At.Compare(b.At) })
	left := h.Opening
	for j := range h.Acts {
		act := &h.Acts[j]
		act.ID = h.ID + "-" + strconv.Itoa(j+1)
		act.Bounces = act.Kind == Creditor && left < act.Cents
		left += h.Effect(act, left)
	}
	return h.Household
}

// Effect is by how much an act changes what is there; it never leaves less than nothing. A rand less there is never
// more than a rand less gone. A creditor's debit order is paid or bounces as it would had nobody else debited the
// household: where that left it short, the household makes up the rest in cash.
func (h *Household) Effect(act *Act, left schemas.Cents) schemas.Cents {
	switch {
	case act.Kind == Earn:
		return act.Cents
	case act.Bounces:
		return -min(left, h.BankFee)
	case act.Kind == Creditor:
		return -min(left, act.Cents)
	}
	const crumbs = 500 // are not spent, or they would be for ever
	return -max(0, max(0, left-h.Keep)*schemas.Cents(act.Share)/10_000-crumbs)
}

// drawIncome draws what the household earns: net salaries of R 4,500 to R 60,000, most often R 5,000 to R 10,000.
func (h *household) drawIncome() {
	plan := schemas.IncomeKind(h.Kind)
	if h.Kind == kindPension {
		plan = schemas.Salary // paid like one
	}
	h.income = newIncomePlan(h.rng, plan, h.from)
	h.income.lostFrom = civil.Date{}
	switch h.Kind {
	case string(schemas.Salary):
		low, high := 450_000, 1_000_000
		switch roll := h.rng.IntN(100); {
		case roll >= 80:
			low, high = 2_500_000, 6_000_000
		case roll >= 45:
			low, high = 1_000_000, 2_500_000
		}
		h.income.cents = schemas.Cents(low + h.rng.IntN(high-low))
	case kindPension:
		h.income.day = []int{1, 1, 1, 25, 31}[h.rng.IntN(5)]
		h.income.cents = schemas.Cents(300_000 + h.rng.IntN(1_200_000))
		h.income.memo = []memo{
			{"GEPF PENSION PAYMENT", "GEPF", ""},
			{"PENSION OLD MUTUAL ANNUITY", "OLD MUTUAL", ""},
			{"MINEWORKERS PENSION FUND", "MINEWORKERS PROVIDENT FUND", ""},
		}[h.rng.IntN(3)]
	case kindCash:
		h.income.kind = "" // no day of its own: it comes as cash does
		h.income.day = 1 + h.rng.IntN(28)
		h.income.cents = schemas.Cents(150_000 + h.rng.IntN(600_000))
		h.income.memo = memo{"CASH DEPOSIT", "", ""}
	}
	h.Monthly = h.income.monthlyCents()
	if h.rng.IntN(100) < 4 { // the income is lost for some months, or for good
		h.lost = h.from.AddDays(h.rng.IntN(h.to.DaysSince(h.from)))
		h.again = h.lost.AddDays(60 + h.rng.IntN(150))
	}
}

// drawHabits draws how fast money goes: half of it within 2 to 5 days where incomes are small, within 11 where they are
// large.
func (h *household) drawHabits() {
	halfLife := 2 + h.rng.IntN(4)
	switch {
	case h.Monthly >= 2_500_000:
		halfLife = 8 + h.rng.IntN(7)
	case h.Monthly >= 1_000_000:
		halfLife = 5 + h.rng.IntN(6)
	case h.Kind == string(schemas.Salary):
		halfLife = 3 + h.rng.IntN(6)
	}
	// Spending comes on 55 of 100 days, so a share of 1 - 2^(-1/(0.55 half-life)) each time; the fraction is within 2 % of
	// that.
	h.spendShare = int64(200_000 / (16*halfLife + 10))
	switch roll := h.rng.IntN(100); {
	case roll < 60: // hand to mouth
		h.Keep = schemas.Cents(h.rng.IntN(2_000))
	case roll < 87: // careful
		h.Keep = h.Monthly * schemas.Cents(3+h.rng.IntN(8)) / 100
	default: // saves
		h.Keep = h.Monthly * schemas.Cents(15+h.rng.IntN(30)) / 100
	}
	h.Opening = h.Keep + h.Monthly*schemas.Cents(h.rng.IntN(20))/100
	h.BankFee = []schemas.Cents{600, 1_150, 2_500, 5_000, 9_500, 15_000}[h.rng.IntN(6)]
}

// drawCreditors draws the other creditors' debit orders: up to 45 % of the income, most on the payday or after it.
func (h *household) drawCreditors() {
	n, percent := h.rng.IntN(5), 10+h.rng.IntN(36)
	if h.Kind == string(schemas.Grant) || h.Kind == string(schemas.Gig) || h.Kind == kindCash {
		n, percent = h.rng.IntN(3), 5+h.rng.IntN(15)
	}
	weekly := h.Kind == string(schemas.Wage) || h.Kind == string(schemas.Gig) || h.Kind == kindCash
	for range n {
		c := creditor{cents: h.Monthly * schemas.Cents(percent) / 100 / schemas.Cents(n)}
		switch roll := h.rng.IntN(10); {
		case weekly || roll >= 8:
			c.day = []int{1, 2, 7, 15, 25, 26, 28}[h.rng.IntN(7)]
		case roll >= 5:
			c.day = -1
		}
		h.creditors = append(h.creditors, c)
	}
}

// drawFeed draws what Kasi hears of the household: one in ten banks where no feed comes from, and half of those stand
// on a list; consent of one in eight comes some weeks late.
func (h *household) drawFeed() {
	listable := h.Kind == string(schemas.Salary) || h.Kind == string(schemas.Grant)
	h.NoFeed = h.rng.IntN(10) == 0
	h.Listed = listable && h.rng.IntN(100) < 15 || h.NoFeed && listable && h.rng.IntN(2) == 0
	if h.rng.IntN(8) == 0 {
		h.FeedFrom = h.from.AddDays(20 + h.rng.IntN(50))
	}
}

// without tells whether the household has lost its income on a day.
func (h *household) without(d civil.Date) bool {
	return h.lost.IsValid() && !d.Before(h.lost) && d.Before(h.again)
}

func (h *household) act(at time.Time, kind ActKind, cents schemas.Cents, m memo) *Act {
	h.Acts = append(h.Acts, Act{At: at, Kind: kind, Cents: cents, Text: m.text, Party: m.party, Category: m.category})
	return &h.Acts[len(h.Acts)-1]
}

// liveDay draws what happens on a day. Income comes from 5 o'clock, the creditors' debit orders at half past 6, gigs
// and cash at noon or in the evening, and spending at 7 in the evening.
func (h *household) liveDay(n int, d civil.Date) {
	paid := h.paid[n]
	if h.Kind == kindCash {
		h.cashDay(d)
	}
	if cents := h.income.paid(h.rng); paid && !h.without(d) {
		if h.Listed {
			cents = h.income.cents // as the list announces it
		}
		h.act(clock(d, 5, h.rng.IntN(60)), Earn, cents, h.income.memo)
	}
	for i, c := range h.creditors {
		if h.due(c, n, d) {
			h.act(clock(d, 6, 30), Creditor, c.cents, creditors[i%len(creditors)])
		}
	}
	if cents := h.income.odd(h.rng, d); cents > 0 && !h.without(d) {
		hour := 12
		if h.income.evening {
			hour = 18
		}
		h.act(clock(d, hour, h.rng.IntN(60)), Earn, cents, h.income.memo)
	}
	if h.rng.IntN(100) < 55 {
		share := h.spendShare * int64(30+h.rng.IntN(140)) / 100
		if h.Kind == string(schemas.Grant) && paid && h.rng.IntN(3) > 0 { // many draw most of a grant at once
			share = int64(5_000 + h.rng.IntN(4_500))
		}
		h.act(clock(d, 19, h.rng.IntN(60)), Spend, 0, shops[h.rng.IntN(len(shops))]).Share = min(share, 9_500)
	}
}

// due tells whether a creditor's debit order runs on the nth day.
func (h *household) due(c creditor, n int, d civil.Date) bool {
	switch {
	case c.day == 0:
		return h.paid[n]
	case !h.banking[n]:
		return false
	}
	for ago := 0; ago <= n && (ago == 0 || !h.banking[n-ago]); ago++ { // the day and the closed days before it
		if c.day > 0 && d.AddDays(-ago).Day == c.day || c.day < 0 && n > ago && h.paid[n-ago-1] {
			return true
		}
	}
	return false
}

// cashDay brings cash: on most months within three days of the usual one, in one or two pieces, sometimes never.
func (h *household) cashDay(d civil.Date) {
	usual := civil.Date{Year: d.Year, Month: d.Month, Day: h.income.day}
	if d.Day != 1 {
		return
	}
	if h.rng.IntN(100) < 5 {
		return
	}
	pieces := 1 + h.rng.IntN(2)
	for range pieces {
		on := usual.AddDays(h.rng.IntN(7) - 3)
		if h.rng.IntN(100) < 30 {
			on = usual.AddDays(h.rng.IntN(25) - 8)
		}
		cents := h.income.cents * schemas.Cents(70+h.rng.IntN(61)) / 100 / schemas.Cents(pieces) / 1000 * 1000
		if !on.Before(h.from) && on.Before(h.to) && !h.without(on) {
			h.act(clock(on, 12, h.rng.IntN(60)), Earn, cents, h.income.memo)
		}
	}
}

// creditors are what a statement says of the other creditors.
var creditors = []memo{
	{"DEBIT ORDER HOME LOANS CO", "HOME LOANS CO", "DEBIT_ORDER"},
	{"DEBIT ORDER VEHICLE FINANCE", "VEHICLE FINANCE", "DEBIT_ORDER"},
	{"DEBIT ORDER CELLPHONE CONTRACT", "MOBILE OPERATOR", "DEBIT_ORDER"},
	{"DEBIT ORDER FURNITURE ACCOUNT", "FURNITURE STORE", "DEBIT_ORDER"},
	{"DEBIT ORDER SHORT TERM INSURANCE", "INSURANCE CO", "DEBIT_ORDER"},
}
