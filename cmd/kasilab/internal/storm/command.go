package storm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// Command is `kasilab storm`.
func Command() *cobra.Command {
	o := Options{}
	var brokers int
	var keep bool
	var kasi string
	cmd := &cobra.Command{
		Use:   "storm",
		Short: "Kill the product, its broker and its ClickHouse for a whole month, then check the books",
		Long: `storm starts Apache Kafka (out of deploy/kafka/jars), ClickHouse and every role of the product as
processes of their own, plays November 2025 with simulated customers and a pretend bank that answers
late, twice and out of order, and kills them meanwhile with kill -9, in rotation and at random
moments. At the end kasi verify compares the bank's book, what the feeds had acknowledged, the topics
and ClickHouse. The exit code is 1 where there is any difference, or where a victim does not come
back within five minutes.`,
		Example: `  make storm
  make storm ARGS="--customers 500 --records 50000 --kills 20 --seed 7"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o, kasi, brokers, keep) },
	}
	cmd.Flags().IntVar(&o.Customers, "customers", 10_000, "customers, 40 or more; one in 16 holds two policies")
	cmd.Flags().IntVar(&o.Records, "records", 1_000_000, "bank transactions fed, at least")
	cmd.Flags().IntVar(&o.Kills, "kills", 100, "processes killed, at least")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 1,
		"decides people, victims and moments; what the machine's own timing adds is not in it")
	cmd.Flags().IntVar(&brokers, "brokers", 3, "brokers of the Kafka: 3, or 1 for evaluation, which is not killed")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep logs and ClickHouse's data where all went well, too")
	cmd.Flags().StringVar(&kasi, "kasi", "bin/kasi", "the binary to storm")
	return cmd
}

func run(ctx context.Context, o Options, kasi string, brokers int, keep bool) error {
	if brokers != 1 && brokers != 3 {
		return fmt.Errorf("--brokers %d: must be 1 or 3", brokers)
	}
	kasi, err := filepath.Abs(kasi)
	if err == nil {
		_, err = os.Stat(kasi)
	}
	if err != nil {
		return fmt.Errorf("--kasi: %w; make build builds it", err)
	}
	o.Kasi = func(args ...string) *exec.Cmd {
		cmd := exec.Command(kasi, args...)
		cmd.Env = append(os.Environ(), Env()...)
		return cmd
	}
	o.Out, o.Terminal = os.Stdout, term.IsTerminal(int(os.Stdout.Fd()))
	if o.Dir, err = os.MkdirTemp("", "kasi-storm-"); err != nil {
		return err
	}
	o.Cluster, err = kafkatest.StartCluster(brokers)
	if err != nil {
		return errors.Join(err, os.RemoveAll(o.Dir))
	}
	defer o.Cluster.Stop()
	o.Brokers, o.Replication = o.Cluster.Brokers(), min(3, brokers)
	fmt.Fprintf(o.Out, "Apache Kafka with %d broker(s) at %v, logs in %s\n", brokers, o.Brokers, o.Dir)
	if brokers == 1 {
		fmt.Fprintln(o.Out, "one broker is for evaluation: it is not killed, and nothing is shown about the loss of a broker")
	}
	err = Run(ctx, o)
	if err == nil && !keep {
		return os.RemoveAll(o.Dir)
	}
	return err
}
