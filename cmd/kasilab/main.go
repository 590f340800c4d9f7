// Command kasilab holds the rigs that try the product: storm kills it for a month, power cuts its power, bench measures
// it beside its peers, bugs shows that its tests can fail. None of it is shipped.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/fatih/color"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kasi-collections/kasi/cmd/kasilab/internal/bench"
	"github.com/kasi-collections/kasi/cmd/kasilab/internal/bugs"
	"github.com/kasi-collections/kasi/cmd/kasilab/internal/power"
	"github.com/kasi-collections/kasi/cmd/kasilab/internal/storm"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
)

func main() {
	chembed.RunIfChild()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	cmd := &cobra.Command{
		Use: "kasilab", Short: "Try the product: kill it, measure it, plant bugs in it",
		Example: `  make storm
  make bench-kafka
  make bugs`,
		SilenceUsage: true, SilenceErrors: true,
	}
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 100"))
	cmd.AddCommand(storm.Command(), power.Command(), bench.Command(), bugs.Command())
	if err := cmd.ExecuteContext(ctx); err != nil {
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			os.Exit(130)
		}
		color.NoColor = color.NoColor || !term.IsTerminal(int(os.Stderr.Fd()))
		fmt.Fprintln(os.Stderr, color.RedString("error:"), err)
		os.Exit(1)
	}
}
