package verify

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// takeAnswer keeps the bank's answer to an EFT instruction that the contract allows (CONTRACT 5).
func (b *books) takeAnswer(r *kgo.Record, fresh bool) {
	var a struct {
		PayoutID  string `json:"payout_id"`
		Status    string `json:"status"`
		Effective string `json:"effective_date"`
	}
	if json.Unmarshal(r.Value, &a) != nil || a.Status != "PAID" && a.Status != "FAILED" {
		return
	}
	if _, err := time.Parse(time.DateOnly, a.Effective); err != nil {
		return
	}
	id := strings.ToLower(a.PayoutID)
	b.answers[id] = append(b.answers[id], &result{
		DebitID: id, Status: a.Status, Effective: a.Effective, place: place(r.Topic, r.Partition, r.Offset), maybe: fresh,
	})
}

func settlementID(e *event) string { return e.SettlementID }

// carriedForward follows what is not paid from statement to statement: each net is payable or brought forward, once.
func (b *books) carriedForward(c *Check) {
	before := map[string]cents{} // payable of a tenant's latest statement
	for _, s := range b.settlements {
		if s.Version != 1 {
			continue
		}
		c.Counted++
		want := min(before[s.Tenant], 0)
		c.must(s.BroughtForward == want, "%s of %s brings %s forward; the statement before leaves %s", s.Number, s.Tenant,
			s.BroughtForward, want)
		c.must(s.Payable == s.Net+s.BroughtForward, "%s of %s: payable %s is not net %s and %s brought forward", s.Number,
			s.Tenant, s.Payable, s.Net, s.BroughtForward)
		c.must(s.Reference == "" == (s.Payable <= 0), "%s of %s: payable %s under the reference %q", s.Number, s.Tenant,
			s.Payable, s.Reference)
		before[s.Tenant] = s.Payable
	}
}

// paidOnce checks the EFT instructions against the statements, and both against what the bank said.
func (b *books) paidOnce(c *Check) {
	now, given := last(b.settlements, settlementID), map[string][]*event{}
	seen := map[string]bool{}
	for _, p := range b.payouts {
		c.Counted++
		c.must(!seen[p.PayoutID], "payout %s is instructed twice", p.PayoutID)
		seen[p.PayoutID] = true
		s := now[p.SettlementID]
		if s == nil {
			c.missing(p.fresh, "payout %s is of no statement", p.PayoutID)
			continue
		}
		given[p.SettlementID] = append(given[p.SettlementID], p)
		c.must(p.Amount == s.Payable && p.Amount > 0, "payout %s of %s for %s of %s, whose payable is %s", p.PayoutID,
			p.Amount, s.Number, s.Tenant, s.Payable)
		c.must(p.Tenant == s.Tenant && p.Reference == s.Reference, "payout %s says tenant %s, reference %s; %s says %s, %s",
			p.PayoutID, p.Tenant, p.Reference, s.Number, s.Tenant, s.Reference)
	}
	disputed := map[string]bool{}
	for _, s := range b.settlements { // in the order of their versions
		c.must(!disputed[s.SettlementID] || s.Change.Kind != "PAYOUT_INSTRUCTED", "%s of %s is paid while it is disputed",
			s.Number, s.Tenant)
		disputed[s.SettlementID] = s.PaymentStatus == "disputed"
		b.answered(c, s)
	}
	for id, s := range now {
		if n := len(given[id]); n != s.Payouts {
			c.missing(n > s.Payouts && given[id][n-1].fresh, "%s of %s has %d payouts; it says %d", s.Number, s.Tenant, n,
				s.Payouts)
		}
		c.must(s.PaidDate == "" == (s.PayoutState != "PAID"), "%s of %s: paid on %q, and its payout is %q", s.Number,
			s.Tenant, s.PaidDate, s.PayoutState)
	}
}

// answered checks that a statement's payout stands as the bank said. One that was assumed to be paid has no answer.
func (b *books) answered(c *Check, s *event) {
	said := map[string]string{"PAID": "PAID", "PAYOUT_FAILED": "FAILED"}[s.Change.Kind]
	if said == "" || said == "PAID" && !b.confirmed(s) || b.gone[schemas.TopicPayoutResults] {
		return
	}
	c.must(slices.ContainsFunc(b.answers[s.PayoutID], func(r *result) bool { return r.Status == said }),
		"%s of %s rests on a %s of payout %s that the bank never sent", s.Number, s.Tenant, said, s.PayoutID)
}

// confirmed tells whether the payment of a statement waited for the bank.
func (b *books) confirmed(s *event) bool {
	return slices.ContainsFunc(b.settlements, func(e *event) bool {
		return e.PayoutID == s.PayoutID && e.Change.Kind == "PAYOUT_INSTRUCTED"
	})
}

// accounts are the balances that the ledger must show, from Kafka alone, as tenant/account.
func (b *books) accounts() map[string]cents {
	out := map[string]cents{}
	post := func(tenant, account string, amount cents) { out[tenant+"/"+account] += amount }
	for tenant, moves := range b.movements() {
		for _, m := range moves {
			post(tenant, "bank", m.Change.Moved)
			post(tenant, "unsettled", -m.Change.Moved)
		}
	}
	for _, s := range b.settlements {
		if s.Version == 1 {
			for account, amount := range map[string]cents{
				"unsettled": s.Total, "collected": s.Adjustments - s.Total, "adjustments": -s.Adjustments, "settled": s.Total,
				"distribution_fee": -s.DistributionFee, "collections_fee": -s.CollectionsFee, "vat": -s.VAT, "payable": -s.Net,
			} {
				post(s.Tenant, account, amount)
			}
		}
	}
	for _, s := range last(b.settlements, settlementID) {
		switch {
		case s.Payable <= 0:
		case s.PaidDate != "":
			post(s.Tenant, "payable", s.Payable)
			post(s.Tenant, "paid", -s.Payable)
		case s.PaymentStatus == "disputed":
			post(s.Tenant, "payable", s.Payable)
			post(s.Tenant, "in_dispute", -s.Payable)
		}
	}
	return out
}

// doubleEntry compares the ledger that analysts read with the topics: each entry adds up to zero, and each account
// holds what the movements, statements and payments make it.
func (b *books) doubleEntry(ctx context.Context, c *Check, ch ClickHouse) error {
	rows, err := ch.query(ctx, "SELECT entry_id, sum(cents) FROM ledger GROUP BY entry_id HAVING sum(cents) != 0 LIMIT 20")
	if err != nil {
		return err
	}
	for _, r := range rows {
		c.differ("the postings of entry %s add up to %s", r.name, cents(r.n[0]))
	}
	rows, err = ch.query(ctx, "SELECT concat(tenant_id, '/', account), cents FROM ledger_balances")
	if err != nil {
		return err
	}
	want := b.accounts()
	for _, r := range rows {
		c.Counted++
		c.must(want[r.name] == cents(r.n[0]), "account %s holds %s in ClickHouse; Kafka makes it %s", r.name, cents(r.n[0]),
			want[r.name])
		delete(want, r.name)
	}
	for account, amount := range want {
		c.must(amount == 0, "account %s is missing in ClickHouse; Kafka makes it %s", account, amount)
	}
	rows, err = ch.query(ctx, "SELECT concat(settlement_number, ' of ', tenant_id), toInt64(ok) FROM settlement_proof")
	if err != nil {
		return err
	}
	for _, r := range rows {
		c.Counted++
		c.must(r.n[0] == 1, "settlement_proof says that %s is not proved", r.name)
	}
	return nil
}
