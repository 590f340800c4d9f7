package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// Result is what a month came to.
type Result struct {
	Period     schemas.Period
	Elapsed    time.Duration
	Report     []reportRow
	Settlement settlement
	Kinds      []KindLine
	Failures   []FailureLine
	// Bank, Reported, ClickHouse and Settled are the money collected, as four parties know it: they must be equal.
	Bank, Reported, ClickHouse, Settled schemas.Cents
	// Policies is how many were imported: each must have its collection in the report.
	Policies int
	// Ledger is the bank's own book, debit by debit.
	Ledger []LedgerLine
	// Refused is how many debits the bank was sent twice: must be none.
	Refused int
	// DeadLetters are the records put aside, by class; Broken is how many broken ones were sent.
	DeadLetters map[string]int
	Broken      int
	Latency     LatencyReport
}

// LedgerLine is one debit in the bank's book; Status is PAID, UNPAID, RETURNED (paid first) or DISPUTED.
type LedgerLine struct {
	DebitID, CollectionID, Status string
	Cents                         schemas.Cents
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

// FailureLine is how often the bank gave one reason, and for how much money.
type FailureLine struct {
	Code, Meaning string
	Debits        int
	Cents         schemas.Cents
}

// meanings of the South-African codes the pretend bank gives (SPEC 4.7), in the order they are shown.
var meanings = []struct {
	state         state
	code, meaning string
}{
	{stateUnpaid, codeNoFunds, "not provided for"},
	{stateUnpaid, "12", "account closed"},
	{stateUnpaid, "04", "payment stopped"},
	{stateUnpaid, "05", "account dormant"},
	{stateUnpaid, "18", "account holder deceased"},
	{stateUnpaid, "26", "no such account"},
	{stateReturned, codeNoFunds, "paid, returned days later"},
	{stateDisputed, codeNoAuthority, "paid, disputed by the customer"},
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
	r.Bank, r.Refused, r.Broken = m.bank.book.collected(m.period), m.bank.book.refused, brokenRecords
	r.Policies = m.Policies
	for _, e := range m.bank.book.order {
		r.Ledger = append(r.Ledger, LedgerLine{e.DebitID, e.CollectionID, string(e.state), e.AmountCents})
	}
	r.Kinds = m.byKind(r.Report)
	for _, f := range meanings {
		if n, cents := m.bank.book.tally(f.state, f.code); n > 0 {
			r.Failures = append(r.Failures, FailureLine{Code: f.code, Meaning: f.meaning, Debits: n, Cents: cents})
		}
	}
	r.Latency = m.probe.report()
	r.DeadLetters, err = deadLetters(ctx, m.Product)
	return err
}

// byKind joins the report, which knows nothing of incomes, with the customers, and first attempts with the bank's own
// answers.
func (m *month) byKind(report []reportRow) []KindLine {
	kinds := make([]KindLine, len(kindShares))
	at := map[schemas.IncomeKind]*KindLine{}
	for i, k := range kindShares {
		kinds[i].Kind = k.kind
		at[k.kind] = &kinds[i]
	}
	for _, row := range report {
		p := m.bank.people[row.CustomerID]
		if p == nil {
			continue // not of this month's making
		}
		k := at[p.kind]
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
	for _, e := range m.bank.book.order {
		if p := m.bank.people[e.CustomerID]; p != nil && e.Attempt == 1 {
			at[p.kind].Tried++
			if e.state != stateUnpaid {
				at[p.kind].FirstSuccess++
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
