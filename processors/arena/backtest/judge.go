package backtest

import (
	"cmp"
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// sums are what a contender did in some months.
type sums struct {
	months                  int64
	due, collected, most    schemas.Cents // most: what the oracle collected
	failed, paid, presented int64         // tries that came to an end by the end of the data
	fees                    schemas.Cents // of the customers' banks for what failed
	ended                   int64         // accounts of which two tries in a row failed
	followed, waited        int64         // tries paid after some income, and the days between
	deposits, told, hit     int64         // in streams known before; those foretold; those within a day of that
}

func (s *sums) add(o *sums) {
	s.months += o.months
	s.due, s.collected, s.most, s.fees = s.due+o.due, s.collected+o.collected, s.most+o.most, s.fees+o.fees
	s.failed, s.paid, s.presented = s.failed+o.failed, s.paid+o.paid, s.presented+o.presented
	s.ended, s.followed, s.waited = s.ended+o.ended, s.followed+o.followed, s.waited+o.waited
	s.deposits, s.told, s.hit = s.deposits+o.deposits, s.told+o.told, s.hit+o.hit
}

// life is what a contender did with an account.
type life struct {
	tries   []try
	guesses []guess // of an engine
}

// guess is what an engine had said of a deposit before it came.
type guess struct {
	on        schemas.Day
	told, hit bool // it had named a day; that was at most one day off
}

// judge sums up an account's months. Money counts that was paid by the end of the month whose premium it is. A try that
// has not come to an end by the end of the data counts nowhere.
func (r *runner) judge(a *Account, l life, oracle []try, premium schemas.Cents) (of [len(segments)]sums) {
	months := make([]sums, len(a.months))
	for i := range months {
		months[i].months, months[i].due = 1, premium
	}
	for i := range oracle {
		months[oracle[i].month].most += oracle[i].cents
	}
	failing := false
	for i := range l.tries {
		t := &l.tries[i]
		m := &months[t.month]
		switch t.state {
		case tryPaid:
			failing = false
			m.paid, m.presented = m.paid+1, m.presented+1
			if t.on <= a.months[t.month].last {
				m.collected += t.cents
			}
			if days, ok := a.sinceIncome(t.on); ok {
				m.followed, m.waited = m.followed+1, m.waited+days
			}
		case tryFailed:
			if failing {
				m.ended = 1
			}
			failing = true
			m.failed, m.presented, m.fees = m.failed+1, m.presented+1, m.fees+a.Fee
		}
	}
	for _, g := range l.guesses {
		if i := a.monthOf(schemas.PeriodOf(g.on.Date())); i >= 0 {
			m := &months[i]
			m.deposits, m.told, m.hit = m.deposits+1, m.told+count(g.told), m.hit+count(g.hit)
		}
	}
	for i := range months {
		if p := a.months[i].period; p < r.From || r.To != "" && p > r.To || i >= len(months)-r.SkipLast {
			continue
		}
		of[0].add(&months[i])
		if i >= matureFrom {
			of[1].add(&months[i])
		}
	}
	for i := range of {
		of[i].ended = min(of[i].ended, 1)
	}
	return of
}

func count(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// sinceIncome is how many days before a day the latest income came, if any did.
func (a *Account) sinceIncome(d schemas.Day) (days int64, ok bool) {
	i, _ := slices.BinarySearchFunc(a.incomes, d+1, func(c credit, d schemas.Day) int { return cmp.Compare(c.day, d) })
	if i == 0 {
		return 0, false
	}
	return int64(d - a.incomes[i-1].day), true
}
