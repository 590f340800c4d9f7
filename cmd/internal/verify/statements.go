package verify

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
)

// Fees are a tenant's rates in percent.
type Fees struct{ Distribution, Collections *big.Rat }

// documented are the rates of CONTRACT 5.
var documented = Fees{big.NewRat(25, 1), big.NewRat(35, 10)}

// vatPercent is the rate of VAT on a day, YYYY-MM-DD.
func vatPercent(day string) *big.Rat {
	switch {
	case day >= "2018-04-01":
		return big.NewRat(15, 1)
	case day >= "1993-04-07":
		return big.NewRat(14, 1)
	}
	return big.NewRat(10, 1)
}

// percent is rate percent of an amount, rounded to the cent, half away from zero.
func percent(amount cents, rate *big.Rat) cents {
	x := new(big.Rat).Mul(big.NewRat(int64(amount), 100), rate)
	n, _ := strconv.ParseInt(x.FloatString(0), 10, 64) // which rounds so
	return cents(n)
}

// counts tells whether a statement's coverage counts an event.
func (e *event) counts(m *event) bool {
	p := int(m.partition)
	for _, cov := range e.Coverage {
		if m.Tenant == e.Tenant && cov.Period == m.Period && p < min(len(cov.From), len(cov.To)) &&
			m.Seq >= cov.From[p] && m.Seq < cov.To[p] {
			return true
		}
	}
	return false
}

// movements are the versions of collections that moved money, by tenant.
func (b *books) movements() map[string][]*event {
	out := map[string][]*event{}
	for _, e := range b.collections {
		if e.Change.Moved != 0 {
			out[e.Tenant] = append(out[e.Tenant], e)
		}
	}
	return out
}

// statuses are those that may follow one of a statement; the first follows none.
var statuses = map[string][]string{
	"":        {"pending", "carried_forward"},
	"pending": {"pending", "paid", "disputed"}, "paid": {"disputed"}, "carried_forward": {"disputed"},
	"disputed": {"disputed", "pending", "paid", "carried_forward"},
}

// status is what a statement is while nobody disputes it.
func (e *event) status() string {
	switch {
	case e.PaidDate != "":
		return "paid"
	case e.Payable <= 0:
		return "carried_forward"
	}
	return "pending"
}

// statements recomputes the figures of every statement, at every version, and follows its status.
func (b *books) statements(c *Check) {
	moved := b.movements()
	first, status := map[string]*event{}, map[string]string{}
	for _, s := range b.settlements {
		c.Counted++
		was := status[s.SettlementID]
		now := string(s.PaymentStatus)
		c.must(slices.Contains(statuses[was], now), "%s of %s version %d is %q after %q", s.Number, s.Tenant, s.Version, now,
			was)
		c.must(now == "disputed" || now == s.status(), "%s of %s version %d is %q; payable %s, paid on %q, it is %q",
			s.Number, s.Tenant, s.Version, now, s.Payable, s.PaidDate, s.status())
		c.must(now != "paid" || s.BusinessDate >= s.PaymentDate, "%s of %s is paid on %s, before its payment date %s",
			s.Number, s.Tenant, s.BusinessDate, s.PaymentDate)
		status[s.SettlementID] = now
		if was := first[s.SettlementID]; was != nil {
			c.must(figures(was) == figures(s), "%s of %s: the figures of version %d are not those of version %d", s.Number,
				s.Tenant, s.Version, was.Version)
			continue
		}
		first[s.SettlementID] = s
		var total, adjustments cents
		byDebit := map[string]cents{}
		for _, m := range moved[s.Tenant] {
			if !s.counts(m) {
				continue
			}
			if total += m.Change.Moved; m.Period != s.Period {
				adjustments += m.Change.Moved
			} else {
				byDebit[m.Change.DebitID] += m.Change.Moved
			}
		}
		for _, n := range byDebit { // below zero: an earlier statement has counted it
			adjustments += min(n, 0)
		}
		rates, ok := b.o.Fees[s.Tenant]
		if !ok {
			rates = documented
		}
		rates = b.own[s.Tenant].over(rates, s.Period+"-31")
		want := statement{Total: total, Adjustments: adjustments}
		want.DistributionFee, want.CollectionsFee = percent(total, rates.Distribution), percent(total, rates.Collections)
		want.TotalFees = want.DistributionFee + want.CollectionsFee
		want.VAT = percent(want.TotalFees, vatPercent(s.Period+"-31"))
		want.Net = total - want.TotalFees - want.VAT
		have, should := figures(s), figures(&event{statement: want})
		c.must(have == should, "%s of %s says %s; its movements give %s", s.Number, s.Tenant, have, should)
	}
}

func figures(e *event) string {
	return fmt.Sprintf("total %s (adjustments %s), fees %s + %s = %s, VAT %s, net %s", e.Total, e.Adjustments,
		e.DistributionFee, e.CollectionsFee, e.TotalFees, e.VAT, e.Net)
}

// settledOnce checks that coverages join without overlap or gap: each begins, on each partition, where the one before
// it ended.
func (b *books) settledOnce(c *Check) {
	type covered struct {
		tenant, period string
		partition      int
	}
	upTo, count := map[covered]int64{}, map[covered]int{}
	var statements []*event
	for _, s := range b.settlements {
		if s.Version != 1 {
			continue
		}
		statements = append(statements, s)
		c.Counted++
		n := covered{tenant: s.Tenant, period: s.Period}
		count[n]++
		c.must(s.Sequence == count[n], "%s of %s is the period's statement %d; expected %d", s.Number, s.Tenant, s.Sequence,
			count[n])
		for _, cov := range s.Coverage {
			for p := range min(len(cov.From), len(cov.To)) {
				k := covered{s.Tenant, cov.Period, p}
				c.must(cov.From[p] == upTo[k], "%s of %s counts %s on partition %d from number %d; the one before ended at %d",
					s.Number, s.Tenant, cov.Period, p, cov.From[p], upTo[k])
				upTo[k] = max(upTo[k], cov.To[p])
			}
		}
	}
	for _, moves := range b.movements() {
		for _, m := range moves {
			in := 0
			for _, s := range statements {
				if s.counts(m) {
					in++
				}
			}
			c.must(in <= 1, "the movement of %s on collection %s version %d is in %d statements", m.Change.Moved, m.Collection,
				m.Version, in)
		}
	}
}
