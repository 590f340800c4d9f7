package streams

import (
	"context"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
)

func TestAdvancePassesEveryCutoffOfEveryDay(t *testing.T) {
	r := newRig(t)
	r.stages()
	c := r.calendar("2025-11-28", "10:00", "15:30")
	var seen []schemas.Tick
	today, err := c.Advance(r.context(), date(t, "2025-12-02"),
		AdvanceOpts{Each: func(tick schemas.Tick) { seen = append(seen, tick) }})
	require.NoError(t, err)

	want := span(date(t, "2025-11-28"), date(t, "2025-12-02"), 2)
	require.NoError(t, r.checkTicks(want))
	require.Equal(t, want[1:], seen, "all but the first, which was there")
	require.Equal(t, Today{Tick: schemas.Tick{Date: "2025-12-02", Cutoff: 2}, Known: true}, today)
	shown, err := Show(r.context(), r.cfg)
	require.NoError(t, err)
	require.Equal(t, today, shown)
}

// The control: a calendar that leaves out Sundays must be found out by the same check.
func TestASkippedDayIsFound(t *testing.T) {
	r := newRig(t)
	r.stages()
	c := r.calendar("2025-11-28")
	c.next = func(tick schemas.Tick, cutoffs func(civil.Date) ([]time.Duration, error)) (schemas.Tick, time.Time, error) {
		next, due, err := nextTick(tick, cutoffs)
		if due.Weekday() == time.Sunday && next.Cutoff == 0 {
			next.Date = date(t, next.Date).AddDays(1).String()
		}
		return next, due, err
	}
	_, err := c.Advance(r.context(), date(t, "2025-12-02"), AdvanceOpts{})
	require.NoError(t, err)
	require.ErrorContains(t, r.checkTicks(span(date(t, "2025-11-28"), date(t, "2025-12-02"), 1)), "want")
}

func TestAdvanceToTheSameDayAddsOneCutoff(t *testing.T) {
	r := newRig(t)
	r.stages()
	c := r.calendar("2025-11-28")
	for want := 1; want <= 3; want++ {
		today, err := c.Advance(r.context(), date(t, "2025-11-28"), AdvanceOpts{})
		require.NoError(t, err)
		require.Equal(t, schemas.Tick{Date: "2025-11-28", Cutoff: want}, today.Tick)
	}
	today, err := c.Advance(r.context(), date(t, "2025-11-29"), AdvanceOpts{})
	require.NoError(t, err)
	require.Equal(t, schemas.Tick{Date: "2025-11-29", Cutoff: 1}, today.Tick,
		"an extra cut-off does not upset the next day")
}

func TestAdvanceRefuses(t *testing.T) {
	r := newRig(t)
	_, err := Advance(r.context(), r.cfg, nil, date(t, "2025-11-28"), AdvanceOpts{})
	require.ErrorIs(t, err, ErrNotStarted)
	today, err := Show(r.context(), r.cfg)
	require.NoError(t, err)
	require.False(t, today.Known)

	c := r.calendar("2025-11-28")
	_, err = c.Advance(r.context(), date(t, "2025-11-27"), AdvanceOpts{})
	require.ErrorIs(t, err, ErrBackwards)
	require.ErrorContains(t, err, "2025-11-28")
	_, err = c.Advance(r.context(), civil.Date{}, AdvanceOpts{})
	require.ErrorContains(t, err, "not a date")
}

// What lay outside when Advance was called must stand before the tick on the timeline. lying makes the broker say that
// intake has taken it over, which is what an Advance that does not wait for intake would do.
func advanceWithSlowIntake(t *testing.T, lying bool) (recordFirst bool) {
	r := newFakeRig(t)
	c := r.calendar("2025-11-28")
	r.produce(schemas.TopicRailResults, 2, "paid", "", kgo.TryCommit)
	asked, done, gate := r.asked(schemas.GroupIntake), make(chan struct{}), make(chan struct{})
	if lying {
		r.lie(schemas.GroupIntake)
	}
	r.intake(gate)
	r.collect(nil)
	r.stage(schemas.GroupSettle, nil, nil, schemas.TopicSettlementCommands)
	var err error
	go func() {
		defer close(done)
		_, err = c.Advance(r.context(), date(t, "2025-11-29"), AdvanceOpts{})
	}()
	until(asked, 20, done, gate)
	<-done
	require.NoError(t, err)

	require.Eventually(t, func() bool {
		return slices.ContainsFunc(r.records(schemas.TopicTimeline, 2),
			func(rec *kgo.Record) bool { return string(rec.Value) == "paid" })
	}, 30*time.Second, 5*time.Millisecond)
	records := r.records(schemas.TopicTimeline, 2)
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
	r := newRig(t)
	r.stages()
	c := r.calendar("2025-11-28")
	r.produce(schemas.TopicFeedTransactions, 0, "booked", "feed", kgo.TryCommit)
	r.produce(schemas.TopicFeedTransactions, 1, "aborted", "feed", kgo.TryAbort)
	r.produce(schemas.TopicFeedIncomes, 1, "aborted", "feed", kgo.TryAbort)
	_, err := c.Advance(r.context(), date(t, "2025-11-28"), AdvanceOpts{Stall: 30 * time.Second})
	require.NoError(t, err)
	require.Len(t, r.records(schemas.TopicTimeline, 0), 3, "opening, the record, cut-off")
}

func TestAdvanceSaysWhatItWaitsFor(t *testing.T) {
	r := newRig(t)
	r.intake(nil)
	r.stage(schemas.GroupSettle, nil, nil, schemas.TopicSettlementCommands)
	c := r.calendar("2025-11-28")
	// Settle has joined its group and passed the opening of the day before anything is waited for; on Apache Kafka that
	// takes some seconds.
	opened, err := c.progress.ends(r.context(), false, schemas.TopicSettlementCommands)
	require.NoError(t, err)
	require.NoError(t, c.progress.wait(r.context(), 0, goal{schemas.GroupSettle, opened}))
	_, err = c.Advance(r.context(), date(t, "2025-11-28"), AdvanceOpts{Stall: time.Second})
	var behind *Behind
	require.ErrorAs(t, err, &behind)
	require.Equal(t, []any{"collect", schemas.TopicTimeline, int32(0), int64(0), int64(2), 3},
		[]any{behind.Stage, behind.Topic, behind.Partition, behind.Offset, behind.End, behind.More})
	require.ErrorContains(t, err,
		"collect has not passed partition 0 of kasi.customer.timeline.v1 (offset 0 of 2) and 3 more: is `kasi run "+
			"collect` running?")

	ctx, cancel := context.WithTimeout(r.context(), 300*time.Millisecond)
	defer cancel()
	_, err = c.Advance(ctx, date(t, "2025-11-29"), AdvanceOpts{})
	require.ErrorAs(t, err, &behind)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// Collect comes up: the same call again goes through, and no tick is missing anywhere.
	r.collect(nil)
	_, err = c.Advance(r.context(), date(t, "2025-11-30"), AdvanceOpts{})
	require.NoError(t, err)
	require.NoError(t, r.checkTicks(span(date(t, "2025-11-28"), date(t, "2025-11-30"), 1)))
}

// Between the stages' ticks and the calendar's a call may die. The next one must repair it without leaving a tick out.
func TestAdvanceAfterAnInterruption(t *testing.T) {
	r := newFakeRig(t)
	r.stages()
	c := r.calendar("2025-11-28")
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
			produce.TransactionID == nil && r.len(schemas.TopicTimeline) > 1
	}
	r.cluster.ControlKey(int16(kmsg.Produce), dies)
	_, err := c.Advance(r.context(), date(t, "2025-11-29"), AdvanceOpts{})
	require.ErrorContains(t, err, "writing a tick")
	today, err := c.Show(r.context())
	require.NoError(t, err)
	require.Equal(t, schemas.Tick{Date: "2025-11-28"}, today.Tick, "the calendar does not claim what a partition may lack")

	_, err = c.Advance(r.context(), date(t, "2025-11-29"), AdvanceOpts{})
	require.NoError(t, err)
	require.NoError(t, r.checkTicks(span(date(t, "2025-11-28"), date(t, "2025-11-29"), 1)))
}

// len is how many records partition 0 of the topic has had. It may be called from a control function, where no request
// can be made.
func (r *rig) len(topic string) int64 {
	return r.cluster.PartitionInfo(topic, 0).HighWatermark
}

func TestAdvanceWaitsForTheSink(t *testing.T) {
	r := newRig(t)
	r.stages()
	c := r.calendar("2025-11-28")
	r.produce(schemas.TopicRailResults, 1, "paid", "", kgo.TryCommit)
	// the stages have joined their groups, however long that takes
	_, err := c.Advance(r.context(), date(t, "2025-11-28"), AdvanceOpts{})
	require.NoError(t, err)
	_, err = c.Advance(r.context(), date(t, "2025-11-28"), AdvanceOpts{WaitSink: true, Stall: 2 * time.Second})
	var behind *Behind
	require.ErrorAs(t, err, &behind)
	require.Equal(t, "sink", behind.Stage)

	var topics []string
	for topic := range schemas.SunkTopics {
		topics = append(topics, topic)
	}
	r.stage(schemas.GroupSink, nil, nil, topics...)
	_, err = c.Advance(r.context(), date(t, "2025-11-28"), AdvanceOpts{WaitSink: true})
	require.NoError(t, err)
}

func TestALateOldTickDoesNotSetTheCalendarBack(t *testing.T) {
	r := newRig(t)
	c := r.calendar("2025-11-28")
	for _, tick := range []schemas.Tick{
		{Date: "2025-11-29", Cutoff: 1},
		{Date: "2025-11-29"},
		{Date: "2025-11-28", Cutoff: 1},
	} {
		_, err := c.write(r.context(), modeManual, []schemas.Tick{tick})
		require.NoError(t, err)
	}
	today, err := Show(r.context(), r.cfg)
	require.NoError(t, err)
	require.Equal(t, schemas.Tick{Date: "2025-11-29", Cutoff: 1}, today.Tick)
}
