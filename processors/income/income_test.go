package income

import (
	"math/rand/v2"
	"testing"
	"time"

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
	require.Equal(t, Monthly, freqOf(h, schemas.Salary))
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

// TestPaydaysByTheStreamsOwnPast is about rhythms that differ from what their kind is known for.
func TestPaydaysByTheStreamsOwnPast(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		kind  schemas.IncomeKind
		dates []string
		freq  string
		next  string
	}{
		{
			"a salary that comes on Sundays too", schemas.Salary,
			[]string{"2025-03-25", "2025-04-25", "2025-05-25", "2025-06-25", "2025-07-25", "2025-08-25", "2025-09-25"},
			Monthly, "2025-10-25",
		},
		{
			"a pension, likewise", schemas.Pension,
			[]string{"2025-05-01", "2025-06-01", "2025-07-01", "2025-08-01", "2025-09-01", "2025-10-01"},
			Monthly, "2025-11-01",
		},
		{
			"the 1st, which mostly came on the 30th before a closed day", schemas.Salary,
			[]string{"2025-02-28", "2025-04-01", "2025-04-30", "2025-05-30"},
			Monthly, "2025-07-01",
		},
		{
			"the day after where banks are closed", schemas.Salary,
			[]string{"2025-03-25", "2025-04-25", "2025-05-26", "2025-06-25", "2025-07-25", "2025-08-25", "2025-09-25"},
			Monthly, "2025-10-27",
		},
		{
			"income of no kind, the day before", schemas.OtherIncome,
			[]string{"2025-03-25", "2025-04-25", "2025-05-23", "2025-06-25", "2025-07-25", "2025-08-25", "2025-09-25"},
			Monthly, "2025-10-24",
		},
		{
			"the last Friday", schemas.Salary,
			[]string{"2025-04-25", "2025-05-30", "2025-06-27", "2025-07-25", "2025-08-29", "2025-09-26"},
			Monthly, "2025-10-31",
		},
		{
			"the second Thursday", schemas.Wage,
			[]string{"2025-05-08", "2025-06-12", "2025-07-10", "2025-08-14", "2025-09-11", "2025-10-09"},
			Monthly, "2025-11-13",
		},
		{
			"Saturdays", schemas.Wage,
			[]string{"2025-10-04", "2025-10-11", "2025-10-18", "2025-10-25", "2025-11-01"},
			Weekly, "2025-11-08",
		},
		{
			"every four weeks", schemas.Wage,
			[]string{"2025-05-02", "2025-05-30", "2025-06-27", "2025-07-25", "2025-08-22", "2025-09-19"},
			Monthly, "2025-10-17",
		},
		{
			"every thirty days", schemas.OtherIncome,
			[]string{"2025-05-02", "2025-06-01", "2025-07-01", "2025-07-31", "2025-08-30", "2025-09-29"},
			Monthly, "2025-10-29",
		},
		{
			"moved from the 25th to the 5th", schemas.Salary,
			[]string{
				"2025-01-24", "2025-02-25", "2025-03-25", "2025-04-25", "2025-05-23", "2025-06-25", "2025-07-25", "2025-08-05",
				"2025-09-05", "2025-10-03", "2025-11-05",
			},
			Monthly, "2025-12-05",
		},
		{
			"a disability grant", schemas.Grant,
			[]string{"2025-07-03", "2025-08-06", "2025-09-03", "2025-10-03"},
			Monthly, "2025-11-05",
		},
		{
			"a children's grant", schemas.Grant,
			[]string{"2025-07-04", "2025-08-07", "2025-09-04", "2025-10-06"},
			Monthly, "2025-11-06",
		},
		{
			"a pension on the grants' days is no grant", schemas.Pension,
			[]string{"2025-08-05", "2025-09-02", "2025-10-02"},
			Monthly, "2025-11-03", // the 2nd is a Sunday; grants come on the 4th
		},
		{
			"a salary on the last day, in December", schemas.Salary,
			[]string{"2025-08-29", "2025-09-30", "2025-10-31", "2025-11-28", "2025-12-15"},
			Monthly, "2026-01-30",
		},
		{
			"the 1st, more often paid on the 30th", schemas.Salary,
			[]string{"2026-01-30", "2026-02-27", "2026-04-01", "2026-04-30", "2026-06-01"},
			Monthly, "2026-07-01",
		},
		{
			"last December's 15th was a Sunday", schemas.Salary,
			[]string{
				"2024-11-25", "2024-12-13", "2025-01-24", "2025-02-25", "2025-03-25", "2025-04-25", "2025-05-23", "2025-06-25",
				"2025-07-25", "2025-08-25", "2025-09-25", "2025-10-24", "2025-11-25",
			},
			Monthly, "2025-12-15",
		},
		{
			"a pension of the last day that was early in December", schemas.Pension,
			[]string{"2024-07-31", "2024-08-30", "2024-09-30", "2024-10-31", "2024-11-29", "2024-12-13"},
			Monthly, "2025-01-31",
		},
		{
			"an employer who is not early in December", schemas.Salary,
			[]string{
				"2024-11-25", "2024-12-24", "2025-01-24", "2025-02-25", "2025-03-25", "2025-04-25", "2025-05-23", "2025-06-25",
				"2025-07-25", "2025-08-25", "2025-09-25", "2025-10-24", "2025-11-25",
			},
			Monthly, "2025-12-24",
		},
		{
			"an employer who pays on the 19th of December", schemas.OtherIncome,
			[]string{
				"2024-11-25", "2024-12-19", "2025-01-25", "2025-02-25", "2025-03-25", "2025-04-25", "2025-05-25", "2025-06-25",
				"2025-07-25", "2025-08-25", "2025-09-25", "2025-10-25", "2025-11-25",
			},
			Monthly, "2025-12-19",
		},
	} {
		s := Stream{Kind: c.kind, History: historyOf(100000, c.dates...)}
		s.learn(calendar)
		require.Equal(t, c.freq, s.Freq, c.name)
		require.Equal(t, c.next, s.Next.Text(), c.name)
	}
}

// TestAWageBetweenOddSums is what a cash account looks like: the same sum on the same day, and others as they come.
func TestAWageBetweenOddSums(t *testing.T) {
	t.Parallel()
	s := Stream{Kind: schemas.OtherIncome}
	put := func(cents int64, dates ...string) {
		s.History = append(s.History, historyOf(cents, dates...)...)
		s.learn(calendar)
	}
	put(70000, "2025-05-04")
	put(467300, "2025-05-13")
	put(480000, "2025-05-31")
	put(701000, "2025-06-13") // with a bonus
	put(410000, "2025-06-20", "2025-07-04")
	require.Equal(t, "2025-07-13", s.Next.Text(), "two are enough, to the day")
	put(467300, "2025-07-13")
	put(390000, "2025-08-01", "2025-08-05")
	put(467300, "2025-08-13")
	put(350000, "2025-08-29")
	require.Equal(t, "2025-09-13", s.Next.Text())
	x, ok := s.Expects(calendar, schemas.DayOf(civil.Date{Year: 2025, Month: 9, Day: 1}))
	require.True(t, ok)
	require.Equal(t, []string{"2025-09-12", "2025-09-14"}, []string{x.From.Text(), x.To.Text()})
}

func TestAnExpensePaidBackMovesNoPayday(t *testing.T) {
	t.Parallel()
	s := Stream{Kind: schemas.Salary, History: historyOf(850000, "2025-07-25", "2025-08-25", "2025-09-25")}
	s.History = append(s.History, historyOf(9000, "2025-10-09")...)
	s.learn(calendar)
	require.Equal(t, "2025-10-24", s.Next.Text())
}

func TestWindows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		kind          schemas.IncomeKind
		dates         []string
		from, day, to string
	}{
		{
			"three payments", schemas.Salary,
			[]string{"2025-07-25", "2025-08-25", "2025-09-25"},
			"2025-10-23", "2025-10-24", "2025-10-25",
		},
		{
			"a year to the day", schemas.OtherIncome,
			[]string{
				"2024-10-10", "2024-11-10", "2024-12-10", "2025-01-10", "2025-02-10", "2025-03-10", "2025-04-10",
				"2025-05-10", "2025-06-10", "2025-07-10", "2025-08-10", "2025-09-10",
			},
			"2025-10-10", "2025-10-10", "2025-10-10",
		},
		{
			"never yet while banks were closed, as they are on this Saturday", schemas.OtherIncome,
			[]string{"2025-07-25", "2025-08-25", "2025-09-25"},
			"2025-10-24", "2025-10-25", "2025-10-27",
		},
		{
			"some days off", schemas.OtherIncome,
			[]string{"2025-05-10", "2025-06-12", "2025-07-10", "2025-08-08", "2025-09-10", "2025-10-10"},
			"2025-11-06", "2025-11-10", "2025-11-14",
		},
		{
			"two Decembers that differ say nothing of January", schemas.Salary,
			[]string{
				"2024-12-17", "2025-01-24", "2025-02-25", "2025-03-25", "2025-04-25", "2025-05-23", "2025-06-25", "2025-07-25",
				"2025-08-25", "2025-09-25", "2025-10-24", "2025-11-25", "2025-12-15",
			},
			"2026-01-23", "2026-01-23", "2026-01-23",
		},
		{
			"December: from the 13th to the usual day", schemas.Salary,
			[]string{"2025-08-25", "2025-09-25", "2025-10-24", "2025-11-25"},
			"2025-12-13", "2025-12-15", "2025-12-24",
		},
	} {
		s := Stream{Kind: c.kind, History: historyOf(100000, c.dates...)}
		s.learn(calendar)
		x, ok := s.Expects(calendar, s.Last()+1)
		require.True(t, ok, c.name)
		require.Equal(t, []string{c.from, c.day, c.to}, []string{x.From.Text(), x.Day.Text(), x.To.Text()}, c.name)
	}
}

// TestWindowsHold measures how often a payment lies in the window that was told before it came. Nine of ten is what
// spread aims at.
func TestWindowsHold(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for _, jitter := range []int{0, 1, 2, 3} {
		in, all, days := 0, 0, 0
		for range 300 {
			month, dom := monthOf(20000)+rng.IntN(12), 1+rng.IntN(28)
			s := Stream{Kind: schemas.OtherIncome}
			for i := range 24 {
				d := dayInMonth(month+i, dom) + schemas.Day(rng.IntN(2*jitter+1)-jitter)
				if x, ok := s.Expects(calendar, d); ok && i > 4 {
					all++
					days += int(x.To-x.From) + 1
					if x.From <= d && d <= x.To {
						in++
					}
				}
				s.History = append(s.History, Entry{int64(d), 100000 + rng.Int64N(5000)})
				s.learn(calendar)
			}
		}
		t.Logf("%d days of jitter: %.1f %% of %d payments in a window of %.1f days", jitter,
			float64(in)*100/float64(all), all, float64(days)/float64(all))
		require.Greater(t, in*100/all, 87)
		require.Less(t, days, all*(2*jitter+5))
	}
}

// TestAnyHistory draws histories of all sorts, up to the ends of the calendar. What is expected makes sense, and
// history told of in another order gives the same.
func TestAnyHistory(t *testing.T) {
	t.Parallel()
	first := schemas.DayOf(civil.Date{Year: schemas.FirstYear, Month: 1, Day: 1})
	last := schemas.DayOf(civil.Date{Year: schemas.LastYear, Month: 12, Day: 31})
	kinds := []schemas.IncomeKind{
		schemas.Salary, schemas.Grant, schemas.Pension, schemas.Wage, schemas.Gig, schemas.OtherIncome,
	}
	for seed := range uint64(5_000) {
		rng := rand.New(rand.NewPCG(seed, 5))
		kind, n := kinds[rng.IntN(len(kinds))], 1+rng.IntN(30)
		at := first + schemas.Day(rng.IntN(int(last-first)))
		step, jitter := []int{1, 7, 14, 28, 30, 31, 61}[rng.IntN(7)], 1+rng.IntN(6)
		var entries []Entry
		for range n {
			cents := []int64{1000, 467300, 701000, 100 + rng.Int64N(900000)}[rng.IntN(4)]
			entries = append(entries, Entry{int64(at), cents})
			at = min(at+schemas.Day(step+rng.IntN(jitter)), last)
		}
		var l, o Streams
		for _, e := range entries {
			l.Record(calendar, 1, kind, e.day(), schemas.Cents(e[1]), 24)
		}
		for _, i := range rng.Perm(n) {
			o.Record(calendar, 1, kind, entries[i].day(), schemas.Cents(entries[i][1]), 30)
		}
		s := l.Find(1)
		if n <= 24 {
			require.True(t, s.Equal(*o.Find(1)), "seed %d", seed)
		}
		for _, today := range []schemas.Day{s.Last(), s.Last() + 20, s.Last() + 60} {
			x, ok := s.Expects(calendar, today)
			if !ok {
				continue
			}
			require.LessOrEqual(t, x.From, x.Day, "seed %d", seed)
			require.GreaterOrEqual(t, x.To, x.Day, "seed %d", seed)
			require.LessOrEqual(t, today, x.Until(), "seed %d", seed)
			require.Less(t, x.To-x.From, schemas.Day(31), "seed %d", seed)
			require.Equal(t, x.Late, today > x.Day, "seed %d", seed)
		}
	}
}

// TestAStateOfAnEarlierBuild has neither rule nor window. Its next payday is known, and the one after by its kind.
func TestAStateOfAnEarlierBuild(t *testing.T) {
	t.Parallel()
	october := schemas.DayOf(civil.Date{Year: 2025, Month: 10, Day: 24})
	for _, kind := range []schemas.IncomeKind{schemas.Salary, schemas.Pension, schemas.Grant, schemas.OtherIncome} {
		s := Stream{
			Kind: kind, History: historyOf(100000, "2025-07-25", "2025-08-25", "2025-09-25"),
			Pattern: Pattern{Freq: Monthly, Confidence: 100, A: 25}, Next: october,
		}
		x, ok := s.Expects(calendar, october)
		require.True(t, ok)
		require.Equal(t, Expectation{Day: october, From: october - 1, To: october + GraceDays}, x)
		x, ok = s.Expects(calendar, october+GraceDays+1)
		require.True(t, ok)
		require.Equal(t, "2025-11-25", x.Day.Text())
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
			if freqOf(h, schemas.OtherIncome) == c.freq {
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
		if p, _ := detect(calendar, h, schemas.OtherIncome); p.Mature() {
			regular++
		}
	}
	t.Logf("random gaps of 1-40 days: %d of %d taken for regular", regular, each)
	require.Less(t, regular*100/each, 10)
}

var calendar = rules.Default().Calendar

func freqOf(h []Entry, kind schemas.IncomeKind) string {
	p, _ := detect(calendar, h, kind)
	return p.Freq
}

// TestMonths compares the reckoning in whole numbers with the library's, over all the days that columns hold.
func TestMonths(t *testing.T) {
	t.Parallel()
	for d := schemas.DayOf(civil.Date{Year: schemas.FirstYear, Month: 1, Day: 1}); d.Date().Year <= schemas.LastYear; d++ {
		want := d.Date()
		month, dom := date(d)
		require.Equal(t, want, civil.Date{Year: month / 12, Month: time.Month(month%12 + 1), Day: dom})
		require.Equal(t, d, dayInMonth(month, dom))
		want.Day = 1
		require.Equal(t, schemas.DayOf(want), firstOf(month))
	}
	require.Equal(t, "2024-02-29", dayInMonth(2024*12+1, 31).Text())
}

// BenchmarkLearn is what one more deposit of a stream costs.
func BenchmarkLearn(b *testing.B) {
	for name, s := range map[string]*Stream{
		"salary": {Kind: schemas.Salary}, "weekly": {Kind: schemas.Wage}, "cash": {Kind: schemas.OtherIncome},
		"grant": {Kind: schemas.Grant},
	} {
		for i := range 24 {
			d := dayInMonth(24300+i, 25)
			switch name {
			case "weekly":
				d = schemas.Day(20000 + 7*i)
			case "cash":
				d = schemas.Day(20000 + i*11 + i*i%7)
			case "grant":
				d = calendar.GrantDay(2025+i/12, time.Month(i%12+1), 1)
			}
			s.History = append(s.History, Entry{int64(d), 100000 + int64(i)*7000})
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.learn(calendar)
			}
		})
	}
}
