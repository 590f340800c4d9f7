package processors

import "github.com/kasi-collections/kasi/schemas"

// wallet is a customer's money as one cut-off sees it. All the customer's policies share it.
type wallet struct {
	c     *Customer
	first int64       // deposits from before this instant have expired
	fresh schemas.Day // deposits from before this day are taken to be spent, unless a balance says otherwise
	state []money
	held  [maxBalances]schemas.Cents // by balance: deposits it covers that count but are not ready
	store [16]money
}

// money is what a deposit is worth at a cut-off.
type money int8

const (
	moneyGone     money = iota // used up or expired
	moneySpent                 // taken to be spent by the customer
	moneyClearing              // usable from a later banking day
	moneyReady
)

// funds sums up a wallet.
type funds struct {
	usable    schemas.Cents // what may be debited at this cut-off
	total     schemas.Cents // all money that came in and was not used
	announced bool          // what is usable was announced, never seen
	clearing  schemas.Day   // first banking day on which more becomes usable
	seen      bool          // some of that more has been seen, not only announced
}

// openWallet decides which deposits count at this cut-off. Money of irregular or unknown income that does not exceed
// what is outstanding is debited on the day it came, before it is spent; a salary, grant or wage, income by the month,
// and money announced only, on the next banking day (SPEC 4.4).
func (d *desk) openWallet(outstanding schemas.Cents) {
	w := &d.wallet
	w.c, w.first, w.fresh = d.c, (d.today - schemas.Day(d.params.DepositDays)).Opening(), d.freshFrom()
	w.state = w.store[:0]
	for i := range d.c.Deposits {
		dep := &d.c.Deposits[i]
		st := d.worth(dep, outstanding)
		w.state = append(w.state, st)
		if b := w.cover(dep); b >= 0 && st == moneyClearing {
			w.held[b] += dep.Remaining
		}
	}
}

// worth judges one deposit.
func (d *desk) worth(dep *deposit, outstanding schemas.Cents) money {
	w := &d.wallet
	switch {
	case dep.Remaining == 0 || dep.At < w.first:
		return moneyGone
	case dep.day() < w.fresh:
		if w.cover(dep) >= 0 || dep.Cents <= outstanding && dep.From != fromAnnounce && d.irregular(dep.Stream) {
			return moneyReady
		}
		return moneySpent
	case dep.day() >= d.today || d.next(dep.day()) > d.today:
		if dep.Remaining <= outstanding && dep.From != fromAnnounce && d.irregular(dep.Stream) {
			return moneyReady
		}
		return moneyClearing
	}
	return moneyReady
}

// freshFrom is the first day whose deposits count without a balance that vouches for them: those usable for no more
// than MoneyDays banking days, that of the next possible debit included. A salary of the 25th is so not debited on the
// 1st for the next month's premium, when it has long been spent.
func (d *desk) freshFrom() schemas.Day {
	from := d.m.Date
	if !d.banking {
		from = d.nextBanking.Date()
	}
	for range d.params.MoneyDays {
		from = d.e.rules.Calendar.OnOrBefore(from.AddDays(-1))
	}
	return schemas.DayOf(from)
}

// spentFrom is the first day on which a deposit is taken to be spent: the day after the last of its banking days.
func (d *desk) spentFrom(dep *deposit) schemas.Day {
	return schemas.DayOf(d.e.rules.Calendar.Add(d.next(dep.day()).Date(), d.params.MoneyDays-1)) + 1
}

// irregular tells whether a stream brings odd money: no salary, grant or wage by its kind, nor income by the month by
// its history. Small sums that happen to come a week apart (5, 12, 18, 25 November in SPEC 6.3) are still odd money.
func (d *desk) irregular(key uint32) bool {
	s := d.c.stream(key)
	if s == nil {
		return true
	}
	switch s.Kind {
	case schemas.Salary, schemas.Grant, schemas.Wage:
		return false
	}
	_, expected := d.e.expects(s, d.today)
	return !expected || s.Freq != freqMonthly && s.Freq != freqSemiMonthly
}

// cover is the balance that caps a deposit: the account's latest, if it is not older than the deposit. It is the
// balance's place, or -1.
func (w *wallet) cover(dep *deposit) int {
	for i := range w.c.Balances {
		if b := &w.c.Balances[i]; b.Account == dep.Account && b.At >= dep.At {
			return i
		}
	}
	return -1
}

// room is what a balance leaves for a debit of money that is ready: all of it but the deposits it holds that are not
// ready yet. On a payday the balance holds the new salary already, and what is left of an older deposit must not reach
// into it.
func (w *wallet) room(i int) schemas.Cents { return max(0, w.c.Balances[i].Cents-w.held[i]) }

// funds adds up. A balance caps all deposits it covers together.
func (d *desk) funds() funds {
	w := &d.wallet
	f := funds{announced: true}
	var covered [maxBalances]struct{ ready, total schemas.Cents }
	for i := range w.c.Deposits {
		dep := &w.c.Deposits[i]
		if dep.Remaining == 0 || w.state[i] <= moneySpent {
			continue
		}
		usable := schemas.Cents(0)
		if w.state[i] == moneyReady {
			usable = dep.Remaining
			f.announced = f.announced && dep.From == fromAnnounce
		} else {
			f.seen = f.seen || dep.From != fromAnnounce
			if n := d.next(dep.day()); f.clearing == 0 || n < f.clearing {
				f.clearing = n
			}
		}
		if b := w.cover(dep); b >= 0 {
			covered[b].ready += usable
			covered[b].total += dep.Remaining
			continue
		}
		f.usable += usable
		f.total += dep.Remaining
	}
	for i := range w.c.Balances {
		f.usable += min(covered[i].ready, w.room(i))
		f.total += min(covered[i].total, max(0, w.c.Balances[i].Cents))
	}
	return f
}

// take uses up deposits for a debit, oldest first, and says which. An attempt without money seen takes what there may
// be, usable or not.
func (w *wallet) take(amount schemas.Cents, all bool) [][2]int64 {
	var uses [][2]int64
	for i := range w.c.Deposits {
		dep := &w.c.Deposits[i]
		if amount == 0 {
			break
		}
		if st := w.state[i]; st == moneyGone || !all && st != moneyReady {
			continue
		}
		n := min(amount, dep.Remaining)
		if b := w.cover(dep); b >= 0 {
			if all {
				n = min(n, max(0, w.c.Balances[b].Cents))
			} else {
				n = min(n, w.room(b))
			}
			w.c.Balances[b].Cents -= n // a later balance from the feed replaces it
			if w.state[i] == moneyClearing {
				w.held[b] -= n
			}
		}
		if n > 0 {
			dep.Remaining -= n
			amount -= n
			uses = append(uses, [2]int64{int64(dep.No), int64(n)})
		}
	}
	return uses
}
