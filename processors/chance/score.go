package chance

import (
	"slices"
	"strconv"
	"strings"
)

// The outcomes that the scorecard foretells of what no booking proves: a debit that the bank tracks is paid; one of
// today only is; bookings prove the amount before the period ends; where they don't, a debit that is tracked through
// the period's last days is paid all the same.
const (
	Paid = iota
	Today
	Later
	Last
	outcomes
)

// Points are what each outcome's odds gain or lose, in thousandths of their logarithm.
type Points [outcomes]int

// Scored is a line of the scorecard: the points of a bin, and how many situations fell in it.
type Scored struct {
	Count  int
	Points Points
}

// characteristic is what the scorecard asks of a situation: the answer is one of its bins. Where it asks two things,
// each pair of answers is a bin.
type characteristic []question

// question sorts a number into bins: up to each bound, and above the last.
type question struct {
	name string
	upTo []int
	of   func(f *Facts) int
}

var (
	none = []int{0}
	few  = []int{0, 59, 98}

	held   = question{"held", []int{0, 29, 59, 79, 98}, func(f *Facts) int { return f.share(f.Held) }}
	soon   = question{"soon", held.upTo, func(f *Facts) int { return f.share(f.Soon) }}
	later  = question{"later", []int{0, 49, 79, 98}, func(f *Facts) int { return f.share(f.Later) }}
	held4  = question{"held", few, held.of}
	soon4  = question{"soon", []int{0, 49, 98}, soon.of}
	last4  = question{"last", few, func(f *Facts) int { return f.share(f.HeldLast) }}
	months = question{"months", []int{0, 1, 3, 6}, func(f *Facts) int { return f.Months }}
	left   = question{"left", []int{2, 6, 10, 15, 20, 25}, func(f *Facts) int { return f.Left }}
	since  = question{"since", []int{1, 4, 9, 16, 23, 30, 45}, func(f *Facts) int { return f.Since }}
	next   = question{"next", []int{-1, 1, 3, 7, 11, 19, 39}, func(f *Facts) int { return f.Next }}
	over   = question{"over", none, func(f *Facts) int { return is(f.Over) }}
	spends = question{"spends", none, func(f *Facts) int { return is(f.Spends) }}
	failed = question{"failed", none, func(f *Facts) int { return is(f.Failed) }}
)

// card is what is asked.
var card = [...]characteristic{
	{held, months},
	{soon, months},
	{later, months},
	{last4},
	{since},
	{left},
	{next},
	{over},
	{spends},
	{failed},
	{held4, over},
	{held4, soon4},
}

// share is how often something happened in the account's own months, in percent.
func (f *Facts) share(of int) int {
	if f.Months == 0 {
		return 0
	}
	return of * 100 / f.Months
}

func is(on bool) int {
	if on {
		return 1
	}
	return 0
}

// Case is the bin of each characteristic that facts fall in.
type Case [len(card)]uint8

// Case sorts facts.
func (f *Facts) Case() (c Case) {
	for i := range card {
		for j := range card[i] {
			q := &card[i][j]
			c[i] = c[i]*uint8(len(q.upTo)+1) + q.bin(f)
		}
	}
	return c
}

// bin is the bin of a question that facts fall in.
func (q *question) bin(f *Facts) uint8 {
	n := q.of(f)
	for i, bound := range q.upTo {
		if n <= bound {
			return uint8(i)
		}
	}
	return uint8(len(q.upTo))
}

// bins is how many bins a characteristic has.
func (c characteristic) bins() int {
	n := 1
	for _, q := range c {
		n *= len(q.upTo) + 1
	}
	return n
}

// name is a bin's: "held59 months6" is from the bounds before up to 59 % and 6 months; what is above the last bound has
// a plus.
func (c characteristic) name(bin int) string {
	names := make([]string, len(c))
	for i, q := range slices.Backward(c) {
		n := bin % (len(q.upTo) + 1)
		bin /= len(q.upTo) + 1
		names[i] = q.name + "+"
		if n < len(q.upTo) {
			names[i] = q.name + strconv.Itoa(q.upTo[n])
		}
	}
	return strings.Join(names, " ")
}

// curve is the chance, of One, of log-odds of 0, 1/4, 2/4, ... up to 8. It is a table because every machine must
// compute the same chances.
var curve = [...]int{
	5000, 5622, 6225, 6792, 7311, 7773, 8176, 8520, 8808, 9047, 9241, 9399, 9526, 9627, 9707, 9770, 9820, 9859,
	9890, 9914, 9933, 9948, 9959, 9968, 9975, 9981, 9985, 9988, 9991, 9993, 9994, 9996, 9997,
}

// odds is the chance of points.
func odds(points int) int {
	if points < 0 {
		return One - odds(-points)
	}
	const step = 250
	i := points / step
	if i >= len(curve)-1 {
		return curve[len(curve)-1]
	}
	return curve[i] + (curve[i+1]-curve[i])*(points%step)/step
}

// Chances are the chances, of One, of all outcomes, by the scorecard. After a failure of the month hardly anything is
// paid that is not proved: the cell of such situations says how much at most.
func (t *Table) Chances(f *Facts) (of [outcomes]int) {
	sum := t.base
	for i, bin := range f.Case() {
		for o, p := range t.points[i][bin] {
			sum[o] += p
		}
	}
	for o := range of {
		of[o] = odds(sum[o])
	}
	if f.Failed {
		of[Paid], of[Today] = min(of[Paid], int(t.failed[0])), min(of[Today], int(t.failed[1]))
	}
	return of
}
