package demo

import (
	"cmp"
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
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/schemas"
)

// Result is what a month came to.
type Result struct {
	Period     schemas.Period
	Elapsed    time.Duration
	Report     []reportRow
	Settlement settlement
	Kinds      []KindLine
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
}

// KindLine is the month of the customers of one kind of income.
type KindLine struct {
	Kind                schemas.IncomeKind
	Collections, Full   int
	Partial, Unpaid     int
	Due, Collected      schemas.Cents
	Attempts            int
	Tried, FirstSuccess int // collections debited at all; collections whose first debit was paid
}

// finish asks everybody what the month came to.
func (m *month) finish(ctx context.Context, r *Result) error {
	err := m.arrived(ctx)
	if err != nil {
		return err
	}
	if r.ClickHouse, err = m.analyst().collected(ctx, m.Tenant, m.period); err != nil {
		return err
	}
	for _, row := range r.Report {
		r.Reported += schemas.Cents(row.Collected)
	}
	r.Settled = schemas.Cents(r.Settlement.TotalCollections)
	r.Bank, r.Refused, r.Broken = m.bank.Book.Collected(m.period), m.bank.Book.Refused, brokenRecords
	r.Policies, r.Debits, r.Failures = m.Policies, m.bank.Book.Debits, m.bank.Book.Failures()
	r.Kinds = m.byKind(r.Report)
	r.Latency = m.probe.report()
	r.DeadLetters, err = deadLetters(ctx, m.Product)
	return err
}

// byKind joins the report, which knows nothing of incomes, with the customers, and first attempts with the bank's own
// answers.
func (m *month) byKind(report []reportRow) []KindLine {
	kinds := make([]KindLine, len(people.Kinds()))
	at := map[schemas.IncomeKind]*KindLine{}
	for i, kind := range people.Kinds() {
		kinds[i].Kind = kind
		at[kind] = &kinds[i]
	}
	for _, row := range report {
		k := at[m.people.Kind(row.CustomerID)]
		if k == nil {
			continue // not of this month's making
		}
		k.Collections++
		k.Due += schemas.Cents(row.Due)
		k.Collected += schemas.Cents(row.Collected)
		k.Attempts += row.Attempts
		switch row.Status {
		case schemas.PaidFull:
			k.Full++
		case schemas.PaidPartial:
			k.Partial++
		case schemas.Unpaid:
			k.Unpaid++
		}
	}
	for _, d := range m.bank.Book.Debits {
		if k := at[m.people.Kind(d.CustomerID)]; k != nil && d.Attempt == 1 {
			k.Tried++
			if d.State != people.Unpaid {
				k.FirstSuccess++
			}
		}
	}
	return kinds
}

// deadLetters counts the dead letters on Kafka by their class.
func deadLetters(ctx context.Context, p Product) (map[string]int, error) {
	t, err := newTail(ctx, p.Brokers, schemas.TopicDeadLetters, false, p.KgoOpts...)
	if err != nil {
		return nil, err
	}
	defer t.close()
	records, err := t.read(ctx)
	if err != nil {
		return nil, err
	}
	n := map[string]int{}
	for _, r := range records {
		n[class(r)]++
	}
	return n, nil
}

func class(r *kgo.Record) string {
	for _, h := range r.Headers {
		if h.Key == "__connect.errors.class.name" {
			return string(h.Value)
		}
	}
	return "unclassified"
}

// check is the verdict: every difference is an error.
func (r *Result) check() error {
	var errs []error
	for _, other := range []struct {
		name  string
		cents schemas.Cents
	}{{"the report", r.Reported}, {"ClickHouse", r.ClickHouse}, {"the settlement", r.Settled}} {
		if other.cents != r.Bank {
			errs = append(errs, fmt.Errorf("demo: the bank collected R %s, %s says R %s: difference R %s", r.Bank, other.name,
				other.cents, other.cents-r.Bank))
		}
	}
	if r.Bank == 0 {
		errs = append(errs, errors.New("demo: nothing was collected"))
	}
	if len(r.Report) != r.Policies {
		errs = append(errs, fmt.Errorf("demo: %d policies, but the report has %d collections", r.Policies, len(r.Report)))
	}
	if r.Refused > 0 {
		errs = append(errs, fmt.Errorf("demo: the bank was sent %d debits twice", r.Refused))
	}
	letters := 0
	for _, n := range r.DeadLetters {
		letters += n
	}
	if letters != r.Broken {
		errs = append(errs, fmt.Errorf("demo: %d dead letters; expected the %d broken records that were sent", letters,
			r.Broken))
	}
	return errors.Join(errs...)
}

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
