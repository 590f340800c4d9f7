// Command kasi collects premiums when the customer's money is there. `kasi up` serves the whole product on embedded
// engines; `kasi run` and `kasi api` run its roles one by one on real servers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/fatih/color"
	"github.com/spf13/cobra"
	"golang.org/x/term"

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
		Long: `Kasi reads bank transactions and income events from Kafka, detects when each customer's money comes,
debits the premium then, follows the bank's answers, and gives the insurer reports and settlements
over HTTP and ClickHouse.

Every flag may also be given as KASI_NAME in the environment or as name: value in a YAML file
(--config).`,
		Example: `  kasi demo november                 # a whole month with a pretend bank, on one machine
  kasi up --calendar manual --date 2025-11-01
  kasi calendar advance --to 2025-11-26`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 100"))
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return config.Fill(cmd.Flags(), os.LookupEnv) }
	cmd.PersistentFlags().String("config", "", "YAML configuration file (or KASI_CONFIG)")
	cmd.AddCommand(upCmd(), demoCmd(), calendarCmd(), feedCmd(), runCmd(), apiCmd(), dlqCmd(), verifyCmd(),
		clickhouseCmd(), configCmd(), versionCmd())
	return cmd
}

// isTerminal tells whether w is one, so that bars and colours stay out of pipes and files.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
