package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// refusals are the faults in which the broker answers instead of doing the work (or, where it says so, after it). rate
// is per thousand requests of a stormy day.
var refusals = []struct {
	name string
	key  kmsg.Key
	err  *kerr.Error
	rate int
}{
	{"produce refused: leader moved", kmsg.Produce, kerr.NotLeaderForPartition, 15},
	{"produce refused: too large", kmsg.Produce, kerr.MessageTooLarge, 8},
	{"produce refused: fenced", kmsg.Produce, kerr.InvalidProducerEpoch, 8},
	{"produce applied: answered as timed out", kmsg.Produce, kerr.RequestTimedOut, 15},
	{"offsets refused: rebalance", kmsg.TxnOffsetCommit, kerr.RebalanceInProgress, 20},
	{"offsets refused: old generation", kmsg.TxnOffsetCommit, kerr.IllegalGeneration, 15},
	{"offsets refused: unknown member", kmsg.TxnOffsetCommit, kerr.UnknownMemberID, 15},
	{"offsets refused: metadata too large", kmsg.TxnOffsetCommit, kerr.OffsetMetadataTooLarge, 8},
	{"offsets applied: answered as timed out", kmsg.TxnOffsetCommit, kerr.RequestTimedOut, 15},
	{"EndTxn refused: coordinator moved", kmsg.EndTxn, kerr.NotCoordinator, 15},
	{"EndTxn refused: coordinator loads", kmsg.EndTxn, kerr.CoordinatorLoadInProgress, 15},
	{"EndTxn refused: concurrent transactions", kmsg.EndTxn, kerr.ConcurrentTransactions, 15},
	{"EndTxn refused: unknown server error", kmsg.EndTxn, kerr.UnknownServerError, 15},
	{"EndTxn refused: fenced", kmsg.EndTxn, kerr.ProducerFenced, 10},
	{"EndTxn refused: abortable", kmsg.EndTxn, kerr.TransactionAbortable, 15},
	{"producer id refused: concurrent transactions", kmsg.InitProducerID, kerr.ConcurrentTransactions, 150},
	{"producer id refused: coordinator loads", kmsg.InitProducerID, kerr.CoordinatorLoadInProgress, 150},
	{"fetch refused: leader moved", kmsg.Fetch, kerr.NotLeaderForPartition, 6},
	{"group offsets refused: coordinator moved", kmsg.OffsetFetch, kerr.NotCoordinator, 60},
	{"group offsets refused: unstable", kmsg.OffsetFetch, kerr.UnstableOffsetCommit, 60},
	{"join refused: coordinator loads", kmsg.JoinGroup, kerr.CoordinatorLoadInProgress, 80},
	{"heartbeat refused: unknown member", kmsg.Heartbeat, kerr.UnknownMemberID, 10},
	{"heartbeat refused: rebalance", kmsg.Heartbeat, kerr.RebalanceInProgress, 15},
}

// around are the faults of the wire.
var around = []struct {
	name string
	key  kmsg.Key
	do   action
	rate int
}{
	{"produce applied: answer lost", kmsg.Produce, action{lose: true}, 15},
	{"offsets applied: answer lost", kmsg.TxnOffsetCommit, action{lose: true}, 15},
	{"EndTxn applied: answer lost", kmsg.EndTxn, action{lose: true}, 25},
	{
		"EndTxn applied: answered as unknown server error", kmsg.EndTxn,
		action{falsify: true, code: kerr.UnknownServerError.Code},
		15,
	},
	{"EndTxn applied: answered as fenced", kmsg.EndTxn, action{falsify: true, code: kerr.ProducerFenced.Code}, 10},
	{
		"EndTxn applied: answered as coordinator moved", kmsg.EndTxn,
		action{falsify: true, code: kerr.NotCoordinator.Code},
		15,
	},
	{
		"EndTxn applied: answered as abortable", kmsg.EndTxn,
		action{falsify: true, code: kerr.TransactionAbortable.Code},
		15,
	},
	{"EndTxn applied: answer 3 s late", kmsg.EndTxn, action{delay: 3 * time.Second}, 10},
	{"fetch answered: answer lost", kmsg.Fetch, action{lose: true}, 5},
	{"produce applied: connections cut", kmsg.Produce, action{cut: true}, 10},
	{"fetch answered: connections cut", kmsg.Fetch, action{cut: true}, 4},
	{"killed before a produce", kmsg.Produce, action{drop: true}, 8},
	{"killed after a produce", kmsg.Produce, action{kill: true}, 8},
	{"killed before the offsets", kmsg.TxnOffsetCommit, action{drop: true}, 8},
	{"killed after the offsets", kmsg.TxnOffsetCommit, action{kill: true}, 8},
	{"killed before EndTxn", kmsg.EndTxn, action{drop: true}, 12},
	{"killed after EndTxn", kmsg.EndTxn, action{kill: true}, 12},
	{"killed while it restores", kmsg.OffsetFetch, action{kill: true}, 30},
}

// weather decides what fails. A decision is made of the seed, the place and the count of requests there, so that how
// stages are interleaved does not shift the others' faults. Calm weather fails nothing.
type weather struct {
	seed  uint64
	force int // per thousand of the tables' rates
	most  int // faults of a run: a bound on its length
	quiet bool

	mu    sync.Mutex
	count map[string]uint64
	fired map[string]int
	sum   int
	log   []string
	began time.Time
}

func newWeather(seed uint64, rng *rand.Rand) *weather {
	force := []int{300, 1000, 1000, 2500}[rng.IntN(4)]
	return &weather{
		seed: seed, force: force, most: 20 + rng.IntN(40), count: map[string]uint64{}, fired: map[string]int{},
		began: time.Now(),
	}
}

// strikes draws for one kind of fault at one place.
func (w *weather) strikes(place, name string, rate int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := place + "/" + name
	w.count[at]++
	if w.quiet || w.sum >= w.most || rate == 0 {
		return false
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s/%d", w.seed, at, w.count[at])
	if draw := rand.New(rand.NewPCG(h.Sum64(), w.seed)).IntN(1_000_000); draw >= rate*w.force {
		return false
	}
	w.note(place, name)
	return true
}

// note counts a fault; the caller holds mu.
func (w *weather) note(place, name string) {
	w.sum++
	w.fired[name]++
	w.log = append(w.log, fmt.Sprintf("%12v %-8s %s", time.Since(w.began), place, name))
}

func (w *weather) calm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quiet = true
}

// around is what the wire of a process does around its next request.
func (w *weather) around(process string, key kmsg.Key) action {
	for _, a := range around {
		if a.key == key && w.strikes(process, a.name, a.rate) {
			return a.do
		}
	}
	return action{}
}

// install teaches the broker its refusals. It asks a fault's When for each partition of a request, so the answer is
// kept for a request.
func (w *weather) install(c *kfake.Cluster) {
	for _, r := range refusals {
		var last kmsg.Request
		var strikes bool
		c.Fault(kfake.Fault{Keys: []kmsg.Key{r.key}, Err: r.err, Count: -1, When: func(req kmsg.Request) bool {
			if req != last {
				last, strikes = req, false
				if who := stageOf(req); who != "" {
					strikes = w.strikes(who, r.name, r.rate)
				}
			}
			return strikes
		}})
	}
}

// stageOf names the stage that sent a request, empty for what the simulation itself and the tools send.
func stageOf(req kmsg.Request) string {
	ours := func(id *string) string {
		if id == nil {
			return ""
		}
		return *id
	}
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		return ours(r.TransactionID)
	case *kmsg.TxnOffsetCommitRequest:
		return r.TransactionalID
	case *kmsg.EndTxnRequest:
		return r.TransactionalID
	case *kmsg.InitProducerIDRequest:
		return ours(r.TransactionalID)
	case *kmsg.HeartbeatRequest:
		return r.Group
	case *kmsg.JoinGroupRequest:
		return r.Group
	case *kmsg.OffsetFetchRequest:
		if r.RequireStable && len(r.Groups) == 1 {
			return r.Groups[0].Group
		}
	case *kmsg.FetchRequest:
		if r.MaxWaitMillis >= stageFetchWait {
			return fmt.Sprint("fetch ", r.MaxWaitMillis)
		}
	}
	return ""
}

// stageFetchWait, in milliseconds, and one more for each process, tells the fetches of stages from others'.
const stageFetchWait = 4000
