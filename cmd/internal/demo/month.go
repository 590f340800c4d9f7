package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
)

// month is a November run under way.
type month struct {
	Options
	period  schemas.Period
	w       *world
	bank    *pretendBank
	insurer *insurer
	push    *feed.Producer
	debits  *tail
	probe   *probe
	bar     *feed.Progress
	mail    *lateMail
	// delivered counts the transactions that Kafka has acknowledged.
	delivered int
}

// Month plays a month from the import on its first day to the payment on the 3rd of the next, prints its result, and
// fails where the books do not agree.
//
// The order of a day: the bank feed and the payrolls deliver the morning, the insurer does its work, the calendar
// passes the day's cut-off, the bank reads the debits it was sent and answers them that same evening, the customers
// spend. An answer given in the evening counts before the next day's cut-off.
func Month(ctx context.Context, o Options) (*Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &month{Options: o, period: schemas.PeriodOf(o.From), insurer: newInsurer(o.BaseURL, o.APIKey, o.Patience)}
	m.w = newWorld(o.Tenant, o.Seed, o.Policies, o.From, o.Calendar)
	m.bank = newBank(m.w.people, o.Calendar, m.period.Last())
	m.mail = newLateMail(o.Seed, m.period.Last())
	if m.push, err = feed.NewProducer(o.Brokers, o.KgoOpts...); err != nil {
		return nil, err
	}
	defer m.push.Close()
	if m.debits, err = newTail(ctx, o.Brokers, schemas.TopicDebits, true, o.KgoOpts...); err != nil {
		return nil, err
	}
	defer m.debits.close()
	if m.probe, err = newProbe(ctx, o.Product); err != nil {
		return nil, err
	}
	defer m.probe.close()
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	r, err := m.days(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.finish(ctx, r); err != nil {
		return nil, err
	}
	r.print(o.Out)
	return r, r.check()
}

// begin is the first of the month: policies in, collections started, and the history the feeds have.
func (m *month) begin(ctx context.Context) error {
	before, err := m.insurer.report(ctx, m.period)
	if err != nil {
		return err
	}
	if len(before) > 0 {
		return fmt.Errorf("demo: %s holds %d collections already: the month is played on an empty data directory", m.period,
			len(before))
	}
	csv := m.w.csv()
	if err := m.file("policies.csv", csv); err != nil {
		return err
	}
	if err := m.enter(ctx, PhaseImport, m.From); err != nil {
		return err
	}
	imported, err := m.insurer.importPolicies(ctx, csv)
	if err != nil {
		return err
	}
	if err := m.enter(ctx, PhaseExecute, m.From); err != nil {
		return err
	}
	executed, err := m.insurer.execute(ctx, m.period)
	if err != nil {
		return err
	}
	if err := m.enter(ctx, PhaseHistory, m.From); err != nil {
		return err
	}
	h := m.w.history()
	if err := m.deliver(ctx, h); err != nil {
		return err
	}
	m.sayf("%s  policies.csv imported: %d policies of %d customers, %d failed\n", m.From, imported.Imported,
		len(m.w.people), imported.Failed)
	m.sayf("%s  collections executed: %d queued for %s\n", m.From, executed.PoliciesQueued, m.period)
	m.sayf("%s  bank feed and income lists: %d transactions, %d income records of the three months before\n", m.From,
		len(h.txs), len(h.incomes))
	return nil
}

// days plays every day up to the settlement's payment.
func (m *month) days(ctx context.Context) (*Result, error) {
	r := &Result{Period: m.period}
	total := int64(m.To.DaysSince(m.From) + 1)
	m.bar = feed.NewProgress(m.Progress, m.Terminal, "days", total).EachStep()
	defer m.bar.Done()
	for d := m.From; !d.After(m.To); d = d.AddDays(1) {
		if err := m.day(ctx, d); err != nil {
			return nil, fmt.Errorf("demo: on %s: %w", d, err)
		}
		if err := m.insurerDay(ctx, d, r); err != nil {
			return nil, fmt.Errorf("demo: on %s: %w", d, err)
		}
		m.bar.Step(int64(d.DaysSince(m.From)+1), fmt.Sprintf("%s  %5d debits  R %12s collected", d, len(m.bank.book.order),
			m.bank.book.collected(m.period)))
	}
	r.Elapsed = m.bar.Elapsed()
	return r, nil
}

// day is one day of the customers and the bank.
func (m *month) day(ctx context.Context, d civil.Date) error {
	if err := m.enter(ctx, PhaseMorning, d); err != nil {
		return err
	}
	var given answers
	m.bank.comeBack(d, &given)
	today := m.w.morning(d, given.txs)
	if topic, key, value := m.w.broken(d); topic != "" && schemas.PeriodOf(d) == m.period {
		m.push.Raw(ctx, topic, key, value)
	}
	if err := m.push.Results(ctx, given.results...); err != nil {
		return err
	}
	if err := m.deliver(ctx, today); err != nil {
		return err
	}
	if err := m.enter(ctx, PhaseAdvance, d); err != nil {
		return err
	}
	if err := m.advance(ctx, d); err != nil {
		return fmt.Errorf("advance the calendar: %w", err)
	}
	if err := m.enter(ctx, PhaseBank, d); err != nil {
		return err
	}
	debits, err := m.debits.debits(ctx, m.Tenant)
	if err != nil {
		return err
	}
	given = answers{}
	if err := m.bank.present(d, debits, &given); err != nil {
		return err
	}
	if m.LateMail {
		given.results = m.mail.send(d, given.results)
	} else if n := len(given.results); n > 0 && d.Day%5 == 0 {
		given.results = append(given.results, given.results[n-1]) // a bank that sends an answer twice
	}
	if err := m.push.Results(ctx, given.results...); err != nil {
		return err
	}
	tonight := m.w.evening(d, given.txs)
	m.probe.sent(d, tonight.txs)
	return m.deliver(ctx, tonight)
}

// deliver pushes a batch and waits for the brokers' acknowledgement.
func (m *month) deliver(ctx context.Context, b batch) error {
	if err := m.push.Incomes(ctx, b.incomes...); err != nil {
		return err
	}
	if err := m.push.Transactions(ctx, b.txs...); err != nil {
		return err
	}
	if err := m.push.Flush(ctx); err != nil {
		return err
	}
	m.delivered += len(b.txs)
	if m.Delivered != nil {
		m.Delivered(b.txs)
	}
	return nil
}

// insurerDay is what the insurer does in its back office on the day, after the cut-off.
func (m *month) insurerDay(ctx context.Context, d civil.Date, r *Result) (err error) {
	switch d {
	case m.From.AddDays(11): // use cases 5 and 6: neither may touch what is running, but for the cancellation itself
		first, second, third := m.w.people[10].policies[0], m.w.people[20].policies[0], m.w.people[30].policies[0]
		return errors.Join(
			m.insurer.patch(ctx, first.number, map[string]any{"collection_amount": schemas.Rands(first.premium + 5_000)}),
			m.insurer.patch(ctx, second.number, map[string]any{"status": schemas.PolicyCancelled}),
			m.insurer.patch(ctx, third.number, map[string]any{"status": schemas.PolicyCancelled}))
	case m.From.AddMonths(1): // use case 4
		if err := m.enter(ctx, PhaseReport, d); err != nil {
			return err
		}
		if err := m.arrived(ctx); err != nil {
			return err
		}
		if r.Report, err = m.insurer.report(ctx, m.period); err != nil {
			return err
		}
		var csv []byte
		if err := m.insurer.call(ctx, "GET", "/v1/reports/collections?period_month="+string(m.period), "", nil,
			&csv); err != nil {
			return err
		}
		return m.file("report.csv", csv)
	case m.From.AddMonths(1).AddDays(1):
		if err := m.enter(ctx, PhaseSettle, d); err != nil {
			return err
		}
		r.Settlement, err = m.insurer.settle(ctx, m.period)
		return err
	case m.From.AddMonths(1).AddDays(2):
		if err := m.enter(ctx, PhaseExport, d); err != nil {
			return err
		}
		if err := m.arrived(ctx); err != nil {
			return err
		}
		if r.Settlement, err = m.insurer.settlement(ctx, r.Settlement.ID); err != nil {
			return err
		}
		csv, err := m.insurer.export(ctx, r.Settlement.ID)
		if err != nil {
			return err
		}
		return m.file("settlement.csv", csv)
	}
	return nil
}

// file writes one of the insurer's files, where a directory is given.
func (m *month) file(name string, b []byte) error {
	if m.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		return fmt.Errorf("demo: directory of the files: %w", err)
	}
	if err := os.WriteFile(filepath.Join(m.Dir, name), b, 0o600); err != nil {
		return fmt.Errorf("demo: write %s: %w", name, err)
	}
	return nil
}

func (m *month) sayf(format string, args ...any) {
	_, _ = fmt.Fprintf(m.Out, format, args...) // words that cannot be shown stop nothing
}
