// Package book is a customer's book: policies, collections, debits and what the bank answered, deposits, balances,
// incomes of the feed, transactions that wait for their day. It takes records in, carries out what a strategy has
// ruled, and emits the events of each change. It never decides when or how much to debit; that is package strategy's.
//
// A state is rows (rows.go) of JSON with short keys, for there are millions; blocks of transaction ids are bytes:
//
//	core        v layout, t tenant, c customer id, n number of the latest deposit, b balances, y first transaction's day,
//	            f latest action date that bounced, z wake day
//	policy      n number, v version, x customer reference, q product, c premium, s status, r rail, m mandate, l mandate's
//	            maximum, f fixed mandate, d collection day, h hold, a created at (ms), u unpaids in a row,
//	            k bank, t account token, e cancelled on
//	collection  n policy number, p period, x execution, v version, d due, c collected, g planned day, f first attempt's
//	            day, l last attempt's day, a attempts, e failure, o cancelled, u stopped by an unknown code, z closed,
//	            y reopened, j voided, i decisions, w latest decision (r reason, n next day, a amount), b debits
//	debit       i id, c cents, a action date, t tracked until, r rail, s state, p paid on, b back on, e scheme and code
//	            of the answer that says no, u unpaids in a row before PAID, n unpaid counted, h heard late, d deposits
//	            used (number, cents), x hashes of answers, o open item, w shown by the feed, v proved
//	item        v version, k kind, s state, d since, c the bank's amount
//	past        packed bytes (packed.go)
//	stream      k key, n kind, h history (day, cents), f frequency, p confidence, a and b days of the pattern, r rule,
//	            d day of December, u and w window (days from the payday), x next payday
//	deposit     n number, t instant, c cents, r remaining, s stream, a account, f who told of it, g reversed,
//	            v instant of the reversal, i income id, x transaction id
//	waiting     i transaction id, t instant, c cents, n kind, s stream, a account, b balance, v reversal,
//	            u used of what it replaces, m what it moved
//	income      i id, n kind, d pay date, s state, c cents, k stream, f counted
//	balance     a account, t instant, c cents
//	account     a account, m the curve's month, c curve, p curves of earlier months, o over its lowest then, d latest
//	            spending, s first booking, y latest payday with a balance, r that balance, g whether money was gone a day
//	            later, n paydays known
//
// Days are numbers since 1970-01-01 (schemas.Day), instants are Unix seconds, and money is cents.
package book

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

// Customer is all that is known of one customer of one tenant, and all that the next record of the customer's timeline
// is judged by. It is kept in rows (rows.go), of which only a policy's past grows with the years. What it remembers is
// bounded: transaction ids are kept for Params.SeenDays from the booking or, if that is later, from the first
// transaction, deposits for DepositDays and MaxDeposits of them, a stream's last StreamHistory deposits. Collections
// are kept whole until their debits can no longer be disputed, and packed for good. Debits without a result are kept
// whole until it comes, however long that takes.
//
// The zero value is a new customer. Only a Book changes one; a strategy reads the rows.
type Customer struct {
	Core
	Policies    Policies       // by policy number
	Collections Collections    // by period, planned day, policy number: the order of deciding
	Streams     income.Streams // in the order of their first deposits
	Deposits    []Deposit      // by instant, then number
	Waiting     WaitingDays    // transactions booked after the business date, by day
	Incomes     []Income       // by income id
	Seen        seenIDs        // transaction ids, in the order of their arrival
	Accounts    Accounts       // in the order of their first bookings
	Past        Pasts          // collections that are over, by policy number

	places *debitPlaces // of many debits; found again where it is missing
	buried *debitPlaces // likewise, of those of the past
}

// Core is the part of a customer that is small whatever happens, and one row.
type Core struct {
	Version   int       `json:"v,omitempty"` // layout of this state
	Tenant    string    `json:"t,omitempty"`
	ID        string    `json:"c,omitempty"`
	DepositNo int       `json:"n,omitempty"` // number of the latest deposit
	Balances  []Balance `json:"b,omitempty"` // latest known balance of each account, in the order of arrival
	// First is the business date on which the customer's first transaction was taken in; 0 while none was, or only before
	// the first tick. Every id ever seen is in Seen until First + Params.SeenDays.
	First schemas.Day `json:"y,omitempty"`
	// Bounced is the latest action date of a debit that failed for want of money: money from before it is gone.
	Bounced schemas.Day `json:"f,omitempty"`
	// Wake is the first day on which a cut-off can bring anything new, unless a record comes before; 0: the next one.
	Wake schemas.Day `json:"z,omitempty"`
}

// claim checks that a record belongs to the customer. A new customer belongs to whoever comes first.
func (c *Customer) claim(tenant, customer string) error {
	if c.ID == "" && c.Tenant == "" || c.Tenant == tenant && c.ID == customer {
		return nil
	}
	return fmt.Errorf("processors: record of customer key %q was brought to another customer; route records by "+
		"schemas.CustomerKey", schemas.CustomerKey(tenant, customer))
}

// own makes the customer the tenant's. Called with the first change.
func (c *Customer) own(tenant, customer string) {
	c.Version, c.Tenant, c.ID = stateVersion, tenant, customer
}

// lookAgain makes the next cut-off look at the customer, whatever day was planned.
func (c *Customer) lookAgain() { c.Wake = 0 }

// NeedsTick tells whether the passing of time can bring anything: open collections, or transactions and incomes waiting
// for their day.
func (c *Customer) NeedsTick() bool {
	return len(c.Waiting) > 0 || find(c.Collections, (*Collection).Open) != nil || find(c.Incomes, (*Income).Waits) != nil
}

// Asleep tells that a tick provably changes nothing, neither state nor outputs: the stage need not copy the customer
// for it.
func (c *Customer) Asleep(m schemas.Moment) bool {
	today := m.Today()
	return c.Wake > today || !c.NeedsTick() || m.Cutoff == 0 && !c.arrives(today)
}

// arrives tells whether something waits for this day or an earlier one.
func (c *Customer) arrives(today schemas.Day) bool {
	return len(c.Waiting) > 0 && c.Waiting[0].Day <= today ||
		find(c.Incomes, func(in *Income) bool { return in.Waits() && in.Day <= today }) != nil
}

// find is the first row of which something is true, or nil. Rows are large: slices.IndexFunc would copy each.
func find[T any](rows []T, is func(*T) bool) *T {
	for i := range rows {
		if is(&rows[i]) {
			return &rows[i]
		}
	}
	return nil
}

// DebitsSince tells of the ids of debits that the customer has, or has no more, unlike before: for the partition's
// index from debit to customer. before is nil for a new customer.
func (c *Customer) DebitsSince(before *Customer, has func(id string, now bool)) {
	if before == nil {
		before = &Customer{}
	}
	each := func(k *Collection, now bool) {
		for i := range k.Debits {
			has(k.Debits[i].ID, now)
		}
	}
	diff(before.Collections, c.Collections, inOrder, func(was, now *Collection) {
		switch {
		case was == nil:
			each(now, true)
		case now == nil:
			each(was, false)
		case len(now.Debits) > len(was.Debits): // a debit goes with its collection only
			each(now, true)
		}
	})
}

// Clone is a copy: nothing done to one reaches the other. It shares the blocks of ids and of waiting transactions, in
// which nothing is ever changed. A state of an earlier layout becomes one of this.
func (c *Customer) Clone() *Customer {
	n := *c
	if n.Version == layout2 {
		n.Version = stateVersion
	}
	n.Policies = slices.Clone(c.Policies)
	n.Collections = slices.Clone(c.Collections)
	cloneDebits(n.Collections)
	n.Streams = cloneStreams(c.Streams)
	n.Deposits = slices.Clone(c.Deposits)
	n.Waiting = c.Waiting.clone()
	n.Incomes = slices.Clone(c.Incomes)
	n.Balances = slices.Clone(c.Balances)
	n.Accounts = slices.Clone(c.Accounts) // their curves and profiles are never changed, only replaced
	n.Seen = c.Seen.clone()
	n.Past = slices.Clone(c.Past)
	return &n
}

// cloneDebits gives collections debits of their own, all in one piece of memory: a payer may have tens of thousands.
func cloneDebits(l []Collection) {
	n := 0
	for i := range l {
		n += len(l[i].Debits)
	}
	debits := make([]Debit, 0, n)
	for i := range l {
		if l[i].Debits == nil {
			continue
		}
		from := len(debits)
		debits = append(debits, l[i].Debits...)
		l[i].Debits = slices.Clip(debits[from:])
	}
	for i := range debits {
		debits[i].Uses = slices.Clone(debits[i].Uses)
		debits[i].Results = slices.Clone(debits[i].Results)
		if item := debits[i].Item; item != nil {
			debits[i].Item = new(*item)
		}
	}
}

func cloneStreams(l income.Streams) income.Streams {
	l = slices.Clone(l)
	for i := range l {
		l[i].History = slices.Clone(l[i].History)
	}
	return l
}

func cloneCents(p *schemas.Cents) *schemas.Cents {
	if p == nil {
		return nil
	}
	return new(*p)
}

// income is the income of that id, or nil.
func (c *Customer) income(id string) *Income {
	if i, found := search(c.Incomes, func(in *Income) int { return strings.Compare(in.ID, id) }); found {
		return &c.Incomes[i]
	}
	return nil
}

// fewCollections is up to how many collections a debit is looked for in each.
const fewCollections = 32

// debitPlaces says which collection a debit is of. That never changes, so copies of a customer share it, and what was
// noted in a batch that was dropped does no harm.
type debitPlaces struct {
	of   map[string]debitPlace
	most int // entries, beyond which it is made anew without those that are gone
}

type debitPlace struct {
	number string
	period schemas.Period
}

// debit is the customer's debit of that id with its collection, or nil.
func (c *Customer) debit(id string) (*Collection, *Debit) {
	if len(c.Collections) <= fewCollections {
		for i := range c.Collections {
			if d := c.Collections[i].debit(id); d != nil {
				return &c.Collections[i], d
			}
		}
		return nil, nil
	}
	if c.places == nil || len(c.places.of) > c.places.most {
		c.places = &debitPlaces{of: map[string]debitPlace{}}
		for i := range c.Collections {
			for j := range c.Collections[i].Debits {
				c.note(&c.Collections[i], &c.Collections[i].Debits[j])
			}
		}
		c.places.most = 2*len(c.places.of) + 1000
	}
	at, known := c.places.of[id]
	k := c.Collections.Find(at.number, at.period)
	if !known || k == nil {
		return nil, nil
	}
	if d := k.debit(id); d != nil {
		return k, d
	}
	return nil, nil
}

// note lets debit find a new debit.
func (c *Customer) note(k *Collection, d *Debit) {
	if c.places != nil {
		c.places.of[d.ID] = debitPlace{k.Number, k.Period}
	}
}

func (k *Collection) debit(id string) *Debit {
	return find(k.Debits, func(d *Debit) bool { return d.ID == id })
}
