package power

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/cmd/internal/demo"
	"github.com/kasi-collections/kasi/cmd/kasilab/internal/storm"
	"github.com/kasi-collections/kasi/streams/retry"
)

// Options of a month with power cuts.
type Options struct {
	// Customers is how many there are, 40 or more; Records how many bank transactions the feeds deliver at least.
	Customers, Records int
	Cuts               int
	// Disk is under everything that the product keeps. Its seed decides the people and the moments, too.
	Disk DiskOptions
	// Kasi is the command line of the product in a process of its own, and Flags are further ones of kasi up.
	Kasi  func(args ...string) *exec.Cmd
	Flags []string
	// Dir gets the disk, the product's log and the books. It is on a disk that keeps its word.
	Dir string
	Out io.Writer
}

const (
	apiKey    = "power"
	tenant    = "demo"
	kasiPW    = "power-kasi"
	analystPW = "power-analyst"
	patience  = 5 * time.Minute
	// moment bounds the random pause before a cut.
	moment = 2 * time.Second
)

// Env is what the product needs in its environment.
func Env() []string {
	return []string{
		"KASI_API_KEYS=" + tenant + "=" + apiKey, "KASI_CLICKHOUSE_PASSWORD=" + kasiPW,
		"KASI_ANALYST_PASSWORD=" + analystPW,
	}
}

// Run plays the month and prints what came of it. Any difference in the books is an error, and so is a product that
// does not serve again after a cut.
func Run(ctx context.Context, o Options) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	disk, err := NewDisk(filepath.Join(o.Dir, "disk"), o.Disk)
	if err != nil {
		return err
	}
	p, err := newProduct(o, disk)
	if err != nil {
		return errors.Join(err, disk.Close())
	}
	defer func() { err = errors.Join(err, disk.off(p.kill), p.wait(context.WithoutCancel(ctx))) }()
	if err := p.start(ctx); err != nil {
		return err
	}
	c := &cutter{
		o: o, p: p, fail: cancel, rng: rand.New(rand.NewPCG(o.Disk.Seed, 1<<36)), acknowledged: storm.NewFed(),
		done: make(chan struct{}),
	}
	var said bytes.Buffer
	result, err := c.month(ctx, &said)
	fmt.Fprint(o.Out, said.String())
	cause := context.Cause(ctx)
	if result == nil || cause != nil {
		return errors.Join(err, cause)
	}
	differs := err // the month's own verdict; the verifier looks all the same
	select {
	case <-c.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := c.quiet(ctx); err != nil {
		return errors.Join(differs, err)
	}
	fmt.Fprintf(o.Out, "seed %d: %d power cuts, served again after at most %s; %d bank transactions acknowledged\n",
		o.Disk.Seed, c.cuts, c.longest.Round(time.Millisecond), c.acknowledged.Len())
	return errors.Join(differs, storm.Books{
		Kasi: o.Kasi, Brokers: p.kafka, ClickHouseHTTP: p.clickhouse, Dir: o.Dir, Out: o.Out,
		Acknowledged: c.acknowledged,
	}.Verify(ctx, result))
}

// cutter cuts the power at random moments, as often as the month's progress allows.
type cutter struct {
	o            Options
	p            *product
	fail         context.CancelCauseFunc
	rng          *rand.Rand // the cutter's own
	acknowledged *storm.Fed
	once         sync.Once
	done         chan struct{} // all cuts are done, or one failed
	longest      time.Duration

	mu            sync.Mutex
	cuts, allowed int
}

func (c *cutter) month(ctx context.Context, said io.Writer) (*demo.Result, error) {
	return demo.Month(ctx, demo.Options{
		Policies: c.o.Customers + (c.o.Customers-1)/16, Seed: c.o.Disk.Seed,
		Rough: demo.Rough{
			Records: c.o.Records, LateAnswers: true, Delivered: c.acknowledged.Add,
			Phase: c.phase,
		},
		Product: demo.Product{
			BaseURL: "http://" + c.p.http, APIKey: apiKey, Tenant: tenant, Brokers: []string{c.p.kafka},
			KgoOpts: storm.PatientOpts, Patience: patience, ClickHouseURL: "http://" + c.p.clickhouse,
			AnalystPassword: analystPW,
			Advancer:        &storm.Advancer{Kasi: c.o.Kasi, Brokers: []string{c.p.kafka}}, Out: said, Progress: io.Discard,
		},
	})
}

// phase hears from the month where it is, and makes it wait where the cuts are behind.
func (c *cutter) phase(ctx context.Context, p demo.Phase, d civil.Date) error {
	c.once.Do(func() { go c.run(ctx) })
	c.mu.Lock()
	c.allowed = max(c.allowed, int(storm.Share(p, d)*float64(c.o.Cuts)+0.5))
	c.mu.Unlock()
	if p != demo.PhaseMorning {
		return nil
	}
	return storm.WaitFor(ctx, "the cuts", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.allowed-c.cuts <= 1
	})
}

func (c *cutter) run(ctx context.Context) {
	defer close(c.done)
	for c.cuts < c.o.Cuts {
		c.mu.Lock()
		due := c.cuts < c.allowed
		c.mu.Unlock()
		if !due {
			if retry.Pause(ctx, 20*time.Millisecond) != nil {
				return
			}
			continue
		}
		if retry.Pause(ctx, time.Duration(c.rng.Int64N(int64(moment)))) != nil {
			return
		}
		if err := c.cut(ctx); err != nil {
			c.fail(fmt.Errorf("cut %d: %w", c.cuts+1, err))
			return
		}
		c.mu.Lock()
		c.cuts++
		c.mu.Unlock()
	}
}

func (c *cutter) cut(ctx context.Context) error {
	began := time.Now()
	if err := c.p.disk.Cut(c.p.kill); err != nil {
		return err
	}
	if err := c.p.wait(ctx); err != nil {
		return err
	}
	if err := c.p.start(ctx); err != nil {
		return err
	}
	c.longest = max(c.longest, time.Since(began))
	fmt.Fprintf(c.o.Out, "cut %d, served again after %s\n", c.cuts+1, time.Since(began).Round(time.Millisecond))
	return nil
}

// quiet waits until everything that was fed has gone through.
func (c *cutter) quiet(ctx context.Context) error {
	w, err := storm.NewWatch(ctx, []string{c.p.kafka})
	if err != nil {
		return err
	}
	defer w.Close()
	return w.Quiet(ctx)
}
