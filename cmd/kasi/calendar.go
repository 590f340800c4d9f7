package main

import (
	"errors"
	"fmt"
	"io"

	"cloud.google.com/go/civil"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/feed"
)

func calendarCmd() *cobra.Command {
	return group(&cobra.Command{
		Use:   "calendar",
		Short: "Look at the business calendar, or move a manual one",
		Long: `With --calendar manual, business time stands still until it is advanced (for demonstrations, tests
and backtests). The commands talk to Kafka only, so they work beside any kasi that uses the same
brokers.`,
		Example: `  kasi calendar show
  kasi calendar advance --to 2025-11-26`,
	}, calendarAdvance(), calendarShow())
}

// onCalendar opens the calendar on the brokers of a running kasi.
func onCalendar(do func(call, *calendar.Clock) error) func(call) error {
	return func(c call) error {
		cal, err := c.env.Calendar(c.cfg, "calendar", c.log)
		if err != nil {
			return err
		}
		defer cal.Close()
		return do(c, cal)
	}
}

func calendarAdvance() *cobra.Command {
	var to string
	cmd := leaf(&cobra.Command{
		Use:   "advance --to DATE",
		Short: "Move a manual calendar, day by day, through every cut-off up to a date",
		Long: `advance first waits until everything that lay on the outside topics at the call has been taken over,
then goes day by day through every cut-off, and returns when all that the last day caused
(decisions, debits, rows in ClickHouse) is through. Advancing to the day the calendar shows already
runs one more cut-off on that day. If it is interrupted, run it again.`,
		Example: `  kasi calendar advance --to 2025-11-26
  kasi calendar advance --to 2025-11-26 --kafka-brokers 127.0.0.1:9092`,
	}, func(c call) error {
		day, err := civil.ParseDate(to)
		if err != nil {
			return fmt.Errorf("--to: %q is not a date such as 2025-11-26", to)
		}
		return onCalendar(func(c call, cal *calendar.Clock) error { return advance(c, cal, day) })(c)
	}, "kafka", "kafka-brokers", "rules")
	cmd.Flags().StringVar(&to, "to", "", "date to advance to, YYYY-MM-DD (required)")
	// Only a flag that does not exist can make this fail.
	cobra.CheckErr(cmd.MarkFlagRequired("to"))
	return cmd
}

// advance shows a bar of the days on a terminal, and nothing elsewhere.
func advance(c call, cal *calendar.Clock, to civil.Date) error {
	o := calendar.AdvanceOpts{WaitSink: true}
	now, err := cal.Show(c.Context())
	if err != nil {
		return err
	}
	if first, err := civil.ParseDate(now.Tick.Date); err == nil && isTerminal(c.ErrOrStderr()) {
		bar := feed.NewProgress(c.ErrOrStderr(), true, "calendar", int64(to.DaysSince(first)))
		defer bar.Done()
		o.Each = func(t schemas.Tick) {
			if d, err := civil.ParseDate(t.Date); err == nil {
				bar.Step(int64(d.DaysSince(first)), t.Date)
			}
		}
	}
	if now, err = cal.Advance(c.Context(), to, o); err != nil {
		return err
	}
	printToday(c.OutOrStdout(), now)
	return nil
}

func calendarShow() *cobra.Command {
	return leaf(&cobra.Command{
		Use:     "show",
		Short:   "Print the calendar's day and the cut-offs passed on it",
		Example: `  kasi calendar show --kafka-brokers 127.0.0.1:9092`,
	}, onCalendar(func(c call, cal *calendar.Clock) error {
		now, err := cal.Show(c.Context())
		if err != nil {
			return err
		}
		if !now.Known {
			return errors.New("the calendar has no day yet: start kasi up or kasi run ticker first")
		}
		printToday(c.OutOrStdout(), now)
		return nil
	}), "kafka", "kafka-brokers", "rules")
}

func printToday(w io.Writer, now calendar.Today) {
	state := "open"
	if now.Tick.Cutoff > 0 {
		state = fmt.Sprintf("cut-off %d passed", now.Tick.Cutoff)
	}
	fmt.Fprintf(w, "business date %s, %s\n", now.Tick.Date, state)
}
