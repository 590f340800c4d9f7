package stage

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/segmentio/encoding/json"

	"github.com/kasi-collections/kasi/schemas"
)

// factsKey is the changelog key of a partition's facts. State keys begin with a tenant, which may not hold a control
// character.
const factsKey = "\x00facts"

// Facts is what a partition remembers beside its states. It rolls back with them.
type Facts struct {
	// Next is the input offset up to which the state has taken everything in. It travels in the same transaction as the
	// state, so it is the authority on where to go on reading; the group's committed offset only agrees with it.
	Next int64 `json:"next"`
	// Topic is the id of the input topic: one made anew under the same name holds other records at the same offsets.
	Topic string `json:"topic,omitempty"`
	// Tick is the last tick.
	Tick schemas.Tick `json:"tick"`
	// Slice is how far the record at Next has been worked on, where one transaction was not enough.
	Slice *Slice `json:"slice,omitempty"`
	// Seq is the last sequence number written to this partition of each dense output topic.
	Seq map[string]int64 `json:"seq,omitempty"`
}

func (f Facts) clone() Facts {
	f.Seq = maps.Clone(f.Seq)
	if f.Seq == nil {
		f.Seq = map[string]int64{}
	}
	return f
}

// Store is the state of one partition: what is committed, and over it what the open batch has changed.
//
// Guarantee: nothing of a batch is visible in the committed state before Merge, and Drop forgets all of it, facts
// included. It is used by one goroutine at a time.
type Store[S any] struct {
	codec Codec[S]
	// Merged hears of each state that a merge or a restore puts in place; before is nil for a new key. It may be nil.
	Merged func(key string, before *S, after *S)

	committed map[string]held[S]
	overlay   map[string]*held[S]
	facts     Facts // committed
	work      Facts // of the open batch
	size      int64 // bytes of all committed states as JSON
	values    arena // of the states that are written
}

// Codec is how a stage copies, writes and reads its states. Append appends a state; the same state must always give the
// same bytes.
type Codec[S any] struct {
	Clone     func(*S) *S
	Append    func([]byte, *S) ([]byte, error)
	Unmarshal func([]byte) (*S, error)
}

// JSONCodec is the codec of a plain struct.
func JSONCodec[T any](clone func(*T) *T) Codec[T] {
	return Codec[T]{
		Clone: clone,
		Append: func(to []byte, s *T) ([]byte, error) {
			b, err := json.Marshal(s)
			return append(to, b...), err
		},
		Unmarshal: func(b []byte) (*T, error) {
			s := new(T)
			return s, json.Unmarshal(b, s)
		},
	}
}

// held is a state and the hash and length of the JSON it was last written as: a state that a batch touched but did not
// change is not written again.
type held[S any] struct {
	state *S
	sum   uint64
	size  int
}

// NewStore makes an empty store.
func NewStore[S any](c Codec[S]) *Store[S] {
	return &Store[S]{codec: c, committed: map[string]held[S]{}, overlay: map[string]*held[S]{}, work: Facts{}.clone()}
}

// View is the state as the open batch sees it. The caller must not change it.
func (s *Store[S]) View(key string) (*S, bool) {
	if h, ok := s.overlay[key]; ok {
		return h.state, true
	}
	h, ok := s.committed[key]
	return h.state, ok
}

// Edit is the state to change: a copy of the committed one, made once a batch, or a fresh one.
func (s *Store[S]) Edit(key string) *S {
	state, _ := s.EditKnown(key)
	return state
}

// EditKnown is Edit, and tells whether the key was known before.
func (s *Store[S]) EditKnown(key string) (state *S, known bool) {
	if h, ok := s.overlay[key]; ok {
		return h.state, true
	}
	h := &held[S]{}
	old, known := s.committed[key]
	if known {
		*h = held[S]{state: s.codec.Clone(old.state), sum: old.sum, size: old.size}
	} else {
		h.state = new(S)
	}
	s.overlay[key] = h
	return h.state, known
}

// ForgetIfNew forgets a key that this batch made, when the record that made it was refused. known is what EditKnown
// said of the key.
func (s *Store[S]) ForgetIfNew(key string, known bool) {
	if !known {
		delete(s.overlay, key)
	}
}

// Write calls put for each state the batch has changed, in the order of the keys, and then for the facts. With all, it
// is called for every state as the batch leaves it: a snapshot.
func (s *Store[S]) Write(all bool, put func(key string, value []byte)) error {
	keys := slices.Sorted(maps.Keys(s.overlay))
	if all {
		keys = s.All()
	}
	for _, key := range keys {
		h, edited := s.overlay[key]
		if !edited {
			h = new(s.committed[key])
		}
		value, err := s.codec.Append(s.values.room(), h.state)
		if err != nil {
			return Fatal(fmt.Errorf("state does not marshal: %w", err))
		}
		if sum := xxhash.Sum64(value); all || sum != h.sum || h.size != len(value) {
			h.sum, h.size = sum, len(value)
			put(key, s.values.keep(value))
		}
	}
	value, err := json.Marshal(s.work)
	if err != nil {
		return Fatal(fmt.Errorf("facts do not marshal: %w", err))
	}
	put(factsKey, value)
	return nil
}

// All are the keys of every state as the open batch sees it, in order.
func (s *Store[S]) All() []string {
	keys := slices.Collect(maps.Keys(s.committed))
	for key := range s.overlay {
		if _, ok := s.committed[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Touched are the keys that the open batch has edited, in no order.
func (s *Store[S]) Touched() iter.Seq[string] { return maps.Keys(s.overlay) }

// Merge makes the batch the committed state. Only a transaction that is known to be committed may call it.
func (s *Store[S]) Merge() {
	for key, h := range s.overlay {
		old := s.committed[key]
		s.committed[key] = *h
		s.size += int64(h.size - old.size)
		if s.Merged != nil {
			s.Merged(key, old.state, h.state)
		}
	}
	clear(s.overlay)
	s.facts = s.work.clone()
}

// Drop forgets the batch.
func (s *Store[S]) Drop() {
	clear(s.overlay)
	s.work = s.facts.clone()
}

// Load puts one record of the changelog in place; the caller passes each key once, with its last value.
func (s *Store[S]) Load(key string, value []byte) error {
	if key == factsKey {
		if err := json.Unmarshal(value, &s.facts); err != nil {
			return Fatal(fmt.Errorf("the changelog's facts are unreadable: %w", err))
		}
		s.work = s.facts.clone()
		return nil
	}
	state, err := s.codec.Unmarshal(value)
	if err != nil {
		return Fatal(fmt.Errorf("a state in the changelog is unreadable; was it written by a newer version? %w", err))
	}
	s.committed[key] = held[S]{state: state, sum: xxhash.Sum64(value), size: len(value)}
	s.size += int64(len(value))
	if s.Merged != nil {
		s.Merged(key, nil, state)
	}
	return nil
}

// Now are the facts as the open batch changes them.
func (s *Store[S]) Now() *Facts { return &s.work }

// Bytes is the size of all committed states as JSON.
func (s *Store[S]) Bytes() int64 { return s.size }

// Keys is the number of committed states.
func (s *Store[S]) Keys() int { return len(s.committed) }
