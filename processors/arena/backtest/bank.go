package backtest

import "github.com/kasi-collections/kasi/schemas"

// try is one debit of a contender, as the bank knows it. A tracked debit is presented each banking day until it is paid
// or its last day is over; it is one try, and failed only if it was never paid.
type try struct {
	month       int // whose premium it collects: place in the account's months
	cents       schemas.Cents
	first, last schemas.Day // of its presentments
	state       tryState
	on          schemas.Day // when it was paid or failed
	id          string      // of the instruction, where an engine made it
}

type tryState int8

const (
	tryOpen tryState = iota
	tryPaid
	tryFailed
)

// bank is the customer's bank in the life that a contender gives an account.
type bank struct {
	ledger
	days      *days
	fee       schemas.Cents
	tries     []try
	openTries int // place of the first try that is neither paid nor failed
}

// submit takes a debit.
func (b *bank) submit(t try) { b.tries = append(b.tries, t) }

// evening presents what is to be presented on a day, after the day's bookings. told hears of each try that ends.
func (b *bank) evening(d schemas.Day, told func(*try)) {
	if !b.days.are(d) {
		return
	}
	for i := b.openTries; i < len(b.tries); i++ {
		t := &b.tries[i]
		if t.state != tryOpen || d < t.first {
			continue
		}
		switch {
		case b.available() >= t.cents:
			b.take(t.cents)
			t.state, t.on = tryPaid, d
		case b.days.onOrAfter(d+1) > t.last:
			b.charge(b.fee)
			t.state, t.on = tryFailed, d
		default:
			continue
		}
		if told != nil {
			told(t)
		}
	}
	for b.openTries < len(b.tries) && b.tries[b.openTries].state != tryOpen {
		b.openTries++
	}
}
