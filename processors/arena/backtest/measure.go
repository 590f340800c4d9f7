package backtest

import (
	"cmp"
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// Segment is which months of an account count.
type Segment string

// The segments.
const (
	AllMonths Segment = "all"
	Mature    Segment = "mature" // from the account's 4th full month on
)

// matureFrom is the place of an account's first mature month.
const matureFrom = 3

var segments = [...]Segment{AllMonths, Mature}

// Hundredths is a number with two decimals: 9593 is 95.93. In JSON it is a number.
type Hundredths int64

// MarshalJSON writes 95.93.
func (h Hundredths) MarshalJSON() ([]byte, error) { return []byte(schemas.Cents(h).String()), nil }

// UnmarshalJSON reads a number of at most two decimals.
func (h *Hundredths) UnmarshalJSON(b []byte) error {
	r := new(schemas.Rands)
	if err := r.UnmarshalJSON(b); err != nil {
		return err
	}
	*h = Hundredths(*r)
	return nil
}

func (h Hundredths) String() string { return schemas.Cents(h).String() }

// ratio is part of whole times a factor, in hundredths, rounded half up; 0 of nothing.
func ratio(part, whole, factor int64) Hundredths {
	if whole == 0 {
		return 0
	}
	return Hundredths((2*part*factor*100 + whole) / (2 * whole))
}

// Row is a line of the result: a contender in a world, over the accounts of a kind of income and the months of a
// segment.
type Row struct {
	Strategy       string        `json:"strategy"`
	World          World         `json:"world"`
	PremiumPercent int           `json:"premium_percent"`
	Balances       Balances      `json:"balances"`
	Segment        Segment       `json:"segment"`
	Kind           string        `json:"kind"` // ALL, or a kind of income
	AccountMonths  int64         `json:"account_months"`
	DueCents       schemas.Cents `json:"due_cents"`
	// ShareOfDue and ShareOfOracle are what was collected by month end, in percent of the premiums due and of what the
	// oracle collected.
	ShareOfDue    Hundredths `json:"share_of_due"`
	ShareOfOracle Hundredths `json:"share_of_oracle"`
	// FailedPer100 are failed presentments per 100 months of a policy.
	FailedPer100 Hundredths `json:"failed_per_100"`
	// PresentmentsPerSuccess are presentments per one that was paid; 0 where none was paid.
	PresentmentsPerSuccess Hundredths `json:"presentments_per_success"`
	// Low and High are the interval of ShareOfOracle that holds 95 % of the bootstrap's samples of accounts.
	Low  Hundredths `json:"low"`
	High Hundredths `json:"high"`

	Detail `json:"-"`
}

// Detail is what else a row says.
type Detail struct {
	// FeesCents is what the customers' banks charged for failed presentments, at R 6 to R 150 each.
	FeesCents schemas.Cents `json:"fees_cents"`
	// MandatesEnded are accounts per 100 of which two presentments in a row failed: on EFT that ends the mandate.
	MandatesEnded Hundredths `json:"mandates_ended_per_100"`
	// DaysToDebit are the days from the latest income to a debit that was paid, on average.
	DaysToDebit Hundredths `json:"days_to_debit"`
	// Foretold are deposits whose day an engine had named, in percent of those of streams that it knew before; WithinADay
	// those of them that came at most a day off. 0 where no engine is.
	Foretold   Hundredths `json:"foretold"`
	WithinADay Hundredths `json:"within_a_day"`
}

// SameTable tells whether two rows are of the same premium and segment.
func (r Row) SameTable(o Row) bool {
	return r.PremiumPercent == o.PremiumPercent && r.Segment == o.Segment
}

// FeesPer100 are the fees in rands per 100 months of a policy.
func (r Row) FeesPer100() Hundredths { return ratio(int64(r.FeesCents), r.AccountMonths, 1) }

// rows sums up over the accounts, from place at of each: for each segment, all kinds and then each kind.
func (r *runner) rows(c *Contender, percent int, accounts []judged, at int) []Row {
	kinds := []string{KindAll}
	for i := range accounts {
		if !slices.Contains(kinds, accounts[i].kind) {
			kinds = append(kinds, accounts[i].kind)
		}
	}
	slices.Sort(kinds[1:])
	if len(kinds) == 2 {
		kinds = kinds[:1]
	}
	var all []Row
	for s, segment := range segments {
		for _, kind := range kinds {
			var total sums
			var each []collected
			for i := range accounts {
				if x := &accounts[i].of[at][s]; x.months > 0 && (kind == KindAll || accounts[i].kind == kind) {
					total.add(x)
					each = append(each, collected{x.collected, x.most})
				}
			}
			if total.months == 0 {
				continue
			}
			low, high := interval(each, r.Seed)
			all = append(all, Row{
				Strategy: c.Name, World: r.World, PremiumPercent: percent, Balances: r.Balances, Segment: segment, Kind: kind,
				AccountMonths: total.months, DueCents: total.due,
				ShareOfDue:    ratio(int64(total.collected), int64(total.due), 100),
				ShareOfOracle: ratio(int64(total.collected), int64(total.most), 100),
				FailedPer100:  ratio(total.failed, total.months, 100), Low: low, High: high,
				PresentmentsPerSuccess: ratio(total.presented, total.paid, 1),
				Detail: Detail{
					FeesCents: total.fees, MandatesEnded: ratio(total.ended, int64(len(each)), 100),
					DaysToDebit: ratio(total.waited, total.followed, 1), Foretold: ratio(total.told, total.deposits, 100),
					WithinADay: ratio(total.hit, total.told, 100),
				},
			})
		}
	}
	return all
}

// resamples is how many samples of the accounts the bootstrap draws, with replacement.
const resamples = 1000

// collected is what a contender and the oracle collected from an account.
type collected struct{ cents, most schemas.Cents }

// interval is where 95 % of the bootstrap's shares of the oracle lie. The same seed and accounts give the same.
func interval(each []collected, seed uint64) (low, high Hundredths) {
	dice := newDice(seed, uint64(len(each)))
	shares := make([]Hundredths, resamples)
	for i := range shares {
		var sum collected
		for range each {
			x := &each[dice.IntN(len(each))]
			sum.cents, sum.most = sum.cents+x.cents, sum.most+x.most
		}
		shares[i] = ratio(int64(sum.cents), int64(sum.most), 100)
	}
	slices.SortFunc(shares, func(a, b Hundredths) int { return cmp.Compare(a, b) })
	return shares[resamples*25/1000], shares[resamples*975/1000-1]
}
