package clickhouse

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

// meeting lets the first inserts into a table of some connections wait for each other.
type meeting struct {
	net.Conn
	insert []byte
	here   *sync.WaitGroup
	once   *sync.Once // of one sink
}

func (c *meeting) Write(b []byte) (int, error) {
	if bytes.Contains(b, c.insert) {
		c.once.Do(func() {
			c.here.Done()
			c.here.Wait()
		})
	}
	return c.Conn.Write(b)
}

// Two sinks fill one hole at the same moment, as they may while a partition changes hands: each has looked and found
// the rows missing before either inserts. No row is stored twice, hidden by a merge or not.
func TestTwoSinksFillOneHole(t *testing.T) {
	w := newWorld(t, 1)
	w.write(10)
	w.drain(quick())
	// Both must be within one of the times for which sinks share a token: at its end the race is run once more.
	for tries := 0; ; tries++ {
		began := time.Now().Truncate(refillShares)
		w.loses("DELETE FROM collections_log WHERE seq BETWEEN 3 AND 5")
		require.EqualValues(t, 7, w.number("SELECT count() FROM collections_log"))
		w.fillTogether(2)
		if time.Now().Truncate(refillShares).Equal(began) || tries > 0 {
			break
		}
		w.exec("OPTIMIZE TABLE collections_log FINAL")
	}
	w.exact()
}

// fillTogether has some sinks fill what is missing of the collections. Their inserts meet.
func (w *world) fillTogether(sinks int) {
	w.t.Helper()
	var here, done sync.WaitGroup
	here.Add(sinks)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	errs := make([]error, sinks)
	for i := range sinks {
		opts, once := *w.opts, &sync.Once{}
		opts.DialContext = func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			return &meeting{conn, []byte("INSERT INTO collections_log"), &here, once}, err
		}
		cfg := w.config()
		cfg.ClickHouse = &opts
		done.Go(func() {
			filled, err := Refill(ctx, cfg, Range{Topic: schemas.TopicCollections, Partition: -1}, func(Filled) {})
			if errs[i] = err; len(filled) != 1 || filled[0].Rows != 3 {
				once.Do(here.Done) // the others need not wait for it
			}
		})
	}
	done.Wait()
	for _, err := range errs {
		require.NoError(w.t, err)
	}
}
