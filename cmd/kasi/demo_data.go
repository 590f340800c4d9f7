package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/demo"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/calendar"
)

// demoData is the data directory of a demonstration: empty, finished (result.txt is there), or left in the middle.
type demoData struct {
	dir           string
	begun, result []byte
}

const demoMark = "begun.txt"

// openDemo looks at what is there. It removes only a directory that a demonstration made.
func openDemo(dir string, fresh bool) (*demoData, error) {
	d := &demoData{dir: dir}
	var err error
	if d.begun, err = readIfThere(filepath.Join(dir, demoMark)); err != nil {
		return nil, err
	}
	if fresh && d.begun != nil {
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("--fresh: %w", err)
		}
		d.begun = nil
	}
	if d.begun == nil {
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return nil, fmt.Errorf("%s holds data that is not a demonstration's; choose another --data-dir", dir)
		}
	}
	if d.result, err = readIfThere(filepath.Join(dir, "result.txt")); err != nil {
		return nil, err
	}
	if d.begun != nil && d.result == nil {
		return nil, fmt.Errorf("%s holds a month that was interrupted, and its pretend bank ended with it: start afresh "+
			"with --fresh, or look at the data with `kasi up --calendar manual --data-dir %s`", dir, dir)
	}
	return d, os.MkdirAll(dir, 0o700)
}

func readIfThere(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// play plays into an empty directory, and shows the earlier result of a finished one.
func (d *demoData) play(cmd *cobra.Command, s *app.Stack, run func(context.Context, demo.Product, string) error) error {
	out := cmd.OutOrStdout()
	if d.result != nil {
		fmt.Fprintf(out, "%s holds this month already; here is its result (start afresh with --fresh):\n%s", d.dir, d.result)
		return nil
	}
	if err := os.WriteFile(filepath.Join(d.dir, demoMark),
		[]byte("a demonstration's data: kasi demo --fresh removes this directory\n"), 0o600); err != nil {
		return err
	}
	rules, err := app.Rules(s.Config())
	if err != nil {
		return err
	}
	cal, err := calendar.New(s.Streams(), rules)
	if err != nil {
		return err
	}
	defer cal.Close()
	p, err := whereIs(cmd, s, cal)
	if err != nil {
		return err
	}
	kept, err := os.Create(filepath.Join(d.dir, "result.part"))
	if err != nil {
		return err
	}
	defer kept.Close()
	p.Out = io.MultiWriter(out, kept)
	if err := run(cmd.Context(), p, filepath.Join(d.dir, "files")); err != nil {
		return err
	}
	return os.Rename(kept.Name(), filepath.Join(d.dir, "result.txt"))
}

// lookFurther tells where to look now.
func lookFurther(c config.Config, f demoFlags) string {
	keys, err := c.Keys()
	if err != nil || len(keys) == 0 {
		return ""
	}
	return fmt.Sprintf(`
All of it is still up. Look further:

  REST API     curl -H 'X-API-Key: %[1]s' 'http://%[2]s/v1/reports/collections?period_month=%[9]s'
               curl -H 'X-API-Key: %[1]s' 'http://%[2]s/v1/settlements'
               http://%[2]s/v1/openapi.yaml
  ClickHouse   curl 'http://%[3]s/?user=analyst&password=%[4]s&database=%[5]s' -d 'SELECT collection_status, count(), sum(collected) FROM collections GROUP BY ALL FORMAT PrettyCompact'
               clickhouse-client --host 127.0.0.1 --port %[6]s --user analyst --password %[4]s --database %[5]s
               why was a policy not debited on a day?   SELECT business_date, action, reason, explanation FROM decisions
               WHERE policy_number = '%[10]s' AND business_date <= '%[11]s' ORDER BY seq DESC LIMIT 1
  Kafka        kcat -b %[7]s -C -e -t kasi.debits.v1
  Calendar     bin/kasi calendar show --kafka-brokers %[7]s
  The books    bin/kasi verify --data-dir %[8]s       (an outside check of Kafka, ClickHouse and the bank's answers)

Ctrl-C stops it.
`, keys[0].Key, c.HTTP, c.ClickHouseHTTP, c.AnalystPassword, c.Database, port(c.ClickHouseNative), c.Kafka, c.DataDir, schemas.PeriodOf(f.day), f.policy, f.day)
}

func port(addr string) string {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return p
}
