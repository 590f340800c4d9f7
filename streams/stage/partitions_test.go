package stage

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/streams/progress"
)

// A partition that is lost and given back within one transaction comes back with another state, restored from what is
// committed. What the transaction has worked on is an orphan's state, and must not be committed.
func TestAPartitionGivenBackIsNotTheOneThatWasLost(t *testing.T) {
	at := progress.Place{Topic: "t", Partition: 1}
	first := &slot{}
	p := partitions{slots: map[progress.Place]*slot{}}
	p.put(map[progress.Place]*slot{at: first})
	jobs := []*job{{at: at, slot: first}}
	require.True(t, p.owns(jobs))
	p.drop(map[string][]int32{"t": {1}})
	require.False(t, p.owns(jobs), "lost")
	p.put(map[progress.Place]*slot{at: {}})
	require.False(t, p.owns(jobs), "lost and given back")
}
