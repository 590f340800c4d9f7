package stage

import (
	"maps"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/schemas"
)

// FactsKey is the changelog key of a partition's facts. State keys begin with a tenant, which may not hold a control
// character.
const FactsKey = "\x00facts"

// Layout of the changelog. From 3 on a state lies in rows and the facts say which; before, it was one record.
const Layout = 3

// Facts is what a partition remembers beside its states. It rolls back with them.
type Facts struct {
	// Next is the input offset up to which the state has taken everything in. It travels in the same transaction as the
	// state, so it is the authority on where to go on reading; the group's committed offset only agrees with it.
	Next int64 `json:"next"`
	// Topic is the id of the input topic: one made anew under the same name holds other records at the same offsets.
	Topic string `json:"topic,omitempty"`
	// Tick is the last tick.
	Tick schemas.Tick `json:"tick"`
	// Real: the last tick is of a calendar that follows the clock.
	Real bool `json:"real,omitempty"`
	// Slice is how far the record at Next has been worked on, where one transaction was not enough.
	Slice *Slice `json:"slice,omitempty"`
	// Left counts the records that the stage has written to its own input, for the work that was left of one; Taken is the
	// number of the latest of them that it has taken in. One that comes again is known by its number.
	Left  int64 `json:"left,omitempty"`
	Taken int64 `json:"taken,omitempty"`
	// Tenants are the settings of those tenants that have their own. It is never changed in place.
	Tenants map[string]Settings `json:"tenants,omitempty"`
	// Seq is the last sequence number written to this partition of each dense output topic.
	Seq map[string]int64 `json:"seq,omitempty"`
	// Rules is the hash of what the stage decided by; empty before the first build that writes it.
	Rules string `json:"rules,omitempty"`
	// Layout is the changelog's; 0 stands for all before 3.
	Layout int `json:"layout,omitempty"`
	// Mass is what the rows of all states add up to. A restore that finds others has not read what was written.
	Mass Mass `json:"mass"`
}

// Settings are the settings of a tenant. New tells that no cut-off has passed since they came.
type Settings struct {
	schemas.TenantSettings
	New bool `json:"new,omitempty"`
}

// Mass adds rows up, in whatever order they come: their number, the bytes of their values, and a hash over their keys
// and values.
type Mass struct {
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
	Sum   uint64 `json:"sum"`
}

// add adds a row whose value has so many bytes, or takes it away again with sign -1.
func (m *Mass) add(sign int64, bytes int, hash uint64) {
	m.Rows += sign
	m.Bytes += sign * int64(bytes)
	m.Sum += uint64(sign) * hash
}

// hashOf is a row's part of the sum.
func hashOf(key string, value []byte) uint64 {
	return (xxhash.Sum64String(key) ^ bits.RotateLeft64(xxhash.Sum64(value), 31)) * 0x9E3779B185EBCA87
}

func (f Facts) clone() Facts {
	f.Seq = maps.Clone(f.Seq)
	if f.Seq == nil {
		f.Seq = map[string]int64{}
	}
	return f
}
