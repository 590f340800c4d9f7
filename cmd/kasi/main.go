// Command kasi collects premiums when the customer's money is there. `kasi up` serves the whole product on embedded
// engines; `kasi run` and `kasi api` run its roles one by one on real servers.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/fatih/color"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/heap"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
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
		Long: `Kasi reads bank transactions and income events from Kafka, detects when each customer's money comes, debits the premium then, follows the
bank's answers, and gives the insurer reports and settlements over HTTP and ClickHouse.

Every flag may also be given as KASI_NAME in the environment or as name: value in a YAML file (--config).`,
		Example: `  kasi demo november                 # a whole month with a pretend bank, on one machine
  kasi up --calendar manual --date 2025-11-01
  kasi calendar advance --to 2025-11-26`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return fillFlags(cmd, os.LookupEnv) }
	cmd.PersistentFlags().String("config", "", "YAML configuration file (or KASI_CONFIG)")
	cmd.AddCommand(upCmd(), demoCmd(), calendarCmd(), feedCmd(), runCmd(), apiCmd(), dlqCmd(), verifyCmd(),
		clickhouseCmd(), configCmd(), versionCmd())
	return cmd
}

// fillFlags sets the flags of one command alone, such as --to, from KASI_NAME, else from the YAML file, where the
// command line does not. The options of package config are left to it.
func fillFlags(cmd *cobra.Command, lookup func(string) (string, bool)) error {
	var errs []error
	if path, ok := lookup("KASI_CONFIG"); ok && !cmd.Flag("config").Changed {
		errs = append(errs, cmd.Flags().Set("config", path))
	}
	inFile := config.FileValues(configFile(cmd))
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		option := slices.ContainsFunc(config.Options, func(o config.Option) bool { return o.Name == f.Name })
		if f.Changed || option || f.Name == "help" || f.Name == "config" {
			return
		}
		name := "KASI_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := lookup(name)
		if !ok {
			value, ok = inFile[f.Name]
			name = f.Name + " in " + configFile(cmd)
		}
		if ok {
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	return errors.Join(errs...)
}
