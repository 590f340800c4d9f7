package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// logsOfRecord are the topics from which everything else follows. Policy commands are on the timeline too, where
// collect reads them.
var logsOfRecord = []string{
	schemas.TopicTimeline, schemas.TopicSettlementCommands, schemas.TopicCalendar,
	schemas.TopicPolicyCommands,
}

// TestReplay rebuilds two months twice, from the logs of record alone, on an empty Kafka and an empty ClickHouse, with
// transactions cut elsewhere: reports, statements and exports are the same bytes, and so is every event of the topics
// behind them. The hashes are printed (make replay).
func TestReplay(t *testing.T) {
	p := start(t, "2025-11-01")
	p.twoMonths()
	want := p.account()
	logs, offsets := map[string][]*kgo.Record{}, p.offsets()
	for _, topic := range logsOfRecord {
		logs[topic] = p.read(topic)
		require.NotEmpty(t, logs[topic], topic)
	}
	p.down()
	var rebuilt []map[string]string
	for _, batch := range []int{3, 10_000} {
		r := rebuild(t, logs, batch)
		rebuilt = append(rebuilt, r.account())
		require.NotEqual(t, offsets, r.offsets(), "transactions were cut as before: the replay proves nothing")
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		t.Logf("%s  %s", want[name], name)
	}
	for i, got := range rebuilt {
		require.Equal(t, want, got, "rebuild %d", i+1)
	}
	t.Logf("original and both rebuilds are the same bytes: %d reports, statements, exports and topics", len(want))
}

// twoMonths has what can happen: debits that succeed, fail and are tried again, deposits, a changed premium, a
// cancelled policy, money that goes back after its statement, a dispute, two statements of one period and an adjustment
// in the next.
func (p *product) twoMonths() {
	t := p.t
	t.Helper()
	var rows []string
	for i := range 40 {
		rows = append(rows, fmt.Sprintf("C%02d,E%02d,POL%02d,F,%d.%02d,%d", i, i, i, 100+i, i, []int{5, 5, 12, 28}[i%4]))
	}
	p.policies(",collection_day", rows...)
	p.execute("2025-11", len(rows))
	for i := 1; i < 40; i += 4 {
		p.credit(fmt.Sprintf("C%02d", i), "2025-11-25", 850_000, "SALARY")
	}
	bank := p.bank(func(d debit) (string, string) {
		if d.Attempt == 1 && strings.HasSuffix(d.PolicyNumber, "1") {
			return "UNPAID", "02"
		}
		return "PAID", ""
	})
	bank.until("2025-11-05")
	p.patch("POL02", `{"collection_amount":250.00}`)
	p.patch("POL03", `{"status":"cancelled"}`)
	bank.until("2025-11-12", "2025-11-26", "2025-11-28", "2025-12-02")
	byPolicy := map[string]string{}
	for _, d := range p.debits() {
		byPolicy[d.PolicyNumber] = d.DebitID
	}
	code, body := p.call("POST", "/v1/settlements", "application/json", `{"period_month":"2025-11","preview":true}`)
	require.Equal(t, 200, code, body)
	first := p.settle(testKey, "2025-11")
	for _, call := range []string{`dispute {"reason":"why"}`, `resolve {"note":"so"}`} {
		what, in, _ := strings.Cut(call, " ")
		code, body = p.call("POST", "/v1/settlements/"+first.ID+"/"+what, "application/json", in)
		require.Equal(t, 200, code, body)
	}
	p.send("kasi.rail.results.v1", "", map[string]any{
		"result_id": "late", "debit_id": byPolicy["POL07"],
		"status": "UNPAID", "effective_date": "2025-12-02", "reason_code": "02", "reason_scheme": "ZA",
	})
	second := p.settle(testKey, "2025-11")
	require.Equal(t, []string{"SETTLE-2025-11-001", "SETTLE-2025-11-002"}, []string{first.Number, second.Number})
	code, body = p.call("POST", "/v1/collections/execute", "application/json", `{"period_month":"2025-12"}`)
	require.Equal(t, 202, code, body)
	bank.until("2025-12-05", "2025-12-12")
	p.send("kasi.rail.results.v1", "", map[string]any{
		"result_id": "disp", "debit_id": byPolicy["POL04"],
		"status": "DISPUTED", "effective_date": "2025-12-12", "reason_code": "30", "reason_scheme": "ZA",
	})
	bank.until("2025-12-28", "2026-01-02")
	dec := p.settle(testKey, "2025-12")
	require.Contains(t, dec.lines, "ADJUSTMENT")
	p.advance("2026-01-03")
}

// account is a SHA-256 of each thing that a replay must give again.
func (p *product) account() map[string]string {
	p.t.Helper()
	sums := map[string]string{}
	note := func(name, text string) { sums[name] = fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	get := func(path string) string {
		code, body := p.call("GET", path, "", "")
		require.Equal(p.t, 200, code, body)
		note("GET "+path, body)
		return body
	}
	for _, period := range []string{"2025-11", "2025-12"} {
		require.NotEmpty(p.t, p.report(period))
		get("/v1/reports/collections?period_month=" + period)
	}
	var list struct{ Data []statement }
	require.NoError(p.t, json.Unmarshal([]byte(get("/v1/settlements")), &list))
	require.Len(p.t, list.Data, 3)
	for _, s := range list.Data {
		get("/v1/settlements/" + s.ID + "/export")
	}
	for _, topic := range []string{
		schemas.TopicTransactions, schemas.TopicDeposits, schemas.TopicDecisions,
		schemas.TopicDebits, schemas.TopicPolicies, schemas.TopicCollections, schemas.TopicOpenItems,
		schemas.TopicSettlements, schemas.TopicPayouts,
	} {
		byPartition := map[int32]string{}
		for _, r := range p.read(topic) {
			byPartition[r.Partition] += fmt.Sprintf("%s %s %d\n", r.Key, r.Value, r.Timestamp.UnixMilli())
		}
		note("topic "+topic, fmt.Sprint(byPartition)) // fmt prints maps in order
	}
	return sums
}

// offsets are where the events of kasi.collections.v1 lie.
func (p *product) offsets() []string {
	p.t.Helper()
	var all []string
	for _, r := range p.read(schemas.TopicCollections) {
		all = append(all, fmt.Sprintf("%d/%d", r.Partition, r.Offset))
	}
	slices.Sort(all)
	return all
}

// rebuild runs everything behind the logs of record on new engines and returns when it has come to their ends. Intake
// and ticker do not run: their work is on the logs.
func rebuild(t *testing.T, logs map[string][]*kgo.Record, batch int) *product {
	t.Helper()
	k := kafkatest.Fake(t)
	server, err := chembed.Start(t.Context(), chembed.Options{
		Dir: t.TempDir(), HTTPAddr: "127.0.0.1:0",
		NativeAddr: "127.0.0.1:0", KasiPassword: "test-kasi", AnalystPassword: "test-analyst",
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	cfg := config.Config{
		HTTP: freePort(t), Database: "kasi", Password: "test-kasi", APIKeys: "demo=" + testKey,
		Partitions: 4, ClickHouseAddr: server.NativeAddr(), Payouts: "assumed", WebhooksPauses: "1s", WebhooksFor: "1h",
	}
	env, err := app.NewEnv(cfg)
	require.NoError(t, err)
	env.Brokers = k.Brokers
	log := slog.New(slog.DiscardHandler)
	require.NoError(t, env.Prepare(t.Context(), cfg, log, app.RoleNames()...))
	p := &product{t: t, http: cfg.HTTP, kafka: k.Brokers[0], clickhouse: server.HTTPAddr(), native: server.NativeAddr()}
	p.client, err = kgo.NewClient(kgo.SeedBrokers(k.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	t.Cleanup(p.client.Close)
	for _, topic := range logsOfRecord {
		require.NoError(t, p.client.ProduceSync(t.Context(), copies(logs[topic])...).FirstErr())
	}
	stage := env.Streams(cfg, "rebuild", log)
	stage.MaxRecords = batch
	ctx, cancel := context.WithCancel(context.Background())
	roles, ctx := errgroup.WithContext(ctx)
	roles.Go(func() error {
		return streams.Run(ctx, stage, "collect", streams.Needs{Engine: processors.NewEngine(rules.Default())}, func() {})
	})
	for _, role := range []string{"settle", "sink", "api"} {
		roles.Go(func() error { return env.Run(ctx, role, cfg, log, func() {}) })
	}
	t.Cleanup(func() { cancel(); require.NoError(t, roles.Wait()) })
	p.through(schemas.GroupCollect, schemas.TopicTimeline)
	p.through(schemas.GroupSettle, schemas.TopicSettlementCommands)
	p.through(schemas.GroupSink, slices.Sorted(maps.Keys(schemas.SunkTopics))...)
	return p
}

func copies(records []*kgo.Record) []*kgo.Record {
	out := make([]*kgo.Record, len(records))
	for i, r := range records {
		out[i] = &kgo.Record{
			Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers,
			Timestamp: r.Timestamp,
		}
	}
	return out
}

// through waits until a group has taken over all that lies on its topics now.
func (p *product) through(group string, topics ...string) {
	p.t.Helper()
	adm := kadm.NewClient(p.client)
	require.Eventually(p.t, func() bool {
		ends, err1 := adm.ListEndOffsets(context.Background(), topics...)
		done, err2 := adm.FetchOffsets(context.Background(), group)
		all := cmp.Or(err1, err2) == nil
		ends.Each(func(o kadm.ListedOffset) {
			at, _ := done.Lookup(o.Topic, o.Partition)
			all = all && (o.Offset == 0 || at.At == o.Offset)
		})
		return all
	}, 2*time.Minute, 20*time.Millisecond, "%s does not get through", group)
}
