package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// CONTRACT 9: the calendar goes forward, day by day, however it is driven.
func TestScenarioCalendar(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	out, err := p.calendar("show")
	require.NoError(t, err, out)
	require.Contains(t, out, "2025-11-01")
	p.policies("", "C1,E,POL1,F,300.00", "C2,E,POL2,F,150.00")
	p.execute("2025-11", 2)
	p.credit("C1", "2025-11-04", 8000, "piece job")
	p.advance("2025-11-04")
	require.Equal(t, []string{"2025-11-04 2025-11 8000"}, p.dates("POL1"))
	p.answer(p.debits()[0], "PAID", "")
	p.credit("C1", "2025-11-04", 7000, "tips")
	p.advance("2025-11-04")
	require.Equal(t, []string{"2025-11-04 2025-11 7000", "2025-11-04 2025-11 8000"}, p.dates("POL1"),
		"the same day once more decides what came since")
	p.advance("2025-11-04")
	require.Len(t, p.debits(), 2)

	out, err = p.calendar("advance", "--to", "2025-11-03")
	require.Error(t, err, out)
	require.Contains(t, out, "backwards")
	out, err = p.calendar("advance", "--to", "2025-02-30")
	require.Error(t, err, out)
	require.Contains(t, out, "not a date")
	out, err = p.calendar("show")
	require.NoError(t, err, out)
	require.Contains(t, out, "2025-11-04", "a refused call moves nothing")

	p.credit("C2", "2025-12-22", 850000, "SALARY")
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_ = p.command(ctx, "calendar", "advance", "--to", "2026-02-28", "--kafka-brokers", p.kafka).Run() // killed on its way
	p.advance("2026-02-28")
	require.Equal(t, "119", p.sql("SELECT uniqExact(business_date) FROM calendar_log WHERE business_date > '2025-11-01'"),
		"no day is left out")
	require.Equal(t, []string{"2025-11-05 2025-11 15000"}, p.dates("POL2"), "the day's own cut-off, not the last day's")
	require.Equal(t, "2026-02-28", p.sql("SELECT business_date FROM calendar"))
}
