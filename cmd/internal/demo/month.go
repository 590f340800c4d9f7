package demo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cloud.google.com/go/civil"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
)

// minPolicies is how many policies a month takes at least: some are changed and cancelled on the way.
const minPolicies = 40

// Options of the November run.
type Options struct {
	Product
	// Policies is the number of rows of policies.csv, 40 or more; 0 means 1,000. Some customers hold two.
	Policies int
	// Seed decides everything that is left to chance; 0 means 1. The same seed gives the same month.
	Seed uint64
	Rough
	// Dir gets policies.csv, report.csv and settlement.csv; empty means no files.
	Dir string
}

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
const smallParts, smallPause = 40, 250 * time.Millisecond

// month is a November run under way.
type month struct {
	Options
	parties
	// from is the first business day (the calendar stands there, opened), to the last.
	from, to civil.Date
	period   schemas.Period
	people   *people.People
	bank     *people.Bank
	probe    *probe
	answers  *people.LateAnswers
	returned []schemas.Result // of the morning
	// delivered counts the transactions that Kafka has acknowledged.
	delivered int
	result    Result
}

// Month plays November 2025 from the import on its first day to the payment on 3 December, prints its result, and
// fails where the books do not agree.
//
// The order of a day: the bank feed and the payrolls deliver the morning, the calendar passes the day's cut-off, the
// bank reads the debits it was sent and answers them that same evening, the customers spend, the insurer does its work.
// An answer given in the evening counts before the next day's cut-off.
func Month(ctx context.Context, o Options) (*Result, error) {
	var err error
	if o.Product, err = o.withDefaults(); err != nil {
		return nil, err
	}
	o.Policies, o.Seed = cmp.Or(o.Policies, 1000), cmp.Or(o.Seed, 1)
	if o.Policies < minPolicies {
		return nil, fmt.Errorf("demo: %d policies: a month takes at least %d", o.Policies, minPolicies)
	}
	m := &month{Options: o, from: civil.Date{Year: 2025, Month: time.November, Day: 1}}
	m.to, m.period = m.from.AddMonths(1).AddDays(2), schemas.PeriodOf(m.from)
	m.people = people.New(o.Tenant, o.Seed, o.Policies, m.from, rules.Default().Calendar)
	m.bank = people.NewBank(m.people, m.period.Last())
	m.answers = people.NewLateAnswers(o.Seed, m.period.Last())
	m.parties, err = o.parties(ctx, m.period)
	defer m.close()
	if err != nil {
		return nil, err
	}
	if m.probe, err = newProbe(ctx, o.Product); err != nil {
		return nil, err
	}
	defer m.probe.close()
	if err := m.play(ctx, m.from, []step{
		{PhaseImport, m.imports}, {PhaseExecute, m.executes}, {PhaseHistory, m.history},
	}); err != nil {
		return nil, err
	}
	if err := m.days(ctx); err != nil {
		return nil, err
	}
	if err := m.finish(ctx, &m.result); err != nil {
		return nil, err
	}
	m.result.print(o.Out)
	return &m.result, m.result.check()
}

// step is one part of a day.
type step struct {
	phase Phase
	do    func(ctx context.Context, d civil.Date) error
}

// play takes the steps of a day, and tells the phase of each first.
func (m *month) play(ctx context.Context, d civil.Date, steps []step) error {
	for _, s := range steps {
		if m.Phase != nil {
			if err := m.Phase(ctx, s.phase, d); err != nil {
				return err
			}
		}
		if err := s.do(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (m *month) imports(ctx context.Context, d civil.Date) error {
	csv := policiesCSV(m.people.Policies())
	if err := m.file("policies.csv", csv); err != nil {
		return err
	}
	imported, err := m.insurer.importPolicies(ctx, csv)
	if err == nil {
		sayf(m.Out, "%s  policies.csv imported: %d policies of %d customers, %d failed", d, imported.Imported,
			m.people.Customers(), imported.Failed)
	}
	return err
}

func (m *month) executes(ctx context.Context, d civil.Date) error {
	executed, err := m.insurer.execute(ctx, m.period)
	if err == nil {
		sayf(m.Out, "%s  collections executed: %d queued for %s", d, executed.PoliciesQueued, m.period)
	}
	return err
}

func (m *month) history(ctx context.Context, d civil.Date) error {
	h := m.people.History()
	sayf(m.Out, "%s  bank feed and income lists: %d transactions, %d income records of the three months before", d,
		len(h.Transactions), len(h.Incomes))
	return m.deliver(ctx, h)
}

// days plays every day up to the settlement's payment. What the insurer does follows the day's cut-off.
func (m *month) days(ctx context.Context) error {
	insurer := map[civil.Date]step{
		m.from.AddMonths(1):            {PhaseReport, m.reports}, // use case 4
		m.from.AddMonths(1).AddDays(1): {PhaseSettle, m.settles},
		m.to:                           {PhaseExport, m.exports},
	}
	bar := feed.NewProgress(m.Progress, m.Terminal, "days", int64(m.to.DaysSince(m.from)+1)).EachStep()
	defer bar.Done()
	for d := m.from; !d.After(m.to); d = d.AddDays(1) {
		steps := []step{{PhaseMorning, m.morning}, {PhaseAdvance, m.advance}, {PhaseBank, m.evening}}
		if s, busy := insurer[d]; busy {
			steps = append(steps, s)
		}
		if err := m.play(ctx, d, steps); err != nil {
			return fmt.Errorf("demo: on %s: %w", d, err)
		}
		bar.Step(int64(d.DaysSince(m.from)+1), fmt.Sprintf("%s  %5d debits  R %12s collected", d, len(m.bank.Book.Debits),
			m.bank.Book.Collected(m.period)))
	}
	m.result.Elapsed = bar.Elapsed()
	return nil
}

func (m *month) morning(ctx context.Context, d civil.Date) error {
	given := m.bank.Return(d)
	today := m.people.Morning(d, given.Transactions)
	customer := m.people.Policies()[0].Customer
	if topic, key, value := brokenRecord(customer, m.Tenant, d); topic != "" && schemas.PeriodOf(d) == m.period {
		m.push.Raw(ctx, topic, key, value)
	}
	m.returned = given.Results // they leave the bank in the evening: the calendar has not reached the day yet
	return m.deliver(ctx, today)
}

// evening is the bank's and the customers'.
func (m *month) evening(ctx context.Context, d civil.Date) error {
	debits, err := m.debits.debits(ctx, m.Tenant)
	if err != nil {
		return err
	}
	given, err := m.bank.Present(d, debits)
	if err != nil {
		return err
	}
	if m.LateAnswers {
		given.Results = m.answers.Send(d, given.Results)
	} else if n := len(given.Results); n > 0 && d.Day%5 == 0 {
		given.Results = append(given.Results, given.Results[n-1]) // a bank that sends an answer twice
	}
	if err := m.push.Results(ctx, append(m.returned, given.Results...)...); err != nil {
		return err
	}
	tonight := m.people.Evening(d, given.Transactions)
	m.probe.sent(d, tonight.Transactions)
	if err := m.deliver(ctx, tonight); err != nil || d != m.from.AddDays(changesAfter) {
		return err
	}
	return m.changes(ctx)
}

// deliver pushes a batch and waits for the brokers' acknowledgement.
func (m *month) deliver(ctx context.Context, b people.Batch) error {
	if err := errors.Join(m.push.Incomes(ctx, b.Incomes...), m.push.Transactions(ctx, b.Transactions...),
		m.push.Flush(ctx)); err != nil {
		return err
	}
	m.delivered += len(b.Transactions)
	if m.Delivered != nil {
		m.Delivered(b.Transactions)
	}
	return nil
}

// changesAfter is after how many days of the month the insurer changes policies; cancelled are those that it cancels,
// by their place in the file.
const changesAfter = 11

var cancelled = []int{21, 31}

// changes are use cases 5 and 6: neither may touch what is running, but for the cancellation itself.
func (m *month) changes(ctx context.Context) error {
	all := m.people.Policies()
	raised, status := schemas.Rands(all[10].Premium+5_000), string(schemas.PolicyCancelled)
	err := m.insurer.patch(ctx, all[10].Number, client.PolicyPatch{CollectionAmount: &raised})
	for _, i := range cancelled {
		err = errors.Join(err, m.insurer.patch(ctx, all[i].Number, client.PolicyPatch{Status: &status}))
	}
	return err
}

func (m *month) reports(ctx context.Context, _ civil.Date) (err error) {
	if err = m.arrived(ctx); err != nil {
		return err
	}
	if m.result.Report, err = m.insurer.report(ctx, m.period); err != nil {
		return err
	}
	csv, err := content(m.insurer.ReportCollections(ctx, &client.ReportCollectionsParams{PeriodMonth: string(m.period)}))
	if err != nil {
		return err
	}
	return m.file("report.csv", csv)
}

func (m *month) settles(ctx context.Context, _ civil.Date) (err error) {
	m.result.Settlement, err = answer[client.Settlement](m.insurer.CreateSettlement(ctx, nil,
		client.SettlementInput{PeriodMonth: m.period}))
	return err
}

func (m *month) exports(ctx context.Context, _ civil.Date) (err error) {
	if err = m.arrived(ctx); err != nil {
		return err
	}
	s := &m.result.Settlement
	if *s, err = answer[client.Settlement](m.insurer.GetSettlement(ctx, s.ID)); err != nil {
		return err
	}
	csv, err := content(m.insurer.ExportSettlement(ctx, s.ID))
	if err != nil {
		return err
	}
	return m.file("settlement.csv", csv)
}

// file writes one of the insurer's files, where a directory is given.
func (m *month) file(name string, b []byte) error {
	if m.Dir == "" {
		return nil
	}
	err := os.MkdirAll(m.Dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(m.Dir, name), b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("demo: write %s: %w", name, err)
	}
	return nil
}

// advance moves the calendar to the day's cut-off while the small transactions flow.
func (m *month) advance(ctx context.Context, d civil.Date) error {
	small := m.people.Small(d, (m.Records-m.delivered)/(m.to.DaysSince(d)+1))
	arrived := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.trickle(ctx, small, arrived) })
	g.Go(func() error { defer close(arrived); return m.Advancer.Advance(ctx, d) })
	if err := g.Wait(); err != nil {
		return fmt.Errorf("advance the calendar: %w", err)
	}
	return nil
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
		return schemas.TopicFeedTransactions, customer, fmt.Appendf(nil, `{"transaction_id":"FLOAT-1","tenant_id":%q,`+
			`"customer_id":%q,"booked_at":"%sT09:00:00+02:00","amount_cents":150.00,"direction":"CREDIT"}`, tenant, customer, d)
	case 21:
		return schemas.TopicRailResults, "unknown", fmt.Appendf(nil, `{"result_id":"STRAY-1","debit_id":%q,"status":"PAID",`+
			`"effective_date":"%s"}`, schemas.DebitID(tenant, customer, "no such collection", 1), d)
	default:
		return "", "", nil
	}
}

// brokenRecords is how many of them a month has in a month.
const brokenRecords = 3
