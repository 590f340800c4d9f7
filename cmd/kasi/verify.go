package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/connect"
	"github.com/kasi-collections/kasi/cmd/internal/verify"
	"github.com/kasi-collections/kasi/processors/explain"
	"github.com/kasi-collections/kasi/schemas"
)

func verifyCmd() *cobra.Command {
	var o verify.Options
	var user, ledger, fed string
	var fees []string
	var asJSON, follow bool
	var every time.Duration
	cmd := leaf(&cobra.Command{
		Use:   "verify",
		Short: "Check from outside that the bank's answers, Kafka and ClickHouse agree to the cent",
		Long: `verify reads the topics to their end, the bank's results as the bank sent them, and ClickHouse over
HTTP, and checks that no transaction, debit, result or row is lost or there twice, that no
collection ever had two debits in flight or took more than is due, that every debit stands as the
bank's answers say, that statements, fees and VAT are right, and that the clearing balance is zero.
It shares no code with the pipeline but the price: logged decisions are priced again. It changes
nothing, so it may be run at any time; what is younger than --grace is counted as in transit where it
is still on its way. Records that retention has removed from outside topics are named in a note. The
exit code is 1 where there is any difference.

--follow verifies again and again until Ctrl-C, a line each time, and says the last word as metrics
where --metrics is set: kasi_verify_differences by check, kasi_verify_timestamp_seconds and
kasi_verify_failed.

The password of the ClickHouse user is KASI_ANALYST_PASSWORD, else the one in the data directory's
secrets.yaml.`,
		Example: `  kasi verify
  kasi verify --kafka-brokers k1:9092 --clickhouse-http ch1:8123 --json
  kasi verify --kafka-brokers k1:9093 --kafka-tls --kafka-ca ca.pem --clickhouse-http ch1:8443 --clickhouse-tls
  kasi verify --follow --metrics 127.0.0.1:9101
  kasi verify --ledger bank.csv            # debit_id,status,amount_cents`,
	}, func(c call) (err error) {
		o.Kafka = c.kafka()
		if o.ClickHouse, err = clickhouseOf(c.cfg, user); err != nil {
			return err
		}
		// Reading Kafka may take minutes: what ClickHouse refuses is said before.
		if err := connect.CheckClickHouseHTTP(c.Context(), o.ClickHouse.URL, o.ClickHouse.Client); err != nil {
			return err
		}
		if o.Fees, err = parseFees(fees); err != nil {
			return err
		}
		if o.Ledger, err = fromFile("ledger", ledger, verify.ReadLedger); err != nil {
			return err
		}
		if o.Fed, err = fromFile("fed", fed, verify.ReadFed); err != nil {
			return err
		}
		o.Again = pricedAgain
		if follow {
			return followBooks(c, o, every, asJSON)
		}
		return verifyOnce(c, o, asJSON)
	}, "kafka", "kafka-brokers", "clickhouse-http", "clickhouse-tls", "clickhouse-database", "analyst-password-file",
		"data-dir", "metrics")
	cmd.Flags().BoolVar(&follow, "follow", false, "verify again and again until Ctrl-C")
	cmd.Flags().DurationVar(&every, "every", time.Minute, "with --follow: from one beginning to the next")
	cmd.Flags().StringVar(&user, "clickhouse-user", "analyst", "ClickHouse user to read as")
	cmd.Flags().StringVar(&ledger, "ledger", "",
		"the bank's own ledger, a CSV with the columns debit_id,status,amount_cents")
	cmd.Flags().StringVar(&fed, "fed", "",
		"what the feeds had acknowledged, a CSV with the columns tenant_id,customer_id,transaction_id")
	cmd.Flags().StringArrayVar(&fees, "fees", nil,
		"rates of a tenant that has its own, in percent: tenant=distribution/collections, such as demo=20/3.5")
	cmd.Flags().DurationVar(&o.Grace, "grace", 10*time.Second, "age under which a record may still be on its way")
	cmd.Flags().DurationVar(&o.Wait, "wait", 30*time.Second,
		"how long the ClickHouse sink may take to reach the end of the topics")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the report as JSON")
	return cmd
}

func verifyOnce(c call, o verify.Options, asJSON bool) error {
	r, err := verify.Run(c.Context(), o)
	if err != nil {
		return err
	}
	if err := printReport(c.OutOrStdout(), r, asJSON); err != nil {
		return err
	}
	if !r.OK() {
		return fmt.Errorf("the books do not agree: %d differences", r.Differences())
	}
	return nil
}

// pricedAgain prices a decision's event again, where it was priced with this build's table.
func pricedAgain(decision []byte) (judged bool, err error) {
	var ev schemas.DecisionEvent
	if err := json.Unmarshal(decision, &ev); err != nil {
		return true, err
	}
	if !explain.Ours(&ev) {
		return false, nil
	}
	return true, explain.Check(&ev)
}

// clickhouseOf is the ClickHouse to read. The password is never made anew here: a tool that only reads leaves nothing
// behind.
func clickhouseOf(cfg config.Config, user string) (verify.ClickHouse, error) {
	if cfg.AnalystPassword == "" {
		if _, err := os.Stat(app.SecretsFile(cfg.DataDir)); err == nil {
			if cfg, err = app.FillSecrets(cfg); err != nil {
				return verify.ClickHouse{}, err
			}
		}
	}
	url, calls, err := connect.ClickHouseHTTP(cfg)
	return verify.ClickHouse{
		URL: url, Client: calls, Database: cfg.Database, User: user, Password: cfg.AnalystPassword,
	}, err
}

// fromFile reads what a flag names; nothing where it names none.
func fromFile[T any](flag, path string, read func(io.Reader) (T, error)) (out T, err error) {
	if path == "" {
		return out, nil
	}
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		out, err = read(f)
	}
	if err != nil {
		return out, fmt.Errorf("--%s: %w", flag, err)
	}
	return out, nil
}

func parseFees(pairs []string) (map[string]verify.Fees, error) {
	out := map[string]verify.Fees{}
	for _, pair := range pairs {
		i := strings.LastIndexByte(pair, '=')
		distribution, collections, ok := strings.Cut(pair[i+1:], "/")
		d, ok1 := new(big.Rat).SetString(distribution)
		c, ok2 := new(big.Rat).SetString(collections)
		if i < 1 || !ok || !ok1 || !ok2 {
			return nil, fmt.Errorf("--fees: %q is not tenant=distribution/collections, such as demo=20/3.5", pair)
		}
		out[pair[:i]] = verify.Fees{Distribution: d, Collections: c}
	}
	return out, nil
}

// printReport writes a table, and below it what differs.
func printReport(w io.Writer, r *verify.Report, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(struct {
			OK          bool  `json:"ok"`
			Differences int64 `json:"differences"`
			*verify.Report
		}{r.OK(), r.Differences(), r})
	}
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	var numbers []table.ColumnConfig
	for i := 3; i <= 6; i++ {
		numbers = append(numbers, table.ColumnConfig{Number: i, Align: text.AlignRight})
	}
	t.SetColumnConfigs(numbers)
	t.AppendHeader(table.Row{"Check", "", "Counted", "In transit", "Differences", "Time"})
	for _, c := range r.Checks {
		t.AppendRow(table.Row{c.Name, c.About, c.Counted, c.InTransit, c.Differences, c.Took.Round(100 * time.Microsecond)})
	}
	t.Render()
	for _, c := range r.Checks {
		for _, e := range c.Examples {
			fmt.Fprintf(w, "%s: %s\n", c.Name, e)
		}
		if n := c.Differences - int64(len(c.Examples)); n > 0 {
			fmt.Fprintf(w, "%s: and %d more\n", c.Name, n)
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	verdict := "the books agree"
	if !r.OK() {
		verdict = "THE BOOKS DO NOT AGREE"
	}
	_, err := fmt.Fprintf(w, "%d records read in %s, %d checks in %s: %s, %d differences\n", r.Records,
		r.ReadTook.Round(time.Millisecond), len(r.Checks), r.Took.Round(time.Millisecond), verdict, r.Differences())
	return err
}
