package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/kasi-collections/kasi/cmd/internal/frontier"
	"github.com/kasi-collections/kasi/processors/arena/backtest"
)

// backtestDetail is a row of what --details adds to the JSON.
type backtestDetail struct {
	Strategy       string           `json:"strategy"`
	PremiumPercent int              `json:"premium_percent"`
	Segment        backtest.Segment `json:"segment"`
	Kind           string           `json:"kind"`
	backtest.Detail
}

// backtestJSON is what --json prints.
func backtestJSON(rows []backtest.Row, details bool) any {
	out := struct {
		Rows    []backtest.Row   `json:"rows"`
		Details []backtestDetail `json:"details,omitempty"`
	}{Rows: rows}
	for _, r := range rows {
		if details {
			out.Details = append(out.Details, backtestDetail{r.Strategy, r.PremiumPercent, r.Segment, r.Kind, r.Detail})
		}
	}
	return out
}

// print prints a table for each premium and segment.
func (f *backtestFlags) print(w io.Writer, res *backtest.Result) {
	var tables []backtest.Row // the first row of each
	for _, r := range res.Rows {
		if !slices.ContainsFunc(tables, r.SameTable) {
			tables = append(tables, r)
		}
	}
	for _, first := range tables {
		t := table.NewWriter()
		t.SetOutputMirror(w)
		t.SetStyle(table.StyleLight)
		t.Style().Title.Align = text.AlignLeft
		t.Style().Format.Header = text.FormatDefault
		t.SetTitle("world %s, balances %s, premium %d %%, %s months of %d accounts", first.World, first.Balances,
			first.PremiumPercent, first.Segment, res.Accounts)
		t.AppendHeader(f.header())
		var columns []table.ColumnConfig
		for i := range len(f.header()) {
			if i > 1 {
				columns = append(columns,
					table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
			}
		}
		t.SetColumnConfigs(append(columns, table.ColumnConfig{Number: 2, Hidden: !f.kinds}))
		for _, r := range res.Rows {
			if r.SameTable(first) && (f.kinds || r.Kind == backtest.KindAll) {
				t.AppendRow(f.line(r))
			}
		}
		t.Render()
	}
}

func (f *backtestFlags) header() table.Row {
	h := table.Row{
		"strategy", "income", "months", "of due %", "of oracle %", "95 % interval", "failed per 100", "tries per success",
	}
	if f.details {
		h = append(h, "fees R per 100", "mandates ended %", "days to debit", "paydays foretold %", "within a day %")
	}
	return h
}

func (f *backtestFlags) line(r backtest.Row) table.Row {
	l := table.Row{
		r.Strategy, strings.ToLower(r.Kind), r.AccountMonths, r.ShareOfDue, r.ShareOfOracle,
		fmt.Sprintf("%s-%s", r.Low, r.High), r.FailedPer100, r.PresentmentsPerSuccess,
	}
	if f.details {
		l = append(l, r.FeesPer100(), r.MandatesEnded, r.DaysToDebit, r.Foretold, r.WithinADay)
	}
	return l
}

// drawBacktest draws the strategies over all months and kinds of income.
func drawBacktest(file string, rows []backtest.Row) error {
	var points []frontier.Point
	several := false
	for _, r := range rows {
		several = several || r.PremiumPercent != rows[0].PremiumPercent
	}
	for _, r := range rows {
		if r.Kind != backtest.KindAll || r.Segment != backtest.AllMonths {
			continue
		}
		p := frontier.Point{
			Label: r.Strategy, Share: float(r.ShareOfOracle), Failed: float(r.FailedPer100),
			Ours: strings.HasPrefix(r.Strategy, "kasi"), Bound: r.Strategy == backtest.Oracle,
		}
		if several {
			p.Label = fmt.Sprintf("%s, %d %%", r.Strategy, r.PremiumPercent)
		}
		points = append(points, p)
	}
	title := fmt.Sprintf("World %s, balances %s, %d policy-months", rows[0].World, rows[0].Balances, rows[0].AccountMonths)
	return frontier.Draw(file, title, points)
}

func float(h backtest.Hundredths) float64 { return float64(h) / 100 }
