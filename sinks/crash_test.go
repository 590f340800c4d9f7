package sinks

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

var errCrash = errors.New("crash")

func TestSinkStoresEverythingOnce(t *testing.T) {
	w := newWorld(t, 2)
	w.write(7)
	s := w.start(w.config(), quick())
	w.caughtUp()
	w.write(5)
	w.write(1, schemas.TopicCollections)
	w.caughtUp()
	w.exact()
	s.end()
}

// A sink that dies after any step of any flush leaves nothing lost and nothing doubled for the next one, although the next one finds more
// records waiting and would cut its ranges elsewhere.
func TestSinkStoppedAtEachStep(t *testing.T) {
	for _, at := range []step{stepPlanned, stepInserted, stepMarked, stepCommitted} {
		t.Run(at.String(), func(t *testing.T) {
			w := newWorld(t, 2)
			for crash := range 4 {
				w.write(3)
				tn := quick()
				tn.hook = func(s step, cs []*chunk) error {
					if s == at && hasRows(cs) {
						return errCrash
					}
					return nil
				}
				require.ErrorIs(t, w.start(w.config(), tn).result(), errCrash)
				w.write(2 + crash)
			}
			s := w.start(w.config(), quick())
			w.caughtUp()
			s.end()
			w.exact()
		})
	}
}

func hasRows(cs []*chunk) bool {
	for _, c := range cs {
		if len(c.records) > 0 {
			return true
		}
	}
	return false
}
