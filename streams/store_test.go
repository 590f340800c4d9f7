package streams

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func newCounts() *store[*counted] {
	return newStore(jsonCodec(func(c *counted) *counted { d := *c; return &d }))
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
				_, existed := s.view(key)
				_, modelExisted := work[key]
				require.Equal(t, modelExisted, existed)
				state := s.edit(key)
				if rapid.Bool().Draw(t, "refused") {
					s.unless(key, existed)
					continue
				}
				state.N++
				work[key]++
				workSeq++
				s.now().Seq["topic"]++
			}
			s.now().Next++
			written := map[string][]byte{}
			write := s.write
			if rapid.Bool().Draw(t, "snapshot") {
				write = s.writeAll
			}
			require.NoError(t, write(func(key string, value []byte) { written[key] = slices.Clone(value) }))
			if rapid.Bool().Draw(t, "committed") {
				s.merge()
				maps.Copy(log, written)
				committed, seq, next = work, workSeq, next+1
			} else {
				s.drop()
			}
			require.Equal(t, len(committed), s.keys())
			require.Equal(t, next, s.now().Next)
			require.Equal(t, seq, s.now().Seq["topic"])
			restored := newCounts()
			for key, value := range log {
				require.NoError(t, restored.load(key, value))
			}
			for key, n := range committed {
				have, _ := s.view(key)
				again, ok := restored.view(key)
				require.True(t, ok)
				require.Equal(t, n, have.N)
				require.Equal(t, n, again.N)
			}
			require.Equal(t, len(committed), restored.keys())
			require.Equal(t, s.bytes(), restored.bytes())
			require.Equal(t, s.facts.clone(), restored.facts.clone())
		}
	})
}

// TestStoreWritesOnlyChanges reads and edits states without changing them: only the facts are written.
func TestStoreWritesOnlyChanges(t *testing.T) {
	t.Parallel()
	s := newCounts()
	s.edit("a").N = 1
	s.edit("b").N = 2
	var keys []string
	put := func(key string, _ []byte) { keys = append(keys, key) }
	require.NoError(t, s.write(put))
	require.Equal(t, []string{"a", "b", factsKey}, keys)
	s.merge()
	keys = nil
	s.edit("a")
	s.edit("b").N = 3
	require.NoError(t, s.write(put))
	require.Equal(t, []string{"b", factsKey}, keys)
}

// TestStoreRefusesUnreadableState stops rather than going on without a state.
func TestStoreRefusesUnreadableState(t *testing.T) {
	t.Parallel()
	require.True(t, fatal(newCounts().load("a", []byte("{"))))
	require.True(t, fatal(newCounts().load(factsKey, []byte("{"))))
}
