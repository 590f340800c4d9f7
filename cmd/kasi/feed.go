package main

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/civil"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/feed"
)

// advancer lets a feed or a demonstration drive the calendar. It waits for the stages each day, and for the sink only
// at the end, before ClickHouse is read.
type advancer struct{ cal *calendar.Clock }

// Advance moves the calendar through every cut-off up to and including the day.
func (a advancer) Advance(ctx context.Context, to civil.Date) error {
	_, err := a.cal.Advance(ctx, to, calendar.AdvanceOpts{})
	return err
}

func feedCmd() *cobra.Command {
	return group(&cobra.Command{
		Use: "feed", Short: "Push bank transactions to the feed topic",
		Example: "  kasi feed replay transactions.csv.gz",
	}, feedReplay())
}

func feedReplay() *cobra.Command {
	var o feed.Options
	var format, tenant string
	cmd := leaf(&cobra.Command{
		Use:   "replay FILE",
		Short: "Push a bank-transaction CSV, plain or gzipped, in date order, driving the manual calendar",
		Long: `replay pushes each day's transactions and then advances the manual calendar through that day, as
fast as it can or at --pace. Start kasi with --calendar manual and a --date on or before the file's
first day.

Format czech-1999: columns account_id,date,type,operation,amount,balance,k_symbol,bank,account;
amounts are taken as rands.`,
		Example: `  kasi up --calendar manual --date 1993-01-01 &
  kasi feed replay --format czech-1999 transactions.csv.gz
  kasi feed replay --format czech-1999 --pace 100ms transactions.csv`,
		Args: cobra.ExactArgs(1),
	}, onCalendar(func(c call, cal *calendar.Clock) (err error) {
		if o.Rows, err = feed.ReadFile(c.args[0], format, tenant); err != nil {
			return err
		}
		o.Advancer, o.Brokers, o.KgoOpts = advancer{cal}, c.env.Brokers, c.env.KgoOpts
		o.Out, o.Terminal = c.ErrOrStderr(), isTerminal(c.ErrOrStderr())
		s, err := feed.Replay(c.Context(), o)
		if err != nil {
			return err
		}
		if err := cal.WaitSink(c.Context(), 0); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%d transactions over %d days in %s: %d a second\n", s.Rows, s.Days,
			s.Elapsed.Round(time.Millisecond), s.RowsPerSecond())
		return nil
	}), "kafka", "kafka-brokers", "rules")
	cmd.Flags().StringVar(&format, "format", feed.FormatCzech1999, "file format: "+feed.FormatCzech1999)
	cmd.Flags().StringVar(&tenant, "tenant", "demo", "tenant whose customers the accounts are")
	cmd.Flags().DurationVar(&o.Pace, "pace", 0, "least time for one business day, such as 100ms; 0 = as fast as it can")
	return cmd
}
