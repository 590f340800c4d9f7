// Package storm plays a whole month on the product as processes of their own while it kills them, the broker and
// ClickHouse with kill -9, again and again, puts stages and sinks to sleep until others have their work, brings back an
// older copy of ClickHouse once, and lets instances join and leave. At the end `kasi verify` holds the
// bank's ledger, what the feeds had acknowledged, the topics and ClickHouse against each other.
package storm

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/cmd/internal/demo"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// Options of a storm.
type Options struct {
	// Customers is how many there are, 40 or more; one in 16 holds two policies.
	Customers int
	// Records is how many bank transactions the feeds deliver at least.
	Records int
	// Kills is how many processes are killed.
	Kills int
	// Seed decides the people, the victims and the moments.
	Seed uint64
	// Kasi is the command line of the product in a process of its own.
	Kasi func(args ...string) *exec.Cmd
	// Brokers of the Kafka. Cluster has them as processes; nil where none can be killed. Of fewer than three none is.
	Brokers     []string
	Cluster     *kafkatest.Cluster
	Replication int
	// Dir gets logs, ClickHouse's data, and what the verifier is given.
	Dir string
	Out io.Writer
	// Terminal tells that Out is one.
	Terminal bool
}

const (
	apiKey    = "storm"
	tenant    = "demo"
	kasiPW    = "storm-kasi"
	analystPW = "storm-analyst"
	// partitions of the topics: as many as make every instance own some.
	partitions = 4
	// patience is how long the driver repeats what fails, as the operator of a product under fire would.
	patience = 5 * time.Minute
)

var firstDay = civil.Date{Year: 2025, Month: time.November, Day: 1}

// Env is what the processes of the product need in their environment.
func Env() []string {
	return []string{
		"KASI_API_KEYS=" + tenant + "=" + apiKey, "KASI_CLICKHOUSE_PASSWORD=" + kasiPW,
		"KASI_ANALYST_PASSWORD=" + analystPW,
	}
}

// Run plays the storm and prints what came of it. Any difference in the books is an error, and so is a victim that does
// not come back.
func Run(ctx context.Context, o Options) error {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ch, err := startClickHouse(ctx, o.Dir)
	if err != nil {
		return err
	}
	defer ch.stop()
	ps, err := newProcesses(ctx, o, ch.server)
	if err != nil {
		return err
	}
	defer ps.close()
	w, err := NewWatch(ctx, o.Brokers)
	if err != nil {
		return err
	}
	defer w.Close()
	k := newKiller(o, ps, w, ch, cancel)
	// Before the processes are closed: a victim on its way back would start again.
	defer func() { cancel(nil); k.work.Wait() }()
	if err := ps.startAll(); err != nil {
		return err
	}
	if err := WaitFor(ctx, "the API to serve",
		func() bool { return Answers(ctx, "http://"+ps.http+"/readyz") }); err != nil {
		return err
	}
	beat, err := startHeartbeat(o.Brokers, k.acknowledged)
	if err != nil {
		return err
	}
	defer beat.stop()
	var said bytes.Buffer // the month's own words, once its progress has left the terminal
	result, err := month(ctx, o, &said, ps, k, ch)
	var differs error // the month's own verdict; the verifier looks all the same
	if result != nil {
		differs, err = err, k.finish(ctx)
	}
	_, _ = said.WriteTo(o.Out) // words that cannot be shown stop nothing
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if err != nil {
		return err
	}
	beat.stop()
	if err := w.Quiet(ctx); err != nil {
		return err
	}
	k.print(time.Since(began))
	return errors.Join(differs, Books{
		Kasi: o.Kasi, Brokers: ps.brokers, ClickHouseHTTP: ch.server.HTTPAddr(), Dir: o.Dir, Out: o.Out,
		Acknowledged: k.acknowledged,
	}.Verify(ctx, result))
}

// month plays November on the product, and calls again what fails.
func month(ctx context.Context, o Options, said io.Writer, ps *processes, k *killer, ch *clickHouse) (*demo.Result,
	error,
) {
	advancer := &Advancer{Kasi: o.Kasi, Brokers: o.Brokers, Running: k.advancing, Repeated: k.repeated}
	return demo.Month(ctx, demo.Options{
		Policies: o.Customers + (o.Customers-1)/16, Seed: o.Seed,
		Rough: demo.Rough{Records: o.Records, LateAnswers: true, Delivered: k.acknowledged.Add, Phase: k.phase},
		Product: demo.Product{
			BaseURL: "http://" + ps.http, APIKey: apiKey, Tenant: tenant, Brokers: o.Brokers, KgoOpts: PatientOpts,
			Patience:      patience,
			ClickHouseURL: "http://" + ch.server.HTTPAddr(), AnalystPassword: analystPW,
			Advancer: advancer, Out: said, Progress: io.Discard,
		},
	})
}

// Books are all that the verifier holds against each other.
type Books struct {
	Kasi                    func(args ...string) *exec.Cmd
	Brokers, ClickHouseHTTP string
	Dir                     string // gets bank.csv and fed.csv
	Out                     io.Writer
	Acknowledged            *Fed
}

// Verify writes down what the bank and the feeds know, and lets kasi verify judge. Any difference is an error.
func (b Books) Verify(ctx context.Context, r *demo.Result) error {
	ledger := [][]string{{"debit_id", "status", "amount_cents"}}
	for _, d := range r.Debits {
		ledger = append(ledger, []string{d.DebitID, string(d.State), strconv.FormatInt(int64(d.AmountCents), 10)})
	}
	book, fed := filepath.Join(b.Dir, "bank.csv"), filepath.Join(b.Dir, "fed.csv")
	if err := errors.Join(writeCSV(book, ledger), writeCSV(fed, b.Acknowledged.rows())); err != nil {
		return err
	}
	cmd := b.Kasi("verify", "--kafka-brokers", b.Brokers, "--clickhouse-http", b.ClickHouseHTTP, "--ledger", book,
		"--fed", fed, "--grace", "0s", "--wait", "2m")
	cmd.Stdout, cmd.Stderr = b.Out, b.Out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("kasi verify, over %s: %w", b.Dir, err)
	}
	return ctx.Err()
}

func writeCSV(path string, rows [][]string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	return errors.Join(w.WriteAll(rows), f.Close())
}
