package calendar

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// ticked is the days of ticks, each written at an instant, in the order of their records.
func ticked(t *testing.T, mode string, ticks ...[2]string) *Days {
	t.Helper()
	d := &Days{}
	for _, tick := range ticks {
		d.take(&kgo.Record{
			Value: []byte(`{"date":"` + tick[0] + `","cutoff":0}`), Timestamp: sast(t, tick[1]),
			Headers: []kgo.RecordHeader{{Key: schemas.HeaderCalendar, Value: []byte(mode)}},
		})
	}
	return d
}

// Under a manual calendar an instant is shown on the date that stood then, and found again by what was shown.
func TestInstantsAreShownOnTheBusinessDate(t *testing.T) {
	d := ticked(t, schemas.CalendarManual, [2]string{"2025-11-05", "2026-03-01 10:00:00"},
		[2]string{"2025-11-06", "2026-03-01 10:30:00"}, [2]string{"2025-11-05", "2026-03-01 10:40:00"},
		[2]string{"2025-11-07", "2026-03-01 10:30:00"}, [2]string{"2025-11-30", "2026-03-02 09:00:00"})
	require.Equal(t, "2025-11-30", d.Today())
	for at, want := range map[string]string{
		"2026-03-01 09:00:00": "2025-11-05 09:00:00", // before the calendar began
		"2026-03-01 10:00:00": "2025-11-05 10:00:00",
		"2026-03-01 10:29:59": "2025-11-05 10:29:59",
		"2026-03-01 10:30:00": "2025-11-07 10:30:00",
		"2026-03-02 08:00:00": "2025-11-07 08:00:00",
		"2026-03-09 08:00:00": "2025-11-30 08:00:00",
	} {
		require.Equal(t, sast(t, want).UTC(), d.Shown(sast(t, at)), at)
	}
	for shown, want := range map[string]string{
		"2025-10-01 00:00:00": "2026-03-01 10:00:00",
		"2025-11-05 00:00:00": "2026-03-01 10:00:00",
		"2025-11-05 10:10:00": "2026-03-01 10:10:00",
		"2025-11-05 18:00:00": "2026-03-01 10:30:00", // the next day had begun
		"2025-11-10 00:00:00": "2026-03-02 09:00:00",
		"2025-11-30 12:00:00": "2026-03-02 12:00:00",
	} {
		require.Equal(t, sast(t, want).UTC(), d.Happened(sast(t, shown)), shown)
	}
	require.True(t, d.Happened(sast(t, "2026-12-01 00:00:00")).After(time.Now()), "a date that has not come")
}

// The control: under the real calendar nothing is moved, also where the calendar is behind the clock.
func TestTheRealCalendarMovesNoInstant(t *testing.T) {
	at := sast(t, "2025-11-06 00:00:01")
	for _, d := range []*Days{{}, ticked(t, schemas.CalendarReal, [2]string{"2025-11-05", "2025-11-05 00:00:00"})} {
		require.Equal(t, at.UTC(), d.Shown(at))
		require.Equal(t, at.UTC(), d.Happened(at))
	}
}
