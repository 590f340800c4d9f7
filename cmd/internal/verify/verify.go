// Package verify checks Kasi's books from outside, at any time: what the bank sent, what lies on the topics and what is
// in ClickHouse must agree to the cent. It shares no code with the pipeline (of package schemas only the names of
// topics), and reads no state of a stage: what both got wrong in one way would not be seen. Only the price of decisions
// is brought from outside (Options.Again).
package verify

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/streams/records"
)

// Kafka is what the verifier reads topics through.
type Kafka interface {
	Ends(ctx context.Context, topics ...string) (records.Ends, error)
	Starts(ctx context.Context, topics ...string) (records.Ends, error)
	Read(ctx context.Context, ends records.Ends, each func(*kgo.Record) error) error
}

// Options say where the books are.
type Options struct {
	Kafka      Kafka
	ClickHouse ClickHouse
	// Grace is the age under which a record may still be on its way through the stages; younger ones are counted as in
	// transit, not as differences.
	Grace time.Duration
	// Wait bounds how long the sink may take to reach the end of the topics. 0 means 30 s.
	Wait time.Duration
	// Ledger is the bank's own ledger; nil where the bank gave none.
	Ledger []LedgerLine
	// Fed is what the feeds know was acknowledged; nil where none said so.
	Fed map[TransactionKey]bool
	// Fees are the rates of tenants that have their own; the others pay the documented ones.
	Fees map[string]Fees
	// Again prices the situation of a decision's event again. An error says what the decision says otherwise; judged is
	// false of one that nobody can judge. Nil: decisions are not priced again.
	Again func(decision []byte) (judged bool, err error)
}

// maxExamples bounds the differences kept of each check.
const maxExamples = 20

// Check is one thing looked at.
type Check struct {
	Name  string `json:"name"`
	About string `json:"about"`
	// Counted is how many things were looked at, InTransit how many of them are too young to be judged.
	Counted   int64 `json:"counted"`
	InTransit int64 `json:"in_transit"`
	// Unchecked is how many things rest on records that were removed from Kafka.
	Unchecked int64 `json:"unchecked,omitempty"`
	// Differences is how many things are not as they must be; Examples holds the first of them.
	Differences int64         `json:"differences"`
	Examples    []string      `json:"examples,omitempty"`
	Took        time.Duration `json:"took_ns"`
}

func (c *Check) differ(format string, args ...any) {
	c.Differences++
	if len(c.Examples) < maxExamples {
		c.Examples = append(c.Examples, fmt.Sprintf(format, args...))
	}
}

// must is a difference where a condition does not hold.
func (c *Check) must(ok bool, format string, args ...any) {
	if !ok {
		c.differ(format, args...)
	}
}

// missing is a difference, unless what it is missed of is too young to be judged.
func (c *Check) missing(fresh bool, format string, args ...any) {
	if fresh {
		c.InTransit++
		return
	}
	c.differ(format, args...)
}

// Report is the outcome.
type Report struct {
	Checks []*Check `json:"checks"`
	// Took is the whole time, ReadTook the part of it that reading Kafka took.
	Took     time.Duration `json:"took_ns"`
	ReadTook time.Duration `json:"read_ns"`
	Records  int64         `json:"records"`
	// Notes name what could not be looked at, which is no difference.
	Notes []string `json:"notes,omitempty"`
	err   error    // of the check that could not look
}

// OK tells that there is no difference.
func (r *Report) OK() bool { return r.Differences() == 0 }

// Differences is how many there are over all checks.
func (r *Report) Differences() (n int64) {
	for _, c := range r.Checks {
		n += c.Differences
	}
	return n
}

// run carries out one check, unless an earlier one could not look.
func (r *Report) run(name, about string, do func(c *Check) error) {
	if r.err != nil {
		return
	}
	c := &Check{Name: name, About: about}
	began := time.Now()
	if err := do(c); err != nil {
		r.err = fmt.Errorf("check %s: %w", name, err)
	}
	c.Took = time.Since(began)
	r.Checks = append(r.Checks, c)
}

// Run reads everything and compares it. An error means that it could not look; a difference is no error but a line of
// the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	o.Wait = cmp.Or(o.Wait, 30*time.Second)
	began := time.Now()
	b, err := readBooks(ctx, o)
	if err != nil {
		return nil, err
	}
	r := &Report{ReadTook: time.Since(began), Records: b.records, Notes: b.notes}
	for _, check := range []struct {
		name, about string
		do          func(*books, *Check)
	}{
		{"sequences", "each topic's events are numbered 1, 2, 3... per partition", (*books).sequences},
		{"transactions once", "no bank transaction is accepted twice", (*books).transactionsOnce},
		{"transactions kept", "each fed transaction is accepted or a dead letter", (*books).transactionsKept},
		{"debits once", "each debit id, and each attempt of a collection, once", (*books).debitsOnce},
		{"debits booked", "each debit is in its collection's history with its amount", (*books).debitsBooked},
		{"versions dense", "versions of collections, policies and statements are 1, 2, 3...", (*books).versionsDense},
		{"one in flight", "never two debits of a collection with the bank", (*books).oneInFlight},
		{"tracking", "debits are tracked as their rails allow, and answered once", (*books).tracked},
		{"executions whole", "each execution ends on each partition, and made what it counts", (*books).executionsWhole},
		{"priced again", "each priced decision is the same from its situation", (*books).pricedAgain},
		{"within due", "collected + in flight never above due, never below zero", (*books).withinDue},
		{"moved = collected", "the sum of movements is what was collected, at each version", (*books).movedIsCollected},
		{"results applied", "what the bank said of each debit led to the state the rules give", (*books).resultsApplied},
		{"clearing balance", "instructed - succeeded - failed - disputed - pending = 0", (*books).clearing},
		{"statements", "each statement is the sum of its movements; fees and VAT by the rates", (*books).statements},
		{"settled once", "no movement in two statements, none left out between two", (*books).settledOnce},
		{"carried forward", "what a statement does not pay is brought forward by the next, once", (*books).carriedForward},
		{"paid once", "each payable is instructed once, and paid as the bank said", (*books).paidOnce},
	} {
		r.run(check.name, check.about, func(c *Check) error { check.do(b, c); return nil })
	}
	if o.Ledger != nil {
		r.run("bank's ledger", "each debit stands in the bank's own book as in ours",
			func(c *Check) error { b.ledger(c, o.Ledger); return nil })
	}
	r.clickhouse(ctx, b, o)
	r.Took = time.Since(began)
	return r, r.err
}
