package verify

import (
	"slices"
	"time"

	"github.com/rickar/cal/v2/za"
)

// proclaimed are the holidays that no rule gives.
var proclaimed = []string{"2021-11-01", "2023-12-15", "2024-05-29"}

// bankingDays counts the banking days after a, up to and including b (both YYYY-MM-DD), and stops counting beyond most.
func bankingDays(a, b string, most int) int {
	from, err1 := time.Parse(time.DateOnly, a)
	to, err2 := time.Parse(time.DateOnly, b)
	if err1 != nil || err2 != nil {
		return most + 1
	}
	n := 0
	for d := from.AddDate(0, 0, 1); !d.After(to) && n <= most; d = d.AddDate(0, 0, 1) {
		if banking(d) {
			n++
		}
	}
	return n
}

func banking(d time.Time) bool {
	if d.Weekday() == time.Saturday || d.Weekday() == time.Sunday || slices.Contains(proclaimed, d.Format(time.DateOnly)) {
		return false
	}
	for _, h := range za.Holidays {
		actual, observed := h.Calc(d.Year())
		if sameDay(d, actual) || sameDay(d, observed) {
			return false
		}
	}
	return true
}

func sameDay(a, b time.Time) bool { return a.Format(time.DateOnly) == b.Format(time.DateOnly) }
