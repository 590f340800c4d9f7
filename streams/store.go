package streams

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/schemas"
)

// factsKey is the changelog key of a partition's facts. State keys begin with a tenant, which may not hold a control
// character.
const factsKey = "\x00facts"

// facts is what a partition remembers beside its states. It rolls back with them.
type facts struct {
	// Next is the input offset up to which the state has taken everything in. It travels in the same transaction as the
	// state, so it is the authority on where to go on reading; the group's committed offset only agrees with it.
	Next int64 `json:"next"`
	// Tick is the last tick.
	Tick schemas.Tick `json:"tick"`
	// Seq is the last sequence number written to this partition of each dense output topic.
	Seq map[string]int64 `json:"seq,omitempty"`
}

func (f facts) clone() facts {
	f.Seq = maps.Clone(f.Seq)
	if f.Seq == nil {
		f.Seq = map[string]int64{}
	}
	return f
}

// store is the state of one partition: what is committed, and over it what the open batch has changed.
//
// Guarantee: nothing of a batch is visible in the committed state before merge, and drop forgets all of it, facts
// included. It is used by one goroutine at a time.
type store[S any] struct {
	codec codec[S]
	// merged hears of each state that a merge or a restore puts in place; was is false for a new key. It may be nil.
	merged func(key string, before S, was bool, after S)

	committed map[string]held[S]
	overlay   map[string]*held[S]
	facts     facts // committed
	work      facts // of the open batch
	size      int64 // bytes of all committed states as JSON
	values    arena // of the states that are written
}

// codec is how a stage makes, copies, writes and reads its states. append appends a state; the same state must always
// give the same bytes.
type codec[S any] struct {
	fresh     func() S
	clone     func(S) S
	append    func([]byte, S) ([]byte, error)
	unmarshal func([]byte) (S, error)
}

// jsonCodec is the codec of a plain struct.
func jsonCodec[T any](clone func(*T) *T) codec[*T] {
	return codec[*T]{
		fresh: func() *T { return new(T) },
		clone: clone,
		append: func(to []byte, s *T) ([]byte, error) {
			b, err := json.Marshal(s)
			return append(to, b...), err
		},
		unmarshal: func(b []byte) (*T, error) {
			s := new(T)
			return s, json.Unmarshal(b, s)
		},
	}
}

// held is a state and the hash and length of the JSON it was last written as: a state that a batch touched but did not
// change is not written again.
type held[S any] struct {
	state S
	sum   uint64
	size  int
}

func newStore[S any](c codec[S]) *store[S] {
	return &store[S]{codec: c, committed: map[string]held[S]{}, overlay: map[string]*held[S]{}, work: facts{}.clone()}
}

// view is the state as the open batch sees it. The caller must not change it.
func (s *store[S]) view(key string) (S, bool) {
	if h, ok := s.overlay[key]; ok {
		return h.state, true
	}
	h, ok := s.committed[key]
	return h.state, ok
}

// edit is the state to change: a copy of the committed one, made once a batch, or a fresh one.
func (s *store[S]) edit(key string) S {
	state, _ := s.editKnown(key)
	return state
}

// editKnown is edit, and tells whether the key was known before.
func (s *store[S]) editKnown(key string) (state S, known bool) {
	if h, ok := s.overlay[key]; ok {
		return h.state, true
	}
	h := &held[S]{}
	old, known := s.committed[key]
	if known {
		*h = held[S]{state: s.codec.clone(old.state), sum: old.sum, size: old.size}
	} else {
		h.state = s.codec.fresh()
	}
	s.overlay[key] = h
	return h.state, known
}

// unless forgets a key that this batch made, when the record that made it was refused.
func (s *store[S]) unless(key string, known bool) {
	if !known {
		delete(s.overlay, key)
	}
}

// write calls put for each state the batch has changed, in the order of the keys, and then for the facts.
func (s *store[S]) write(put func(key string, value []byte)) error {
	for _, key := range slices.Sorted(maps.Keys(s.overlay)) {
		h := s.overlay[key]
		value, err := s.codec.append(s.values.room(), h.state)
		if err != nil {
			return bug(fmt.Errorf("state does not marshal: %w", err))
		}
		if sum := xxhash.Sum64(value); sum != h.sum || h.size != len(value) {
			h.sum, h.size = sum, len(value)
			put(key, s.values.keep(value))
		}
	}
	return s.writeFacts(put)
}

func (s *store[S]) writeFacts(put func(key string, value []byte)) error {
	value, err := json.Marshal(s.work)
	if err != nil {
		return bug(fmt.Errorf("facts do not marshal: %w", err))
	}
	put(factsKey, value)
	return nil
}

// writeAll calls put for every state as the batch leaves it, changed or not, and then for the facts: a snapshot.
func (s *store[S]) writeAll(put func(key string, value []byte)) error {
	keys := slices.Collect(maps.Keys(s.committed))
	for key := range s.overlay {
		if _, ok := s.committed[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		state, _ := s.view(key)
		value, err := s.codec.append(s.values.room(), state)
		if err != nil {
			return bug(fmt.Errorf("state does not marshal: %w", err))
		}
		if h, ok := s.overlay[key]; ok {
			h.sum, h.size = xxhash.Sum64(value), len(value)
		}
		put(key, s.values.keep(value))
	}
	return s.writeFacts(put)
}

// merge makes the batch the committed state. Only a transaction that is known to be committed may call it.
func (s *store[S]) merge() {
	for key, h := range s.overlay {
		old, was := s.committed[key]
		s.committed[key] = *h
		s.size += int64(h.size - old.size)
		if s.merged != nil {
			s.merged(key, old.state, was, h.state)
		}
	}
	clear(s.overlay)
	s.facts = s.work.clone()
}

// drop forgets the batch.
func (s *store[S]) drop() {
	clear(s.overlay)
	s.work = s.facts.clone()
}

// load puts one record of the changelog in place; the caller passes each key once, with its last value.
func (s *store[S]) load(key string, value []byte) error {
	if key == factsKey {
		if err := json.Unmarshal(value, &s.facts); err != nil {
			return bug(fmt.Errorf("the changelog's facts are unreadable: %w", err))
		}
		s.work = s.facts.clone()
		return nil
	}
	state, err := s.codec.unmarshal(value)
	if err != nil {
		return bug(fmt.Errorf("a state in the changelog is unreadable; was it written by a newer version? %w", err))
	}
	s.committed[key] = held[S]{state: state, sum: xxhash.Sum64(value), size: len(value)}
	s.size += int64(len(value))
	if s.merged != nil {
		var none S
		s.merged(key, none, false, state)
	}
	return nil
}

func (s *store[S]) now() *facts  { return &s.work }
func (s *store[S]) bytes() int64 { return s.size }
func (s *store[S]) keys() int    { return len(s.committed) }
