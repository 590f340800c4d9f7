package demo

import (
	"io"

	"cloud.google.com/go/civil"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/processors/rules"
)

// compare plays the month again with other collectors, for the same people. Where small transactions fill the days,
// nobody else would meet the same people.
func (m *month) compare() []people.Outcome {
	if m.Records > 0 {
		return nil
	}
	all, changed := m.people.Policies(), m.from.AddDays(changesAfter+1)
	others := people.Rivals{
		Seed: m.Seed, Policies: m.Policies, From: m.from, Calendar: rules.Default().Calendar,
		Ended: map[string]civil.Date{},
	}
	for _, i := range cancelled {
		others.Ended[all[i].Number] = changed
	}
	return []people.Outcome{
		m.bank.Book.Of("Kasi", m.period), others.FixedDay(1), others.BestFixedDay(), others.Oracle(),
	}
}

func (r *Result) printRivals(w io.Writer) {
	var rows []table.Row
	if len(r.Rivals) == 0 {
		return
	}
	oracle := r.Rivals[len(r.Rivals)-1].Collected
	for _, o := range r.Rivals {
		rows = append(rows, table.Row{
			o.Name, o.Collected, rate(o.Collected, r.All.Due), rate(o.Collected, oracle), o.Debits, o.Failed,
			per(o.Failed*100, r.Policies),
		})
	}
	show(w, "The same people, and other collectors", 2, table.Row{
		"collector", "collected R", "of due", "of all-knowing", "debits", "failed", "failed of 100 policies",
	}, rows)
}
