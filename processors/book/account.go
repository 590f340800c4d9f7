package book

import (
	"bytes"
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// Account is what the bookings of the bank feed say of one account beside its balance: how its money moves in the month
// of its latest bookings, and how it moved in the months before. A level of a curve says nothing of the balance by
// itself. Its rise from the lowest level before does: the account held no less than nothing then.
type Account struct {
	ID    string      `json:"a,omitempty"`
	Month schemas.Day `json:"m"`           // the first day of the month that Curve is of
	Curve Curve       `json:"c,omitempty"` // of that month
	// Past are the curves of the full months before, the latest first, each after its length.
	Past []byte `json:"p,omitempty"`
	// Over is how far the money stood above its lowest level when the month before ended.
	Over schemas.Cents `json:"o,omitempty"`
	// Spent is the day of the latest booking that took money out and was no debit of ours.
	Spent schemas.Day `json:"d,omitempty"`
	Since schemas.Day `json:"s"` // of the first booking
	// Paid is the day of the latest income that came with a balance, Rich that balance. Gone says of the latest eight
	// such days, the latest in the lowest bit, whether the balance of the next day showed most of the money gone; Paydays
	// is how many are known.
	Paid    schemas.Day   `json:"y,omitempty"`
	Rich    schemas.Cents `json:"r,omitempty"`
	Gone    uint8         `json:"g,omitempty"`
	Paydays int           `json:"n,omitempty"`
}

// Accounts are the accounts of a customer, in the order of their first bookings.
type Accounts []Account

// What an account remembers: at most so many earlier months, in so many bytes. A year shows each month of the year
// once.
const (
	MaxMonths    = 12
	maxPastBytes = 280
)

// At brings an account to a month: earlier bookings make it one of the months before. The account itself stays as it
// is.
func (a *Account) At(month schemas.Day) Account {
	n := *a
	if n.Month >= month {
		return n
	}
	for n.Month < month && n.Month != 0 {
		var l Levels
		n.Curve.sum(1, &l)
		low, was := slices.Min(l[:]), n.Over
		n.Over = l[len(l)-1] - low
		if low == 0 { // never below where the month began
			n.Over += was
		}
		if n.Since <= n.Month {
			n.remember(l.short())
		}
		n.Curve = nil
		if n.Month = nextMonth(n.Month); month-n.Month > MaxMonths*31 { // long silent
			n.Month, n.Past, n.Over = month, nil, 0
		}
	}
	n.Month = month
	return n
}

// remember puts a month before the others and forgets the oldest where there are too many.
func (a *Account) remember(c Curve) {
	past := append(append(make([]byte, 0, 1+len(c)+len(a.Past)), byte(len(c))), c...)
	past = append(past, a.Past...)
	end := 0
	for n := 0; end < len(past) && n < MaxMonths; n++ {
		next := end + 1 + int(past[end])
		if next > maxPastBytes {
			break
		}
		end = next
	}
	a.Past = past[:end]
}

// Latest is the day of the account's latest booking.
func (a *Account) Latest() schemas.Day { return a.Month + schemas.Day(a.Curve.last()) - 1 }

// Levels are the account's money at the end of each day of its month, above what the month began with. Later days are
// as the latest with bookings.
func (a *Account) Levels() (l Levels) {
	a.Curve.sum(1, &l)
	return l
}

// Months yields the levels of the full months before, the latest first, in whole rands.
func (a *Account) Months(yield func(*Levels) bool) {
	var l Levels
	for b := a.Past; len(b) > 0; {
		n := 1 + int(b[0])
		Curve(b[1:n]).sum(rand, &l)
		if !yield(&l) {
			return
		}
		b = b[n:]
	}
}

// MonthOf is the first day of a day's month.
func MonthOf(d schemas.Day) schemas.Day { return d - schemas.Day(d.Date().Day-1) }

func nextMonth(month schemas.Day) schemas.Day { return MonthOf(month + 31) }

// book takes a booking of a day in: cents are positive where money came. Bookings of an earlier month than the latest
// come too late.
func (a *Account) book(d schemas.Day, cents schemas.Cents) {
	month := MonthOf(d)
	if a.Month == 0 {
		a.Month, a.Since = month, d
	}
	if month < a.Month {
		return
	}
	if month > a.Month {
		*a = a.At(month)
	}
	a.Curve = a.Curve.with(int(d-month)+1, cents)
}

// payday learns whether money stays until the day after it came, from a balance that is told with income and one of
// the day after; over a weekend, of the Monday.
func (a *Account) payday(d schemas.Day, income bool, balance schemas.Cents) {
	next := a.Paid + 1
	if w := a.Paid.Weekday(); w >= friday {
		next = a.Paid + schemas.Day(7-w)
	}
	switch {
	case income && d > a.Paid:
		a.Paid, a.Rich = d, balance
		a.Gone, a.Paydays = a.Gone<<1, min(a.Paydays+1, 8)
	case d == a.Paid:
		a.Rich = max(a.Rich, balance)
	case d > a.Paid && d <= next && balance < a.Rich/4:
		a.Gone |= 1
	}
}

// friday counts from Monday = 0.
const friday = 4

// moved lets an account take a booking in. A debit of ours is no news, nor is its money when it comes back: what debits
// take is known from what the bank answers.
func (b *Book) moved(w *Waiting) {
	if w.Moved == 0 || b.isOurs(w) {
		return
	}
	a := b.account(w.Account)
	a.book(w.day(), w.Moved)
	if w.Balance != nil {
		a.payday(w.day(), w.TxID != "", *w.Balance)
	}
	if w.Moved < 0 {
		a.Spent = max(a.Spent, w.day())
	}
}

// account is the account of that id, which is made if need be. Beyond MaxBalances the one that has been silent for
// longest is forgotten.
func (c *Customer) account(id string) *Account {
	if a := find(c.Accounts, func(a *Account) bool { return a.ID == id }); a != nil {
		return a
	}
	if len(c.Accounts) == MaxBalances {
		silent := slices.MinFunc(c.Accounts, func(a, b Account) int { return int(a.Month - b.Month) }).ID
		c.Accounts = slices.DeleteFunc(c.Accounts, func(a Account) bool { return a.ID == silent })
	}
	c.Accounts = append(c.Accounts, Account{ID: id})
	return &c.Accounts[len(c.Accounts)-1]
}

// shownDays is for how many days after the last on which it was presented the bank feed may show a debit of ours.
const shownDays = 5

// isOurs tells whether a booking shows a debit of ours, by amount and day, or its money coming back. Each debit is
// shown once, and comes back once.
func (b *Book) isOurs(w *Waiting) bool {
	day := w.day()
	for i := range b.Collections {
		for j := range b.Collections[i].Debits {
			d := &b.Collections[i].Debits[j]
			switch {
			case w.Moved == -d.Cents && !d.Shown && !d.saysNo() && d.Action <= day && day <= d.Last()+shownDays,
				w.Moved == d.Cents && d.Shown && w.TxID == "" && d.saysNo() && d.Action <= day:
				d.Shown = !d.Shown
				return true
			}
		}
	}
	return false
}

func (a Account) equal(o Account) bool {
	return a.ID == o.ID && a.Month == o.Month && a.Spent == o.Spent && a.Over == o.Over && a.Since == o.Since &&
		a.Paid == o.Paid && a.Rich == o.Rich && a.Gone == o.Gone && a.Paydays == o.Paydays &&
		bytes.Equal(a.Curve, o.Curve) && bytes.Equal(a.Past, o.Past)
}
