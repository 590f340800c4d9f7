package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// patience is virtual: nothing that a run waits for may take longer.
const patience = 10 * time.Minute

var (
	dated  = rules.Default()
	engine = processors.NewEngine(dated)
)

// rig is a broker in memory with all topics, and the stages as processes that can die.
type rig struct {
	net        *kfake.VirtualNetwork
	cluster    *kfake.Cluster
	partitions int32
	cfg        stage.Config // of clients that nothing happens to
	processes  []*process
	stop       context.CancelFunc
	ended      chan error
	gone       int            // processes that have ended by themselves
	dead       sync.WaitGroup // lives that were killed; in virtual time they must find out before the bubble ends
}

// newRig starts a broker. Virtual time starts in 2000; the calendar should not.
func newRig(partitions int32) (*rig, error) {
	r := &rig{net: &kfake.VirtualNetwork{}, partitions: partitions}
	var err error
	r.cluster, err = kfake.NewCluster(kfake.Ports(9092), kfake.ListenFn(r.net.Listen),
		kfake.GroupMinSessionTimeout(time.Millisecond))
	if err != nil {
		return nil, err
	}
	r.cfg = r.config(r.net.DialContext)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err := topics.Ensure(ctx, r.cfg)
	if err == nil && n != partitions {
		err = fmt.Errorf("%d partitions instead of %d", n, partitions)
	}
	return r, err
}

func (r *rig) config(dial func(context.Context, string, string) (net.Conn, error), opts ...kgo.Opt) stage.Config {
	return stage.Config{
		Brokers: []string{"127.0.0.1:9092"}, Partitions: r.partitions, SliceKeys: 3, Log: simLog(),
		Tenants: []string{"acme", "beta"},
		KgoOpts: append([]kgo.Opt{
			kgo.Dialer(dial),
			kgo.MetadataMinAge(50 * time.Millisecond),
			kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
			kgo.DisableClientMetrics(), kgo.ProducerBatchCompression(kgo.NoCompression()), // they cost more than all the rest
			// Virtual time costs nothing, but what happens in it does: a session of 15 s is many heartbeats and looks at
			// progress.
			kgo.SessionTimeout(session), kgo.HeartbeatInterval(500 * time.Millisecond), kgo.RebalanceTimeout(4 * time.Second),
		}, opts...),
	}
}

// simLog shows the stages' logs where KASI_TEST_LOG is set.
func simLog() *slog.Logger {
	if os.Getenv("KASI_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// start runs the stages named, each as a process of its own under weather w.
func (r *rig) start(w *weather, maxRecords int, ledger streams.Ledger, names ...string) {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.ended = cancel, make(chan error, len(names))
	for i, name := range names {
		p := &process{
			name: name, rig: r, weather: w, maxRecords: maxRecords, restart: make(chan struct{}, 1),
			wait: int32(stageFetchWait + i),
		}
		p.run = func(ctx context.Context, cfg stage.Config, ready func()) error {
			return streams.Run(ctx, cfg, name, streams.Needs{Engine: engine, Rules: dated, Ledger: ledger}, ready)
		}
		r.processes = append(r.processes, p)
		go func() { r.ended <- p.live(ctx) }()
	}
}

// close ends all processes and the broker, and returns what any of them failed with.
func (r *rig) close() error {
	var errs []error
	if r.stop != nil {
		r.stop()
		for range len(r.processes) - r.gone {
			errs = append(errs, <-r.ended)
		}
	}
	r.dead.Wait()
	r.cluster.Close()
	return errors.Join(errs...)
}

// failed is the error of a process that gave up by itself, which none may.
func (r *rig) failed() error {
	select {
	case err := <-r.ended:
		r.gone++
		return err
	default:
		return nil
	}
}

// session is how long the broker waits for a member that died.
const session = 2 * time.Second

// members are those that a process has in its groups, by group.
func (r *rig) members(process string) map[string][]string {
	all := map[string][]string{}
	for _, group := range streams.GroupsOf(process) {
		if info := r.cluster.GroupInfo(group.ID); info != nil {
			for _, m := range info.Members {
				all[group.ID] = append(all[group.ID], m.MemberID)
			}
		}
	}
	return all
}

// expel sends away members whose process is dead, when their session is over. A broker does so by itself, and kfake
// too, but not with a member that died while it waited for the answer to its join: kfake would leave it its partitions
// for good.
func (r *rig) expel(ghosts map[string][]string) {
	time.Sleep(session + session/2)
	for group, ids := range ghosts {
		info := r.cluster.GroupInfo(group)
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Group = group
		for i := 0; info != nil && i < len(info.Members); i++ {
			if id := info.Members[i].MemberID; slices.Contains(ids, id) {
				member := kmsg.NewLeaveGroupRequestMember()
				member.MemberID = id
				req.Members = append(req.Members, member)
			}
		}
		if len(req.Members) == 0 {
			continue
		}
		cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(r.cfg.Brokers...)}, r.cfg.KgoOpts...)...)
		if err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			_, _ = req.RequestWith(ctx, cl) // where it fails, the stage stands still and the run says so
			cancel()
			cl.Close()
		}
	}
}

// process is one stage as it lives, dies and lives again under the same transactional id.
type process struct {
	name       string
	rig        *rig
	run        func(context.Context, stage.Config, func()) error
	weather    *weather
	maxRecords int
	wait       int32
	restart    chan struct{}
	lives      int
}

// live ends with ctx, or with the error of a stage that gave up by itself, which none may.
func (p *process) live(ctx context.Context) error {
	for {
		p.lives++
		w := &wire{
			dialer: p.rig.net.DialContext, weather: p.weather, process: p.name, conns: map[*tapped]struct{}{},
			killed: make(chan struct{}),
		}
		cfg := p.rig.config(w.dial, kgo.FetchMaxWait(time.Duration(p.wait)*time.Millisecond))
		cfg.MaxRecords = p.maxRecords
		life, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		p.rig.dead.Go(func() { done <- p.run(life, cfg, nil) })
		select {
		case err := <-done:
			cancel()
			if ctx.Err() == nil {
				return fmt.Errorf("%s gave up: %w", p.name, err)
			}
			return err
		case <-w.killed: // abandoned: nobody waits for it
			cancel()
			ghosts := p.rig.members(p.name)
			p.rig.dead.Go(func() { p.rig.expel(ghosts) })
			rng := rand.New(rand.NewPCG(p.weather.seed, uint64(p.lives)))
			time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
		case <-p.restart: // a clean stop
			cancel()
			if err := <-done; err != nil {
				return fmt.Errorf("%s did not stop cleanly: %w", p.name, err)
			}
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}
