package income

import (
	"math/rand/v2"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

func historyOf(cents int64, dates ...string) []Entry {
	var h []Entry
	for _, s := range dates {
		d, err := civil.ParseDate(s)
		if err != nil {
			panic(err)
		}
		h = append(h, Entry{int64(schemas.DayOf(d)), cents})
	}
	return h
}

func TestDetect(t *testing.T) {
	t.Parallel()
	cal := rules.Default().Calendar
	for _, c := range []struct {
		name  string
		kind  schemas.IncomeKind
		dates []string
		freq  string
		next  string
	}{
		{"two deposits say nothing", schemas.Salary, []string{"2025-08-25", "2025-09-25"}, Unknown, ""},
		{
			"salary on the 25th, earlier on weekends", schemas.Salary,
			[]string{"2025-08-25", "2025-09-25", "2025-10-24"},
			Monthly, "2025-11-25",
		},
		{
			"the next one lies on a Sunday", schemas.Salary,
			[]string{
				"2025-10-24", "2025-11-25", "2025-12-15", "2026-01-23",
				"2026-02-25", "2026-03-25", "2026-04-24", "2026-05-25", "2026-06-25", "2026-07-24", "2026-08-25", "2026-09-25",
			},
			Monthly, "2026-10-23",
		},
		{"December early and the long January", schemas.Salary, []string{
			"2025-10-24", "2025-11-25", "2025-12-15",
			"2026-01-23",
		}, Monthly, "2026-02-25"},
		{"salary on the first, paid in the month before", schemas.Salary, []string{
			"2025-08-01", "2025-09-01", "2025-10-01",
			"2025-10-31",
		}, Monthly, "2025-12-01"},
		{
			"last day of the month", schemas.Wage,
			[]string{"2025-08-29", "2025-09-30", "2025-10-31"},
			Monthly,
			"2025-11-28",
		},
		{
			"weekly on Fridays, one a Thursday", schemas.Wage,
			[]string{"2025-04-04", "2025-04-11", "2025-04-17", "2025-04-25"},
			Weekly, "2025-05-02",
		},
		{
			"every second Friday", schemas.Wage,
			[]string{"2025-09-05", "2025-09-19", "2025-10-03", "2025-10-17"},
			Biweekly,
			"2025-10-31",
		},
		{"the 15th and the last", schemas.Wage, []string{
			"2025-08-15", "2025-08-29", "2025-09-15", "2025-09-30",
			"2025-10-15",
		}, SemiMonthly, "2025-10-30"},
		{
			"older persons' grant", schemas.Grant,
			[]string{"2025-08-05", "2025-09-02", "2025-10-02"},
			Monthly,
			"2025-11-04",
		},
		{
			"no pattern", schemas.Gig,
			[]string{"2025-08-01", "2025-08-04", "2025-08-23", "2025-10-02", "2025-10-09"},
			Irregular, "",
		},
	} {
		s := Stream{Kind: c.kind, History: historyOf(100000, c.dates...)}
		s.learn(cal)
		require.Equal(t, c.freq, s.Freq, c.name)
		require.Equal(t, c.next, s.Next.Text(), c.name)
	}
}

func TestExpensesPaidBackAreNoPayday(t *testing.T) {
	t.Parallel()
	h := historyOf(850000, "2025-08-25", "2025-09-25", "2025-10-24")
	h = append(h[:2:2], append(historyOf(12000, "2025-10-09"), h[2])...)
	require.Equal(t, Monthly, detect(h, schemas.Salary).Freq)
}

func TestAMissedPaymentIsWaitedForThenTheStreamEnds(t *testing.T) {
	t.Parallel()
	cal := rules.Default().Calendar
	s := Stream{Kind: schemas.Salary, History: historyOf(850000, "2025-07-25", "2025-08-25", "2025-09-25")}
	s.learn(cal)
	on := func(text string) (string, bool, string) {
		d, err := civil.ParseDate(text)
		require.NoError(t, err)
		x, ok := s.Expects(cal, schemas.DayOf(d))
		if !ok {
			return "", false, s.Status(cal, schemas.DayOf(d))
		}
		return x.Day.Text(), x.Late, s.Status(cal, schemas.DayOf(d))
	}
	for _, c := range []struct {
		today, next string
		late        bool
		status      string
	}{
		{"2025-10-24", "2025-10-24", false, Alive},
		{"2025-10-28", "2025-10-24", true, Alive},
		{"2025-10-29", "2025-11-25", false, Alive},
		{"2025-11-29", "2025-11-25", true, Alive},
		{"2025-11-30", "", false, Ended},
	} {
		next, late, status := on(c.today)
		require.Equal(t, c.next, next, c.today)
		require.Equal(t, c.late, late, c.today)
		require.Equal(t, c.status, status, c.today)
	}
}

// TestDetectorFindsPlantedRhythms measures the detector on made-up streams with jitter and missed payments. The figures
// are bounds, not hopes: they fail when a change makes the detector worse.
func TestDetectorFindsPlantedRhythms(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	const each = 500
	for _, c := range []struct {
		freq   string
		days   []int // days between payments, in turn; 0: monthly
		jitter int
		least  int // percent found
	}{
		{Weekly, []int{7}, 1, 95},
		{Biweekly, []int{14}, 1, 90},
		{Monthly, nil, 1, 95},
		{Monthly, nil, 3, 80},
	} {
		found := 0
		for range each {
			var h []Entry
			at := schemas.DayOf(civil.Date{Year: 2025, Month: 1, Day: 1}) + schemas.Day(rng.IntN(300))
			month, dom := monthOf(at), 1+rng.IntN(28)
			for i := range 8 {
				d := dayInMonth(month+i, dom)
				if c.days != nil {
					at += schemas.Day(c.days[0])
					d = at
				}
				if i > 0 && rng.IntN(20) == 0 {
					continue // missed
				}
				h = append(h, Entry{int64(d) + int64(rng.IntN(2*c.jitter+1)-c.jitter), 100000})
			}
			if detect(h, schemas.OtherIncome).Freq == c.freq {
				found++
			}
		}
		t.Logf("%s, %d days of jitter: %d of %d found", c.freq, c.jitter, found, each)
		require.GreaterOrEqual(t, found*100/each, c.least, c.freq)
	}
	regular := 0
	for range each {
		var h []Entry
		at := schemas.DayOf(civil.Date{Year: 2025, Month: 1, Day: 1})
		for range 10 {
			at += schemas.Day(1 + rng.IntN(40))
			h = append(h, Entry{int64(at), 100000})
		}
		if p := detect(h, schemas.OtherIncome); p.Mature() {
			regular++
		}
	}
	t.Logf("random gaps of 1-40 days: %d of %d taken for regular", regular, each)
	require.Less(t, regular*100/each, 10)
}
