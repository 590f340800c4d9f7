package book

import (
	"encoding/binary"
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// Curve is how the money of an account moved on the days of one month, our own debits left out: for each day with
// bookings its number in the month, one byte, and what it brought or took, as a varint of cents. It is short enough to
// be kept for millions of accounts, and exact. A curve is never changed, only replaced.
type Curve []byte

// Levels are the sums of a curve at the end of each day of a month; place 0 is what the month begins with, always 0.
type Levels [32]schemas.Cents

// with is the curve with cents more on a day of the month, 1 to 31.
func (c Curve) with(dom int, cents schemas.Cents) Curve {
	i := 0
	for i < len(c) && int(c[i]) < dom {
		_, n := binary.Varint(c[i+1:])
		i += 1 + n
	}
	rest := c[i:]
	if i < len(c) && int(c[i]) == dom {
		was, n := binary.Varint(c[i+1:])
		cents, rest = cents+schemas.Cents(was), c[i+1+n:]
	}
	next := make(Curve, 0, len(c)+1+binary.MaxVarintLen64)
	next = append(append(next, c[:i]...), byte(dom))
	return append(binary.AppendVarint(next, int64(cents)), rest...)
}

// sum sums the curve up. Its amounts are of so many cents.
func (c Curve) sum(unit schemas.Cents, l *Levels) {
	var sum schemas.Cents
	day := 1
	for i := 0; i < len(c); {
		for ; day < int(c[i]) && day < len(l); day++ {
			l[day] = sum
		}
		net, n := binary.Varint(c[i+1:])
		sum += schemas.Cents(net) * unit
		i += 1 + max(n, 1)
	}
	for ; day < len(l); day++ {
		l[day] = sum
	}
}

// last is the last day with bookings, 0 where there is none.
func (c Curve) last() (dom int) {
	for i := 0; i < len(c); {
		dom = int(c[i])
		_, n := binary.Varint(c[i+1:])
		i += 1 + max(n, 1)
	}
	return dom
}

// maxPoints is how many days of an earlier month are kept.
const maxPoints = 12

// rand is the unit of the curves of earlier months.
const rand schemas.Cents = 100

// short is the curve of a month that is over in whole rands: its last day, and of the days on which it turned those
// that move the money most, so that what could be debited when can still be told.
func (l *Levels) short() Curve {
	points := make([]int, 0, len(l))
	for d := 1; d < len(l); d++ {
		if l[d] != l[d-1] {
			points = append(points, d)
		}
	}
	height := func(i int) schemas.Cents { // by which the levels are wrong without the point
		before := 0
		if i > 0 {
			before = points[i-1]
		}
		return max(l[points[i]]-l[before], l[before]-l[points[i]])
	}
	for len(points) > maxPoints {
		least := 0
		for i := range points[:len(points)-1] {
			if height(i) < height(least) {
				least = i
			}
		}
		points = slices.Delete(points, least, least+1)
	}
	c, was := Curve{}, schemas.Cents(0)
	for _, d := range points {
		now := l[d] / rand
		if now != was {
			c = binary.AppendVarint(append(c, byte(d)), int64(now-was))
		}
		was = now
	}
	return c
}
