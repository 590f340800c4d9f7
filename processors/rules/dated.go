package rules

import (
	"slices"

	"cloud.google.com/go/civil"
)

// dated is a value in force from a day until the next entry's day.
type dated[T any] struct {
	from  civil.Date
	value T
}

// timeline folds entries into the values in force: entries in the order of their dates (at the same date in the order
// given), each changing the value before it.
func timeline[E, T any](entries []E, from func(E) civil.Date, change func(*T, E)) []dated[T] {
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b E) int { return from(a).Compare(from(b)) })
	var list []dated[T]
	var value T
	for _, e := range sorted {
		change(&value, e)
		if n := len(list); n > 0 && list[n-1].from == from(e) {
			list[n-1].value = value
			continue
		}
		list = append(list, dated[T]{from(e), value})
	}
	return list
}

// at is the value in force on a day; before the first entry's day the first one holds, and of no entries the zero
// value.
func at[T any](list []dated[T], on civil.Date) T { return *inForce(list, on) }

// inForce is at without a copy: the value is shared and must not be changed.
func inForce[T any](list []dated[T], on civil.Date) *T {
	for i := len(list) - 1; i > 0; i-- {
		if !list[i].from.After(on) {
			return &list[i].value
		}
	}
	if len(list) == 0 {
		return new(T)
	}
	return &list[0].value
}
