package console

import "github.com/kasi-collections/kasi/schemas"

// bar is one day of a chart: its rectangle in the chart's units, and what it says.
type bar struct {
	X, Y, Width, Height int64
	Class, Title        string
}

// chart is bars above a line. Its picture is 1000 wide.
type chart struct {
	Height int64
	Bars   []bar
	Label  string
	Days   []string // the names below it
}

const chartHeight = 160

// daily draws an amount a day beside that of the month before. Amounts below zero are drawn as none: the table beside
// the picture has them.
func daily(now, before [32]schemas.Cents, label string) chart {
	var most schemas.Cents = 1
	for i := range now {
		most = max(most, now[i], before[i])
	}
	c := chart{Height: chartHeight, Label: label}
	const step = 1000 / 31
	add := func(day int, at, width int64, amount schemas.Cents, class, what string) {
		if amount <= 0 {
			return
		}
		h := max(1, int64(amount)*(chartHeight-4)/int64(most))
		c.Bars = append(c.Bars, bar{
			X: int64(day-1)*step + at, Y: chartHeight - h, Width: width, Height: h, Class: class,
			Title: what + " " + thousands(day) + ": " + rands(amount),
		})
	}
	for day := 1; day <= 31; day++ {
		c.Days = append(c.Days, thousands(day))
		add(day, 2, step-4, before[day], "before", "last month, day")
		add(day, 8, step-16, now[day], "now", "this month, day")
	}
	return c
}
