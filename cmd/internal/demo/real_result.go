package demo

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/kasi-collections/kasi/schemas"
)

// StatusLine is the collections of one status.
type StatusLine struct {
	Status         string
	Collections    int64
	Due, Collected schemas.Cents
}

// StreamLine is the deposits of one frequency, as the engine saw them.
type StreamLine struct {
	Frequency string
	Deposits  int64
}

// ask takes the figures from ClickHouse and Kafka.
func (r *RealResult) ask(ctx context.Context, p Product) error {
	err := p.arrived(ctx)
	if err != nil {
		return err
	}
	a, tenant := p.analyst(), map[string]string{"tenant": p.Tenant}
	if r.ClickHouse, err = a.collected(ctx, p.Tenant, ""); err != nil {
		return err
	}
	if r.Accepted, err = a.number(ctx, "SELECT count() FROM transactions WHERE tenant_id = {tenant:String}",
		tenant); err != nil {
		return err
	}
	if r.Deposits, err = a.number(ctx, "SELECT count() FROM deposits WHERE tenant_id = {tenant:String}",
		tenant); err != nil {
		return err
	}
	rows, err := a.query(ctx, `SELECT collection_status, count(), sum(due_cents), sum(collected_cents) FROM collections
WHERE tenant_id = {tenant:String} GROUP BY collection_status ORDER BY collection_status`, tenant)
	if err != nil {
		return err
	}
	for _, row := range rows {
		n, err := integers(row[1:])
		if err != nil {
			return err
		}
		r.Statuses = append(r.Statuses, StatusLine{
			Status: row[0], Collections: n[0], Due: schemas.Cents(n[1]),
			Collected: schemas.Cents(n[2]),
		})
	}
	if rows, err = a.query(ctx, `SELECT if(frequency = '', 'not known yet', frequency) AS f, count() FROM deposits
WHERE tenant_id = {tenant:String} GROUP BY f ORDER BY count() DESC, f`, tenant); err != nil {
		return err
	}
	for _, row := range rows {
		n, err := integers(row[1:])
		if err != nil {
			return err
		}
		r.Streams = append(r.Streams, StreamLine{Frequency: row[0], Deposits: n[0]})
	}
	r.DeadLetters, err = deadLetters(ctx, p)
	return err
}

func integers(cells []string) ([]int64, error) {
	n := make([]int64, len(cells))
	for i, c := range cells {
		var err error
		if n[i], err = strconv.ParseInt(c, 10, 64); err != nil {
			return nil, fmt.Errorf("demo: clickhouse answered %q where a number was expected: %w", c, err)
		}
	}
	return n, nil
}

func (r *RealResult) print(w io.Writer) {
	// words that cannot be shown stop nothing
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	balances := "on the real balances, whose large buffers let almost every debit pass whatever its day: this " +
		"collection rate proves nothing"
	if r.Options.NoBuffer {
		balances = "with each month's balance lowered by that month's lowest: every account runs dry once a month; the " +
			"feed reports no balances"
	}
	line("\n%d real transactions on %d days in %.1f s: %d transactions/s, %.1f ms a day", r.Rows, r.Days,
		r.Elapsed.Seconds(),
		int64(float64(r.Rows)/r.Elapsed.Seconds()), r.Elapsed.Seconds()*1000/float64(r.Days))
	line("Amounts are Czech crowns taken as rand; %s.", balances)
	line("%d policies at %d %% of the account's median monthly income, %d collections started", r.Policies, premiumPercent,
		r.Executed)
	line("%d deposits detected in %d accepted transactions", r.Deposits, r.Accepted)
	line("%d debits, %d paid (%s); of %d first attempts %d were paid (%s)", r.Debits, r.Paid, rate(r.Paid, r.Debits),
		r.Tried, r.FirstPaid, rate(r.FirstPaid, r.Tried))
	best, worst := r.Fixed.best(), r.Fixed.worst()
	line("On the same balances, one debit on a fixed day of the month would be paid in %s (day %d, the best for all) "+
		"to %s (day %d, the worst)\n",
		rate(r.Fixed.Paid[best], r.Fixed.Attempts), best, rate(r.Fixed.Paid[worst], r.Fixed.Attempts), worst)
	t := newTable(w, "Deposits by frequency then")
	t.SetColumnConfigs(rightFrom(2, 3))
	t.AppendHeader(table.Row{"frequency", "deposits", "share"})
	for _, s := range r.Streams {
		t.AppendRow(table.Row{s.Frequency, s.Deposits, rate(s.Deposits, r.Deposits)})
	}
	t.Render()
	line("")
	t = newTable(w, "Collections by status")
	t.SetColumnConfigs(rightFrom(2, 5))
	t.AppendHeader(table.Row{"status", "collections", "due R", "collected R", "rate"})
	for _, s := range r.Statuses {
		t.AppendRow(table.Row{s.Status, s.Collections, s.Due, s.Collected, rate(s.Collected, s.Due)})
	}
	t.Render()
	line("\nThe bank's own ledger R %s, ClickHouse R %s, difference R %s", r.Bank, r.ClickHouse, r.ClickHouse-r.Bank)
}
