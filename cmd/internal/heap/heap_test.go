package heap_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/heap"
)

// A small heap is collected once for each 64 MiB and more, not for each 4 MiB; an operator's own setting is left alone.
func TestFloor(t *testing.T) {
	collections := func() uint32 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range 200 {
			garbage = make([]byte, 1<<20)
		}
		runtime.ReadMemStats(&after)
		return after.NumGC - before.NumGC
	}
	t.Setenv("GOGC", "100")
	heap.Floor()()
	without := collections()
	t.Setenv("GOGC", "")
	release := heap.Floor()
	with := collections()
	release()
	require.Greater(t, without, 20*with)
}

var garbage []byte
