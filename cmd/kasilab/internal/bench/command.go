// Package bench measures Kasi on Apache Kafka and ClickHouse beside its peers, and prints one table: `make
// bench-kafka`, `make bench-scale`.
package bench

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
)

// options are the sizes of a run.
type options struct {
	rounds, customers, partitions, warm, records, transaction int
	sinkRows, load, seconds, states, policies                 int
	profile, heap                                             string
}

// part is one comparison. All use one broker, emptied in between, because the Java of a new one compiles for minutes.
type part struct {
	name string
	run  func(context.Context, *kafka, *options, *table) error // without a Kafka where the part brings engines of its own
}

var parts = []part{
	{"collect", benchCollect},
	{"sink", benchSink},
	{"latency", benchLatency},
	{"restore", benchRestore},
	{"failover", benchFailover},
	{"partitions", benchPartitions},
	{"million", benchMillion},
	{"analysts", benchAnalysts},
	{"load", benchLoad},
}

// Command is `kasilab bench`.
func Command() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "bench [collect|sink|latency|restore|failover|partitions|million|analysts|load]...",
		Short: "Measure Kasi on Apache Kafka beside its peers",
		Long: `bench starts Apache Kafka (make kafka-jars) and ClickHouse on this machine, measures the named
parts (default: collect, sink and latency) and prints one table. Each contender is a process of its
own; contenders take turns, and each is warm before its clock starts. million is one run of the whole
product on its embedded engines. analysts times the analysts' questions over six months of --policies.
load calls the HTTP API of the product on its embedded engines, beside a bare handler.`,
		Example: `  kasilab bench                            # what make bench-kafka prints
  kasilab bench collect --rounds 1 --profile /tmp/collect.pprof`,
		Args: cobra.OnlyValidArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return measure(cmd.Context(), o, args) },
	}
	for _, p := range parts {
		cmd.ValidArgs = append(cmd.ValidArgs, p.name)
	}
	f := cmd.Flags()
	f.IntVar(&o.rounds, "rounds", 3, "times each contender runs")
	f.IntVar(&o.customers, "customers", 10_000, "customers")
	f.IntVar(&o.partitions, "partitions", 4, "partitions of each topic")
	f.IntVar(&o.warm, "warm", 200_000, "transactions before the clock starts")
	f.IntVar(&o.records, "records", 400_000, "transactions measured")
	f.IntVar(&o.transaction, "transaction", 10_000, "records that one Kafka transaction takes in")
	f.IntVar(&o.sinkRows, "sink-rows", 1_000_000, "rows the sink is measured on")
	f.IntVar(&o.load, "load", 0, "feed records a second for latency (0: half of the throughput measured first)")
	f.IntVar(&o.seconds, "seconds", 45, "seconds of the latency measurement, the first 20 of them not counted")
	f.IntVar(&o.states, "states", 1_000_000, "customers to restore")
	f.IntVar(&o.policies, "policies", 1_000_000, "policies of million and analysts")
	f.StringVar(&o.heap, "heap", "", "file for a profile of the product's heap at the end of million")
	f.StringVar(&o.profile, "profile", "", "file for a processor profile of Kasi's own contender (collect, sink)")
	cmd.AddCommand(childCmd())
	return cmd
}

func measure(ctx context.Context, o *options, names []string) error {
	if len(names) == 0 {
		names = []string{"collect", "sink", "latency"}
	}
	var k *kafka
	if slices.ContainsFunc(names, func(name string) bool {
		return name != "million" && name != "analysts" && name != "load"
	}) {
		var err error
		if k, err = startKafka(); err != nil {
			return err
		}
		defer k.stop()
	}
	t := &table{}
	t.machine(o)
	for _, p := range parts {
		if !slices.Contains(names, p.name) {
			continue
		}
		say("== %s", p.name)
		if err := p.run(ctx, k, o, t); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	t.print(os.Stdout)
	return nil
}

// say tells on standard error how far the run is.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
