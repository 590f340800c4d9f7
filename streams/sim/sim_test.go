package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/cryptotest"
	"time"
)

var (
	flagSeed  = flag.Uint64("seed", 1, "first seed")
	flagN     = flag.Int("n", 60, "how many seeds")
	flagProcs = flag.Int("procs", 2, "how many seeds at a time")
	flagFor   = flag.Duration("for", 0, "start no seed after this time; 0 means all of them")
	flagShow  = flag.Bool("faults", false, "show the faults of each seed")
)

// enough is the number of seeds over which every kind of fault and mischief must have happened.
const enough = 50

// TestSeeds runs seeds, each in a process of its own: nothing of one reaches the next, so a seed that fails, fails
// alone too. `make sim` runs it with the dice of Go's runtime loaded (overlay.sh), which makes the failure the same to
// the last byte.
func TestSeeds(t *testing.T) {
	s := &sums{fired: map[string]int{}, counts: map[string]int{}, began: time.Now(), said: time.Now()}
	seeds := make(chan uint64)
	var workers sync.WaitGroup
	for range *flagProcs {
		workers.Go(func() {
			for seed := range seeds {
				s.add(t, child(t, seed))
			}
		})
	}
	for i := range *flagN {
		if t.Failed() || *flagFor > 0 && time.Since(s.began) > *flagFor {
			break
		}
		seeds <- *flagSeed + uint64(i)
	}
	close(seeds)
	workers.Wait()
	s.report(t)
}

// exact tells that the dice are loaded.
func exact() bool { return os.Getenv("KASI_SIM_EXACT") != "" }

// TestReplay runs seeds twice: all records with their places, and all faults with their times, must be the same.
func TestReplay(t *testing.T) {
	if !exact() {
		t.Log("the dice of Go's runtime (select, maps) are not loaded here: `make sim` loads them")
		return
	}
	for seed := *flagSeed; seed < *flagSeed+3; seed++ {
		first, second := child(t, seed), child(t, seed)
		if first.Hash != second.Hash || first.Error != second.Error {
			t.Errorf("seed %d ran twice and differs: %s and %s", seed, first.Hash, second.Hash)
		}
	}
}

// verdict is what became of a seed.
type verdict struct {
	Seed           uint64
	Error          string
	Hash           string
	Fired, Counts  map[string]int
	Records, Lives int
	StoodStill     bool // nothing is known of it
	Virtual        time.Duration
	Log            []string
}

const verdictMark = "VERDICT "

// TestSeed is the process of one seed.
func TestSeed(t *testing.T) {
	if os.Getenv("KASI_SIM_CHILD") == "" {
		return // TestSeeds starts it
	}
	// A seed that goes round for ever takes memory without end, since nothing is collected: it must not take the
	// machine's.
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: mostMemory, Max: mostMemory}); err != nil {
		t.Fatal(err)
	}
	cryptotest.SetGlobalRandom(t, *flagSeed)
	r, err := play(t, *flagSeed)
	v := verdict{Seed: *flagSeed, Hash: r.hash, Counts: r.counts, Records: r.records, Lives: r.lives}
	if r.weather != nil {
		v.Fired, v.Log, v.Virtual = r.weather.fired, r.weather.log, r.virtual
	}
	if err != nil {
		v.Error = err.Error()
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(verdictMark + string(b))
}

// mostMemory bounds the address space of a seed's process; a seed needs some 100 MB, and Go reserves more.
const mostMemory = 6 << 30

// ranOut is what Go says at that bound.
const ranOut = "out of memory"

// hung is how long a seed may use no processor before its goroutines are looked at.
const hung = 15 * time.Second

// stoodStill is in the goroutines of a bubble whose time stands still: kgo waits for the broker while it holds a mutex,
// and synctest does not let time pass while somebody waits for a mutex. overlay.sh mends that, so under make sim it
// cannot be the reason.
var stoodStill = regexp.MustCompile(`\[sync\.(RW)?Mutex\.R?Lock, synctest bubble`)

// child runs one seed in a process of its own.
func child(t *testing.T, seed uint64) verdict {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSeed$", fmt.Sprintf("-seed=%d", seed))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "KASI_SIM_CHILD=1", "GOMAXPROCS=1", "GOGC=off")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if os.Getenv("KASI_TEST_LOG") != "" {
		cmd.Stderr = os.Stderr
	}
	err := cmd.Start()
	if err == nil {
		go stopWhenIdle(ctx, cancel, cmd.Process.Pid)
		err = cmd.Wait()
	}
	for line := range strings.Lines(out.String()) {
		var v verdict
		if text, ok := strings.CutPrefix(line, verdictMark); ok && json.Unmarshal([]byte(text), &v) == nil {
			return v
		}
	}
	if !exact() && (ctx.Err() != nil && stoodStill.Match(out.Bytes()) || strings.Contains(out.String(), ranOut)) {
		return verdict{Seed: seed, StoodStill: true}
	}
	return verdict{Seed: seed, Error: fmt.Sprintf("the process of the seed ended without a verdict: %v\n%s", err,
		out.String())}
}

// stopWhenIdle cancels when the process has used no processor for long: it waits for something that never comes.
func stopWhenIdle(ctx context.Context, cancel func(), pid int) {
	used := func() (ticks int) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if f := strings.Fields(string(b)); len(f) > 14 {
			user, _ := strconv.Atoi(f[13])
			system, _ := strconv.Atoi(f[14])
			ticks = user + system
		}
		return ticks
	}
	for last := -1; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(hung):
		}
		now := used()
		if now <= last+1 { // the idle runtime looks around now and then
			cancel()
			return
		}
		last = now
	}
}

// sums adds up what many seeds met.
type sums struct {
	mu             sync.Mutex
	fired, counts  map[string]int
	seeds, faults  int
	still          int
	records, lives int
	began, said    time.Time
}

func (s *sums) add(t *testing.T, v verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.StoodStill {
		s.still++
		return
	}
	s.seeds++
	s.records, s.lives = s.records+v.Records, s.lives+v.Lives
	for kind, n := range v.Fired {
		s.fired[kind] += n
		s.faults += n
	}
	for kind, n := range v.Counts {
		s.counts[kind] += n
	}
	if *flagShow || v.Error != "" {
		fmt.Printf("seed %d: %d records, trace %s, faults:\n  %s\n", v.Seed, v.Records, v.Hash, strings.Join(v.Log, "\n  "))
	}
	if v.Error != "" {
		t.Errorf("seed %d: %s\nagain: make sim SEED=%d N=1", v.Seed, v.Error, v.Seed)
	}
	if time.Since(s.said) > 5*time.Second {
		s.said = time.Now()
		fmt.Printf("%6d of %d seeds, %.1f seeds/s, %d faults, next seed %d\n", s.seeds, *flagN, s.rate(), s.faults, v.Seed+1)
	}
}

func (s *sums) rate() float64 { return float64(s.seeds) / time.Since(s.began).Seconds() }

// report prints what happened and fails for what never did: a fault that never fires proves nothing.
func (s *sums) report(t *testing.T) {
	fmt.Printf("%d seeds, %.1f seeds/s, %d records judged, %d faults, %d lives of stages\n", s.seeds, s.rate(), s.records,
		s.faults, s.lives)
	for _, all := range []map[string]int{s.fired, s.counts} {
		for _, kind := range slices.Sorted(maps.Keys(all)) {
			fmt.Printf("  %8d %s\n", all[kind], kind)
		}
	}
	if s.still > 0 {
		fmt.Printf("%d more seeds stood still: make sim decides them\n", s.still)
	}
	if s.still > *flagN/2 {
		t.Errorf("%d of %d seeds stood still", s.still, *flagN)
	}
	if s.seeds < enough {
		return
	}
	for _, kind := range kinds() {
		if s.fired[kind]+s.counts[kind] == 0 {
			t.Errorf("%q never happened in %d seeds", kind, s.seeds)
		}
	}
}

// kinds are everything that may happen.
func kinds() []string {
	all := []string{
		"ledger away", "stopped and started", "bank: another amount", "bank: contradiction", "bank: dispute",
		"bank: dispute first", "bank: duplicate",
		"bank: foreign debit id", "bank: id used twice", "bank: late unpaid", "bank: malformed", "bank: never answers",
		"bank: reordered", "bank: the same under another id", "bank: unknown debit",
		"bank: very late", "command: cancellation", "command: duplicate", "command: move",
		"command: settlement", "move: collections", "move: done", "move: refused", "feed: duplicate",
		"feed: late", "feed: malformed",
	}
	for _, r := range refusals {
		all = append(all, r.name)
	}
	for _, a := range around {
		all = append(all, a.name)
	}
	return all
}
