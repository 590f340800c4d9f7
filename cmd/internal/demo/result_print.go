package demo

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/kasi-collections/kasi/schemas"
)

func newTable(w io.Writer, title string) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.Style().Title.Align = text.AlignLeft
	t.Style().Format.Header = text.FormatDefault
	t.Style().Format.Footer = text.FormatDefault
	t.SetTitle(title)
	return t
}

// rightFrom aligns all columns from the n-th (counted from 1) to the right, as numbers are read.
func rightFrom(n, last int) []table.ColumnConfig {
	var c []table.ColumnConfig
	for i := n; i <= last; i++ {
		c = append(c, table.ColumnConfig{
			Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight,
			AlignFooter: text.AlignRight,
		})
	}
	return c
}

// rate is a share in percent with one decimal, in integers. What is not all never reads 100.0 %.
func rate[T ~int | ~int64](part, whole T) string {
	if whole == 0 {
		return "-"
	}
	permille := (int64(part)*1000 + int64(whole)/2) / int64(whole)
	if part < whole {
		permille = min(permille, 999)
	}
	return fmt.Sprintf("%d.%d %%", permille/10, permille%10)
}

func (r *Result) print(w io.Writer) {
	// words that cannot be shown stop nothing
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	line("")
	r.printKinds(w)
	line("")
	r.printFailures(w)
	line("")
	r.printSettlement(w)
	line("")
	r.printBooks(w)
	line("")
	r.Latency.Print(w)
	line("")
	letters, classes := 0, []string{}
	for _, c := range slices.SortedFunc(maps.Keys(r.DeadLetters), cmp.Compare[string]) {
		letters += r.DeadLetters[c]
		classes = append(classes, fmt.Sprintf("%d %s", r.DeadLetters[c], c))
	}
	line("Dead letters: %d of %d broken records sent (%s)", letters, r.Broken, strings.Join(classes, ", "))
	line("Debits the bank was sent twice: %d", r.Refused)
	line("The month took %.1f s", r.Elapsed.Seconds())
}

func (r *Result) printKinds(w io.Writer) {
	t := newTable(w, fmt.Sprintf("%s by kind of income", r.Period))
	t.SetColumnConfigs(rightFrom(2, 11))
	t.AppendHeader(table.Row{
		"income", "collections", "full", "partial", "unpaid", "due R", "collected R", "rate",
		"attempts", "a collection", "first attempt paid",
	})
	var all KindLine
	all.Kind = "all"
	row := func(k KindLine) table.Row {
		return table.Row{
			k.Kind, k.Collections, k.Full, k.Partial, k.Unpaid, k.Due, k.Collected, rate(k.Collected, k.Due),
			k.Attempts, per(k.Attempts, k.Collections), rate(k.FirstSuccess, k.Tried),
		}
	}
	for _, k := range r.Kinds {
		t.AppendRow(row(k))
		all.Collections += k.Collections
		all.Full += k.Full
		all.Partial += k.Partial
		all.Unpaid += k.Unpaid
		all.Due += k.Due
		all.Collected += k.Collected
		all.Attempts += k.Attempts
		all.Tried += k.Tried
		all.FirstSuccess += k.FirstSuccess
	}
	t.AppendFooter(row(all))
	t.Render()
}

// per is a quotient with two decimals, in integers.
func per(n, of int) string {
	if of == 0 {
		return "-"
	}
	return schemas.Cents((n*100 + of/2) / of).String()
}

func (r *Result) printFailures(w io.Writer) {
	t := newTable(w, "What the bank did not pay, or took back")
	t.SetColumnConfigs(rightFrom(3, 4))
	t.AppendHeader(table.Row{"code", "reason", "debits", "R"})
	for _, f := range r.Failures {
		t.AppendRow(table.Row{f.Code, f.Meaning, f.Debits, f.Cents})
	}
	t.Render()
}

func (r *Result) printSettlement(w io.Writer) {
	s := r.Settlement
	t := newTable(w, "Settlement "+s.Number)
	t.SetColumnConfigs(rightFrom(2, 2))
	for _, line := range []struct {
		name string
		r    schemas.Rands
	}{
		{"total collections R", s.TotalCollections},
		{"distribution fee R", s.DistributionFee},
		{"collections fee R", s.CollectionsFee},
		{"total fees R", s.TotalFees},
		{"VAT R", s.VAT},
		{"net amount R", s.NetAmount},
	} {
		t.AppendRow(table.Row{line.name, schemas.Cents(line.r)})
	}
	t.AppendRow(table.Row{"status", s.Status})
	t.AppendRow(table.Row{"payment date", s.PaymentDate})
	t.AppendRow(table.Row{"payment reference", s.PaymentReference})
	t.Render()
}

func (r *Result) printBooks(w io.Writer) {
	t := newTable(w, "Money collected, as each party knows it")
	t.SetColumnConfigs(rightFrom(2, 3))
	t.AppendHeader(table.Row{"book", "R", "difference R"})
	for _, b := range []struct {
		name  string
		cents schemas.Cents
	}{
		{"the bank's own ledger", r.Bank},
		{"report of the 1st", r.Reported},
		{"ClickHouse, view collections", r.ClickHouse},
		{"settlement", r.Settled},
	} {
		t.AppendRow(table.Row{b.name, b.cents, b.cents - r.Bank})
	}
	t.Render()
}
