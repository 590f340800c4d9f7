package book

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

// layout2 is the layout before rows: a customer is one JSON object under the customer's key, where the core is now.
const layout2 = 2

// loadLayout2 reads a state of layout 2. It stays of layout 2 until it is edited (Clone): then all its rows differ from
// what lies in the changelog, and the core takes the place of the old record.
func (c *Customer) loadLayout2(value []byte) error {
	var old struct {
		Core
		Policies    Policies       `json:"p"`
		Collections Collections    `json:"k"`
		Streams     income.Streams `json:"s"`
		Deposits    []Deposit      `json:"d"`
		Waiting     []Waiting      `json:"w"`
		Incomes     []Income       `json:"i"`
		Seen        []byte         `json:"x"` // 8 bytes of hash and 4 of the day for each id
	}
	if err := unmarshal(value, &old); err != nil {
		return err
	}
	n := Customer{
		Core: old.Core, Policies: old.Policies, Collections: old.Collections, Streams: old.Streams, Deposits: old.Deposits,
		Incomes: old.Incomes,
	}
	slices.SortFunc(n.Incomes, func(a, b Income) int { return strings.Compare(a.ID, b.ID) })
	for _, w := range old.Waiting {
		n.Waiting.add(w)
	}
	for s := old.Seen; len(s) >= 12; s = s[12:] {
		n.Seen.add(binary.LittleEndian.Uint64(s), 0, schemas.Day(int32(binary.LittleEndian.Uint32(s[8:]))))
	}
	*c = *n.Clone()
	c.Version = layout2
	return nil
}
