package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

func broker(t *testing.T) []string {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, schemas.TopicFeedTransactions))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c.ListenAddrs()
}

// calendar is a stand-in for Kasi's: it notes which days passed, and how much lay on the topic when each did.
type calendar struct {
	t      *testing.T
	adm    *kadm.Client
	days   []civil.Date
	ends   []int64
	failOn civil.Date
}

func newCalendar(t *testing.T, brokers []string) *calendar {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return &calendar{t: t, adm: kadm.NewClient(cl)}
}

func (c *calendar) Advance(ctx context.Context, to civil.Date) error {
	if to == c.failOn {
		return errors.New("the calendar stands still")
	}
	listed, err := c.adm.ListEndOffsets(ctx, schemas.TopicFeedTransactions)
	require.NoError(c.t, err)
	var n int64
	listed.Each(func(o kadm.ListedOffset) { n += o.Offset })
	c.days, c.ends = append(c.days, to), append(c.ends, n)
	return nil
}

const gap = header +
	"11,1993-01-05,credit,,10.00,10.00,,,\n" +
	"12,1993-01-05,credit,,20.00,20.00,,,\n" +
	"11,1993-01-08,debit,,5.00,5.00,,,\n"

func TestReplayFeedsEachDayBeforeTheCalendarPassesIt(t *testing.T) {
	brokers := broker(t)
	rows, err := Read(strings.NewReader(gap), "gap.csv", "real")
	require.NoError(t, err)
	cal := newCalendar(t, brokers)
	var out bytes.Buffer
	var before, after []civil.Date
	stats, err := Replay(t.Context(), Options{
		Rows: rows, Brokers: brokers, Advancer: cal, Out: &out,
		Before: func(_ context.Context, d civil.Date, _ []Row) error { before = append(before, d); return nil },
		After:  func(_ context.Context, d civil.Date) error { after = append(after, d); return nil },
	})
	require.NoError(t, err)
	require.Equal(t, 3, stats.Rows)
	require.Equal(t, 4, stats.Days)
	day := func(n int) civil.Date { return civil.Date{Year: 1993, Month: 1, Day: n} }
	require.Equal(t, []civil.Date{day(5), day(6), day(7), day(8)}, cal.days, "days without rows pass too")
	require.Equal(t, []int64{2, 2, 2, 3}, cal.ends, "a day's rows are acknowledged before it passes")
	require.Equal(t, cal.days, before)
	require.Equal(t, cal.days, after)
	require.Contains(t, out.String(), "1993-01-08  3 rows")

	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(schemas.TopicFeedTransactions),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	require.NoError(t, err)
	defer cl.Close()
	got := map[string]schemas.Transaction{}
	for len(got) < 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		fetches := cl.PollFetches(ctx)
		cancel()
		require.NoError(t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			var tx schemas.Transaction
			require.NoError(t, json.Unmarshal(r.Value, &tx))
			got[tx.TransactionID] = tx
		})
	}
	for _, r := range rows {
		require.True(t, r.BookedAt.Equal(got[r.TransactionID].BookedAt))
		require.Equal(t, r.AmountCents, got[r.TransactionID].AmountCents)
	}
}

func TestReplaySaysWhereItStopped(t *testing.T) {
	brokers := broker(t)
	rows, err := Read(strings.NewReader(gap), "gap.csv", "real")
	require.NoError(t, err)
	cal := newCalendar(t, brokers)
	cal.failOn = civil.Date{Year: 1993, Month: 1, Day: 7}
	stats, err := Replay(t.Context(), Options{
		Rows: rows, Brokers: brokers, Advancer: cal,
		Out: &bytes.Buffer{},
	})
	require.ErrorContains(t, err, "day 1993-01-07, after 2 of 3 rows: advance the calendar: the calendar stands still")
	require.Equal(t, 2, stats.Rows)
}

func TestReplayRefusesAnEmptyFile(t *testing.T) {
	_, err := Read(strings.NewReader(header), "empty.csv", "real")
	require.ErrorContains(t, err, "empty.csv holds no transactions")
}

func TestProgressOnATerminalAndElsewhere(t *testing.T) {
	var plain, bar bytes.Buffer
	p := NewProgress(&plain, false, "days", 2).EachStep()
	p.Step(1, "first")
	p.Step(2, "second")
	p.Done()
	require.Equal(t, "days  50%  first\ndays 100%  second\n", plain.String())

	p = NewProgress(&bar, true, "days", 1)
	p.Step(1, "wrapped")
	p.Done()
	require.Equal(t, "days 100%  wrapped\n", bar.String())

	f, err := os.Create(filepath.Join(t.TempDir(), "terminal"))
	require.NoError(t, err)
	defer f.Close()
	p = NewProgress(f, true, "days", 3)
	p.Step(2, "second")
	p.Done() // a run that failed
	p = NewProgress(f, true, "days", 2)
	p.Step(2, "second")
	p.Done()
}
