package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/connect"
	"github.com/kasi-collections/kasi/schemas"
	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
)

func sinkCmd() *cobra.Command {
	return group(&cobra.Command{
		Use: "sink", Short: "Bring back into ClickHouse what it has lost",
		Example: "  kasi sink refill",
	}, sinkRefill())
}

func sinkRefill() *cobra.Command {
	only := chsink.Range{}
	var asJSON bool
	cmd := leaf(&cobra.Command{
		Use:   "refill",
		Short: "Read again from Kafka what ClickHouse has lost, and insert it",
		Long: `refill counts the events of each topic in ClickHouse and brings back from Kafka what is missing below
the sink's marks. The sink does the same by itself; refill does it now, says how far it is, and may
run beside sinks, any number of times. With --from and --to it looks at just those numbers (seq) of one
partition. What Kafka does not hold any more is named, and the exit code is 1.

It writes as the ClickHouse user kasi: the password is KASI_CLICKHOUSE_PASSWORD, else the one in the
data directory's secrets.yaml.`,
		Example: `  kasi sink refill
  kasi sink refill --topic kasi.collections.v1
  kasi sink refill --topic kasi.collections.v1 --partition 2 --from 1200 --to 1350
  kasi sink refill --kafka-brokers k1:9092 --clickhouse-addr ch1:9000 --json`,
	}, func(c call) error {
		opts, err := clickHouseToWrite(c.Context(), c.cfg)
		if err != nil {
			return err
		}
		out := c.OutOrStdout()
		filled, err := chsink.Refill(c.Context(), chsink.Config{
			Brokers: c.env.Brokers, KgoOpts: c.env.KgoOpts, ClickHouse: opts, Cluster: schemas.Cluster(c.cfg.Cluster),
			Log: c.log,
		}, only, func(f chsink.Filled) {
			fmt.Fprintf(c.ErrOrStderr(), "%s: numbers %d to %d: %d rows brought back so far\n", f.Place(), f.From, f.To, f.Rows)
		})
		gone := 0
		for _, f := range filled {
			gone += len(f.Gone)
			if asJSON {
				err = json.NewEncoder(out).Encode(refilled(f))
				continue
			}
			fmt.Fprintf(out, "%s: numbers %d to %d: %d rows brought back\n", f.Place(), f.From, f.To, f.Rows)
			for _, g := range f.Gone {
				fmt.Fprintf(out, "%s: numbers %d to %d are not on Kafka any more\n", g.Place(), g.From, g.To)
			}
		}
		switch {
		case err != nil:
			return err
		case gone > 0:
			return fmt.Errorf("%d ranges cannot be filled from Kafka: bring their rows back from a copy of the table "+
				"(INSERT INTO ... SELECT)", gone)
		case len(filled) == 0 && !asJSON:
			fmt.Fprintln(out, "nothing is missing")
		}
		return nil
	}, "kafka", "kafka-brokers", "clickhouse-native", "clickhouse-addr", "clickhouse-tls", "clickhouse-database",
		"clickhouse-password-file", "data-dir")
	cmd.Flags().StringVar(&only.Topic, "topic", "", "only this topic, such as kasi.collections.v1")
	cmd.Flags().Int32Var(&only.Partition, "partition", -1, "only this partition of the topic; -1 = all")
	cmd.Flags().Int64Var(&only.From, "from", 0, "first number (seq) of the partition; 0 = its first")
	cmd.Flags().Int64Var(&only.To, "to", 0, "last number (seq) of the partition; 0 = the last one that was stored")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a range")
	return cmd
}

// refilled is a line of `kasi sink refill --json`.
func refilled(f chsink.Filled) any {
	type numbers struct {
		From int64 `json:"from"`
		To   int64 `json:"to"`
	}
	line := struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		Stage     string `json:"stage,omitempty"`
		numbers
		Rows int64     `json:"rows"`
		Gone []numbers `json:"gone,omitempty"`
	}{f.Topic, f.Partition, f.Stage, numbers{f.From, f.To}, f.Rows, nil}
	for _, g := range f.Gone {
		line.Gone = append(line.Gone, numbers{g.From, g.To})
	}
	return line
}

// clickHouseToWrite is the ClickHouse as user kasi: --clickhouse-addr, else the embedded one's usual address. The
// password is never made anew here.
func clickHouseToWrite(ctx context.Context, cfg config.Config) (*clickhouse.Options, error) {
	if cfg.Password == "" {
		if _, err := os.Stat(app.SecretsFile(cfg.DataDir)); err == nil {
			if cfg, err = app.FillSecrets(cfg); err != nil {
				return nil, err
			}
		}
	}
	opts, err := connect.ClickHouse(cfg)
	if err != nil {
		return nil, err
	}
	if len(opts.Addr) == 0 {
		opts.Addr = []string{cfg.ClickHouseNative}
	}
	return opts, connect.CheckClickHouse(ctx, cfg, opts)
}
