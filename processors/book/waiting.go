package book

import (
	"cmp"
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// Waiting is what is still needed of a transaction whose day has not come. Its event has been emitted already.
type Waiting struct {
	TxID    string             `json:"i,omitempty"` // empty where it is no income
	At      int64              `json:"t"`           // Unix seconds
	Cents   schemas.Cents      `json:"c,omitempty"`
	Kind    schemas.IncomeKind `json:"n,omitempty"`
	Stream  uint32             `json:"s,omitempty"`
	Account string             `json:"a,omitempty"`
	Balance *schemas.Cents     `json:"b,omitempty"`
	Back    bool               `json:"v,omitempty"` // it reverses a credit of the amount
	Moved   schemas.Cents      `json:"m,omitempty"` // in or, below zero, out of the account
	Used    schemas.Cents      `json:"u,omitempty"` // by debits, of the booking in whose place it stands
}

func (w *Waiting) day() schemas.Day { return schemas.DayOfUnix(w.At) }

func (w *Waiting) equal(o *Waiting) bool {
	a, b := *w, *o
	if (a.Balance == nil) != (b.Balance == nil) || a.Balance != nil && *a.Balance != *b.Balance {
		return false
	}
	a.Balance, b.Balance = nil, nil
	return a == b
}

// WaitingBlock is some of what waits for one day, in the order of arrival. Its list grows up to
// waitingBlock and goes as a whole when the day comes; copies of a customer share what stands in it.
type WaitingBlock struct {
	Day  schemas.Day
	No   int // of the day's blocks
	List []Waiting
}

const waitingBlock = 16

func (w *WaitingBlock) equal(o *WaitingBlock) bool {
	if len(w.List) != len(o.List) {
		return false
	}
	for i := range w.List {
		if !w.List[i].equal(&o.List[i]) {
			return false
		}
	}
	return true
}

func byDayAndNo(a, b *WaitingBlock) int {
	return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.No, b.No))
}

// WaitingDays are what waits, by day.
type WaitingDays []WaitingBlock

// place is where a block stands, or would stand.
func (l WaitingDays) place(day schemas.Day, no int) (i int, found bool) {
	return slices.BinarySearchFunc(l, WaitingBlock{Day: day, No: no}, func(a, b WaitingBlock) int {
		return byDayAndNo(&a, &b)
	})
}

func (l *WaitingDays) add(w Waiting) {
	day := w.day()
	i, _ := l.place(day+1, 0) // behind the day's last block
	no := 0
	if i > 0 && (*l)[i-1].Day == day {
		if b := &(*l)[i-1]; len(b.List) < waitingBlock {
			b.List = append(b.List, w)
			return
		}
		no = (*l)[i-1].No + 1
	}
	*l = slices.Insert(*l, i, WaitingBlock{Day: day, No: no, List: []Waiting{w}})
}

// take takes out all that waits for a day or an earlier one, by instant; what is of one instant, in the order of
// arrival.
func (l *WaitingDays) take(until schemas.Day) []Waiting {
	n, _ := l.place(until+1, 0)
	var due []Waiting
	for i := range (*l)[:n] {
		due = append(due, (*l)[i].List...)
	}
	*l = slices.Delete(*l, 0, n)
	slices.SortStableFunc(due, func(a, b Waiting) int { return cmp.Compare(a.At, b.At) })
	return due
}

// remove takes out the credit of that id, if it waits.
func (l *WaitingDays) remove(account, id string) {
	for i := range *l {
		b := &(*l)[i]
		at := slices.IndexFunc(b.List, func(w Waiting) bool { return w.TxID == id && w.Account == account })
		if at < 0 {
			continue
		}
		b.List = slices.Delete(slices.Clone(b.List), at, at+1) // copies of the customer share the list
		if len(b.List) == 0 {
			*l = slices.Delete(*l, i, i+1)
		}
		return
	}
}

// clone shares the lists: what is appended to one goes into other memory.
func (l WaitingDays) clone() WaitingDays {
	n := slices.Clone(l)
	for i := range n {
		n[i].List = slices.Clip(n[i].List)
	}
	return n
}
