package backtest

import (
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// World is how much of an account's money a debit may find.
type World string

// The worlds.
const (
	// Month lowers the balances of each calendar month by that month's lowest. What is taken is gone until the month ends.
	Month World = "month"
	// Sweep lets money that is never needed again leave as it comes: what is there at the end of a day is what will be
	// spent later. What is taken is missing until spending would have emptied the account, or the month ends.
	Sweep World = "sweep"
	// People are simulated households.
	People World = "people"
)

// Worlds are all worlds.
func Worlds() []World { return []World{Month, Sweep, People} }

// Balances is what the feed says of balances.
type Balances string

// What feeds say of balances.
const (
	None Balances = "none" // no transaction carries one
	True Balances = "true" // each carries the money that is available after it, in the world
	Late Balances = "late" // the same, and each transaction arrives a day late
)

// AllBalances are the ways in which a feed may say balances.
func AllBalances() []Balances { return []Balances{None, True, Late} }

// booking is a transaction as a feed may show it.
type booking struct {
	tx      *schemas.Transaction // but for its balance
	at      int64                // when it was booked, in Unix seconds
	balance schemas.Cents        // available after it, in the world
}

// ledger is the money of an account while a contender collects from it.
type ledger interface {
	// open books the transactions of a day and appends them, unless to is nil. Days come one after another, from the
	// account's first.
	open(d schemas.Day, to []booking) []booking
	// available is what a debit can take at the end of the day.
	available() schemas.Cents
	// take takes what is available.
	take(cents schemas.Cents)
	// charge is the customer's bank charging a fee.
	charge(cents schemas.Cents)
	// fork is a copy that goes on by itself.
	fork() ledger
}

// scene is an account in a world: what all contenders find alike.
type scene struct {
	*Account
	world  World
	levels []schemas.Cents // of an account of a file
}

func (a *Account) in(w World) scene {
	if a.household != nil {
		return scene{Account: a, world: w}
	}
	return scene{a, w, a.levels(w)}
}

// ledger is the account before its first day.
func (s scene) ledger() ledger {
	switch {
	case s.household != nil:
		return newHouseholdLedger(s.household)
	case s.world == Sweep:
		return &sweepLedger{recorded: recorded{scene: s}}
	}
	return &monthLedger{recorded: recorded{scene: s}}
}

// levels are the money that a world leaves in an account at the end of each day while nobody takes any.
func (a *Account) levels(w World) []schemas.Cents {
	levels := make([]schemas.Cents, len(a.balance))
	if w == Sweep {
		needed := a.balance[len(a.balance)-1]
		for i := len(a.balance) - 1; i >= 0; i-- {
			needed = min(needed, a.balance[i])
			levels[i] = a.balance[i] - needed
		}
		return levels
	}
	for i, n := 0, 0; i < len(levels); i += n { // month by month, those too that are not full
		first := a.first + schemas.Day(i)
		n = min(int(schemas.DayOf(schemas.PeriodOf(first.Date()).Last())-first)+1, len(levels)-i)
		low := a.balance[i]
		if i > 0 { // what was carried into the month
			low = min(low, a.balance[i-1])
		}
		low = min(low, slices.Min(a.balance[i:i+n]))
		for j := i; j < i+n; j++ {
			levels[j] = a.balance[j] - low
		}
	}
	return levels
}

// recorded is the part of a ledger that tells a file's transactions again.
type recorded struct {
	scene
	day    schemas.Day
	booked int // transactions of the days that were opened
	month  int // place of the full month that holds the day, or of the next one
}

// turn tells whether a full month has ended since the day before.
func (l *recorded) turn(d schemas.Day) bool {
	ended := l.month < len(l.months) && d > l.months[l.month].last
	if ended {
		l.month++
	}
	return ended
}

// tell appends the transactions of a day. At the day's end the available money is what the world says; within the day
// the account's own steps lead there.
func (l *recorded) tell(d schemas.Day, available schemas.Cents, to []booking) []booking {
	if to == nil {
		return nil
	}
	for end := unix(d+1, 0); l.booked < len(l.txs); l.booked++ {
		tx := &l.txs[l.booked]
		at := tx.BookedAt.Unix()
		if at >= end {
			break
		}
		to = append(to, booking{tx, at, available - (l.at(d) - *tx.BalanceAfterCents)})
	}
	return to
}

// monthLedger is the world Month: what a contender took is missing for the rest of the month.
type monthLedger struct {
	recorded
	taken schemas.Cents
}

func (l *monthLedger) open(d schemas.Day, to []booking) []booking {
	l.day = d
	if l.turn(d) {
		l.taken = 0
	}
	return l.tell(d, l.available(), to)
}

func (l *monthLedger) available() schemas.Cents { return l.levels[l.day-l.first] - l.taken }
func (l *monthLedger) take(cents schemas.Cents) { l.taken += cents }
func (l *monthLedger) charge(schemas.Cents)     {}
func (l *monthLedger) fork() ledger             { return new(*l) }

// sweepLedger is the world Sweep. Money comes and goes as the levels say, but spending never takes more than there is:
// the customer who paid a premium spends less in the end. A new month begins as if nothing had been taken, since the
// people of the file lived on what they had.
type sweepLedger struct {
	recorded
	left schemas.Cents
}

func (l *sweepLedger) open(d schemas.Day, to []booking) []booking {
	change := l.levels[d-l.first]
	if d > l.first {
		change -= l.levels[d-1-l.first]
	}
	if l.day, l.left = d, max(0, l.left+change); l.turn(d) {
		l.left = l.levels[d-l.first]
	}
	return l.tell(d, l.left, to)
}

func (l *sweepLedger) available() schemas.Cents { return l.left }
func (l *sweepLedger) take(cents schemas.Cents) { l.left -= cents }
func (l *sweepLedger) charge(schemas.Cents)     {}
func (l *sweepLedger) fork() ledger             { return new(*l) }
