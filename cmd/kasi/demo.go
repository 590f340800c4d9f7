package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"cloud.google.com/go/civil"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/demo"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
	"github.com/kasi-collections/kasi/streams/retry"
)

func demoCmd() *cobra.Command {
	return group(&cobra.Command{
		Use:   "demo",
		Short: "Play whole months with a pretend bank, on the embedded engines",
		Example: `  kasi demo november
  kasi demo real transactions.csv.gz`,
	}, demoNovember(), demoReal())
}

// demoFlags are what both demonstrations share.
type demoFlags struct {
	fresh, exit bool
	// day and policy are an example that fits the data, for the commands to look further.
	day    civil.Date
	policy string
}

// demoLeaf is leaf with those flags, and a default data directory of its own.
func demoLeaf(cmd *cobra.Command, f *demoFlags, dir string, do func(call) error) *cobra.Command {
	cmd.Flags().BoolVar(&f.fresh, "fresh", false,
		"remove what an earlier run left in the data directory, and start afresh")
	cmd.Flags().BoolVar(&f.exit, "exit", false, "end after the result instead of staying up")
	leaf(cmd, do, "data-dir", "http", "kafka", "kafka-brokers", "clickhouse-http", "clickhouse-native", "partitions",
		"metrics", "kafka-listen", "webhooks-allow-private")
	cmd.Flags().Lookup("data-dir").DefValue = dir
	return cmd
}

func demoNovember() *cobra.Command {
	var f demoFlags
	var o demo.Options
	var slow bool
	cmd := demoLeaf(&cobra.Command{
		Use:   "november",
		Short: "Import 1,000 policies, collect November 2025 with a pretend bank, and settle it",
		Long: `november starts the whole stack on embedded engines and plays one month: 1,000 policies imported by
HTTP from a CSV, executed, and collected from customers with salaries, grants, weekly wages and gig
income, whose pretend bank speaks to Kasi over Kafka alone. It prints the result and stays up to be
looked at until Ctrl-C. Run again, it shows what is there and serves it; --fresh starts afresh.
--slow plays a day in two seconds, so that one can watch it in the console.`,
		Example: `  kasi demo november
  kasi demo november --fresh --slow
  kasi demo november --fresh --seed 7
  kasi demo november --policies 5000 --exit`,
	}, &f, ".kasi/november", func(c call) error {
		f.day, f.policy = civil.Date{Year: 2025, Month: time.November, Day: 12}, "POL0001"
		return runDemo(c, f, "2025-11-01", func(p demo.Product, dir string) error {
			o.Product, o.Dir = p, dir
			if slow {
				o.Phase = slowly(p)
			}
			_, err := demo.Month(c.Context(), o)
			return err
		})
	})
	cmd.Flags().IntVar(&o.Policies, "policies", 1000, "policies to import")
	cmd.Flags().BoolVar(&slow, "slow", false, "play a day in two seconds, to watch it in the console")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 1, "decides everything left to chance: the same seed gives the same month")
	return cmd
}

// slowly holds each morning up, and says where the month can be watched.
func slowly(p demo.Product) func(context.Context, demo.Phase, civil.Date) error {
	said := false
	return func(ctx context.Context, phase demo.Phase, d civil.Date) error {
		if phase != demo.PhaseMorning {
			return nil
		}
		if !said {
			said = true
			fmt.Fprintf(p.Out, "Watch it at %s/ (log in with the key %s)\n", p.BaseURL, p.APIKey)
		}
		fmt.Fprintf(p.Out, "%s, %s\n", d, d.Weekday())
		return retry.Pause(ctx, 2*time.Second)
	}
}

func demoReal() *cobra.Command {
	var f demoFlags
	var o demo.RealOptions
	var until string
	cmd := demoLeaf(&cobra.Command{
		Use:   "real FILE",
		Short: "Collect month after month over a file of real bank transactions",
		Long: `real replays a bank-transaction file (czech-1999: plain or gzipped CSV) with one policy an account,
at 5 % of the account's median monthly income. One month is executed after the other, and the
pretend bank answers each debit from the account's real balance.`,
		Example: `  kasi demo real transactions.csv.gz
  kasi demo real --no-buffer --spread --exit transactions.csv.gz`,
		Args: cobra.ExactArgs(1),
	}, &f, ".kasi/real", func(c call) (err error) {
		o.File = c.args[0]
		if until != "" {
			if o.Until, err = civil.ParseDate(until); err != nil {
				return fmt.Errorf("--until: %q is not a date such as 1995-12-31", until)
			}
		}
		rows, err := feed.ReadFile(o.File, o.Format, "demo")
		if err != nil {
			return err
		}
		middle := rows[len(rows)/2]
		f.day, f.policy = middle.Date, "POL"+middle.AccountID
		return runDemo(c, f, rows[0].Date.String(), func(p demo.Product, _ string) error {
			o.Product = p
			_, err := demo.Real(c.Context(), o)
			return err
		})
	})
	cmd.Flags().StringVar(&o.Format, "format", feed.FormatCzech1999, "file format: "+feed.FormatCzech1999)
	cmd.Flags().BoolVar(&o.NoBuffer, "no-buffer", false,
		"lower each month's balances by the month's lowest, so that timing matters")
	cmd.Flags().BoolVar(&o.Spread, "spread", false, "shift each account by up to 27 days of its own")
	cmd.Flags().StringVar(&until, "until", "", "last day of the run, YYYY-MM-DD; the file's end if empty")
	return cmd
}

// playFunc plays on a product and puts the files of the insurer into a directory.
type playFunc func(p demo.Product, files string) error

// runDemo starts the stack on the data directory, plays unless an earlier run finished there, and stays up.
func runDemo(c call, f demoFlags, from string, run playFunc) error {
	cfg := c.cfg
	cfg.Calendar, cfg.Date = "manual", from
	if cfg.DataDir == config.DefaultDataDir { // set nowhere: a demonstration keeps its data apart
		cfg.DataDir = c.Flags().Lookup("data-dir").DefValue
	}
	// The pretend insurer works through its months faster than any back office would.
	cfg.QueryRate, cfg.UpdateRate = 0, 0
	cfg.HTTPCert, cfg.HTTPKey = "", "" // it is looked at on this machine
	d, err := demo.OpenDir(cfg.DataDir, f.fresh)
	if err != nil {
		return err
	}
	// A demonstration of an earlier build may be looked at with this one.
	if cfg.AcceptRules, err = app.RulesHash(cfg); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(cfg.DataDir, "kasi.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	defer log.Close()
	out := c.OutOrStdout()
	fmt.Fprintf(out, "starting Kafka, ClickHouse and Kasi in %s (log: %s) ...\n", cfg.DataDir, log.Name())
	s, err := app.Up(c.Context(), cfg, app.Logger(log, cfg.LogLevel, cfg.LogFormat))
	if err != nil {
		return err
	}
	if err := play(c, d, s, run); err != nil {
		return errors.Join(err, s.Stop())
	}
	if f.exit {
		return s.Stop()
	}
	fmt.Fprint(out, lookFurther(s.Config(), f))
	select {
	case <-c.Context().Done():
		fmt.Fprintln(out, "\nstopping ...")
	case <-s.Done():
	}
	return s.Stop()
}

// play plays into an empty directory, and shows the earlier result of a finished one. The demonstration meets the stack
// over HTTP and Kafka only.
func play(c call, d *demo.Dir, s *app.Stack, run playFunc) error {
	out, cfg := c.OutOrStdout(), s.Config()
	if d.Result != nil {
		fmt.Fprintf(out, "%s holds this month already; here is its result (start afresh with --fresh):\n%s", d.Path, d.Result)
		return nil
	}
	cal, err := s.Calendar()
	if err != nil {
		return err
	}
	defer cal.Close()
	keys, err := cfg.Keys()
	if err != nil || len(keys) == 0 {
		return errors.Join(err, errors.New("no API key"))
	}
	p := demo.Product{
		BaseURL: "http://" + cfg.HTTP, APIKey: keys[0].Key, Tenant: keys[0].Tenant, Brokers: s.Streams().Brokers,
		KgoOpts:       s.Streams().KgoOpts,
		ClickHouseURL: "http://" + cfg.ClickHouseHTTP, AnalystPassword: cfg.AnalystPassword, Advancer: advancer{cal},
		Progress: out, Terminal: isTerminal(out),
	}
	return d.Play(out, func(out io.Writer, files string) error {
		p.Out = out
		return run(p, files)
	})
}

// lookFurther tells where to look now.
func lookFurther(c config.Config, f demoFlags) string {
	keys, err := c.Keys()
	if err != nil || len(keys) == 0 {
		return ""
	}
	_, port, _ := net.SplitHostPort(c.ClickHouseNative) // checked where it was read
	return fmt.Sprintf(`
All of it is still up. Look further:

  Console      http://%[2]s/       (log in with the key %[1]s)
  REST API     curl -H 'X-API-Key: %[1]s' 'http://%[2]s/v1/reports/collections?period_month=%[9]s'
               curl -H 'X-API-Key: %[1]s' 'http://%[2]s/v1/settlements'
               http://%[2]s/docs       (its reference, where calls can be tried)
  ClickHouse   curl 'http://%[3]s/?user=analyst&password=%[4]s&database=%[5]s' \
                 -d 'SELECT collection_status, count(), sum(collected) FROM collections GROUP BY ALL
                     FORMAT PrettyCompact'
               clickhouse-client --host 127.0.0.1 --port %[6]s --user analyst --password %[4]s --database %[5]s
  Why?         bin/kasi explain --policy %[10]s --date %[11]s --api http://%[2]s --api-key %[1]s
               or of the analyst: SELECT business_date, action, reason, explanation FROM decisions
               WHERE policy_number = '%[10]s' AND business_date <= '%[11]s' ORDER BY seq DESC LIMIT 1
  Kafka        kcat -b %[7]s -C -e -t kasi.debits.v1
  Calendar     bin/kasi calendar show --kafka-brokers %[7]s
  The books    bin/kasi verify --data-dir %[8]s       (an outside check of Kafka, ClickHouse and the bank's answers)

Ctrl-C stops it.
`, keys[0].Key, c.HTTP, c.ClickHouseHTTP, c.AnalystPassword, c.Database, port, c.Kafka, c.DataDir,
		schemas.PeriodOf(f.day), f.policy, f.day)
}
