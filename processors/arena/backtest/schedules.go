package backtest

import (
	"fmt"

	"github.com/kasi-collections/kasi/schemas"
)

const (
	// trackingDays is for how many days after the first presentment a bank tracks (CONTRACT 4.8).
	trackingDays = 10
	// retryPauses are the days between the tries of a schedule with three retries in three weeks.
	retryPause = 7
	retries    = 3
)

// schedules are the contenders that look at nothing but the calendar, what came back, and the last payday: that of the
// month before with the most income, a month later.
func schedules() []Contender {
	var all []Contender
	for _, day := range []int{1, 5, 15, 25, 26} {
		name, about := fmt.Sprintf("day-%d", day), fmt.Sprintf("one debit, day %d", day)
		all = append(all, Contender{name, about, nil, onDays(day)})
	}
	all = append(all,
		Contender{"day-5-retries", "day 5 and three retries in three weeks", nil, onDays(5, 12, 19, 26)},
		Contender{"ladder", "eight tries in 14 days from day 15", nil, onDays(15, 17, 19, 21, 23, 25, 27, 29)},
		Contender{"hyperswitch", "the cascading retries that Hyperswitch ships as its default", nil, cascade},
	)
	for _, day := range []int{1, 15, 25} {
		all = append(all, Contender{
			fmt.Sprintf("track-%d", day), fmt.Sprintf("one debit that the bank tracks for ten days from day %d", day), nil,
			track(func(s *sight) schemas.Day { return s.first + schemas.Day(day-1) }),
		})
	}
	return append(all,
		Contender{"track-payday", "one debit, tracked for ten days from the last payday", nil, track(lastPayday)},
		Contender{"payday", "one debit, the day after the last payday", nil, afterPayday(0)},
		Contender{"payday-retries", "the same, and three retries in three weeks", nil, afterPayday(retries)},
	)
}

// onDays debits what is outstanding on days of the month, or the next banking day each. The first is brought forward to
// the month's last banking day where it would lie behind it.
func onDays(dom ...int) rule {
	return func(s *sight) (schemas.Cents, schemas.Day) {
		if s.tried >= len(dom) {
			return 0, 0
		}
		return s.onOrAfterDay(s.first + schemas.Day(dom[s.tried]-1))
	}
}

// onOrAfterDay debits what is outstanding on the first banking day from a day on, the month's first try at the latest
// on the month's last banking day.
func (s *sight) onOrAfterDay(day schemas.Day) (schemas.Cents, schemas.Day) {
	if s.tried == 0 {
		day = min(day, s.onOrBefore(s.last))
	}
	if s.today < day || !s.are(s.today) {
		return 0, 0
	}
	return s.outstanding, 0
}

// track makes one debit from a day on, which the bank tracks.
func track(from func(*sight) schemas.Day) rule {
	return func(s *sight) (schemas.Cents, schemas.Day) {
		if s.tried > 0 {
			return 0, 0
		}
		cents, _ := s.onOrAfterDay(from(s))
		return cents, min(s.today+trackingDays, s.last)
	}
}

// lastPayday is the last payday, a month later; the 1st while none is known.
func lastPayday(s *sight) schemas.Day { return max(s.payday, s.first) }

// afterPayday debits on the day after the last payday, and after failures again, a week later each.
func afterPayday(again int) rule {
	return func(s *sight) (schemas.Cents, schemas.Day) {
		if s.tried > again {
			return 0, 0
		}
		return s.onOrAfterDay(lastPayday(s) + 1 + schemas.Day(s.tried*retryPause))
	}
}

// cascadeHours are the pauses between the tries of Hyperswitch's revenue recovery as it ships (its Cascading algorithm,
// whose pauses grow): the Smart one asks a service that is not published.
var cascadeHours = [...]int{3, 3, 6, 6, 6, 9, 9, 9, 12, 12, 12, 18, 18, 18}

// cascade debits on the 1st and then as the pauses say. A bank presents a debit order once a banking day: tries of the
// same day are one, and those of other days fall together on the next banking day.
func cascade(s *sight) (schemas.Cents, schemas.Day) {
	hours := 0
	for _, pause := range cascadeHours {
		hours += pause
	}
	if s.tried > 0 && s.today > s.onOrAfter(s.first+schemas.Day(hours/24)) {
		return 0, 0
	}
	return s.onOrAfterDay(s.first)
}
