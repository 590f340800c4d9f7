package stage

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type counted struct {
	N int `json:"n"`
}

func newCounts() *Store[counted] {
	return NewStore(JSONCodec(func(c *counted) *counted { d := *c; return &d }))
}

// TestStoreAgainstModel plays random batches, merges and drops against a plain map, and restores from what was written
// at any time.
func TestStoreAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newCounts()
		committed, log := map[string]int{}, map[string][]byte{}
		var seq, next int64
		for range rapid.IntRange(1, 20).Draw(t, "batches") {
			work := maps.Clone(committed)
			workSeq := seq
			for range rapid.IntRange(0, 10).Draw(t, "edits") {
				key := "k" + strconv.Itoa(rapid.IntRange(0, 8).Draw(t, "key"))
				_, existed := s.View(key)
				_, modelExisted := work[key]
				require.Equal(t, modelExisted, existed)
				state := s.Edit(key)
				if rapid.Bool().Draw(t, "refused") {
					s.ForgetIfNew(key, existed)
					continue
				}
				state.N++
				work[key]++
				workSeq++
				s.Now().Seq["topic"]++
			}
			s.Now().Next++
			written := map[string][]byte{}
			put := func(key string, value []byte) { written[key] = slices.Clone(value) }
			whole := s.All()
			whole = whole[:rapid.IntRange(0, len(whole)).Draw(t, "whole")]
			done, err := s.Write(whole, rapid.Int64Range(0, 50).Draw(t, "bytes"), put)
			require.NoError(t, err)
			require.LessOrEqual(t, done, len(whole))
			for _, key := range whole[:done] {
				require.Contains(t, written, key)
			}
			if rapid.Bool().Draw(t, "committed") {
				s.Merge()
				maps.Copy(log, written)
				committed, seq, next = work, workSeq, next+1
			} else {
				s.Drop()
			}
			require.Equal(t, len(committed), s.Keys())
			require.Equal(t, next, s.Now().Next)
			require.Equal(t, seq, s.Now().Seq["topic"])
			restored := newCounts()
			for key, value := range log {
				require.NoError(t, restored.Load(key, value))
			}
			require.NoError(t, restored.Whole())
			restored.Loaded()
			for key, n := range committed {
				have, _ := s.View(key)
				again, ok := restored.View(key)
				require.True(t, ok)
				require.Equal(t, n, have.N)
				require.Equal(t, n, again.N)
			}
			require.Equal(t, len(committed), restored.Keys())
			require.Equal(t, s.Bytes(), restored.Bytes())
			require.Equal(t, s.facts.clone(), restored.facts.clone())
		}
	})
}

// TestStoreWritesOnlyChanges reads and edits states without changing them: only the facts are written.
func TestStoreWritesOnlyChanges(t *testing.T) {
	t.Parallel()
	s := newCounts()
	s.Edit("a").N = 1
	s.Edit("b").N = 2
	var keys []string
	put := func(key string, _ []byte) { keys = append(keys, key) }
	_, err := s.Write(nil, 0, put)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", FactsKey}, keys)
	s.Merge()
	keys = nil
	s.Edit("a")
	s.Edit("b").N = 3
	_, err = s.Write(nil, 0, put)
	require.NoError(t, err)
	require.Equal(t, []string{"b", FactsKey}, keys)
}

// TestStoreRefusesUnreadableState stops rather than going on without a state.
func TestStoreRefusesUnreadableState(t *testing.T) {
	t.Parallel()
	require.True(t, IsFatal(newCounts().Load("a", []byte("{"))))
	require.True(t, IsFatal(newCounts().Load(FactsKey, []byte("{"))))
}
