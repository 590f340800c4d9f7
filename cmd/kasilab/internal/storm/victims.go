package storm

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// victim is something that can be killed: its instances in turn.
type victim struct {
	role, sign string // sign says when it counts as back
	instances  []string
	busy       func() bool // where set: whether there is anything to kill now
	strike     func(instance string) bool
	revive     func(instance string) error
	rest       time.Duration // before it is revived; 0: a moment
	// use makes the question whether the instance is of use again; it is called before the kill.
	use func(instance string) func(context.Context) bool

	// whole, where set, waits until the victim may be killed again, which can be later than it is of use.
	whole func(context.Context) error

	// Guarded by the killer's mu.
	away  bool
	turn  int
	kills int
	took  []time.Duration

	back func(context.Context) bool // of the present kill
}

func (v *victim) name() string { return v.instances[v.turn%len(v.instances)] }

func (v *victim) kill() bool {
	v.back = v.use(v.name())
	return v.strike(v.name())
}

func (v *victim) start() error {
	if v.revive == nil {
		return nil
	}
	return v.revive(v.name())
}

// all is every victim there is on this Kafka.
func (k *killer) all(ch *clickHouse) []*victim {
	var out []*victim
	for _, s := range []struct {
		role, sign string
		n          int
		use        func(string) func(context.Context) bool
	}{
		{"intake", "a partition it held moves", 2, k.moves("intake")},
		{"collect", "a partition it held moves", 2, k.moves("collect")},
		{"sink", "a partition it held moves", 2, k.moves("sink")},
		{"settle", "/readyz", 1, k.serves("http://" + k.ps.metrics + "/readyz")},
		{"api", "/readyz", 1, k.serves("http://" + k.ps.http + "/readyz")},
	} {
		v := &victim{
			role: s.role, sign: s.sign, use: s.use, strike: k.ps.kill,
			revive: func(name string) error { return k.ps.start(s.role, name) },
		}
		for i := range s.n {
			v.instances = append(v.instances, fmt.Sprintf("%s-%d", s.role, i+1))
		}
		out = append(out, v)
	}
	for _, role := range []string{"collect", "sink"} {
		v := &victim{
			role: role + " asleep", sign: "a partition it held moves", rest: asleep, use: k.moves(role),
			strike: func(name string) bool { return k.ps.signal(name, syscall.SIGSTOP) },
			revive: func(name string) error { k.ps.signal(name, syscall.SIGCONT); return nil },
		}
		for i := range 2 {
			v.instances = append(v.instances, fmt.Sprintf("%s-%d", role, i+1))
		}
		out = append(out, v)
	}
	older := &victim{
		role: "clickhouse, older copy", sign: "a query is answered", instances: []string{"clickhouse"},
		strike: func(string) bool { return k.bringBack(ch) },
		use:    func(string) func(context.Context) bool { return ch.answers },
	}
	older.busy = func() bool { return older.kills == 0 && k.day.After(firstDay.AddDays(olderAfter)) }
	out = append(out, older, &victim{
		role: "clickhouse", sign: "a query is answered", instances: []string{"clickhouse"},
		strike: func(string) bool { ch.kill(); return true },
		use:    func(string) func(context.Context) bool { return ch.answers },
	}, &victim{
		role: "calendar advance", sign: "", instances: []string{"calendar advance"}, strike: k.killAdvance,
		busy: func() bool { return k.current != nil },
		use:  func(string) func(context.Context) bool { return func(context.Context) bool { return true } },
	})
	if k.o.Cluster != nil && len(k.o.Brokers) >= 3 {
		out = append(out, k.brokers())
	}
	return out
}

// moves asks whether a partition that the instance held has been committed again by whoever has it now.
func (k *killer) moves(role string) func(string) func(context.Context) bool {
	return func(instance string) func(context.Context) bool {
		own := k.w.held(context.Background(), role, instance)
		var from map[place]int64 // first asked for after the kill
		return func(ctx context.Context) bool {
			at := k.w.now(ctx, role)
			if from == nil {
				from = at
			}
			return moved(own, from, at)
		}
	}
}

func (k *killer) serves(url string) func(string) func(context.Context) bool {
	return func(string) func(context.Context) bool {
		return func(ctx context.Context) bool { return Answers(ctx, url) }
	}
}

// bringBack makes ClickHouse what it was when an earlier day of the month began, under the eyes of the sinks.
func (k *killer) bringBack(ch *clickHouse) bool {
	k.mu.Lock()
	since, ctx := k.copied, k.ps.ctx
	k.mu.Unlock()
	if err := ch.bringBack(ctx, since); err != nil {
		k.fail(fmt.Errorf("an older copy of ClickHouse: %w", err))
	}
	return true
}

func (k *killer) killAdvance(string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current != nil && k.current.Kill() == nil
}

// brokers are killed in turn, and back when the partitions of the probe take records. A second one is killed only once
// all replicas are in sync again: of three, two are needed. A lone broker is spared, because Kafka does not keep its
// word there (kafkatest.Cluster).
func (k *killer) brokers() *victim {
	v := &victim{role: "broker", sign: "a record is acknowledged"}
	index := map[string]int{}
	for i := range k.o.Brokers {
		v.instances = append(v.instances, fmt.Sprintf("broker-%d", i+1))
		index[v.instances[i]] = i
	}
	v.strike = func(name string) bool { k.o.Cluster.Kill(index[name]); return true }
	v.revive = func(name string) error { return k.o.Cluster.Start(index[name]) }
	v.whole = func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return k.o.Cluster.Ready(ctx)
	}
	v.use = func(string) func(context.Context) bool {
		return func(ctx context.Context) bool { return k.probe.taken(ctx, len(k.o.Brokers)) == nil }
	}
	return v
}

// show prints one line of progress.
func (k *killer) show() {
	k.mu.Lock()
	defer k.mu.Unlock()
	var kills []string
	for _, v := range k.victims {
		kills = append(kills, fmt.Sprintf("%s %d", v.role, v.kills))
	}
	k.bar.Step(int64(k.kills), fmt.Sprintf("%s  %d records  kills: %s  rebalances %d  lag %d", k.day, k.acknowledged.Len(),
		strings.Join(kills, ", "), 2*k.joined, k.w.behind()))
}

// print says what the storm did.
func (k *killer) print(took time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := table.NewWriter()
	t.SetOutputMirror(k.o.Out)
	t.SetStyle(table.StyleLight)
	t.SetTitle("Killed with kill -9, or put to sleep, and seconds until it was of use again")
	t.AppendHeader(table.Row{"Role", "Kills", "p50 s", "max s", "of use again when", "ended by itself"})
	right := table.ColumnConfig{Align: text.AlignRight}
	var columns []table.ColumnConfig
	for _, n := range []int{2, 3, 4, 6} {
		right.Number = n
		columns = append(columns, right)
	}
	t.SetColumnConfigs(columns)
	total := 0
	for _, v := range k.victims {
		total += v.kills
		row := table.Row{v.role, v.kills, "", "", v.sign, k.ps.endedByThemselves(v.role)}
		if p50, most := median(v.took); v.sign != "" {
			row[2], row[3] = fmt.Sprintf("%.1f", p50.Seconds()), fmt.Sprintf("%.1f", most.Seconds())
		}
		t.AppendRow(row)
	}
	t.AppendFooter(table.Row{"all", total})
	t.Render()
	fmt.Fprintf(k.o.Out, "seed %d, %s: %d bank transactions acknowledged, %d instances joined and left (%d rebalances "+
		"asked for), calendar advanced again %d times\n",
		k.o.Seed, took.Round(time.Second), k.acknowledged.Len(), k.joined, 2*k.joined, k.calls)
}
