package book

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/kasi-collections/kasi/schemas"
)

// Past is what is kept, for good, of a policy's collections that are over: all that an answer of the bank needs that
// comes years later. A collection of one debit takes some 45 bytes, for it is kept for every premium ever collected.
//
// A collection goes into the past whole (Book.Prune) and comes back whole, with those of the policy behind it, when the
// bank says something of one of its debits (Book.recall). Not kept are the latest decision, which a collection that is
// over never compares with, and what the debits counted on: those deposits are long gone.
type Past struct {
	Number string // of the policy
	// Packed holds the collections by period, each behind the length of its bytes. It never changes in place.
	Packed string
}

// Pasts are a customer's pasts, by policy number.
type Pasts []Past

// Find is the past of a policy, or nil.
func (l Pasts) Find(number string) *Past {
	if i, found := search(l, func(p *Past) int { return strings.Compare(p.Number, number) }); found {
		return &l[i]
	}
	return nil
}

func byPolicy(a, b *Past) int { return strings.Compare(a.Number, b.Number) }

// set puts a policy's past in place. An empty one is none.
func (l *Pasts) set(number, packed string) {
	i, found := search(*l, func(p *Past) int { return strings.Compare(p.Number, number) })
	replace((*[]Past)(l), i, found, &Past{number, packed}, packed == "")
}

// from is where the collections of a period and later ones begin.
func (p *Past) from(period schemas.Period) int {
	for at := 0; at < len(p.Packed); {
		r := unpacker{left: p.Packed[at:]}
		entry := r.entry()
		if r.err != nil || entry.period() >= period {
			return at
		}
		at = len(p.Packed) - len(r.left)
	}
	return len(p.Packed)
}

// each calls visit with the period and the number of debits of each collection, until it says false.
func (p *Past) each(visit func(period schemas.Period, debits int) bool) {
	for r := (unpacker{left: p.Packed}); r.left != "" && r.err == nil; {
		entry := r.entry()
		if period, debits := entry.period(), entry.debits(); entry.err != nil || !visit(period, debits) {
			return
		}
	}
}

// bury puts a collection that is over into the past of its policy. One without a debit can have no answer.
func (c *Customer) bury(k *Collection) {
	if len(k.Debits) == 0 {
		return
	}
	was := Past{}
	if p := c.Past.Find(k.Number); p != nil {
		was = *p
	}
	at := was.from(k.Period)
	entry := appendPacked(nil, k)
	length := binary.AppendUvarint(nil, uint64(len(entry)))
	c.Past.set(k.Number, was.Packed[:at]+string(length)+string(entry)+was.Packed[at:])
	if c.buried != nil {
		for i := range k.Debits {
			c.buried.of[k.Debits[i].ID] = debitPlace{k.Number, k.Period}
		}
	}
}

// Knows tells whether a debit is or ever was the customer's. It is the same whatever has been pruned yet.
func (c *Customer) Knows(id string) bool {
	if _, d := c.debit(id); d != nil {
		return true
	}
	_, found := c.buriedDebit(id)
	return found
}

// buriedDebit is where a debit of the past lies. Its id is not kept: it follows from its place.
func (c *Customer) buriedDebit(id string) (place debitPlace, found bool) {
	if len(c.Past) <= fewCollections {
		c.eachBuried(func(at debitPlace, of string) bool {
			if found = of == id; found {
				place = at
			}
			return !found
		})
		return place, found
	}
	if c.buried == nil {
		c.buried = &debitPlaces{of: map[string]debitPlace{}}
		c.eachBuried(func(at debitPlace, of string) bool {
			c.buried.of[of] = at
			return true
		})
	}
	place, found = c.buried.of[id]
	return place, found
}

func (c *Customer) eachBuried(visit func(at debitPlace, id string) bool) {
	goOn := true
	for i := range c.Past {
		number := c.Past[i].Number
		policy := schemas.PolicyID(c.Tenant, number)
		c.Past[i].each(func(period schemas.Period, debits int) bool {
			collection := schemas.CollectionID(policy, period)
			for n := 1; n <= debits && goOn; n++ {
				goOn = visit(debitPlace{number, period}, schemas.DebitID(c.Tenant, c.ID, collection, n))
			}
			return goOn
		})
		if !goOn {
			return
		}
	}
}

// unburied are the collections of a policy from a period on that lie in the past, and where they begin in it.
func (c *Customer) unburied(number string, from schemas.Period) (list []Collection, at int, err error) {
	p := c.Past.Find(number)
	if p == nil {
		return nil, 0, nil
	}
	at = p.from(from)
	policy := schemas.PolicyID(c.Tenant, number)
	for r := (unpacker{left: p.Packed[at:]}); r.left != ""; {
		entry := r.entry()
		k := entry.collection()
		if err := errors.Join(r.err, entry.err); err != nil {
			return nil, 0, fmt.Errorf("book: the past of a policy: %w", err)
		}
		k.Number = number
		id := schemas.CollectionID(policy, k.Period)
		for i := range k.Debits {
			k.Debits[i].ID = schemas.DebitID(c.Tenant, c.ID, id, i+1)
		}
		list = append(list, k)
	}
	return list, at, nil
}

// find is the customer's debit of that id with its collection, or nil. Of one in the past both are copies.
func (b *Book) find(id string) (*Collection, *Debit, error) {
	if k, d := b.debit(id); d != nil {
		return k, d, nil
	}
	place, found := b.buriedDebit(id)
	if !found {
		return nil, nil, nil
	}
	list, _, err := b.unburied(place.number, place.period)
	if err != nil || len(list) == 0 || list[0].Period != place.period {
		return nil, nil, err
	}
	b.follow(&list[0])
	return &list[0], list[0].debit(id), nil
}

// recall brings the policy's collections from the period of a debit on back out of the past, and returns the debit with
// its collection, so that an answer to it finds whatever it may change: its own collection, and the rows of unpaids
// behind it. Those that stay over are in the past again after the next cut-off. A collection that is over and was not
// pruned yet is made what it would be by then: it makes no difference when the pruning runs.
func (b *Book) recall(of *Collection, id string) (*Collection, *Debit, error) {
	list, at, err := b.unburied(of.Number, of.Period)
	if err != nil {
		return nil, nil, err
	}
	number := of.Number
	if len(list) > 0 {
		b.Past.set(number, b.Past.Find(number).Packed[:at])
	}
	for i := range list {
		b.follow(&list[i])
		k := b.insert(list[i])
		for j := range k.Debits {
			b.note(k, &k.Debits[j])
		}
	}
	k, d := b.debit(id)
	if b.over(k, schemas.PeriodOf(b.moment.BusinessDate())) {
		k.Decided = Decided{}
		for i := range k.Debits {
			k.Debits[i].Uses = nil
		}
	}
	return k, d, nil
}
