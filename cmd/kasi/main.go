// Command kasi collects premiums when the customer's money is there. `kasi up` serves the whole product on embedded
// engines; `kasi run` and `kasi api` run its roles one by one on real servers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/fatih/color"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/heap"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/streams/records"
)

func main() {
	chembed.RunIfChild()
	defer heap.Floor()()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first Ctrl-C everything is stopped in order; a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := root().ExecuteContext(ctx); err != nil {
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			os.Exit(130)
		}
		// The library asks standard output whether it is a terminal; this goes to standard error.
		color.NoColor = color.NoColor || !isTerminal(os.Stderr)
		fmt.Fprintln(os.Stderr, color.RedString("error:"), err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kasi",
		Short: "Collect premiums when the customer's money is there",
		Long: `Kasi reads bank transactions and income events from Kafka, detects when each customer's money comes,
debits the premium then, follows the bank's answers, and gives the insurer reports and settlements
over HTTP and ClickHouse.

Every flag may also be given as KASI_NAME in the environment or as name: value in a YAML file
(--config).`,
		Example: `  kasi demo november                 # a whole month with a pretend bank, on one machine
  kasi up --calendar manual --date 2025-11-01
  kasi calendar advance --to 2025-11-26`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 100"))
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		return errors.Join(config.CheckEnv(os.Environ(), flagNames(cmd.Root())...), config.Fill(cmd.Flags(), os.LookupEnv))
	}
	cmd.SetVersionTemplate("kasi {{.Version}}\n")
	cmd.PersistentFlags().String("config", "", "YAML configuration file (or KASI_CONFIG)")
	group(cmd, upCmd(), demoCmd(), backtestCmd(), calendarCmd(), feedCmd(), bankCmd(), tenantsCmd(), keysCmd(),
		runCmd(), apiCmd(), policiesCmd(), collectionsCmd(), reportsCmd(), settlementsCmd(), dlqCmd(), sinkCmd(),
		kafkaCmd(), explainCmd(), traceCmd(), openItemsCmd(), verifyCmd(), sqlCmd(), clickhouseCmd(),
		configCmd(), rulesCmd(), healthCmd(), versionCmd())
	completeValues(cmd)
	return cmd
}

func group(cmd *cobra.Command, subs ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(subs...)
	return cmd
}

// call is a command under way, with its configuration.
type call struct {
	*cobra.Command
	cfg  config.Config
	log  *slog.Logger
	args []string
	// env is the Kafka a tool talks to: --kafka-brokers, else the embedded Kafka's usual address. Only commands with the
	// option kafka-brokers have it.
	env app.Env
}

// kafka is env for readers.
func (c call) kafka() records.Source {
	return records.Source{Brokers: c.env.Brokers, Opts: c.env.KgoOpts}
}

// leaf makes cmd do something. It takes no arguments where cmd does not say which, and as flags those options of the
// configuration; with none named, all.
func leaf(cmd *cobra.Command, do func(call) error, options ...string) *cobra.Command {
	if cmd.Args == nil {
		cmd.Args = cobra.NoArgs
	}
	onKafka := slices.Contains(options, "kafka-brokers")
	if len(options) > 0 {
		options = append(options, "log-level", "log-format")
	}
	config.Flags(cmd.Flags(), options...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := load(cmd)
		if err != nil {
			return err
		}
		c := call{Command: cmd, cfg: cfg, log: app.Logger(os.Stderr, cfg.LogLevel, cfg.LogFormat), args: args}
		if onKafka {
			if c.env, err = app.Tool(cmd.Context(), cfg); err != nil {
				return err
			}
		}
		return do(c)
	}
	return cmd
}

// load reads the configuration of a command: its flags, the environment and the YAML file of --config.
func load(cmd *cobra.Command) (config.Config, error) {
	c, err := config.Load(cmd.Flag("config").Value.String(), cmd.Flags(), os.LookupEnv, flagNames(cmd.Root())...)
	if err != nil {
		return c, fmt.Errorf("the configuration has mistakes:\n%w", err)
	}
	return c, nil
}

// flagNames are the flags of a command and of all below it: one file serves all of them.
func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	for _, sub := range cmd.Commands() {
		names = append(names, flagNames(sub)...)
	}
	return names
}

// isTerminal tells whether w is one, so that bars and colours stay out of pipes and files.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
