package book

import (
	"encoding/binary"
	"fmt"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/segmentio/encoding/json" // the standard library's bytes in half its time (TestFastJSON in package streams)
)

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
