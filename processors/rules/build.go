package rules

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

// build checks the data and makes the rules of it. The error lists every mistake.
func build(f dataFile) (*Rules, error) {
	p := &problems{}
	r := &Rules{
		Calendar: buildCalendar(p, f),
		rails:    buildRails(p, f.Rails),
		disputes: buildDisputes(p, f.DisputeWindows),
		reasons:  buildReasons(p, f),
		params:   buildCollecting(p, f.Collecting),
		fees:     buildFees(p, "fees", f.Fees),
		vat:      buildVAT(p, f.VAT),
		tenants:  map[string][]dated[feePair]{},
		payday:   buildDays(p, "payment_day", f.PaymentDay, 28),
	}
	for _, tenant := range slices.Sorted(maps.Keys(f.TenantFees)) {
		r.tenants[tenant] = buildFees(p, "tenant_fees."+tenant, f.TenantFees[tenant])
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return r, nil
}

func buildRails(p *problems, entries []railEntry) map[schemas.Rail][]dated[RailRule] {
	rails := map[schemas.Rail][]dated[RailRule]{}
	byRail := map[schemas.Rail][]railEntry{}
	froms := map[string]civil.Date{}
	for i, e := range entries {
		place := fmt.Sprintf("rails[%d]", i)
		rail := oneOf(p, place+".rail", e.Rail, schemas.RailEFT, schemas.RailDebiCheck, schemas.RailRM)
		froms[e.From] = p.from(place, e.From)
		p.count(place+".unpaids_end_mandate", e.UnpaidsEndMandate)
		p.count(place+".late_unpaid_banking_days", e.LateUnpaidDays)
		p.count(place+".tracking_days", e.TrackingDays)
		p.count(place+".attempts_per_cycle", e.AttemptsPerCycle)
		byRail[rail] = append(byRail[rail], e)
	}
	for rail, list := range byRail {
		rails[rail] = timeline(list, func(e railEntry) civil.Date { return froms[e.From] },
			func(rule *RailRule, e railEntry) {
				rule.Name = rail
				set(&rule.RePresent, e.RePresent)
				set(&rule.PartialAllowed, e.PartialAllowed)
				set(&rule.UnpaidsEndMandate, e.UnpaidsEndMandate)
				set(&rule.LateUnpaidDays, e.LateUnpaidDays)
				set(&rule.TrackingDays, e.TrackingDays)
				set(&rule.AttemptsPerCycle, e.AttemptsPerCycle)
			})
	}
	return rails
}

// set takes over a field that an entry names.
func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func buildDisputes(p *problems, entries []disputeEntry) map[schemas.Rail][]dated[int] {
	type window struct {
		from civil.Date
		days int
	}
	byRail := map[schemas.Rail][]window{}
	for i, e := range entries {
		place := fmt.Sprintf("dispute_windows[%d]", i)
		w := window{p.from(place, e.From), p.between(place+".days", e.Days, 0, 1000)}
		rails := []schemas.Rail{schemas.RailEFT, schemas.RailDebiCheck, schemas.RailRM}
		if len(e.Rails) > 0 {
			all := rails
			rails = nil
			for _, rail := range e.Rails {
				rails = append(rails, oneOf(p, place+".rails", rail, all...))
			}
		}
		for _, rail := range rails {
			byRail[rail] = append(byRail[rail], w)
		}
	}
	disputes := map[schemas.Rail][]dated[int]{}
	for rail, list := range byRail {
		disputes[rail] = timeline(list, func(w window) civil.Date { return w.from },
			func(days *int, w window) { *days = w.days })
	}
	return disputes
}

func buildDays(p *problems, place string, entries []dayEntry, high int) []dated[int] {
	froms := map[string]civil.Date{}
	for i, e := range entries {
		here := fmt.Sprintf("%s[%d]", place, i)
		froms[e.From] = p.from(here, e.From)
		p.between(here+".day", e.Day, 1, high)
	}
	return timeline(entries, func(e dayEntry) civil.Date { return froms[e.From] },
		func(day *int, e dayEntry) { *day = e.Day })
}

func buildCollecting(p *problems, entries []collectingEntry) []dated[Params] {
	froms := map[string]civil.Date{}
	for i, e := range entries {
		froms[e.From] = p.from(fmt.Sprintf("collecting[%d]", i), e.From)
	}
	return timeline(entries, func(e collectingEntry) civil.Date { return froms[e.From] },
		func(v *Params, e collectingEntry) {
			place := "collecting of " + froms[e.From].String()
			number := func(name string, to *int, from *int, low, high int) {
				if from != nil {
					*to = p.between(place+"."+name, *from, low, high)
				}
			}
			number("first_attempt_day", &v.FirstAttemptDay, e.FirstAttemptDay, 1, 31)
			number("seen_days", &v.SeenDays, e.SeenDays, 31, 1000)
			number("backfill_days", &v.BackfillDays, e.BackfillDays, 0, 3660)
			number("arrears_periods", &v.ArrearsPeriods, e.ArrearsPeriods, 0, 12)
			number("deposit_days", &v.DepositDays, e.DepositDays, 1, 366)
			number("money_days", &v.MoneyDays, e.MoneyDays, 1, 60)
			number("known_income_days", &v.KnownIncomeDays, e.KnownIncomeDays, 1, 366)
			number("stream_history", &v.StreamHistory, e.StreamHistory, 3, 100)
			number("same_money_days", &v.SameMoneyDays, e.SameMoneyDays, 0, 31)
			if e.MinDebit != nil {
				v.MinDebitCents = p.rands(place+".min_debit", *e.MinDebit)
			}
			if e.CutoffTimes != nil {
				v.CutoffTimes = cutoffTimes(p, place+".cutoff_times", e.CutoffTimes)
			}
			if e.NotIncome != nil {
				v.NotIncome = p.words(place+".not_income", e.NotIncome)
			}
			if e.Kinds != nil {
				v.KindWords = kindWords(p, place+".kinds", e.Kinds)
			}
		})
}

// cutoffTimes checks the day's cut-offs: at least one, HH:MM, ascending.
func cutoffTimes(p *problems, place string, list []string) []string {
	if len(list) == 0 {
		p.addf(place, "is empty; expected at least one time such as 15:00")
	}
	for i, s := range list {
		if t, err := time.Parse("15:04", s); err != nil || t.Format("15:04") != s {
			p.addf(place, "%q is not a time; expected HH:MM such as 15:00", s)
		} else if i > 0 && s <= list[i-1] {
			p.addf(place, "%s does not come after %s", s, list[i-1])
		}
	}
	return list
}

func kindWords(p *problems, place string, entries []kindEntry) []KindWords {
	var list []KindWords
	for i, e := range entries {
		here := fmt.Sprintf("%s[%d]", place, i)
		kind := oneOf(p, here+".kind", e.Kind, schemas.Salary, schemas.Grant, schemas.Wage, schemas.Gig, schemas.OtherIncome)
		list = append(list, KindWords{kind, p.words(here+".words", e.Words)})
	}
	return list
}
