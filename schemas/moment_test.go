package schemas_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

// TestShownLiesOnTheBusinessDate: users see the time of the record on the business date, in Johannesburg.
func TestShownLiesOnTheBusinessDate(t *testing.T) {
	at := time.Date(2026, 11, 29, 22, 30, 0, 123456789, time.UTC) // 00:30 on the 30th in Johannesburg
	for date, want := range map[string]string{
		"2025-11-05": "2025-11-04T22:30:00.123Z",
		"2026-11-30": "2026-11-29T22:30:00.123Z",
		"1970-01-01": "2026-11-29T22:30:00.123Z", // before the first tick
		"":           "2026-11-29T22:30:00.123Z",
	} {
		got := schemas.Meta{BusinessDate: date, At: at}.Shown()
		require.Equal(t, want, got.Format(time.RFC3339Nano), date)
	}
}
