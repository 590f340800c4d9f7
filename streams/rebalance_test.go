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
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
)

// feed produces the input in small portions, so that the stage is at work while the test disturbs it, and calls between
// after each.
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
			h.shared(schemas.GroupCollect, 2, 2)
			both += 2
			stopSecond()
		}
	})
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	require.Equal(t, 4, both, "two instances must have shared the partitions, twice")
	h.requireExactly(row("collect"), newCountTask)
}

// shared waits until the group is stable with so many members that have so many partitions each.
func (h *harness) shared(group string, members, partitions int) {
	h.t.Helper()
	cl, err := kgo.NewClient(h.cfg.Client()...)
	require.NoError(h.t, err)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	require.Eventually(h.t, func() bool {
		described, err := adm.DescribeGroups(h.ctx(), group)
		g := described[group]
		if err != nil || g.State != "Stable" || len(g.Members) != members {
			return false
		}
		for _, m := range g.Members {
			assigned := 0
			if got, ok := m.Assigned.AsConsumer(); ok {
				for _, t := range got.Topics {
					assigned += len(t.Partitions)
				}
			}
			if assigned != partitions {
				return false
			}
		}
		return true
	}, patience, progress.RetryPause, "%s never had %d members with %d partitions each", group, members, partitions)
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

// kill runs a stage again and again under the same instance id and kills it at a random point of its work, at each kind
// of request in turn: nothing of the dead process reaches the broker any more, and its open transaction is fenced by
// the next one.
func (h *harness) kill(kills int, life func(context.Context, stage.Config) error) {
	h.t.Helper()
	seed := uint64(time.Now().UnixNano())
	h.t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	var victims sync.WaitGroup
	for i := range kills {
		w := &wire{}
		cfg := h.wired(w)
		cfg.MaxRecords, cfg.StopTimeout = 10, 100*time.Millisecond
		// The group forgets a dead member after half a second instead of 15.
		cfg.KgoOpts = append(cfg.KgoOpts, kgo.SessionTimeout(500*time.Millisecond),
			kgo.HeartbeatInterval(50*time.Millisecond))
		key := []kmsg.Key{kmsg.Produce, kmsg.TxnOffsetCommit, kmsg.EndTxn}[i%3]
		dead := make(chan struct{})
		left := int32(random.IntN(12)) + 1
		w.sent = func(k kmsg.Key) {
			if k == key && atomic.AddInt32(&left, -1) == 0 {
				go func() { w.kill(); close(dead) }()
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		victims.Add(1)
		go func() {
			defer victims.Done()
			_ = life(ctx, cfg) // a dead process says nothing
		}()
		select {
		case <-dead:
		case <-time.After(patience):
			require.Fail(h.t, "the process was never killed", "kill %d at request %s", i, strconv.Itoa(int(key)))
		}
		cancel()
	}
	victims.Wait()
}

// TestKill kills a stage with state.
func TestKill(t *testing.T) {
	t.Parallel()
	const partitions = 3
	h := newHarness(t, partitions)
	h.produce(countInput(4000, partitions)...)
	h.kill(12, func(ctx context.Context, cfg stage.Config) error {
		return stage.Run(ctx, cfg, row("collect"), newCountTask, nil)
	})
	h.startCount(h.cfg)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	h.requireExactly(row("collect"), newCountTask)
}

// TestKillIntake kills a stage without state: the committed offset alone keeps its outputs whole.
func TestKillIntake(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 2)
	input, expected := feedInput(t, 3000, 2)
	h.produce(input...)
	intake := func(ctx context.Context, cfg stage.Config, ready func()) error {
		return stage.Run(ctx, cfg, row("intake"), feedTasks, ready)
	}
	h.kill(12, func(ctx context.Context, cfg stage.Config) error { return intake(ctx, cfg, nil) })
	h.start(func(ctx context.Context, ready func()) error { return intake(ctx, h.cfg, ready) })
	h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions)
	require.ElementsMatch(t, expected[schemas.TopicTimeline], lines(flat(h.read(schemas.TopicTimeline))))
	require.ElementsMatch(t, expected[schemas.TopicDeadLetters], lines(flat(h.read(schemas.TopicDeadLetters))))
}

// TestStopInMidJoin stops a stage whose group does not come together: the library would wait for it, however long that
// takes.
func TestStopInMidJoin(t *testing.T) {
	t.Parallel()
	h := newFakeHarness(t, 1)
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	var once sync.Once
	h.cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		h.cluster.KeepControl()
		once.Do(func() { close(asked) })
		h.cluster.SleepControl(func() { <-release })
		return nil, nil, false
	})
	cfg := h.cfg
	cfg.LeaveTimeout = 100 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- stage.Run(ctx, cfg, row("collect"), newCountTask, func() {}) }()
	<-asked
	cancel()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		require.Fail(t, "the stage waits for its group")
	}
}
