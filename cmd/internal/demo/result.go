package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/schemas"
)

// Result is what a month came to.
type Result struct {
	Period     schemas.Period
	Elapsed    time.Duration
	Report     []client.ReportRow
	Settlement client.Settlement
	Kinds      []KindLine
	All        KindLine // the sum of them
	Failures   []people.Failure
	// Bank, Reported, ClickHouse and Settled are the money collected, as four parties know it: they must be equal.
	Bank, Reported, ClickHouse, Settled schemas.Cents
	// Policies is how many were imported: each must have its collection in the report.
	Policies int
	// Debits are the bank's own book.
	Debits []*people.Debit
	// Refused is how many debits the bank was sent twice: must be none.
	Refused int
	// DeadLetters are the records put aside, by class; Broken is how many broken ones were sent.
	DeadLetters map[string]int
	Broken      int
	Latency     LatencyReport
	// Rivals are Kasi and other collectors on the same people, the all-knowing one last.
	Rivals []people.Outcome
}

// KindLine is the month of the customers of one kind of income.
type KindLine struct {
	Kind                schemas.IncomeKind
	Collections, Full   int
	Partial, Unpaid     int
	Cancelled           int
	Due, Collected      schemas.Cents
	Attempts            int
	Tried, FirstSuccess int // collections debited at all; collections whose first debit was paid
}

// finish asks everybody what the month came to.
func (m *month) finish(ctx context.Context, r *Result) (err error) {
	if err = m.arrived(ctx); err != nil {
		return err
	}
	if r.ClickHouse, err = m.collected(ctx, m.period); err != nil {
		return err
	}
	for _, row := range r.Report {
		r.Reported += schemas.Cents(row.CollectionAmountCollected)
	}
	book := m.bank.Book
	r.Period, r.Settled = m.period, schemas.Cents(r.Settlement.TotalCollections)
	r.Bank, r.Refused, r.Broken = book.Collected(m.period), book.Refused, brokenRecords
	r.Policies, r.Debits, r.Failures = m.Policies, book.Debits, book.Failures()
	r.Kinds, r.All = m.byKind(r.Report)
	r.Latency, r.Rivals = m.probe.report(), m.compare()
	r.DeadLetters, err = m.deadLetters(ctx)
	return err
}

// byKind joins the report, which knows nothing of incomes, with the customers, and first attempts with the bank's own
// answers. What is not of this month's making is left out.
func (m *month) byKind(report []client.ReportRow) (kinds []KindLine, all KindLine) {
	kinds, all.Kind = make([]KindLine, len(people.Kinds())), "all"
	at := map[schemas.IncomeKind]*KindLine{}
	for i, kind := range people.Kinds() {
		kinds[i].Kind = kind
		at[kind] = &kinds[i]
	}
	both := func(customer string, add func(k *KindLine)) {
		if k := at[m.people.Kind(customer)]; k != nil {
			add(k)
			add(&all)
		}
	}
	for _, row := range report {
		both(row.CustomerID, func(k *KindLine) {
			k.Collections++
			k.Due += schemas.Cents(row.CollectionAmountDue)
			k.Collected += schemas.Cents(row.CollectionAmountCollected)
			k.Attempts += row.NumberOfAttempts
			switch row.CollectionStatus {
			case schemas.PaidFull:
				k.Full++
			case schemas.PaidPartial:
				k.Partial++
			case schemas.Unpaid:
				k.Unpaid++
			case schemas.CollectionCancelled:
				k.Cancelled++
			}
		})
	}
	for _, d := range m.bank.Book.Debits {
		if d.Attempt == 1 {
			both(d.CustomerID, func(k *KindLine) {
				if k.Tried++; d.State != people.Unpaid && d.State != people.Tracking {
					k.FirstSuccess++
				}
			})
		}
	}
	return kinds, all
}

// deadLetters counts the dead letters on Kafka by their class.
func (p Product) deadLetters(ctx context.Context) (map[string]int, error) {
	t, err := newTail(ctx, p.source(), schemas.TopicDeadLetters, false)
	if err != nil {
		return nil, err
	}
	defer t.cl.Close()
	letters, err := t.read(ctx)
	n := map[string]int{}
	for _, r := range letters {
		class := "unclassified"
		for _, h := range r.Headers {
			if h.Key == "__connect.errors.class.name" {
				class = string(h.Value)
			}
		}
		n[class]++
	}
	return n, err
}

// check is the verdict: every difference is an error.
func (r *Result) check() error {
	var f faults
	agrees := func(name string, cents schemas.Cents) {
		f.unlessf(cents == r.Bank, "the bank collected R %s, %s says R %s: difference R %s", r.Bank, name, cents,
			cents-r.Bank)
	}
	agrees("the report", r.Reported)
	agrees("ClickHouse", r.ClickHouse)
	agrees("the settlement", r.Settled)
	f.unlessf(r.Bank != 0, "nothing was collected")
	f.unlessf(len(r.Report) == r.Policies, "%d policies, but the report has %d collections", r.Policies, len(r.Report))
	f.unlessf(r.Refused == 0, "the bank was sent %d debits twice", r.Refused)
	letters := 0
	for _, n := range r.DeadLetters {
		letters += n
	}
	f.unlessf(letters == r.Broken, "%d dead letters; expected the %d broken records that were sent", letters, r.Broken)
	return errors.Join(f...)
}

// show prints a table whose columns are aligned to the right, as numbers are read, from the one with that number on
// (counted from 1; 0 means none).
func show(w io.Writer, title string, right int, header table.Row, rows []table.Row, footer ...table.Row) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.Style().Title.Align = text.AlignLeft
	t.Style().Format.Header, t.Style().Format.Footer = text.FormatDefault, text.FormatDefault
	t.SetTitle(title)
	var columns []table.ColumnConfig
	for i := right; right > 0 && i <= 12; i++ { // no table has more
		columns = append(columns, table.ColumnConfig{
			Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight,
		})
	}
	t.SetColumnConfigs(columns)
	if header != nil {
		t.AppendHeader(header)
	}
	t.AppendRows(rows)
	for _, row := range footer {
		t.AppendFooter(row)
	}
	t.Render()
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

// sayf prints a line; words that cannot be shown stop nothing.
func sayf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }

func (r *Result) print(w io.Writer) {
	for _, part := range []func(io.Writer){
		r.printKinds, r.printRivals, r.printFailures, r.printSettlement, r.printBooks, r.Latency.print,
	} {
		sayf(w, "")
		part(w)
	}
	letters, classes := 0, []string{}
	for _, c := range slices.Sorted(maps.Keys(r.DeadLetters)) {
		letters += r.DeadLetters[c]
		classes = append(classes, fmt.Sprintf("%d %s", r.DeadLetters[c], c))
	}
	sayf(w, "\nDead letters: %d of %d broken records sent (%s)", letters, r.Broken, strings.Join(classes, ", "))
	sayf(w, "Debits the bank was sent twice: %d", r.Refused)
	sayf(w, "The month took %.1f s", r.Elapsed.Seconds())
}

func (r *Result) printKinds(w io.Writer) {
	row := func(k KindLine) table.Row {
		return table.Row{
			k.Kind, k.Collections, k.Full, k.Partial, k.Unpaid, k.Cancelled, k.Due, k.Collected, rate(k.Collected, k.Due),
			k.Attempts, per(k.Attempts, k.Collections), rate(k.FirstSuccess, k.Tried),
		}
	}
	var rows []table.Row
	for _, k := range r.Kinds {
		rows = append(rows, row(k))
	}
	show(w, fmt.Sprintf("%s by kind of income", r.Period), 2, table.Row{
		"income", "collections", "full", "partial", "unpaid", "cancelled", "due R", "collected R", "rate",
		"attempts", "a collection", "first attempt paid",
	}, rows, row(r.All))
}

// per is a quotient with two decimals, in integers.
func per(n, of int) string {
	if of == 0 {
		return "-"
	}
	return schemas.Cents((n*100 + of/2) / of).String()
}

func (r *Result) printFailures(w io.Writer) {
	rows := []table.Row{}
	for _, f := range r.Failures {
		rows = append(rows, table.Row{f.Code, f.Meaning, f.Debits, f.Cents})
	}
	show(w, "What the bank did not pay, or took back", 3, table.Row{"code", "reason", "debits", "R"}, rows)
}

func (r *Result) printSettlement(w io.Writer) {
	s := r.Settlement
	reference := "none: carried forward"
	if s.PaymentReference != nil {
		reference = *s.PaymentReference
	}
	show(w, "Settlement "+s.SettlementNumber, 2, nil, []table.Row{
		{"total collections R", schemas.Cents(s.TotalCollections)},
		{"distribution fee R", schemas.Cents(s.DistributionFee)},
		{"collections fee R", schemas.Cents(s.CollectionsFee)},
		{"total fees R", schemas.Cents(s.TotalFees)},
		{"VAT R", schemas.Cents(s.Vat)},
		{"net amount R", schemas.Cents(s.NetAmount)},
		{"status", s.Status},
		{"payment date", s.PaymentDate},
		{"payment reference", reference},
	})
}

func (r *Result) printBooks(w io.Writer) {
	row := func(name string, cents schemas.Cents) table.Row { return table.Row{name, cents, cents - r.Bank} }
	show(w, "Money collected, as each party knows it", 2, table.Row{"book", "R", "difference R"}, []table.Row{
		row("the bank's own ledger", r.Bank),
		row("report of the 1st", r.Reported),
		row("ClickHouse, view collections", r.ClickHouse),
		row("settlement", r.Settled),
	})
}
