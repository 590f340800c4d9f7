package processors

import (
	"iter"
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// Customer is all that is known of one customer of one tenant, and all that the next record of the customer's timeline
// is judged by. Its size is bounded: transaction ids are kept for Params.SeenDays from the booking or, if that is
// later, from the first transaction, deposits for DepositDays, a stream's last StreamHistory deposits, collections
// until their debits can no longer be disputed. Debits without a result are kept until it comes, however long that
// takes.
//
// The fields are exported for the codec alone; other packages use the methods and the Engine. The zero value is a new
// customer.
type Customer struct {
	Version     int          `json:"v,omitempty"` // layout of this state
	Tenant      string       `json:"t,omitempty"`
	ID          string       `json:"c,omitempty"`
	Policies    []policy     `json:"p,omitempty"` // by policy number
	Collections []collection `json:"k,omitempty"` // by period, planned schemas.Day, policy number: the order of deciding
	Streams     []stream     `json:"s,omitempty"` // in the order of their first deposits
	Deposits    []deposit    `json:"d,omitempty"` // by instant, then number
	DepositNo   int          `json:"n,omitempty"` // number of the latest deposit
	Waiting     []waiting    `json:"w,omitempty"` // transactions booked after the business date, by schemas.Day, then instant
	Incomes     []income     `json:"i,omitempty"` // in the order of their arrival
	Balances    []balance    `json:"b,omitempty"` // latest known balance of each account, in the order of arrival
	Seen        seenIDs      `json:"x,omitempty"`
	// First is the business date on which the customer's first transaction was taken in; 0 while none was, or only before
	// the first tick. Every id ever seen is in Seen until First + Params.SeenDays.
	First schemas.Day `json:"y,omitempty"`
	// Bounced is the latest action date of a debit that failed for want of money: money from before it is gone.
	Bounced schemas.Day `json:"f,omitempty"`
	// Wake is the first day on which a cut-off can bring anything new, unless a record comes before; 0: the next one.
	Wake schemas.Day `json:"z,omitempty"`
}

// policy is a policy as it stands.
type policy struct {
	Number    string               `json:"n"`
	Version   int64                `json:"v"`
	Ref       string               `json:"x,omitempty"`
	Product   string               `json:"q,omitempty"`
	Premium   schemas.Cents        `json:"c"`
	Status    schemas.PolicyStatus `json:"s"`
	Rail      schemas.Rail         `json:"r"`
	Mandate   string               `json:"m,omitempty"`
	Max       schemas.Cents        `json:"l,omitempty"`
	Fixed     bool                 `json:"f,omitempty"`
	Day       int                  `json:"d,omitempty"`
	Hold      string               `json:"h,omitempty"`
	CreatedMs int64                `json:"a"`
	// Unpaids in a row, for rails on which some number of them ends the mandate.
	Unpaids int `json:"u,omitempty"`
}

// collection is the collecting of one premium of one policy for one period.
type collection struct {
	Number    string         `json:"n"`
	Period    schemas.Period `json:"p"`
	Execution string         `json:"x,omitempty"`
	Version   int64          `json:"v"`
	Due       schemas.Cents  `json:"d"`
	Collected schemas.Cents  `json:"c,omitempty"`
	Plan      schemas.Day    `json:"g"` // first attempt while no income is known
	First     schemas.Day    `json:"f,omitempty"`
	Last      schemas.Day    `json:"l,omitempty"`
	Attempts  int            `json:"a,omitempty"`
	Failure   string         `json:"e,omitempty"`
	// Cancelled with the policy; Stopped by a code nobody knows; Closed: never decided again; Reopened: money went back
	// after the period.
	Cancelled bool `json:"o,omitempty"`
	Stopped   bool `json:"u,omitempty"`
	Closed    bool `json:"z,omitempty"`
	Reopened  bool `json:"y,omitempty"`
	// Decisions counts the decisions emitted; Decided is the latest.
	Decisions int     `json:"i,omitempty"`
	Decided   decided `json:"w"`
	Debits    []debit `json:"b,omitempty"`
}

// decided is what makes a decision the same as the one before.
type decided struct {
	Reason string        `json:"r,omitempty"`
	Next   schemas.Day   `json:"n,omitempty"`
	Amount schemas.Cents `json:"a,omitempty"`
}

// debitState is how far a debit has got.
type debitState int

const (
	debitInFlight debitState = iota
	debitPaid
	debitUnpaid
	debitRejected
	debitDisputed
)

// debit is one instruction to the bank and what came back.
type debit struct {
	ID     string        `json:"i"`
	Cents  schemas.Cents `json:"c"`
	Action schemas.Day   `json:"a"`
	Rail   schemas.Rail  `json:"r"`
	State  debitState    `json:"s,omitempty"`
	// PaidOn and BackOn are the bank's dates of PAID and of the answer that says no; both are set where both came.
	PaidOn schemas.Day `json:"p,omitempty"`
	BackOn schemas.Day `json:"b,omitempty"`
	Code   string      `json:"e,omitempty"` // scheme and code of the answer that says no
	// RowBefore is the policy's unpaids in a row before PAID ended the row; an unpaid that comes late takes it up again.
	RowBefore int `json:"u,omitempty"`
	// Uses are the deposits that the debit counted on: number and cents.
	Uses [][2]int64 `json:"d,omitempty"`
	// Results are the hashes of the result ids applied.
	Results []uint64 `json:"x,omitempty"`
}

// outstanding is what is neither collected nor with the bank; never negative.
func (k *collection) outstanding() schemas.Cents { return k.Due - k.Collected - k.inFlight() }

// inFlight is what is with the bank. At most one debit is.
func (k *collection) inFlight() schemas.Cents {
	var sum schemas.Cents
	for i := range k.Debits {
		if k.Debits[i].State == debitInFlight {
			sum += k.Debits[i].Cents
		}
	}
	return sum
}

// open tells whether cut-offs still decide about the collection.
func (k *collection) open() bool { return !k.Closed && k.Collected < k.Due }

// status is the outcome as reports show it. A collection cancelled with its policy stays so, whatever the bank still
// brings.
func (k *collection) status() schemas.CollectionStatus {
	switch {
	case k.Cancelled:
		return schemas.CollectionCancelled
	case k.Collected >= k.Due:
		return schemas.PaidFull
	case k.Collected > 0:
		return schemas.PaidPartial
	}
	return schemas.Unpaid
}

// NeedsTick tells whether the passing of time can bring anything: open collections, or transactions and incomes waiting
// for their day.
func (c *Customer) NeedsTick() bool {
	if len(c.Waiting) > 0 {
		return true
	}
	for i := range c.Collections {
		if c.Collections[i].open() {
			return true
		}
	}
	for i := range c.Incomes {
		if c.Incomes[i].waits() {
			return true
		}
	}
	return false
}

// Asleep tells that a tick provably changes nothing, neither state nor outputs: the stage need not copy the customer
// for it.
func (c *Customer) Asleep(m schemas.Moment) bool {
	today := m.Today()
	if c.Wake > today || !c.NeedsTick() {
		return true
	}
	return m.Cutoff == 0 && !c.arrives(today)
}

// arrives tells whether something waits for this day or an earlier one.
func (c *Customer) arrives(today schemas.Day) bool {
	if len(c.Waiting) > 0 && c.Waiting[0].day() <= today {
		return true
	}
	for i := range c.Incomes {
		if c.Incomes[i].waits() && c.Incomes[i].Day <= today {
			return true
		}
	}
	return false
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
	v := *p
	return &v
}

// policy is the customer's policy of that number, or nil.
func (c *Customer) policy(number string) *policy {
	for i := range c.Policies {
		if c.Policies[i].Number == number {
			return &c.Policies[i]
		}
	}
	return nil
}

// collection is the customer's collection of that policy and period, or nil.
func (c *Customer) collection(number string, p schemas.Period) *collection {
	for i := range c.Collections {
		if c.Collections[i].Number == number && c.Collections[i].Period == p {
			return &c.Collections[i]
		}
	}
	return nil
}

// touch makes the next cut-off look at the customer, whatever it had planned.
func (c *Customer) touch() { c.Wake = 0 }
