package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"cloud.google.com/go/civil"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
)

// Rough turns a month into one for a product under fire. The zero value leaves it as it is.
type Rough struct {
	// Records is how many bank transactions the feeds deliver at least; small ones fill the days, and are fed while the
	// calendar moves.
	Records int
	// LateAnswers makes the bank's answers come out of order, many of them days late or again.
	LateAnswers bool
	// Delivered hears of the transactions that Kafka has acknowledged. It is called from one goroutine at a time.
	Delivered func([]schemas.Transaction)
	// Phase hears what the run does next; it may hold the run up.
	Phase func(ctx context.Context, phase Phase, d civil.Date) error
}

// Phase is a part of the month.
type Phase string

// The phases. Those from PhaseMorning to PhaseBank come every day.
const (
	PhaseImport  Phase = "import"
	PhaseExecute Phase = "execute"
	PhaseHistory Phase = "history"
	PhaseMorning Phase = "morning"
	PhaseAdvance Phase = "advance"
	PhaseBank    Phase = "bank"
	PhaseReport  Phase = "report"
	PhaseSettle  Phase = "settlement"
	PhaseExport  Phase = "export"
)

// The small transactions of a day are fed in so many parts, so far apart, for as long as the calendar moves; then the
// rest at once.
const (
	smallParts = 40
	smallPause = 250 * time.Millisecond
)

// month is a November run under way.
type month struct {
	Options
	period  schemas.Period
	people  *people.People
	bank    *people.Bank
	insurer *insurer
	push    *feed.Producer
	debits  *tail
	probe   *probe
	bar     *feed.Progress
	answers *people.LateAnswers
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
	m.people = people.New(o.Tenant, o.Seed, o.Policies, o.From, o.Calendar)
	m.bank = people.NewBank(m.people, m.period.Last())
	m.answers = people.NewLateAnswers(o.Seed, m.period.Last())
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
	csv := policiesCSV(m.people.Policies())
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
	h := m.people.History()
	if err := m.deliver(ctx, h); err != nil {
		return err
	}
	m.sayf("%s  policies.csv imported: %d policies of %d customers, %d failed\n", m.From, imported.Imported,
		m.people.Customers(), imported.Failed)
	m.sayf("%s  collections executed: %d queued for %s\n", m.From, executed.PoliciesQueued, m.period)
	m.sayf("%s  bank feed and income lists: %d transactions, %d income records of the three months before\n", m.From,
		len(h.Transactions), len(h.Incomes))
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
		m.bar.Step(int64(d.DaysSince(m.From)+1), fmt.Sprintf("%s  %5d debits  R %12s collected", d, len(m.bank.Book.Debits),
			m.bank.Book.Collected(m.period)))
	}
	r.Elapsed = m.bar.Elapsed()
	return r, nil
}

// day is one day of the customers and the bank.
func (m *month) day(ctx context.Context, d civil.Date) error {
	if err := m.enter(ctx, PhaseMorning, d); err != nil {
		return err
	}
	given := m.bank.Return(d)
	today := m.people.Morning(d, given.Transactions)
	customer := m.people.Policies()[0].Customer
	if topic, key, value := brokenRecord(customer, m.Tenant, d); topic != "" && schemas.PeriodOf(d) == m.period {
		m.push.Raw(ctx, topic, key, value)
	}
	if err := m.push.Results(ctx, given.Results...); err != nil {
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
	if given, err = m.bank.Present(d, debits); err != nil {
		return err
	}
	if m.LateAnswers {
		given.Results = m.answers.Send(d, given.Results)
	} else if n := len(given.Results); n > 0 && d.Day%5 == 0 {
		given.Results = append(given.Results, given.Results[n-1]) // a bank that sends an answer twice
	}
	if err := m.push.Results(ctx, given.Results...); err != nil {
		return err
	}
	tonight := m.people.Evening(d, given.Transactions)
	m.probe.sent(d, tonight.Transactions)
	return m.deliver(ctx, tonight)
}

// deliver pushes a batch and waits for the brokers' acknowledgement.
func (m *month) deliver(ctx context.Context, b people.Batch) error {
	if err := m.push.Incomes(ctx, b.Incomes...); err != nil {
		return err
	}
	if err := m.push.Transactions(ctx, b.Transactions...); err != nil {
		return err
	}
	if err := m.push.Flush(ctx); err != nil {
		return err
	}
	m.delivered += len(b.Transactions)
	if m.Delivered != nil {
		m.Delivered(b.Transactions)
	}
	return nil
}

// insurerDay is what the insurer does in its back office on the day, after the cut-off.
func (m *month) insurerDay(ctx context.Context, d civil.Date, r *Result) (err error) {
	switch d {
	case m.From.AddDays(11): // use cases 5 and 6: neither may touch what is running, but for the cancellation itself
		all := m.people.Policies()
		first, second, third := all[10], all[21], all[31]
		return errors.Join(
			m.insurer.patch(ctx, first.Number, map[string]any{"collection_amount": schemas.Rands(first.Premium + 5_000)}),
			m.insurer.patch(ctx, second.Number, map[string]any{"status": schemas.PolicyCancelled}),
			m.insurer.patch(ctx, third.Number, map[string]any{"status": schemas.PolicyCancelled}))
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

func (m *month) enter(ctx context.Context, p Phase, d civil.Date) error {
	if m.Phase == nil {
		return nil
	}
	return m.Phase(ctx, p, d)
}

// advance moves the calendar to the day's cut-off while the small transactions flow.
func (m *month) advance(ctx context.Context, d civil.Date) error {
	small := m.people.Small(d, (m.Records-m.delivered)/(m.To.DaysSince(d)+1))
	arrived := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.trickle(ctx, small, arrived) })
	g.Go(func() error { defer close(arrived); return m.Advancer.Advance(ctx, d) })
	return g.Wait()
}

// trickle delivers in parts until arrived is closed, then the rest.
func (m *month) trickle(ctx context.Context, txs []schemas.Transaction, arrived <-chan struct{}) error {
	size, pause := len(txs)/smallParts+1, time.NewTicker(smallPause)
	defer pause.Stop()
	for len(txs) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-arrived:
			return m.deliver(ctx, people.Batch{Transactions: txs})
		case <-pause.C:
		}
		n := min(size, len(txs))
		if err := m.deliver(ctx, people.Batch{Transactions: txs[:n]}); err != nil {
			return err
		}
		txs = txs[n:]
	}
	return nil
}

// policiesCSV is the insurer's policies.csv.
func policiesCSV(policies []people.Policy) []byte {
	var b bytes.Buffer
	b.WriteString("customer_id,external_customer_ref,policy_number,product_code,collection_amount,rail," +
		"mandate_reference\n")
	for _, p := range policies {
		fmt.Fprintf(&b, "%s,%s,%s,%s,%s,%s,%s\n", p.Customer, p.Ref, p.Number, p.Product, p.Premium, p.Rail, p.Mandate)
	}
	return b.Bytes()
}

// brokenRecord is what a faulty feed sends of a customer on three days of the month. Each must end as a dead letter and
// stop nothing.
func brokenRecord(customer, tenant string, d civil.Date) (topic, key string, value []byte) {
	switch d.Day {
	case 7:
		return schemas.TopicFeedTransactions, customer, []byte(`{"transaction_id": "cut off in the mid`)
	case 14:
		return schemas.TopicFeedTransactions, customer, []byte(`{"transaction_id":"FLOAT-1","tenant_id":` +
			strconv.Quote(tenant) + `,"customer_id":"` + customer +
			`","booked_at":"` + d.String() +
			`T09:00:00+02:00","amount_cents":150.00,"direction":"CREDIT"}`)
	case 21:
		return schemas.TopicRailResults, "unknown", []byte(`{"result_id":"STRAY-1","debit_id":"` + schemas.DebitID(tenant,
			customer, "no such collection", 1) +
			`","status":"PAID","effective_date":"` + d.String() + `"}`)
	default:
		return "", "", nil
	}
}

// brokenRecords is how many of them a month has in a month.
const brokenRecords = 3
