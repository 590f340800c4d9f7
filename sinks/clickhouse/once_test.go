package clickhouse

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

func TestSinkStoresEverythingOnce(t *testing.T) {
	w := newWorld(t, 2)
	w.write(7)
	s := w.start(w.config(), quick())
	w.caughtUp()
	w.write(5)
	w.write(1, schemas.TopicCollections)
	w.caughtUp()
	w.transaction(kgo.TryAbort, 2) // leaves nothing but markers
	w.caughtUp()
	w.exact()
	s.end()
}

func hasRows(cs []*chunk) bool {
	for _, c := range cs {
		if len(c.records) > 0 {
			return true
		}
	}
	return false
}
