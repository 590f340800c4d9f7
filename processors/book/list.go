package book

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/segmentio/encoding/json" // the standard library's bytes in half its time (TestFastJSON in package streams)
)

// This file is what rows do with the lists of a customer.

// loadInto puts one row in its place of a sorted list. place compares an element with the row.
func loadInto[T any](l *[]T, value []byte, place func(*T) int) error {
	i, found := search(*l, place)
	if value == nil {
		if found {
			*l = slices.Delete(*l, i, i+1)
		}
		return nil
	}
	var row T
	if found {
		(*l)[i] = row
	} else {
		*l = slices.Insert(*l, i, row)
	}
	return unmarshal(value, &(*l)[i])
}

// object begins a JSON object. Rows count them to give a list the memory that it needs: the decoder's own lists have
// room for ten elements, ten times what most customers need. A text with the sign in it makes a list too roomy, nothing
// else.
var object = []byte("{")

// unmarshalList reads a list of objects.
func unmarshalList[T any](value []byte) ([]T, error) {
	if value == nil {
		return nil, nil
	}
	l := make([]T, 0, bytes.Count(value, object))
	err := unmarshal(value, &l)
	return l, err
}

// compact is a list with no more memory than it needs.
func compact[T any](l []T) []T {
	if cap(l) > len(l) {
		return slices.Clone(l)
	}
	return l
}

// search is where an element stands in a sorted list, or would stand. Elements are large: slices.BinarySearchFunc would
// copy each that it looks at.
func search[T any](l []T, place func(*T) int) (i int, found bool) {
	from, to := 0, len(l)
	for from < to {
		mid := int(uint(from+to) >> 1)
		if place(&l[mid]) < 0 {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return from, from < len(l) && place(&l[from]) == 0
}

// replace puts a row at place i of a list, or takes it away.
func replace[T any](l *[]T, i int, found bool, row *T, gone bool) {
	switch {
	case gone && found:
		*l = slices.Delete(*l, i, i+1)
	case gone:
	case found:
		(*l)[i] = *row
	default:
		*l = slices.Insert(*l, i, *row)
	}
}

func unmarshal(value []byte, row any) error {
	if value == nil {
		return nil
	}
	if err := json.Unmarshal(value, row); err != nil {
		return fmt.Errorf("book: read the state of a customer: %w", err)
	}
	return nil
}
