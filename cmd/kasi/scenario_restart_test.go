package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// CONTRACT 4.11 and section 8: the same inputs give the same month, whether the product ran through, ran elsewhere, or
// was killed on the way.

// ran is all that a month shows to the outside, without wall-clock instants.
type ran struct {
	report, december, export, statement string
	debits, decisions, movements        []string
}

// month runs November and a part of December with a fixed bank. between is called after some days.
func month(p *product, between func(day string)) ran {
	t := p.t
	var rows []string
	for i := range 60 {
		rows = append(rows, fmt.Sprintf("C%02d,E%d,POL%02d,F,%d.%02d,%s,%d", i/2, i, i, 50+i*7, i, []string{
			"DEBICHECK", "RM",
			"EFT",
		}[i%3], 1+i%28))
	}
	p.policies(",rail,collection_day", rows...)
	p.execute("2025-11", len(rows))
	for i := range 30 {
		c := fmt.Sprintf("C%02d", i)
		switch i % 4 {
		case 0:
			p.credit(c, "2025-11-25", 850000+i, "SALARY")
		case 1:
			for d := 3; d < 30; d += 4 {
				p.credit(c, fmt.Sprintf("2025-11-%02d", d), 3000+i*11, "piece job")
			}
		case 2:
			p.income(c, "g"+c, "GRANT", "2025-11-05", "ANNOUNCED", 232500)
		}
	}
	codes := []string{"02", "02", "12", "04", "02", "18"}
	b := p.bank(func(d debit) (string, string) {
		sum := d.AmountCents + d.Attempt // the answer hangs on the debit alone
		if sum%5 == 0 {
			return "UNPAID", codes[sum%len(codes)]
		}
		return "PAID", ""
	})
	for _, day := range []string{
		"2025-11-05", "2025-11-07", "2025-11-14", "2025-11-20", "2025-11-26", "2025-11-28",
		"2025-12-02",
	} {
		b.until(day)
		between(day)
	}
	p.advance("2025-12-02")
	s := p.settle(testKey, "2025-11")
	p.execute("2025-12", len(rows))
	b.until("2025-12-05")
	p.advance("2025-12-06")
	out := ran{
		report: strings.Join(p.report("2025-11"), "\n"), december: strings.Join(p.report("2025-12"), "\n"), export: s.export,
		statement: fmt.Sprint(s.ID, s.Number, s.Total, s.Fees, s.VAT, s.Net, s.PaymentDate, s.PaymentRef),
	}
	for _, d := range p.debits() {
		out.debits = append(out.debits, fmt.Sprint(d))
	}
	slices.Sort(out.debits)
	out.decisions = strings.Split(p.sql("SELECT event_id, action, reason, next_date, amount_cents, inputs, "+
		"alternatives, business_date FROM decisions ORDER BY ALL"), "\n")
	out.movements = strings.Split(p.sql("SELECT collection_id, debit_id, change_kind, moved, effective_date, "+
		"business_date FROM movements ORDER BY ALL"), "\n")
	require.NotEmpty(t, out.movements)
	require.Equal(t, "ok", p.sound())
	return out
}

// sound checks that every log table holds each event once and lacks none: count = uniqExact(seq) = max - min + 1 in
// each partition.
func (p *product) sound() string {
	for _, table := range []string{
		"transactions", "deposits", "decisions", "debits", "policies", "collections",
		"settlements", "outcomes",
	} {
		group := "src_partition"
		if table == "outcomes" {
			group = "src_partition, stage"
		}
		if bad := p.sql("SELECT '" + table + "', " + group + ", count(), uniqExact(seq), max(seq) FROM " + table +
			"_log GROUP BY " + group +
			" HAVING count() != uniqExact(seq) OR count() != max(seq) - min(seq) + 1 OR min(seq) != 1"); bad != "" {
			return bad
		}
	}
	return "ok"
}

func TestScenarioSameInputsSameMonth(t *testing.T) {
	t.Parallel()
	var through, crashed ran
	var both sync.WaitGroup
	// The one on the embedded Kafka, the other on what the environment asks for.
	straight, killed := startEmbedded(t, "2025-11-01"), start(t, "2025-11-01")
	both.Go(func() { through = month(straight, func(string) {}) })
	crashed = month(killed, func(day string) {
		if day == "2025-11-05" || day == "2025-11-26" {
			killed.crash("2025-11-01")
		}
	})
	both.Wait()
	require.Equal(t, through.report, crashed.report)
	require.Equal(t, through.december, crashed.december)
	require.Equal(t, through.statement, crashed.statement)
	require.Equal(t, through.export, crashed.export)
	require.Equal(t, through.debits, crashed.debits)
	require.Equal(t, through.decisions, crashed.decisions)
	require.Equal(t, through.movements, crashed.movements)
}
