package streams

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
)

// feed produces the input in small portions, so that the stage is at work while the test disturbs it, and calls between after each.
func (h *harness) feed(input []*kgo.Record, portion int, between func(done int)) {
	h.t.Helper()
	for from := 0; from < len(input); from += portion {
		h.produce(input[from:min(from+portion, len(input))]...)
		between(from + portion)
	}
}

// TestRebalance lets a second instance come and go while the first one works.
func TestRebalance(t *testing.T) {
	t.Parallel()
	const partitions = 4
	h := newHarness(t, partitions)
	first, second := h.cfg, h.cfg
	first.Instance, second.Instance = "a", "b"
	first.MaxRecords, second.MaxRecords = 7, 7
	h.startCount(first)
	var stopSecond stop
	both := 0
	h.feed(countInput(4000, partitions), 200, func(done int) {
		switch done {
		case 600, 2000:
			stopSecond = h.startCount(second)
		case 1400, 3000:
			info, err := h.cluster.WaitGroupInfo(h.ctx(), schemas.GroupCollect, func(g *kfake.GroupInfo) bool {
				return g != nil && len(g.Members) == 2 && g.Members[0].NumAssigned() == 2 && g.Members[1].NumAssigned() == 2
			})
			require.NoError(t, err)
			both += len(info.Members)
			stopSecond()
		}
	})
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	require.Equal(t, 4, both, "two instances must have shared the partitions, twice")
	h.requireExactly(row("collect"), newCountTask)
}

// TestStandby starts more instances than partitions: the idle one is ready, and takes over when the working one leaves.
func TestStandby(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1)
	first, second := h.cfg, h.cfg
	first.Instance, second.Instance = "a", "b"
	stopFirst := h.startCount(first)
	h.startCount(second)
	h.produce(countInput(100, 1)...)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	stopFirst()
	h.produce(countInput(200, 1)[100:]...)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	h.requireExactly(row("collect"), newCountTask)
}

// TestRestart stops the stage in the middle, again and again.
func TestRestart(t *testing.T) {
	t.Parallel()
	const partitions = 3
	h := newHarness(t, partitions)
	cfg := h.cfg
	cfg.MaxRecords = 15
	starts := 0
	h.feed(countInput(2000, partitions), 250, func(int) {
		stopStage := h.startCount(cfg) // takes over what the last one left
		starts++
		stopStage()
	})
	h.startCount(cfg)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	require.Equal(t, 8, starts)
	h.requireExactly(row("collect"), newCountTask)
}

// TestKill kills the stage at a random point of its work, at a random kind of request, and starts it again under the same instance id: nothing
// of the dead process reaches the broker any more, and its open transaction is fenced.
func TestKill(t *testing.T) {
	t.Parallel()
	const partitions, kills = 3, 12
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	h := newHarness(t, partitions)
	h.produce(countInput(4000, partitions)...)
	var victims sync.WaitGroup
	for i := range kills {
		w := &wire{}
		cfg := h.wired(w)
		cfg.MaxRecords, cfg.stopTimeout = 10, 100*time.Millisecond
		// The group forgets a dead member after half a second instead of 15.
		cfg.KgoOpts = append(cfg.KgoOpts, kgo.SessionTimeout(500*time.Millisecond), kgo.HeartbeatInterval(50*time.Millisecond))
		key := []kmsg.Key{kmsg.Produce, kmsg.TxnOffsetCommit, kmsg.EndTxn}[i%3]
		var left atomic.Int32
		left.Store(int32(random.IntN(12)) + 1)
		dead := make(chan struct{})
		fault := h.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: kerr.NotCoordinator, Count: -1, Observe: true, When: func(kmsg.Request) bool {
			if left.Add(-1) == 0 {
				go func() { w.kill(); close(dead) }()
			}
			return true
		}})
		ctx, cancel := context.WithCancel(context.Background())
		victims.Add(1)
		go func() {
			defer victims.Done()
			_ = run(ctx, cfg, row("collect"), newCountTask, nil) // a dead process says nothing
		}()
		select {
		case <-dead:
		case <-time.After(patience):
			require.Fail(t, "the process was never killed", "kill %d at request %s", i, strconv.Itoa(int(key)))
		}
		fault.Remove()
		cancel()
	}
	h.startCount(h.cfg)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	h.requireExactly(row("collect"), newCountTask)
	victims.Wait()
}
