package rules_test

import (
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

func date(t require.TestingT, s string) civil.Date {
	d, err := civil.ParseDate(s)
	require.NoError(t, err)
	return d
}

// The weekdays of these years on which banks are closed, written down from the gazetted lists.
func TestPublicHolidaysOfKnownYears(t *testing.T) {
	c := rules.Default().Calendar
	for year, want := range map[int][]string{
		1995: {"01-02", "03-21", "04-14", "04-17", "04-27", "05-01", "06-16", "08-09", "09-25", "12-25", "12-26"},
		2005: {"03-21", "03-25", "03-28", "04-27", "05-02", "06-16", "08-09", "12-16", "12-26"},
		2008: {"01-01", "03-21", "03-24", "04-28", "05-01", "05-02", "06-16", "09-24", "12-16", "12-25", "12-26"},
		2011: {"03-21", "04-22", "04-25", "04-27", "05-02", "05-18", "06-16", "08-09", "12-16", "12-26", "12-27"},
		2016: {"01-01", "03-21", "03-25", "03-28", "04-27", "05-02", "06-16", "08-03", "08-09", "12-16", "12-26", "12-27"},
		2021: {"01-01", "03-22", "04-02", "04-05", "04-27", "06-16", "08-09", "09-24", "11-01", "12-16", "12-27"},
		2022: {"03-21", "04-15", "04-18", "04-27", "05-02", "06-16", "08-09", "12-16", "12-26", "12-27"},
		2023: {"01-02", "03-21", "04-07", "04-10", "04-27", "05-01", "06-16", "08-09", "09-25", "12-15", "12-25", "12-26"},
		2024: {"01-01", "03-21", "03-29", "04-01", "05-01", "05-29", "06-17", "08-09", "09-24", "12-16", "12-25", "12-26"},
		2025: {"01-01", "03-21", "04-18", "04-21", "04-28", "05-01", "06-16", "09-24", "12-16", "12-25", "12-26"},
		2026: {"01-01", "04-03", "04-06", "04-27", "05-01", "06-16", "08-10", "09-24", "12-16", "12-25"},
	} {
		var got []string
		for d := (civil.Date{Year: year, Month: 1, Day: 1}); d.Year == year; d = d.AddDays(1) {
			weekend := d.Weekday() == time.Saturday || d.Weekday() == time.Sunday
			if !weekend && !c.IsBankingDay(d) {
				got = append(got, d.String()[5:])
			}
			require.False(t, weekend && c.IsBankingDay(d), "%s is a weekend", d)
		}
		require.Equal(t, want, got, "%d", year)
	}
}

// Every year a backtest or a forecast may touch has its holidays: 12 in the Act, some on weekends, each Sunday's moved
// to the Monday.
func TestEveryYearHasItsHolidays(t *testing.T) {
	c := rules.Default().Calendar
	fixed := []string{"01-01", "03-21", "04-27", "05-01", "06-16", "08-09", "09-24", "12-16", "12-25", "12-26"}
	for year := 1993; year <= 2030; year++ {
		for _, day := range fixed {
			d := date(t, civil.Date{Year: year, Month: 1, Day: 1}.String()[:5]+day)
			require.False(t, c.IsBankingDay(d), "%s", d)
			if d.Weekday() == time.Sunday {
				require.False(t, c.IsBankingDay(d.AddDays(1)), "the Monday after %s", d)
			}
		}
		days := c.Between(civil.Date{Year: year - 1, Month: 12, Day: 31}, civil.Date{Year: year, Month: 12, Day: 31})
		require.True(t, days >= 247 && days <= 254, "%d has %d banking days", year, days)
	}
}

func TestBankingDaySteps(t *testing.T) {
	c := rules.Default().Calendar
	for _, row := range []struct{ name, from, want string }{
		{"OnOrAfter", "2025-11-05", "2025-11-05"},  // a Wednesday
		{"OnOrAfter", "2025-11-08", "2025-11-10"},  // Saturday -> Monday
		{"OnOrBefore", "2025-11-09", "2025-11-07"}, // Sunday -> Friday
		{"OnOrAfter", "2024-03-29", "2024-04-02"},  // Good Friday -> Tuesday after Family Day
		{"OnOrBefore", "2024-04-01", "2024-03-28"}, // Family Day -> Thursday before Easter
		{"Next", "2025-11-05", "2025-11-06"},
		{"Next", "2025-12-24", "2025-12-29"}, // Christmas, Goodwill, weekend
		{"Next", "2023-12-14", "2023-12-18"}, // the proclaimed Friday
		{"Add0", "2025-11-08", "2025-11-10"},
		{"Add2", "2025-11-08", "2025-11-12"},
		{"Add4", "2025-12-23", "2025-12-31"},
	} {
		from, got := date(t, row.from), civil.Date{}
		switch row.name {
		case "OnOrAfter":
			got = c.OnOrAfter(from)
		case "OnOrBefore":
			got = c.OnOrBefore(from)
		case "Next":
			got = c.Next(from)
		default:
			got = c.Add(from, int(row.name[3]-'0'))
		}
		require.Equal(t, row.want, got.String(), "%s(%s)", row.name, row.from)
	}
	require.Equal(t, 0, c.Between(date(t, "2025-11-05"), date(t, "2025-11-05")))
	require.Equal(t, 0, c.Between(date(t, "2025-11-06"), date(t, "2025-11-05")))
	require.Equal(t, 2, c.Between(date(t, "2025-11-07"), date(t, "2025-11-11")))
}

func TestStepsAgreeWithEachOther(t *testing.T) {
	c := rules.Default().Calendar
	rapid.Check(t, func(t *rapid.T) {
		d := civil.Date{Year: 1993, Month: 1, Day: 1}.AddDays(rapid.IntRange(0, 38*365).Draw(t, "day"))
		n := rapid.IntRange(0, 30).Draw(t, "n")
		end := c.Add(d, n)
		require.True(t, c.IsBankingDay(end))
		require.Equal(t, n, c.Between(c.OnOrAfter(d), end))
		require.Equal(t, end, c.OnOrAfter(end))
		require.Equal(t, end, c.OnOrBefore(end))
		require.Equal(t, c.Next(end), c.Add(end, 1))
		require.False(t, c.OnOrBefore(d).After(d))
	})
}

// The dates SASSA published for April 2024 to March 2026 and some months before.
func TestGrantDaysAsPublished(t *testing.T) {
	c := rules.Default().Calendar
	for period, want := range map[string][3]string{
		"2023-07": {"07-04", "07-05", "07-06"}, "2023-11": {"11-02", "11-03", "11-06"}, "2023-12": {
			"12-01", "12-04",
			"12-05",
		},
		"2024-01": {"01-03", "01-04", "01-05"}, "2024-03": {"03-05", "03-06", "03-07"}, "2024-04": {
			"04-03", "04-04",
			"04-05",
		},
		"2024-05": {"05-03", "05-06", "05-07"}, "2024-06": {"06-04", "06-05", "06-06"}, "2024-08": {
			"08-02", "08-05",
			"08-06",
		},
		"2024-11": {"11-05", "11-06", "11-07"}, "2024-12": {"12-03", "12-04", "12-05"}, "2025-01": {
			"01-03", "01-06",
			"01-07",
		},
		"2025-02": {"02-04", "02-05", "02-06"}, "2025-04": {"04-02", "04-03", "04-04"}, "2025-05": {
			"05-06", "05-07",
			"05-08",
		},
		"2025-06": {"06-03", "06-04", "06-05"}, "2025-07": {"07-02", "07-03", "07-04"}, "2025-08": {
			"08-05", "08-06",
			"08-07",
		},
		"2025-10": {"10-02", "10-03", "10-06"}, "2025-11": {"11-04", "11-05", "11-06"}, "2026-01": {
			"01-06", "01-07",
			"01-08",
		},
		"2026-03": {"03-03", "03-04", "03-05"},
	} {
		got := c.GrantDays(schemas.Period(period))
		require.Equal(t, want, [3]string{
			got[rules.GrantOlderPersons].String()[5:], got[rules.GrantDisability].String()[5:],
			got[rules.GrantChildren].String()[5:],
		}, period)
		require.Len(t, got, 3)
	}
}

func TestPayday(t *testing.T) {
	c := rules.Default().Calendar
	for _, row := range []struct {
		period schemas.Period
		day    int
		want   string
	}{
		{"2025-11", 25, "2025-11-25"},
		{"2025-10", 25, "2025-10-24"}, // Saturday -> Friday
		{"2025-05", 25, "2025-05-23"}, // Sunday -> Friday
		{"2025-02", 31, "2025-02-28"}, // the last day
		{"2024-02", 30, "2024-02-29"},
		{"2025-12", 25, "2025-12-15"}, // December early
		{"2024-12", 25, "2024-12-13"}, // the 15th is a Sunday
		{"2023-12", 25, "2023-12-14"}, // the 15th was proclaimed a holiday
		{"2025-12", 7, "2025-12-05"},  // due before: not moved to the December payday
		{"2025-11", 0, "2025-10-31"},  // clamped to the 1st, a Saturday
	} {
		require.Equal(t, row.want, c.Payday(row.period, row.day).String(), "%s day %d", row.period, row.day)
	}
}
