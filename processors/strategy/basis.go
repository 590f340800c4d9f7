package strategy

import (
	"encoding/json"

	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/price"
	"github.com/kasi-collections/kasi/schemas"
)

// offered is what a ruling was priced from, for its decision's event.
type offered struct {
	priced    bool
	situation price.Situation
	verdict   price.Verdict
	met       Met
	until     schemas.Day // the last day of the debit if the bank tracks it
}

// text is a situation as a decision's event carries it.
type text struct{ price.Situation }

// Text implements book.Situation.
func (t text) Text() string {
	b, err := json.Marshal(t.Situation)
	if err != nil {
		panic("strategy: a situation of integers has no text: " + err.Error())
	}
	return string(b)
}

// priceBalance prices what was ruled by the account's balance, where the decision is news: the event tells what the
// balance made of the chances. Money of another account has no price.
func (c *cutoff) priceBalance(o *offer, r *Ruling) {
	if now := (book.Decided{Reason: r.Reason, Next: r.Next, Amount: r.Amount}); r.Amount == 0 && now == o.k.Decided {
		return
	}
	s, m := c.situation(o)
	s.Highest = max(0, c.wallet.balances[c.sight.balance].cents)
	s.Lowest, s.Known = s.Highest, true
	m.Proved = s.Lowest >= s.Amount
	v := price.Of(&s)
	c.offered = offered{r.Amount != s.Amount || v.Best(), s, v, m, c.trackUntil(o.pol)}
}

// basis is what the decision's event carries: what was known, what the ruling is worth, and what was priced beside it.
// A debit of a part, and waiting where all is proved, have no price.
func (c *cutoff) basis(r *Ruling) *book.Basis {
	o := &c.offered
	s, v := &o.situation, &o.verdict
	b := &book.Basis{
		Lowest: s.Lowest, Highest: s.Highest, Bounded: s.Known, Chance: int64(v.Chance), TableHash: c.priced.Table.Hash,
		Situation: text{*s}, WindowFrom: c.expected.From, WindowTo: c.expected.To,
	}
	reason := WhyLikely
	if v.Proved {
		reason = WhyMoneySeen
	}
	cell, count := c.priced.Table.Cell(&o.met.Facts, v.Proved)
	b.Cell, b.CellCount = cell, int64(count)
	tracked, today := r.Amount == s.Amount && r.TrackingDay != 0, r.Amount == s.Amount && r.TrackingDay == 0
	switch {
	case tracked:
		b.Value = new(v.Track)
	case today:
		b.Chance, b.Value = int64(v.Today), new(v.Debit)
	case r.Amount == 0 && !v.Proved:
		b.Value = new(v.Wait)
	}
	switch {
	case r.Amount > 0 || !v.Best():
	case s.Known && s.Highest < s.Amount:
		b.Veto = WhyBalanceTooSmall
	default:
		b.Veto = r.Reason
	}
	if !tracked && s.Tracks && o.until > c.Today {
		b.Options = append(b.Options, book.Option{
			Action: debit, Reason: reason, Amount: s.Amount, Tracking: o.until, Chance: int64(v.Chance),
			Value: new(v.Track),
		})
	}
	if !today {
		b.Options = append(b.Options, book.Option{
			Action: debit, Reason: reason, Amount: s.Amount, Chance: int64(v.Today), Value: new(v.Debit),
		})
	}
	for _, other := range Meaning(r.Reason).Alternatives {
		if r.Amount > 0 && other.Action == wait {
			waiting := book.Option{Action: wait, Reason: other.Reason}
			if !v.Proved {
				waiting.Value = new(v.Wait)
			}
			b.Options = append(b.Options, waiting)
		}
	}
	return b
}
