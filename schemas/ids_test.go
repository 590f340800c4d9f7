package schemas_test

import (
	"strconv"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/schemas"
)

// An id of facts is the UUIDv5 that any library makes of them.
func TestFactIDIsAUUIDv5(t *testing.T) {
	t.Parallel()
	space := uuid.MustParse("6b617369-0000-5000-8000-636f6c6c6563")
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(rapid.StringN(0, 300, -1), 0, 5).Draw(t, "facts")
		var text string
		for _, f := range facts {
			text += strconv.Itoa(len(f)) + ":" + f
		}
		require.Equal(t, uuid.NewSHA1(space, []byte(text)).String(), schemas.FactID(facts...))
	})
}

// Dates and periods are written as package civil writes them.
func TestDateText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := civil.Date{
			Year:  rapid.OneOf(rapid.IntRange(-1, 10_001), rapid.IntRange(1900, 2100)).Draw(t, "year"),
			Month: time.Month(rapid.IntRange(-1, 101).Draw(t, "month")),
			Day:   rapid.IntRange(-1, 101).Draw(t, "day"),
		}
		require.Equal(t, d.String(), schemas.DateText(d))
		if d.IsValid() && d.Year >= 1000 && d.Year <= 9999 {
			period := schemas.PeriodOf(d)
			require.Equal(t, d.String()[:7], string(period))
			require.Equal(t, civil.Date{Year: d.Year, Month: d.Month, Day: 1}, period.First())
		}
	})
	require.Panics(t, func() { schemas.Period("2025-13").First() })
}
