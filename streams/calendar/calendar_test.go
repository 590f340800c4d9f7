package calendar

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/internal/rig"
	"github.com/kasi-collections/kasi/streams/progress"
)

// started is a calendar that stands at the opening of day start, manual, with these cut-off times.
func started(r *rig.Rig, start string, times ...string) *Clock {
	r.Helper()
	c, err := New(r.Cfg, nil)
	require.NoError(r, err)
	r.Cleanup(c.Close)
	if len(times) == 0 {
		times = []string{"15:00"}
	}
	c.times = func(civil.Date) []string { return times }
	require.NoError(r, c.startManual(r.Context(), rig.Date(r, start)))
	return c
}

// show reads the calendar with a client of its own.
func show(r *rig.Rig) (Today, error) {
	r.Helper()
	c, err := New(r.Cfg, nil)
	require.NoError(r, err)
	defer c.Close()
	return c.Show(r.Context())
}

// advance advances it with a client of its own.
func advance(r *rig.Rig, to string) error {
	r.Helper()
	c, err := New(r.Cfg, nil)
	require.NoError(r, err)
	defer c.Close()
	_, err = c.Advance(r.Context(), rig.Date(r, to), AdvanceOpts{})
	return err
}

func TestAdvancePassesEveryCutoffOfEveryDay(t *testing.T) {
	r := rig.New(t)
	r.Stages()
	c := started(r, "2025-11-28", "10:00", "15:30")
	var seen []schemas.Tick
	today, err := c.Advance(r.Context(), rig.Date(t, "2025-12-02"),
		AdvanceOpts{Each: func(tick schemas.Tick) { seen = append(seen, tick) }})
	require.NoError(t, err)

	want := rig.Span(rig.Date(t, "2025-11-28"), rig.Date(t, "2025-12-02"), 2)
	require.NoError(t, r.CheckTicks(want))
	require.Equal(t, want[1:], seen, "all but the first, which was there")
	require.Equal(t, Today{Tick: schemas.Tick{Date: "2025-12-02", Cutoff: 2}, Known: true}, today)
	shown, err := show(r)
	require.NoError(t, err)
	require.Equal(t, today, shown)
}

// The control: a calendar that leaves out Sundays must be found out by the same check.
func TestASkippedDayIsFound(t *testing.T) {
	r := rig.New(t)
	r.Stages()
	c := started(r, "2025-11-28")
	c.next = func(tick schemas.Tick, cutoffs func(civil.Date) ([]time.Duration, error)) (schemas.Tick, time.Time, error) {
		next, due, err := nextTick(tick, cutoffs)
		if due.Weekday() == time.Sunday && next.Cutoff == 0 {
			next.Date = rig.Date(t, next.Date).AddDays(1).String()
		}
		return next, due, err
	}
	_, err := c.Advance(r.Context(), rig.Date(t, "2025-12-02"), AdvanceOpts{})
	require.NoError(t, err)
	require.ErrorContains(t, r.CheckTicks(rig.Span(rig.Date(t, "2025-11-28"), rig.Date(t, "2025-12-02"), 1)), "want")
}

func TestAdvanceToTheSameDayAddsOneCutoff(t *testing.T) {
	r := rig.New(t)
	r.Stages()
	c := started(r, "2025-11-28")
	for want := 1; want <= 3; want++ {
		today, err := c.Advance(r.Context(), rig.Date(t, "2025-11-28"), AdvanceOpts{})
		require.NoError(t, err)
		require.Equal(t, schemas.Tick{Date: "2025-11-28", Cutoff: want}, today.Tick)
	}
	today, err := c.Advance(r.Context(), rig.Date(t, "2025-11-29"), AdvanceOpts{})
	require.NoError(t, err)
	require.Equal(t, schemas.Tick{Date: "2025-11-29", Cutoff: 1}, today.Tick,
		"an extra cut-off does not upset the next day")
}

func TestAdvanceRefuses(t *testing.T) {
	r := rig.New(t)
	err := advance(r, "2025-11-28")
	require.ErrorIs(t, err, ErrNotStarted)
	today, err := show(r)
	require.NoError(t, err)
	require.False(t, today.Known)

	c := started(r, "2025-11-28")
	_, err = c.Advance(r.Context(), rig.Date(t, "2025-11-27"), AdvanceOpts{})
	require.ErrorIs(t, err, ErrBackwards)
	require.ErrorContains(t, err, "2025-11-28")
	_, err = c.Advance(r.Context(), civil.Date{}, AdvanceOpts{})
	require.ErrorContains(t, err, "not a date")
}

// What lay outside when Advance was called must stand before the tick on the timeline. lying makes the broker say that
// intake has taken it over, which is what an Advance that does not wait for intake would do.
func advanceWithSlowIntake(t *testing.T, lying bool) (recordFirst bool) {
	r := rig.NewFake(t)
	c := started(r, "2025-11-28")
	r.Produce(schemas.TopicRailResults, 2, "paid", "", kgo.TryCommit)
	asked, done, gate := r.Asked(schemas.GroupIntake), make(chan struct{}), make(chan struct{})
	if lying {
		r.Lie(schemas.GroupIntake)
	}
	r.Intake(gate)
	r.Collect(nil)
	r.Stage(schemas.GroupSettle, nil, nil, schemas.TopicSettlementCommands)
	var err error
	go func() {
		defer close(done)
		_, err = c.Advance(r.Context(), rig.Date(t, "2025-11-29"), AdvanceOpts{})
	}()
	rig.Until(asked, 20, done, gate)
	<-done
	require.NoError(t, err)

	require.Eventually(t, func() bool {
		return slices.ContainsFunc(r.Records(schemas.TopicTimeline, 2),
			func(rec *kgo.Record) bool { return string(rec.Value) == "paid" })
	}, 30*time.Second, 5*time.Millisecond)
	records := r.Records(schemas.TopicTimeline, 2)
	paid := slices.IndexFunc(records, func(rec *kgo.Record) bool { return string(rec.Value) == "paid" })
	return paid == 1 // behind the first tick, before the rest
}

func TestAdvanceWaitsForIntake(t *testing.T) {
	require.True(t, advanceWithSlowIntake(t, false))
}

func TestNotWaitingForIntakeIsFound(t *testing.T) {
	require.False(t, advanceWithSlowIntake(t, true))
}

// Outside producers may use transactions: markers and aborted records at the end of a topic are nothing intake could
// take over.
func TestAdvanceIsNotHeldUpByMarkers(t *testing.T) {
	r := rig.New(t)
	r.Stages()
	c := started(r, "2025-11-28")
	r.Produce(schemas.TopicFeedTransactions, 0, "booked", "feed", kgo.TryCommit)
	r.Produce(schemas.TopicFeedTransactions, 1, "aborted", "feed", kgo.TryAbort)
	r.Produce(schemas.TopicFeedIncomes, 1, "aborted", "feed", kgo.TryAbort)
	_, err := c.Advance(r.Context(), rig.Date(t, "2025-11-28"), AdvanceOpts{Stall: 30 * time.Second})
	require.NoError(t, err)
	require.Len(t, r.Records(schemas.TopicTimeline, 0), 3, "opening, the record, cut-off")
}

func TestAdvanceSaysWhatItWaitsFor(t *testing.T) {
	r := rig.New(t)
	r.Intake(nil)
	r.Stage(schemas.GroupSettle, nil, nil, schemas.TopicSettlementCommands)
	c := started(r, "2025-11-28")
	// Settle has joined its group and passed the opening of the day before anything is waited for; on Apache Kafka that
	// takes some seconds.
	require.NoError(t, c.progress.CatchUp(r.Context(), 0, streams.GroupsOf("settle")...))
	_, err := c.Advance(r.Context(), rig.Date(t, "2025-11-28"), AdvanceOpts{Stall: time.Second})
	var behind *progress.Behind
	require.ErrorAs(t, err, &behind)
	require.Equal(t, []any{"collect", schemas.TopicTimeline, int32(0), int64(0), int64(1), 3},
		[]any{behind.Stage, behind.Topic, behind.Partition, behind.Offset, behind.End, behind.More})
	require.ErrorContains(t, err,
		"collect has not passed partition 0 of kasi.customer.timeline.v1 (offset 0 of 1) and 3 more: is `kasi run "+
			"collect` running?")

	ctx, cancel := context.WithTimeout(r.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = c.Advance(ctx, rig.Date(t, "2025-11-29"), AdvanceOpts{})
	require.ErrorAs(t, err, &behind)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// Collect comes up: the same call again goes through, and no tick is missing anywhere.
	r.Collect(nil)
	_, err = c.Advance(r.Context(), rig.Date(t, "2025-11-30"), AdvanceOpts{})
	require.NoError(t, err)
	require.NoError(t, r.CheckTicks(rig.Span(rig.Date(t, "2025-11-28"), rig.Date(t, "2025-11-30"), 1)))
}

// An execution that was asked for before the day is carried out before it, however long it takes: the month is the same
// every time.
func TestAdvanceWaitsForExecutions(t *testing.T) {
	r := rig.New(t)
	r.Stages()
	c := started(r, "2025-11-28")
	_, err := c.Advance(r.Context(), rig.Date(t, "2025-11-28"), AdvanceOpts{}) // the stages have their partitions then
	require.NoError(t, err)
	event := func(partition int32, done bool) {
		value, err := json.Marshal(schemas.ExecutionEvent{ExecutionID: "x", TenantID: "acme", Done: done})
		require.NoError(t, err)
		r.Produce(schemas.TopicExecutions, partition, string(value), "collect", kgo.TryCommit)
	}
	event(0, false)
	event(1, false)
	r.Produce(schemas.TopicExecutions, 0, "no JSON", "", kgo.TryCommit)
	event(1, true)
	before := len(r.Ticks(schemas.TopicTimeline, 0))
	_, err = c.Advance(r.Context(), rig.Date(t, "2025-11-28"), AdvanceOpts{Stall: 500 * time.Millisecond})
	require.ErrorContains(t, err, "execution x of tenant acme is under way on partition 0")
	require.Len(t, r.Ticks(schemas.TopicTimeline, 0), before, "no tick before the execution is done")

	advanced := make(chan error, 1)
	go func() {
		_, err := c.Advance(r.Context(), rig.Date(t, "2025-11-28"), AdvanceOpts{})
		advanced <- err
	}()
	event(0, true)
	require.NoError(t, <-advanced)
	require.Len(t, r.Ticks(schemas.TopicTimeline, 0), before+1)
}

// Between the stages' ticks and the calendar's a call may die. The next one must repair it without leaving a tick out.
func TestAdvanceAfterAnInterruption(t *testing.T) {
	r := rig.NewFake(t)
	r.Stages()
	c := started(r, "2025-11-28")
	dies := func(req kmsg.Request) (kmsg.Response, error, bool) {
		produce := req.(*kmsg.ProduceRequest)
		resp := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range produce.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.MessageTooLarge.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, len(produce.Topics) == 1 && len(produce.Topics[0].Partitions) == 1 &&
			produce.TransactionID == nil && recordsHad(r, schemas.TopicTimeline) > 1
	}
	r.Cluster.ControlKey(int16(kmsg.Produce), dies)
	_, err := c.Advance(r.Context(), rig.Date(t, "2025-11-29"), AdvanceOpts{})
	require.ErrorContains(t, err, "writing a tick")
	today, err := c.Show(r.Context())
	require.NoError(t, err)
	require.Equal(t, schemas.Tick{Date: "2025-11-28"}, today.Tick, "the calendar does not claim what a partition may lack")

	_, err = c.Advance(r.Context(), rig.Date(t, "2025-11-29"), AdvanceOpts{})
	require.NoError(t, err)
	require.NoError(t, r.CheckTicks(rig.Span(rig.Date(t, "2025-11-28"), rig.Date(t, "2025-11-29"), 1)))
}

// recordsHad is how many records partition 0 of the topic has had. It may be called from a control function, where no
// request can be made.
func recordsHad(r *rig.Rig, topic string) int64 {
	return r.Cluster.PartitionInfo(topic, 0).HighWatermark
}

func TestAdvanceWaitsForTheSink(t *testing.T) {
	r := rig.New(t)
	r.Stages()
	c := started(r, "2025-11-28")
	r.Produce(schemas.TopicRailResults, 1, "paid", "", kgo.TryCommit)
	// the stages have joined their groups, however long that takes
	_, err := c.Advance(r.Context(), rig.Date(t, "2025-11-28"), AdvanceOpts{})
	require.NoError(t, err)
	_, err = c.Advance(r.Context(), rig.Date(t, "2025-11-28"), AdvanceOpts{WaitSink: true, Stall: 2 * time.Second})
	var behind *progress.Behind
	require.ErrorAs(t, err, &behind)
	require.Equal(t, "sink", behind.Stage)

	var topics []string
	for topic := range schemas.SunkTopics {
		topics = append(topics, topic)
	}
	r.Stage(schemas.GroupSink, nil, nil, topics...)
	_, err = c.Advance(r.Context(), rig.Date(t, "2025-11-28"), AdvanceOpts{WaitSink: true})
	require.NoError(t, err)
}

// What a stage has written and not decided yet is not in ClickHouse: advance does not return before it is.
func TestAdvanceWaitsForOpenTransactionsOfTheSinksTopics(t *testing.T) {
	r := rig.New(t)
	r.Stages()
	var topics []string
	for topic := range schemas.SunkTopics {
		topics = append(topics, topic)
	}
	r.Stage(schemas.GroupSink, nil, nil, topics...)
	c := started(r, "2025-11-28")
	_, err := c.Advance(r.Context(), rig.Date(t, "2025-11-28"), AdvanceOpts{WaitSink: true})
	require.NoError(t, err)
	tx, err := kgo.NewClient(r.Cfg.Client(kgo.TransactionalID("open"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	defer tx.Close()
	require.NoError(t, tx.BeginTransaction())
	require.NoError(t, tx.ProduceSync(r.Context(), &kgo.Record{
		Topic: schemas.TopicDecisions, Partition: 2, Value: []byte("x"),
	}).FirstErr())
	_, err = c.Advance(r.Context(), rig.Date(t, "2025-11-28"), AdvanceOpts{WaitSink: true, Stall: time.Second})
	var behind *progress.Behind
	require.ErrorAs(t, err, &behind)
	require.Equal(t, schemas.TopicDecisions, behind.Topic)
	require.NoError(t, tx.EndTransaction(r.Context(), kgo.TryCommit))
	require.NoError(t, c.WaitSink(r.Context(), 0))
}

func TestALateOldTickDoesNotSetTheCalendarBack(t *testing.T) {
	r := rig.New(t)
	c := started(r, "2025-11-28")
	for _, tick := range []schemas.Tick{
		{Date: "2025-11-29", Cutoff: 1},
		{Date: "2025-11-29"},
		{Date: "2025-11-28", Cutoff: 1},
	} {
		_, err := c.write(r.Context(), schemas.CalendarManual, []schemas.Tick{tick})
		require.NoError(t, err)
	}
	today, err := show(r)
	require.NoError(t, err)
	require.Equal(t, schemas.Tick{Date: "2025-11-29", Cutoff: 1}, today.Tick)
}

// What another writes on the calendar's topic does not move the calendar, nor stop it.
func TestStrayRecordsOnTheCalendar(t *testing.T) {
	r := rig.New(t)
	r.Stages()
	c := started(r, "2025-11-01", "10:00")
	for _, value := range []string{"no JSON", "", "{}", `{"date":"2031-01-01","cutoff":0}`, `{"date":"2031-02-30"}`} {
		r.Produce(schemas.TopicCalendar, 0, value, "", kgo.TryCommit)
	}
	_, err := c.Advance(r.Context(), rig.Date(t, "2025-11-03"), AdvanceOpts{})
	require.NoError(t, err)
	today, err := show(r)
	require.NoError(t, err)
	require.Equal(t, "2025-11-03", today.Tick.Date)
}

// A calendar whose ticks are gone is not taken for one that has not begun: a new one would leave out days.
func TestACalendarThatIsGoneIsRefused(t *testing.T) {
	r := rig.New(t)
	c := started(r, "2025-11-01", "10:00")
	ends, err := c.progress.Ends(r.Context(), true, schemas.TopicCalendar)
	require.NoError(t, err)
	cut := kadm.Offsets{}
	cut.AddOffset(schemas.TopicCalendar, 0, ends[progress.Place{Topic: schemas.TopicCalendar}], -1)
	_, err = c.progress.Admin.DeleteRecords(r.Context(), cut)
	require.NoError(t, err)
	again := Ticker{Manual: true, Start: rig.Date(t, "2025-11-05")}
	require.ErrorContains(t, RunTicker(r.Context(), r.Cfg, rules.Default(), again, func() {}),
		"restore the topic")
}
