package strategy

import (
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

// wallet is a customer's money as one cut-off sees it. All the customer's policies share it. What a ruling uses is gone
// for the rulings after it; the sums are the strategy's own, and the deposits and balances of the view stay as they
// are.
type wallet struct {
	fresh    schemas.Day // deposits from before this day are taken to be spent, unless a balance says otherwise
	deposits []held      // by place in the view
	balances [book.MaxBalances]struct {
		cents    schemas.Cents
		clearing schemas.Cents // of deposits that it covers that count but are not ready
	}
}

// held is what is left of a deposit, and what it is worth.
type held struct {
	left  schemas.Cents
	worth worth
}

// worth is what a deposit is worth at a cut-off.
type worth int8

const (
	worthGone     worth = iota // used up or expired
	worthSpent                 // taken to be spent by the customer
	worthClearing              // usable from a later banking day
	worthReady
)

// funds sums up a wallet.
type funds struct {
	usable    schemas.Cents // what may be debited at this cut-off
	total     schemas.Cents // all money that came in and was not used
	announced bool          // what is usable was announced, never seen
	regular   bool          // some of what is usable is a salary, grant, wage or income by the month
	clearing  schemas.Day   // first banking day on which more becomes usable
	seen      bool          // some of that more has been seen, not only announced
}

// openWallet decides which deposits count at this cut-off. Money of irregular or unknown income that does not exceed
// what is outstanding is debited on the day it came, before it is spent; a salary, grant or wage, income by the month,
// and money announced only, on the next banking day (CONTRACT 4.4).
func (c *cutoff) openWallet(room []held) {
	w := &c.wallet
	w.fresh = c.freshFrom()
	for i := range c.Balances {
		w.balances[i].cents = c.Balances[i].Cents
	}
	expired := (c.Today - schemas.Day(c.Params.DepositDays)).Opening()
	for i := range c.Deposits {
		dep := &c.Deposits[i]
		h := held{left: dep.Remaining}
		if dep.Remaining > 0 && dep.At >= expired {
			h.worth = c.worth(dep)
		}
		if b := c.cover(dep); b >= 0 && h.worth == worthClearing {
			w.balances[b].clearing += h.left
		}
		room = append(room, h)
	}
	w.deposits = room
}

// worth judges a deposit that has not been used up and has not expired.
func (c *cutoff) worth(dep *book.Deposit) worth {
	old := c.priced != nil && dep.Day() < schemas.DayOf(c.Period.First()) // what is left of a month is spoken for
	if old && c.sight.seen && c.cover(dep) < 0 && (c.priced.Careful || dep.Remaining <= c.Outstanding ||
		c.expected.Day != 0 && c.expected.Day < c.LastBanking) { // this month has its own income
		return worthSpent
	}
	if c.priced != nil && c.priced.Doubts && c.opening(dep) {
		return worthSpent
	}
	switch {
	case dep.Day() < c.wallet.fresh:
		small := dep.Cents <= c.Outstanding && dep.From != book.FromAnnounce && c.irregular(dep.Stream)
		if c.cover(dep) >= 0 || small && !old {
			return worthReady
		}
		return worthSpent
	case dep.Day() >= c.Today || c.nextBanking(dep.Day()) > c.Today:
		if dep.Remaining <= c.Outstanding && dep.From != book.FromAnnounce && c.irregular(dep.Stream) {
			return worthReady
		}
		return worthClearing
	}
	return worthReady
}

// freshFrom is the first day whose deposits count without a balance that vouches for them: those usable for no more
// than MoneyDays banking days, that of the next possible debit included. A salary of the 25th is so not debited on the
// 1st for the next month's premium, when it has long been spent.
func (c *cutoff) freshFrom() schemas.Day {
	from := c.Date
	if !c.BankingDay {
		from = c.NextBanking.Date()
	}
	for range c.Params.MoneyDays {
		from = c.Rules.Calendar.OnOrBefore(from.AddDays(-1))
	}
	return schemas.DayOf(from)
}

// spentFrom is the first day on which a deposit is taken to be spent: the day after the last of its banking days.
func (c *cutoff) spentFrom(dep *book.Deposit) schemas.Day {
	return schemas.DayOf(c.Rules.Calendar.Add(c.nextBanking(dep.Day()).Date(), c.Params.MoneyDays-1)) + 1
}

// irregular tells whether a stream brings odd money: no salary, grant, pension or wage by its kind, nor income by the
// month by its history. Small sums that happen to come a week apart (5, 12, 18, 25 November in CONTRACT 6.3) are still
// odd money.
func (c *cutoff) irregular(key uint32) bool {
	s := c.Streams.Find(key)
	if s == nil {
		return true
	}
	switch s.Kind {
	case schemas.Salary, schemas.Grant, schemas.Pension, schemas.Wage:
		return false
	}
	_, expected := s.Expects(c.Rules.Calendar, c.Today)
	return !expected || s.Freq != income.Monthly && s.Freq != income.SemiMonthly
}

// cover is the balance that caps a deposit: the account's latest, if it is not older than the deposit. It is the
// balance's place, or -1.
func (c *cutoff) cover(dep *book.Deposit) int {
	for i := range c.Balances {
		if b := &c.Balances[i]; b.Account == dep.Account && b.At >= dep.At {
			return i
		}
	}
	return -1
}

// room is what a balance leaves for a debit of money that is ready: all of it but the deposits it holds that are not
// ready yet. On a payday the balance holds the new salary already, and what is left of an older deposit must not reach
// into it.
func (w *wallet) room(i int) schemas.Cents { return max(0, w.balances[i].cents-w.balances[i].clearing) }

// funds adds up. A balance caps all deposits it covers together.
func (c *cutoff) funds() funds {
	w := &c.wallet
	f := funds{announced: true}
	var covered [book.MaxBalances]struct{ ready, total schemas.Cents }
	for i := range c.Deposits {
		dep, h := &c.Deposits[i], w.deposits[i]
		if h.left == 0 || h.worth <= worthSpent {
			continue
		}
		usable := schemas.Cents(0)
		if h.worth == worthReady {
			usable = h.left
			f.announced = f.announced && dep.From == book.FromAnnounce
			f.regular = f.regular || !c.irregular(dep.Stream)
		} else {
			f.seen = f.seen || dep.From != book.FromAnnounce
			if n := c.nextBanking(dep.Day()); f.clearing == 0 || n < f.clearing {
				f.clearing = n
			}
		}
		if b := c.cover(dep); b >= 0 {
			covered[b].ready += usable
			covered[b].total += h.left
			continue
		}
		f.usable += usable
		f.total += h.left
	}
	for i := range c.Balances {
		f.usable += min(covered[i].ready, w.room(i))
		f.total += min(covered[i].total, max(0, w.balances[i].cents))
	}
	return f
}

// take uses up deposits for a debit, oldest first, and says which. A blind debit takes what there may be, usable or
// not.
func (c *cutoff) take(amount schemas.Cents, blind bool) []book.Use {
	w := &c.wallet
	var uses []book.Use
	for i := range c.Deposits {
		if amount == 0 {
			break
		}
		dep, h := &c.Deposits[i], &w.deposits[i]
		if h.worth == worthGone || !blind && h.worth != worthReady {
			continue
		}
		n, b := min(amount, h.left), c.cover(dep)
		if b >= 0 {
			if blind {
				n = min(n, max(0, w.balances[b].cents))
			} else {
				n = min(n, w.room(b))
			}
			w.balances[b].cents -= n
			if h.worth == worthClearing {
				w.balances[b].clearing -= n
			}
		}
		if n > 0 {
			h.left -= n
			amount -= n
			uses = append(uses, book.Use{Deposit: dep.No, Cents: n, LowersBalance: b >= 0})
		}
	}
	return uses
}
