package demo

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/arena/backtest"
	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/feed"
)

func TestMain(m *testing.M) {
	chembed.RunIfChild()
	os.Exit(m.Run())
}

// stackAdvancer drives the real product's calendar.
type stackAdvancer struct{ cal *calendar.Clock }

func (a stackAdvancer) Advance(ctx context.Context, to civil.Date) error {
	_, err := a.cal.Advance(ctx, to, calendar.AdvanceOpts{})
	return err
}

// stack starts the whole product on embedded engines, its calendar standing at the date.
func stack(t *testing.T, date string, out *bytes.Buffer) Product {
	var log bytes.Buffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the product:\n%s\nwhat it said:\n%s", log.String(), out.String())
		}
	})
	cfg := config.Config{
		Payouts: "assumed", WebhooksPauses: "1s", WebhooksFor: "1h",
		DataDir: t.TempDir(), HTTP: freePort(t), Kafka: freePort(t), ClickHouseHTTP: freePort(t),
		ClickHouseNative: freePort(t), Database: "kasi",
		Calendar: "manual", Date: date, APIKeys: "demo=key", Password: "kasi-test", AnalystPassword: "analyst-test",
		Instance: "1", Partitions: 4, Replication: 1,
	}
	s, err := app.Up(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	rules, err := app.Rules(cfg)
	require.NoError(t, err)
	cal, err := calendar.New(s.Streams(), rules)
	require.NoError(t, err)
	t.Cleanup(cal.Close)
	return Product{
		BaseURL: "http://" + cfg.HTTP, APIKey: "key", Brokers: s.Streams().Brokers, ClickHouseURL: "http://" +
			cfg.ClickHouseHTTP, AnalystPassword: cfg.AnalystPassword,
		Advancer: stackAdvancer{cal}, Out: out,
	}
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestTheProductPlaysAMonthAndTheBooksAgree(t *testing.T) {
	var out bytes.Buffer
	r, err := Month(t.Context(), Options{Product: stack(t, "2025-11-01", &out), Policies: 80, Seed: 11, Dir: t.TempDir()})
	require.NoError(t, err)
	require.Len(t, r.Report, 80)
	require.Equal(t, "SETTLE-2025-11-001", r.Settlement.SettlementNumber)
	require.Equal(t, schemas.SettlementPaid, r.Settlement.Status)
	require.Equal(t, "2025-12-03", r.Settlement.PaymentDate)
	cancelled := 0
	for _, row := range r.Report {
		if row.CollectionStatus == schemas.CollectionCancelled {
			cancelled++
		}
	}
	require.LessOrEqual(t, cancelled, 2)
	require.Positive(t, r.Latency.Deposit.Samples)
}

// Made-up accounts in the real file's columns: one with a salary, one with cash now and then, one that is overdrawn.
func TestTheProductReplaysRealShapedTransactions(t *testing.T) {
	lines := []string{"account_id,date,type,operation,amount,balance,k_symbol,bank,account"}
	salary := 0
	for d := (civil.Date{Year: 1993, Month: 1, Day: 1}); d.Before(civil.Date{
		Year: 1993, Month: 5,
		Day: 20,
	}); d = d.AddDays(1) {
		switch d.Day {
		case 12:
			lines = append(lines, fmt.Sprintf("11,%s,credit,transfer_in,6207.00,%d.00,pension,YZ,30300313", d, 6207+salary))
		case 20:
			salary += 100
			lines = append(lines, fmt.Sprintf("11,%s,debit,cash_withdrawal,6107.00,%d.00,,,", d, salary))
		case 6, 19:
			lines = append(lines, fmt.Sprintf("12,%s,credit,cash_deposit,900.00,1000.00,,,", d),
				fmt.Sprintf("12,%s,debit,cash_withdrawal,900.00,100.00,,,", d),
				fmt.Sprintf("13,%s,debit,cash_withdrawal,10.00,-500.00,household,,", d))
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(strings.Join(lines, "\n") + "\n"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	file := filepath.Join(t.TempDir(), "made-up.csv.gz")
	require.NoError(t, os.WriteFile(file, packed.Bytes(), 0o600))

	var out bytes.Buffer
	r, err := Real(t.Context(), RealOptions{
		Product: stack(t, "1993-01-01", &out), File: file, NoBuffer: true,
		Until: civil.Date{Year: 1993, Month: 5, Day: 15},
	})
	require.NoError(t, err)
	require.Equal(t, 3, r.Policies)
	require.Positive(t, r.Bank)
	require.EqualValues(t, r.Rows, r.Accepted)
	require.Contains(t, out.String(), "difference R 0.00")
	theArenaMakesTheSameDebits(t, file, "1993-05-15", r)
}

// theArenaMakesTheSameDebits: what a backtest says of the engine holds for the whole product, debit by debit. The arena
// ends with the last full month.
func theArenaMakesTheSameDebits(t *testing.T, file, until string, r *RealResult) {
	rows, err := feed.ReadFile(file, "", "demo")
	require.NoError(t, err)
	var txs []schemas.Transaction
	for _, row := range rows {
		if row.Date.String() <= until {
			txs = append(txs, row.Transaction)
		}
	}
	law := rules.Default()
	arena := map[string][]backtest.Debit{}
	for _, a := range backtest.Accounts(txs, law, false) {
		all, err := backtest.Debits(law, processors.NewEngine(law), a, backtest.Month, backtest.None, premiumPercent)
		require.NoError(t, err)
		arena[all[0].Customer] = all
	}
	product := map[string][]backtest.Debit{}
	for _, d := range r.book.Debits {
		if d.ActionDate >= until[:len("2006-01")] {
			continue
		}
		on, err := civil.ParseDate(d.ActionDate)
		require.NoError(t, err)
		last := on
		if d.TrackingUntil != "" {
			last, err = civil.ParseDate(d.TrackingUntil)
			require.NoError(t, err)
		}
		product[d.CustomerID] = append(product[d.CustomerID], backtest.Debit{
			Customer: d.CustomerID, First: schemas.DayOf(on), Last: schemas.DayOf(last), Cents: d.AmountCents,
			Paid: d.State == people.Paid, Failed: d.State == people.Unpaid,
		})
	}
	require.Equal(t, product, arena)
}
