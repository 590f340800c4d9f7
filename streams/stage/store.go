package stage

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/segmentio/encoding/json"
)

// Store is the state of one partition: what is committed, and over it what the open batch has changed.
//
// Guarantee: nothing of a batch is visible in the committed state before Merge, and Drop forgets all of it, facts
// included. A batch writes the rows in which the state it leaves differs from the committed one, found by comparing the
// two. It is used by one goroutine at a time.
type Store[S any] struct {
	codec Codec[S]
	// Merged hears of each state that a merge or a restore puts in place; before is nil for a new key. It may be nil.
	Merged func(key string, before *S, after *S)

	committed map[string]*S
	overlay   map[string]*S
	facts     Facts // committed
	work      Facts // of the open batch
	values    arena // of the rows that are written
	scratch   []byte

	// odd holds the rows whose values in the changelog are not what this program would write for the same state: those of
	// another layout. The sum counts them as they lie there: their bytes and hash.
	odd    map[string]oddRow
	mended map[string]struct{} // odd rows that the open batch has written anew
	loaded Mass                // of a restore
	// headless are the states of a restore whose row "" has not come yet, though others have: it is written most often, so
	// in a compacted log it is among the last. A codec may make something of it where there is none.
	headless map[string]bool
}

type oddRow struct {
	bytes int
	hash  uint64
}

// NewStore makes an empty store.
func NewStore[S any](c Codec[S]) *Store[S] {
	return &Store[S]{
		codec: c, committed: map[string]*S{}, overlay: map[string]*S{}, work: Facts{}.clone(), odd: map[string]oddRow{},
		headless: map[string]bool{},
		mended:   map[string]struct{}{},
	}
}

// View is the state as the open batch sees it. The caller must not change it.
func (s *Store[S]) View(key string) (*S, bool) {
	if state, ok := s.overlay[key]; ok {
		return state, true
	}
	state, ok := s.committed[key]
	return state, ok
}

// Edit is the state to change: a copy of the committed one, made once a batch, or a fresh one.
func (s *Store[S]) Edit(key string) *S {
	state, _ := s.EditKnown(key)
	return state
}

// EditKnown is Edit, and tells whether the key was known before.
func (s *Store[S]) EditKnown(key string) (state *S, known bool) {
	if state, ok := s.overlay[key]; ok {
		return state, true
	}
	state, known = s.committed[key]
	if known {
		state = s.codec.Clone(state)
	} else {
		state = new(S)
	}
	s.overlay[key] = state
	return state, known
}

// ForgetIfNew forgets a key that this batch made, when the record that made it was refused. known is what EditKnown
// said of the key.
func (s *Store[S]) ForgetIfNew(key string, known bool) {
	if !known {
		delete(s.overlay, key)
	}
}

// Write calls put for each row that the batch has changed, in the order of their keys, with a nil value for one that is
// gone. Then come all rows of the first states of whole, until these are so many bytes and as many as the rows before
// them, and last the facts. It returns how many states of whole it has written.
func (s *Store[S]) Write(whole []string, most int64, put func(key string, value []byte)) (done int, err error) {
	w := writing[S]{Store: s, put: put, mass: s.facts.Mass}
	clear(s.mended)
	edited := slices.Sorted(maps.Keys(s.overlay))
	for _, key := range edited {
		if err := w.state(key, s.committed[key], false); err != nil {
			return 0, err
		}
	}
	for most = max(most, w.bytes) + w.bytes; done < len(whole) && w.bytes < most; done++ {
		key, before := whole[done], s.committed[whole[done]]
		if written, ok := s.overlay[key]; ok {
			before = written // the changed rows of it are counted
		}
		s.Edit(key) // brings a state of another layout to this one
		if err := w.state(key, before, true); err != nil {
			return 0, err
		}
	}
	s.work.Layout, s.work.Mass = Layout, w.mass
	value, err := json.Marshal(s.work)
	if err != nil {
		return 0, Fatal(fmt.Errorf("facts do not marshal: %w", err))
	}
	put(FactsKey, value)
	return done, nil
}

// writing is one call of Write.
type writing[S any] struct {
	*Store[S]
	put   func(key string, value []byte)
	mass  Mass
	bytes int64 // put so far
	names []string
}

// state puts the rows of a state that differ from before, or all of them.
func (w *writing[S]) state(key string, before *S, all bool) error {
	after := w.overlay[key]
	w.names = w.names[:0]
	note := func(name string) { w.names = append(w.names, name) }
	if before != nil {
		w.codec.Changed(before, after, note)
	}
	if before == nil || all {
		w.codec.Changed(nil, after, note)
	}
	slices.Sort(w.names)
	w.names = slices.Compact(w.names)
	for _, name := range w.names {
		if err := w.row(key, name, before, after, all); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing[S]) row(key, name string, before, after *S, always bool) (err error) {
	w.scratch = w.scratch[:0]
	if before != nil {
		if w.scratch, err = w.codec.Append(w.scratch, before, name); err != nil {
			return Fatal(fmt.Errorf("a state's row does not marshal: %w", err))
		}
	}
	now, err := w.codec.Append(w.values.room(), after, name)
	if err != nil {
		return Fatal(fmt.Errorf("a state's row does not marshal: %w", err))
	}
	same := bytes.Equal(w.scratch, now)
	if same && !always {
		return nil
	}
	if name != "" {
		key += RowMark + name
	}
	if was, lay := w.lies(key, w.scratch); lay {
		w.mass.add(-1, was.bytes, was.hash)
	}
	if len(now) == 0 {
		w.put(key, nil)
		return nil
	}
	w.mass.add(1, len(now), hashOf(key, now))
	w.bytes += int64(len(now))
	w.put(key, w.values.keep(now))
	return nil
}

// lies is a row as it lies in the changelog, where the batch is to write it anew; false where there is none. value is
// what this program would write of it, nothing where the state has no such row.
func (s *Store[S]) lies(key string, value []byte) (oddRow, bool) {
	if len(s.odd) > 0 {
		row, ok := s.odd[key]
		if _, mended := s.mended[key]; ok && !mended {
			s.mended[key] = struct{}{}
			return row, true
		}
	}
	return oddRow{len(value), hashOf(key, value)}, len(value) > 0
}

// Snapshot calls put for all rows of all states as the open batch leaves them, and for the facts.
func (s *Store[S]) Snapshot(put func(key string, value []byte)) error {
	_, err := s.Write(s.All(), math.MaxInt64/2, put)
	return err
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
	for key, state := range s.overlay {
		before := s.committed[key]
		s.committed[key] = state
		if s.Merged != nil {
			s.Merged(key, before, state)
		}
	}
	s.forgetMended()
	clear(s.overlay)
	s.facts = s.work.clone()
}

func (s *Store[S]) forgetMended() {
	for key := range s.mended {
		delete(s.odd, key)
	}
	clear(s.mended)
}

// Drop forgets the batch.
func (s *Store[S]) Drop() {
	clear(s.overlay)
	s.work = s.facts.clone()
	clear(s.mended)
}

// Load puts one record of the changelog in place. Of a key the last one counts; without a value the row is gone.
func (s *Store[S]) Load(key string, value []byte) error {
	if key == FactsKey {
		s.facts = Facts{}
		if err := json.Unmarshal(value, &s.facts); err != nil {
			return Fatal(fmt.Errorf("the changelog's facts are unreadable: %w", err))
		}
		if s.facts.Layout > Layout {
			return Fatal(fmt.Errorf("the changelog has layout %d; this program reads up to %d: run the program that wrote it",
				s.facts.Layout, Layout))
		}
		return nil
	}
	stateKey, name, _ := strings.Cut(key, RowMark)
	state, known := s.committed[stateKey]
	if !known {
		if value == nil {
			return nil
		}
		state = new(S)
		s.committed[stateKey] = state
	}
	if name == "" {
		known = known && !s.headless[stateKey]
		delete(s.headless, stateKey)
	} else if !known {
		s.headless[stateKey] = true
	}
	if err := s.loadRow(state, key, name, value, known); err != nil {
		return Fatal(fmt.Errorf("a row in the changelog is unreadable; was it written by a newer version? %w", err))
	}
	return nil
}

// loadRow loads a row and counts it in the place of the one before.
func (s *Store[S]) loadRow(state *S, key, name string, value []byte, known bool) (err error) {
	if known {
		if s.scratch, err = s.codec.Append(s.scratch[:0], state, name); err != nil {
			return err
		}
		if was, lay := s.lies(key, s.scratch); lay {
			s.loaded.add(-1, was.bytes, was.hash)
		}
	}
	s.forgetMended()
	if err := s.codec.Load(state, name, value); err != nil || value == nil {
		return err
	}
	hash := hashOf(key, value)
	s.loaded.add(1, len(value), hash)
	if s.scratch, err = s.codec.Append(s.scratch[:0], state, name); err != nil {
		return err
	}
	if !bytes.Equal(s.scratch, value) {
		s.odd[key] = oddRow{len(value), hash}
	}
	return nil
}

// Whole tells whether a restore has loaded the rows that the facts tell of. A changelog before layout 3 does not say.
func (s *Store[S]) Whole() error {
	if told := s.facts.Mass; s.facts.Layout == Layout && told != s.loaded {
		return fmt.Errorf("the facts tell of %d rows of %d bytes (sum %016x), and there are %d of %d bytes (sum %016x)",
			told.Rows, told.Bytes, told.Sum, s.loaded.Rows, s.loaded.Bytes, s.loaded.Sum)
	}
	return nil
}

// Loaded ends a restore: what was loaded is the committed state.
func (s *Store[S]) Loaded() {
	if s.facts.Layout < Layout {
		s.facts.Mass = s.loaded
	}
	s.work = s.facts.clone()
	if s.Merged != nil {
		for key, state := range s.committed {
			s.Merged(key, nil, state)
		}
	}
}

// Now are the facts as the open batch changes them.
func (s *Store[S]) Now() *Facts { return &s.work }

// Bytes is the size of all committed states in the changelog.
func (s *Store[S]) Bytes() int64 { return s.facts.Mass.Bytes }

// Keys is the number of committed states.
func (s *Store[S]) Keys() int { return len(s.committed) }
