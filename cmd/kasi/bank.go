package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"cloud.google.com/go/civil"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/cmd/internal/sandbox"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/calendar"
)

func bankCmd() *cobra.Command {
	var o sandbox.Options
	var unpaid []string
	var asJSON bool
	cmd := leaf(&cobra.Command{
		Use:   "bank",
		Short: "Be a sandbox bank that answers debits, until Ctrl-C",
		Long: `bank reads kasi.debits.v1 and answers each debit on kasi.rail.results.v1 once the business date has
come to its action date. It pays every debit but those that --unpaid names or a percentage draws. It
holds no accounts: for a bank with customers, see kasi demo. What it answers to a debit is always
the same, so it may be stopped and started. It is for trying Kasi out; never run it beside a real
bank.`,
		Example: `  kasi bank
  kasi bank --once
  kasi bank --unpaid POL001 --unpaid POL002=18 --unpaid-percent 10
  kasi bank --kafka-brokers k1:9092 --json`,
	}, onCalendar(func(c call, cal *calendar.Clock) (err error) {
		if o.Fails, err = parseUnpaid(unpaid); err != nil {
			return err
		}
		for flag, percent := range map[string]int{"unpaid-percent": o.UnpaidPercent, "disputed-percent": o.DisputedPercent} {
			if percent < 0 || percent > 100 {
				return fmt.Errorf("--%s: %d is not between 0 and 100", flag, percent)
			}
		}
		o.Kafka = c.kafka()
		o.Today = func(ctx context.Context) (civil.Date, error) {
			today, err := cal.Show(ctx)
			if err == nil && !today.Known {
				err = calendar.ErrNotStarted
			}
			if err != nil {
				return civil.Date{}, err
			}
			return civil.ParseDate(today.Tick.Date)
		}
		out := c.OutOrStdout()
		o.Answered = func(d schemas.DebitInstruction, r schemas.Result) {
			if asJSON {
				_ = json.NewEncoder(out).Encode(r)
				return
			}
			fmt.Fprintf(out, "%s  %-8s  R %s  %s  attempt %d  %s\n", r.EffectiveDate, strings.TrimSpace(string(r.Status)+" "+
				r.ReasonCode), d.AmountCents, d.PolicyNumber, d.Attempt, d.DebitID)
		}
		answered, waiting, err := sandbox.Run(c.Context(), o)
		if err == nil && !asJSON {
			fmt.Fprintf(out, "%d debits answered, %d wait for their day\n", answered, waiting)
		}
		return err
	}), "kafka", "kafka-brokers", "rules")
	cmd.Flags().StringArrayVar(&unpaid, "unpaid", nil,
		"policy whose debits are not paid, POL001 or POL001=CODE; the code is 02, not provided for, if none is given")
	cmd.Flags().IntVar(&o.UnpaidPercent, "unpaid-percent", 0, "of 100 other debits, how many are not paid (02)")
	cmd.Flags().IntVar(&o.DisputedPercent, "disputed-percent", 0, "of 100 paid debits, how many are disputed at once (30)")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 1, "which debits the percentages draw")
	cmd.Flags().BoolVar(&o.Once, "once", false, "answer what can be answered now, and end")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each answer as a JSON object")
	return cmd
}

// parseUnpaid reads POL001 and POL001=18.
func parseUnpaid(given []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range given {
		policy, code, named := strings.Cut(text, "=")
		if policy == "" || named && code == "" {
			return nil, fmt.Errorf("--unpaid: %q is neither a policy number nor POLICY=CODE, such as POL001=02", text)
		}
		if !named {
			code = "02"
		}
		out[policy] = code
	}
	return out, nil
}
