package main

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/stage"
)

// BenchmarkDepositToDebit is the time from a fed deposit to its debit on kasi.debits.v1 and to that debit's row in
// ClickHouse, through the whole stack, one deposit at a time: feed, cut-off, debit, row. The calendar is moved as soon
// as the deposit is acknowledged, so what is measured is the pipeline and not the wait for the cut-off.
func BenchmarkDepositToDebit(b *testing.B) {
	p := start(b, "2025-11-03")
	const policies = 500
	var csv strings.Builder
	csv.WriteString("customer_id,external_customer_ref,policy_number,product_code,collection_amount\n")
	for i := range policies {
		fmt.Fprintf(&csv, "C%04d,E%04d,P%04d,FUNERAL_01,300.00\n", i, i, i)
	}
	code, body := p.importCSV(csv.String())
	require.Equal(b, 200, code, body)
	p.execute("2025-11", policies)
	cal, err := calendar.New(stage.Config{
		Brokers: []string{p.kafka},
		Log:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	}, rules.Default())
	require.NoError(b, err)
	defer cal.Close()
	today := civil.Date{Year: 2025, Month: time.November, Day: 3}
	pass := func() {
		_, err := cal.Advance(b.Context(), today, calendar.AdvanceOpts{})
		require.NoError(b, err)
	}
	pass()
	tail, err := kgo.NewClient(kgo.SeedBrokers(p.kafka), kgo.ConsumeTopics("kasi.debits.v1"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	require.NoError(b, err)
	defer tail.Close()

	var debit, row []time.Duration
	for i := 0; b.Loop() && i < policies; i++ {
		customer := fmt.Sprintf("C%04d", i)
		fed := time.Now()
		p.credit(customer, "2025-11-03", 8000, "piece job")
		pass()
		for found := false; !found; {
			f := tail.PollFetches(b.Context())
			require.NoError(b, f.Err())
			f.EachRecord(func(r *kgo.Record) { found = found || strings.Contains(string(r.Value), customer) })
		}
		debit = append(debit, time.Since(fed))
		for p.sql("SELECT count() FROM debits_log WHERE customer_id = '"+customer+"'") != "1" {
			continue // each question takes some milliseconds: that is the resolution
		}
		row = append(row, time.Since(fed))
	}
	for name, d := range map[string][]time.Duration{"debit": debit, "row": row} {
		slices.Sort(d)
		b.ReportMetric(float64(d[len(d)/2].Microseconds())/1000, name+"-p50-ms")
		b.ReportMetric(float64(d[len(d)*99/100].Microseconds())/1000, name+"-p99-ms")
	}
}
