package letters_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/commands"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/records"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// noLedger is a ledger nobody settles with.
type noLedger struct{}

func (noLedger) Sum(context.Context, string, schemas.Period, []schemas.Coverage) (schemas.LedgerSums, error) {
	return schemas.LedgerSums{}, nil
}

func (noLedger) HasCollections(context.Context, string, schemas.Period, []int64) (bool, error) {
	return false, nil
}

// rig is a broker with the three stages and a manual calendar on 1 November 2025.
type rig struct {
	*testing.T
	cfg stage.Config
	box letters.Box
	cl  *kgo.Client
	cal *calendar.Clock
}

func newRig(t *testing.T) *rig {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	r := &rig{T: t, cfg: stage.Config{
		Brokers: c.ListenAddrs(), Partitions: 2, FreshTxnID: true, Tenants: []string{"demo"},
		KgoOpts: []kgo.Opt{kgo.MetadataMinAge(50 * time.Millisecond)},
	}}
	r.box = letters.Box{Source: records.Source{Brokers: r.cfg.Brokers, Opts: r.cfg.KgoOpts}, Inputs: streams.Inputs()}
	_, err = topics.Ensure(t.Context(), r.cfg)
	require.NoError(t, err)
	rules := rules.Default()
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	t.Cleanup(func() { cancel(); require.NoError(t, g.Wait()) })
	g.Go(func() error { return streams.Run(ctx, r.cfg, "intake", streams.Needs{}, nil) })
	g.Go(func() error {
		return streams.Run(ctx, r.cfg, "collect", streams.Needs{Engine: processors.NewEngine(rules)}, nil)
	})
	g.Go(func() error {
		return streams.Run(ctx, r.cfg, "settle", streams.Needs{Rules: rules, Ledger: noLedger{}}, nil)
	})
	g.Go(func() error {
		return calendar.RunTicker(ctx, r.cfg, rules, calendar.Ticker{Manual: true, Start: date("2025-11-01")}, func() {})
	})
	r.cl, err = kgo.NewClient(kgo.SeedBrokers(r.cfg.Brokers...))
	require.NoError(t, err)
	t.Cleanup(r.cl.Close)
	r.cal, err = calendar.New(r.cfg, rules)
	require.NoError(t, err)
	t.Cleanup(r.cal.Close)
	require.Eventually(t, func() bool { now, err := r.cal.Show(t.Context()); return err == nil && now.Known },
		30*time.Second, 20*time.Millisecond)
	return r
}

func date(s string) civil.Date {
	d, err := civil.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func (r *rig) advance(to string) {
	r.Helper()
	_, err := r.cal.Advance(r.Context(), date(to), calendar.AdvanceOpts{})
	require.NoError(r, err)
}

func (r *rig) send(topic, key string, value any) {
	r.Helper()
	b, err := json.Marshal(value)
	require.NoError(r, err)
	require.NoError(r, r.cl.ProduceSync(r.Context(), &kgo.Record{
		Topic: topic, Key: []byte(key), Value: b,
		Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte("x1")}},
	}).FirstErr())
}

func (r *rig) letters(f letters.Filter) []*letters.Letter {
	r.Helper()
	var all []*letters.Letter
	require.NoError(r, r.box.Each(r.Context(), f, func(l *letters.Letter) error { all = append(all, l); return nil }))
	return all
}

// collections are the versions of collections so far.
func (r *rig) collections() (all []schemas.CollectionEvent) {
	r.Helper()
	ends, err := r.box.Source.Ends(r.Context(), schemas.TopicCollections)
	require.NoError(r, err)
	require.NoError(r, r.box.Source.Read(r.Context(), ends, func(rec *kgo.Record) error {
		var e schemas.CollectionEvent
		require.NoError(r, json.Unmarshal(rec.Value, &e))
		all = append(all, e)
		return nil
	}))
	return all
}

// A bank's answer that comes before the debit it answers is refused. Replayed once the debit is there it is good, and
// counts once.
func TestReplayedRecordThatIsGoodNowCountsOnce(t *testing.T) {
	r := newRig(t)
	policy := schemas.PolicyID("demo", "P1")
	debit := schemas.DebitID("demo", "C1", schemas.CollectionID(policy, "2025-11"), 1)
	r.send(schemas.TopicRailResults, "x", map[string]any{
		"result_id": "r1", "debit_id": debit, "status": "PAID",
		"effective_date": "2025-11-05",
	})
	r.advance("2025-11-02")
	refused := r.letters(letters.Filter{Class: schemas.RejectUnknownDebit})
	require.Len(t, refused, 1)
	require.Equal(t, "collect", refused[0].Stage)
	require.Equal(t, schemas.TopicRailResults, refused[0].Origin.Topic, "the record its sender knows")

	commands, err := commands.New(r.cfg)
	require.NoError(t, err)
	defer commands.Close()
	require.NoError(t, commands.Policies(t.Context(), []schemas.PolicyCommand{{
		RequestID: "q1", Row: 1, Action: schemas.PolicyCreate, TenantID: "demo", CustomerID: "C1", PolicyNumber: "P1",
		Terms: &schemas.PolicyTerms{
			ProductCode: "F", PremiumCents: 15000, Status: schemas.PolicyActive,
			Rail: schemas.RailDebiCheck,
		},
	}}))
	r.advance("2025-11-03")
	require.NoError(t, commands.Execute(t.Context(), []schemas.ExecuteCommand{{
		RequestID: "q2", ExecutionID: "x", Row: 1, TenantID: "demo", CustomerID: "C1", PolicyNumber: "P1",
		PeriodMonth: "2025-11",
	}}))
	r.advance("2025-11-05") // the day of the first attempt
	before := r.collections()
	require.Equal(t, schemas.ChangeInstructed, before[len(before)-1].Change.Kind)
	require.Equal(t, debit, before[len(before)-1].Change.DebitID)

	found, err := r.box.Find(t.Context(), refused[0].ID)
	require.NoError(t, err)
	require.NoError(t, r.box.Replay(t.Context(), found, "op@host", time.Now()))
	r.advance("2025-11-06")
	after := r.collections()
	require.Len(t, after, len(before)+1)
	require.Equal(t, schemas.ChangePaid, after[len(after)-1].Change.Kind)
	require.Equal(t, schemas.PaidFull, after[len(after)-1].Status)

	require.NoError(t, r.box.Replay(t.Context(), found, "op@host", time.Now()))
	r.advance("2025-11-07")
	require.Equal(t, after, r.collections(), "a second replay changes nothing")
	require.Len(t, r.letters(letters.Filter{}), 1)
}

// A record that is still bad comes back as a new dead letter, which says that it was a replay; the first one stays as
// it is.
func TestReplayedRecordThatIsStillBadComesBack(t *testing.T) {
	r := newRig(t)
	r.send(schemas.TopicFeedTransactions, "k", map[string]any{"transaction_id": "t1", "tenant_id": "demo"})
	r.advance("2025-11-01")
	first := r.letters(letters.Filter{})
	require.Len(t, first, 1)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, r.box.Replay(t.Context(), first, "op@host", at))
	r.advance("2025-11-02")
	both := r.letters(letters.Filter{Topic: schemas.TopicFeedTransactions})
	require.Len(t, both, 2)
	second := both[1]
	require.Equal(t, first[0].Class, second.Class)
	require.Equal(t, first[0].Value(), second.Value())
	require.Equal(t, first[0].Key(), second.Key())
	require.Equal(t, []string{first[0].ID.String(), "op@host", "2026-01-02T03:04:05Z"}, []string{
		second.ReplayedID,
		second.ReplayedBy, second.ReplayedAt,
	})
	require.True(t, slices.Contains(second.Headers(), [2]string{"ce_id", "x1"}), "the sender's headers stay")

	require.NoError(t, r.box.Replay(t.Context(), both[1:], "other@host", at))
	r.advance("2025-11-03")
	third := r.letters(letters.Filter{})[2]
	require.Equal(t, "other@host", third.ReplayedBy)
	require.Len(t, third.Headers(), len(second.Headers()), "marks of the replay before are replaced")
}

func TestFilters(t *testing.T) {
	r := newRig(t)
	r.send(schemas.TopicFeedTransactions, "k", map[string]any{"transaction_id": "t1"})
	r.send(schemas.TopicFeedIncomes, "k", map[string]any{"income_id": 7})
	r.advance("2025-11-01")
	all := r.letters(letters.Filter{})
	require.Len(t, all, 2)
	require.Len(t, r.letters(letters.Filter{Topic: schemas.TopicFeedIncomes}), 1)
	require.Len(t, r.letters(letters.Filter{Since: time.Now().Add(-time.Minute)}), 2)
	require.Empty(t, r.letters(letters.Filter{Since: time.Now().Add(time.Minute)}))
	require.Empty(t, r.letters(letters.Filter{Class: "NOT_A_CLASS"}))
}

// Nothing is written where any of the letters cannot be replayed.
func TestReplayRefusesWhatIsNotThere(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, schemas.TopicDeadLetters,
		schemas.TopicFeedIncomes))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	box := letters.Box{Source: records.Source{Brokers: c.ListenAddrs()}, Inputs: streams.Inputs()}
	cl, err := box.Source.Client()
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	dead := func(headers ...string) *kgo.Record {
		rec := &kgo.Record{Topic: schemas.TopicDeadLetters, Value: []byte("v")}
		for i := 0; i < len(headers); i += 2 {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: headers[i], Value: []byte(headers[i+1])})
		}
		return rec
	}
	from := func(topic, partition string, more ...string) *kgo.Record {
		return dead(append([]string{
			letters.HeaderErrorTopic, topic, letters.HeaderErrorPartition, partition,
			letters.HeaderErrorOffset, "3",
		}, more...)...)
	}
	require.NoError(t, cl.ProduceSync(t.Context(),
		from(schemas.TopicFeedIncomes, "0"), dead(), from("__consumer_offsets", "0"), from(schemas.TopicFeedIncomes, "9"),
		from(schemas.TopicFeedIncomes, "0", letters.HeaderOmitted, "2000000")).FirstErr())
	good := letters.ID{0, 0}
	for id, want := range map[letters.ID]string{
		{0, 1}: "does not say where it came from", {0, 2}: "which no stage reads", {0, 3}: "has no partition 9",
		{0, 4}: "too large to be kept",
	} {
		found, err := box.Find(t.Context(), good, id)
		require.NoError(t, err)
		require.ErrorContains(t, box.Replay(t.Context(), found, "op", time.Now()), want)
	}
	for _, id := range []letters.ID{{0, 5}, {7, 0}} {
		_, err := box.Find(t.Context(), good, id)
		require.ErrorContains(t, err, "there is no dead letter "+id.String())
	}
	ends, err := box.Source.Ends(t.Context(), schemas.TopicFeedIncomes)
	require.NoError(t, err)
	require.Zero(t, ends[records.Place{Topic: schemas.TopicFeedIncomes}])
}

func TestParseID(t *testing.T) {
	id, err := letters.ParseID("0-17")
	require.NoError(t, err)
	require.Equal(t, letters.ID{0, 17}, id)
	require.Equal(t, "0-17", id.String())
	for _, bad := range []string{"", "17", "0-", "-1-2", "0-x", "0--1", "1-2-3"} {
		_, err := letters.ParseID(bad)
		require.ErrorContains(t, err, "is not the id of a dead letter", bad)
	}
}
