package verify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/demo"
	"github.com/kasi-collections/kasi/processors/explain"
	"github.com/kasi-collections/kasi/schemas"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/records"
)

func TestMain(m *testing.M) {
	chembed.RunIfChild()
	os.Exit(m.Run())
}

// advancer drives the product's calendar.
type advancer struct{ cal *calendar.Clock }

func (a advancer) Advance(ctx context.Context, to civil.Date) error {
	_, err := a.cal.Advance(ctx, to, calendar.AdvanceOpts{})
	return err
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// playMonth runs the product and plays November 2025 with 60 policies. The result is what the verifier needs to look at
// it.
func playMonth(t *testing.T) (Options, config.Config) {
	t.Helper()
	cfg := config.Config{
		Payouts: "assumed", WebhooksPauses: "1s", WebhooksFor: "1h",
		DataDir: t.TempDir(), HTTP: freePort(t), Kafka: freePort(t), ClickHouseHTTP: freePort(t),
		ClickHouseNative: freePort(t), Database: "kasi",
		Calendar: "manual", Date: "2025-11-01", APIKeys: "demo=key", Password: "kasi-test", AnalystPassword: "analyst-test",
		Instance: "1", Partitions: 4, Replication: 1,
	}
	s, err := app.Up(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	rules, err := app.Rules(cfg)
	require.NoError(t, err)
	cal, err := calendar.New(s.Streams(), rules)
	require.NoError(t, err)
	t.Cleanup(cal.Close)
	_, err = demo.Month(t.Context(), demo.Options{Policies: 60, Seed: 11, Product: demo.Product{
		BaseURL: "http://" + cfg.HTTP, APIKey: "key", Brokers: s.Streams().Brokers, ClickHouseURL: "http://" +
			cfg.ClickHouseHTTP,
		AnalystPassword: cfg.AnalystPassword, Advancer: advancer{cal}, Out: io.Discard,
	}})
	require.NoError(t, err)
	return Options{
		Kafka: records.Source{Brokers: s.Streams().Brokers},
		ClickHouse: ClickHouse{
			URL: "http://" + cfg.ClickHouseHTTP, Database: "kasi", User: "analyst", Password: cfg.AnalystPassword,
		},
		Again: func(decision []byte) (bool, error) {
			var ev schemas.DecisionEvent
			err := json.Unmarshal(decision, &ev)
			return true, errors.Join(err, explain.Check(&ev))
		},
	}, cfg
}

// tampered is a Kafka on which somebody changed records: change returns what is read in a record's place, and nothing
// where it is lost.
type tampered struct {
	Kafka
	change func(*kgo.Record) []*kgo.Record
}

func (k tampered) Read(ctx context.Context, ends records.Ends, each func(*kgo.Record) error) error {
	return k.Kafka.Read(ctx, ends, func(r *kgo.Record) error {
		for _, r := range k.change(r) {
			if err := each(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// edited is a copy of a JSON record with some fields set.
func edited(t *testing.T, r *kgo.Record, set func(m map[string]any)) *kgo.Record {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(r.Value, &m))
	set(m)
	b, err := json.Marshal(m)
	require.NoError(t, err)
	out := *r
	out.Value = b
	return &out
}

// fields reads a JSON record.
func fields(t *testing.T, r *kgo.Record) event {
	t.Helper()
	var e event
	require.NoError(t, json.Unmarshal(r.Value, &e))
	return e
}
