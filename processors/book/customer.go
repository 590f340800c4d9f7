// Package book is a customer's book: policies, collections, debits and what the bank answered, deposits, balances,
// incomes of the feed, transactions that wait for their day. It takes records in, carries out what a strategy has
// ruled, and emits the events of each change. It never decides when or how much to debit; that is package strategy's.
//
// A state is JSON with short keys, for there are millions:
//
//	customer    v layout, t tenant, c customer id, p policies, k collections, s streams, d deposits, n number of the
//	            latest deposit, w waiting transactions, i incomes, b balances, x ids seen, y first transaction's day,
//	            f latest action date that bounced, z wake day
//	policy      n number, v version, x customer reference, q product, c premium, s status, r rail, m mandate, l mandate's
//	            maximum, f fixed mandate, d collection day, h hold, a created at (ms), u unpaids in a row
//	collection  n policy number, p period, x execution, v version, d due, c collected, g planned day, f first attempt's
//	            day, l last attempt's day, a attempts, e failure, o cancelled, u stopped by an unknown code, z closed,
//	            y reopened, i decisions, w latest decision (r reason, n next day, a amount), b debits
//	debit       i id, c cents, a action date, r rail, s state, p paid on, b back on, e scheme and code of the answer that
//	            says no, u unpaids in a row before PAID, n unpaid counted, h heard late, d deposits used (number,
//	            cents), x hashes of answers
//	stream      k key, n kind, h history (day, cents), f frequency, p confidence, a and b days of the pattern,
//	            x next payday
//	deposit     n number, t instant, c cents, r remaining, s stream, a account, f who told of it, i income id,
//	            x transaction id
//	waiting     i transaction id, t instant, c cents, n kind, s stream, a account, b balance
//	income      i id, n kind, d pay date, s state, c cents, k stream, f counted
//	balance     a account, t instant, c cents
//
// Days are numbers since 1970-01-01 (schemas.Day), instants are Unix seconds, and money is cents.
package book

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/segmentio/encoding/json" // the standard library's bytes in half its time (TestFastJSON in package streams)

	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

// Customer is all that is known of one customer of one tenant, and all that the next record of the customer's timeline
// is judged by. Its size is bounded: transaction ids are kept for Params.SeenDays from the booking or, if that is
// later, from the first transaction, deposits for DepositDays, a stream's last StreamHistory deposits, collections
// until their debits can no longer be disputed. Debits without a result are kept until it comes, however long that
// takes.
//
// The zero value is a new customer. Only a Book changes one; a strategy reads the rows.
type Customer struct {
	Version     int            `json:"v,omitempty"` // layout of this state
	Tenant      string         `json:"t,omitempty"`
	ID          string         `json:"c,omitempty"`
	Policies    Policies       `json:"p,omitempty"` // by policy number
	Collections Collections    `json:"k,omitempty"` // by period, planned day, policy number: the order of deciding
	Streams     income.Streams `json:"s,omitempty"` // in the order of their first deposits
	Deposits    []Deposit      `json:"d,omitempty"` // by instant, then number
	DepositNo   int            `json:"n,omitempty"` // number of the latest deposit
	Waiting     []Waiting      `json:"w,omitempty"` // transactions booked after the business date, by instant
	Incomes     []Income       `json:"i,omitempty"` // in the order of their arrival
	Balances    []Balance      `json:"b,omitempty"` // latest known balance of each account, in the order of arrival
	Seen        seenIDs        `json:"x,omitempty"`
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
	return len(c.Waiting) > 0 && c.Waiting[0].day() <= today ||
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

// Debits yields the ids of all debits kept, for the partition's index from debit to customer.
func (c *Customer) Debits() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range c.Collections {
			for j := range c.Collections[i].Debits {
				if !yield(c.Collections[i].Debits[j].ID) {
					return
				}
			}
		}
	}
}

// Clone is a deep copy: nothing done to one reaches the other.
func (c *Customer) Clone() *Customer {
	n := *c
	n.Policies = slices.Clone(c.Policies)
	n.Collections = slices.Clone(c.Collections)
	for i := range n.Collections {
		k := &n.Collections[i]
		k.Debits = slices.Clone(k.Debits)
		for j := range k.Debits {
			k.Debits[j].Uses = slices.Clone(k.Debits[j].Uses)
			k.Debits[j].Results = slices.Clone(k.Debits[j].Results)
		}
	}
	n.Streams = slices.Clone(c.Streams)
	for i := range n.Streams {
		n.Streams[i].History = slices.Clone(n.Streams[i].History)
	}
	n.Deposits = slices.Clone(c.Deposits)
	n.Waiting = slices.Clone(c.Waiting)
	for i := range n.Waiting {
		n.Waiting[i].Balance = cloneCents(n.Waiting[i].Balance)
	}
	n.Incomes = slices.Clone(c.Incomes)
	n.Balances = slices.Clone(c.Balances)
	n.Seen = slices.Clone(c.Seen)
	return &n
}

func cloneCents(p *schemas.Cents) *schemas.Cents {
	if p == nil {
		return nil
	}
	return new(*p)
}

// stateVersion is written into every state, so that a later layout can tell the old one. Layout 2 has the transaction
// ids of deposits.
const stateVersion = 2

// Append appends the state of a customer as JSON. The same state always gives the same bytes, those that encoding/json
// would write (TestFastJSON in package streams).
func Append(b []byte, c *Customer) ([]byte, error) {
	return json.Append(b, c, json.EscapeHTML|json.SortMapKeys)
}

// Unmarshal reads what Append wrote. It refuses the states of other layouts.
func Unmarshal(b []byte) (*Customer, error) {
	c := &Customer{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("processors: read the state of a customer: %w", err)
	}
	if c.Version != stateVersion && c.ID != "" {
		return nil, fmt.Errorf("processors: the state of a customer has layout %d; this program reads %d: run the "+
			"program that wrote it, or replay the timeline", c.Version, stateVersion)
	}
	return c.Clone(), nil // the decoder's slices have room for ten elements each, ten times what most customers need
}

// seenIDs holds the transaction ids of the last days, each as 8 bytes of hash and 4 of the day it is kept by
// (Book.remember): at 12 bytes an id the list stays small in memory, and JSON writes it as base64.
type seenIDs []byte

const seenSize = 12

func (s seenIDs) has(hash uint64) bool {
	for i := len(s) - seenSize; i >= 0; i -= seenSize { // a duplicate mostly follows soon
		if binary.LittleEndian.Uint64(s[i:]) == hash {
			return true
		}
	}
	return false
}

func (s seenIDs) add(hash uint64, d schemas.Day) seenIDs {
	s = binary.LittleEndian.AppendUint64(s, hash)
	return binary.LittleEndian.AppendUint32(s, uint32(d))
}

// since keeps the ids of a day and later, in place.
func (s seenIDs) since(first schemas.Day) seenIDs {
	i := 0
	for i < len(s) && s.day(i) >= first {
		i += seenSize
	}
	kept := s[:i] // mostly all
	for ; i < len(s); i += seenSize {
		if s.day(i) >= first {
			kept = append(kept, s[i:i+seenSize]...)
		}
	}
	return kept
}

// keepUntil makes ids of before a day stay as long as those of that day.
func (s seenIDs) keepUntil(d schemas.Day) {
	for i := 0; i < len(s); i += seenSize {
		binary.LittleEndian.PutUint32(s[i+8:], uint32(max(s.day(i), d)))
	}
}

func (s seenIDs) day(at int) schemas.Day { return schemas.Day(binary.LittleEndian.Uint32(s[at+8:])) }
