package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
)

// RealOptions of the real-input run.
type RealOptions struct {
	Product
	// File of real bank transactions, in a format that package feed reads.
	File, Format string
	// NoBuffer lowers each month's balances by the month's lowest, so that every account runs dry once a month. These
	// accounts hold large buffers: on the balances as they are a debit hardly ever fails, whatever the timing, and a
	// collection rate proves nothing. The feed then reports no balances.
	NoBuffer bool
	// Spread shifts each account by 0 to 27 days of its own, because all regular incomes of the file lie between the 5th
	// and the 14th.
	Spread bool
	// Until, where set, ends the run after that day.
	Until civil.Date
}

// realRun is a real-input run under way.
type realRun struct {
	RealOptions
	bank    *realBank
	insurer *insurer
	push    *feed.Producer
	debits  *tail
	// pending are the policies that have not been imported yet, in order of their first month; live are those whose
	// account is known this month.
	pending, live []realPolicy
	result        RealResult
}

// realPolicy is the made-up policy of one real account.
type realPolicy struct {
	account, customer string
	premium           schemas.Cents
	// first is the account's first full month, end the month after its last.
	first, end schemas.Period
}

// Real replays real bank transactions through the product, a pretend bank answering each debit from the account's real
// balance.
//
// One policy an account, at 5 % of the account's median monthly income; it is imported on the first of the account's
// first full month, and each month's collections are started on its 1st, for the accounts that the file knows to that
// month's end. A debit is paid if the real balance after the day's last transaction, less what Kasi has collected from
// the account in the same month, allows it. Collections of earlier months are taken as lived with: the real people did
// not pay them, and would have spent less.
func Real(ctx context.Context, o RealOptions) (*RealResult, error) {
	p, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	o.Product = p
	rows, err := feed.ReadFile(o.File, o.Format, o.Tenant)
	if err != nil {
		return nil, err
	}
	if o.Spread {
		rows = spreadAccounts(rows)
	}
	if o.Until.IsValid() {
		rows = upTo(rows, o.Until)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("demo: %s holds no transactions for the run", o.File)
	}
	r := &realRun{RealOptions: o, insurer: newInsurer(o.BaseURL, o.APIKey, o.Patience), bank: newRealBank(rows,
		o.NoBuffer), pending: premiums(rows)}
	r.result.Fixed = onFixedDays(rows, r.pending, r.bank)
	if r.push, err = feed.NewProducer(o.Brokers, o.KgoOpts...); err != nil {
		return nil, err
	}
	defer r.push.Close()
	if r.debits, err = newTail(ctx, o.Brokers, schemas.TopicDebits, true, o.KgoOpts...); err != nil {
		return nil, err
	}
	defer r.debits.close()
	if err := r.fresh(ctx, schemas.PeriodOf(rows[len(rows)-1].Date)); err != nil {
		return nil, err
	}
	stats, err := feed.Replay(ctx, feed.Options{
		Rows: rows, Brokers: o.Brokers, Tenant: o.Tenant, Advancer: o.Advancer, Out: o.Progress, Terminal: o.Terminal,
		KgoOpts: o.KgoOpts,
		Before:  r.before, After: r.after,
	})
	if err != nil {
		return nil, err
	}
	return r.finish(ctx, rows, stats)
}

// fresh refuses a second run on the same data.
func (r *realRun) fresh(ctx context.Context, last schemas.Period) error {
	rows, err := r.insurer.report(ctx, last)
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		return fmt.Errorf("demo: %s holds %d collections already: the run needs an empty data directory", last, len(rows))
	}
	return nil
}

// before is the insurer's and the bank's work ahead of a day's rows.
func (r *realRun) before(ctx context.Context, day civil.Date, rows []feed.Row) error {
	if day.Day == 1 {
		if err := r.firstOfMonth(ctx, schemas.PeriodOf(day)); err != nil {
			return err
		}
	}
	r.bank.open(day, rows)
	return nil
}

// firstOfMonth imports the policies of accounts that have a first full month now, and starts the month's collections.
func (r *realRun) firstOfMonth(ctx context.Context, p schemas.Period) error {
	n := 0
	for n < len(r.pending) && r.pending[n].first <= p {
		n++
	}
	if n > 0 {
		if _, err := r.insurer.importPolicies(ctx, realCSV(r.pending[:n])); err != nil {
			return err
		}
		r.live = append(r.live, r.pending[:n]...)
		r.pending = r.pending[n:]
		r.result.Policies += n
	}
	r.live = slices.DeleteFunc(r.live, func(l realPolicy) bool { return l.end <= p })
	if len(r.live) == 0 {
		return nil
	}
	numbers := make([]string, len(r.live))
	for i, l := range r.live {
		numbers[i] = l.number()
	}
	reply, err := r.insurer.execute(ctx, p, numbers...)
	if err != nil {
		return err
	}
	r.result.Executed += reply.PoliciesQueued
	return nil
}

func (p realPolicy) number() string { return "POL" + p.account }

func realCSV(policies []realPolicy) []byte {
	var b bytes.Buffer
	b.WriteString("customer_id,external_customer_ref,policy_number,product_code,collection_amount\n")
	for _, p := range policies {
		fmt.Fprintf(&b, "%s,%s,%s,REAL_05,%s\n", p.customer, p.account, p.number(), p.premium)
	}
	return b.Bytes()
}

// after lets the bank answer the day's debits; the answers count before the next day's cut-off.
func (r *realRun) after(ctx context.Context, day civil.Date) error {
	debits, err := r.debits.debits(ctx, r.Tenant)
	if err != nil || len(debits) == 0 {
		return err
	}
	results, err := r.bank.present(day, debits)
	if err != nil {
		return err
	}
	if err := r.push.Results(ctx, results...); err != nil {
		return err
	}
	return r.push.Flush(ctx)
}

// finish lets one more day pass, for the last answers, and compares the books.
func (r *realRun) finish(ctx context.Context, rows []feed.Row, stats feed.Stats) (*RealResult, error) {
	if err := r.Advancer.Advance(ctx, rows[len(rows)-1].Date.AddDays(1)); err != nil {
		return nil, fmt.Errorf("demo: advance the calendar: %w", err)
	}
	res := &r.result
	res.Rows, res.Days, res.Elapsed, res.Options = stats.Rows, stats.Days, stats.Elapsed, r.RealOptions
	// Debits of that last day have no answer; they were collected by nobody, so the books agree all the same.
	res.Bank, res.Refused, res.Debits = r.bank.book.total(), r.bank.book.refused, len(r.bank.book.order)
	res.Paid, _ = r.bank.book.tally(statePaid, "")
	for _, e := range r.bank.book.order {
		if e.Attempt == 1 {
			res.Tried++
			if e.state == statePaid {
				res.FirstPaid++
			}
		}
	}
	if err := res.ask(ctx, r.Product); err != nil {
		return nil, err
	}
	res.print(r.Out)
	return res, res.check()
}

// check is the verdict.
func (r *RealResult) check() error {
	var errs []error
	if r.ClickHouse != r.Bank {
		errs = append(errs, fmt.Errorf("demo: the bank collected R %s, ClickHouse says R %s: difference R %s", r.Bank,
			r.ClickHouse, r.ClickHouse-r.Bank))
	}
	if r.Refused > 0 {
		errs = append(errs, fmt.Errorf("demo: the bank was sent %d debits twice", r.Refused))
	}
	if r.Accepted != int64(r.Rows) {
		errs = append(errs, fmt.Errorf("demo: %d transactions were fed, ClickHouse holds %d", r.Rows, r.Accepted))
	}
	for class, n := range r.DeadLetters {
		errs = append(errs, fmt.Errorf("demo: %d dead letters of class %s; expected none", n, class))
	}
	return errors.Join(errs...)
}

// RealResult is what a real-input run came to.
type RealResult struct {
	Options    RealOptions
	Rows, Days int
	Elapsed    time.Duration
	// Policies imported and collections started.
	Policies, Executed int
	// Debits the bank was told, and paid; Tried are the first attempts, FirstPaid those of them that were paid.
	Debits, Paid, Tried, FirstPaid int
	// Accepted and Deposits count rows in ClickHouse.
	Accepted, Deposits int64
	// Fixed is what debit orders on a fixed day would have come to.
	Fixed    fixedDays
	Statuses []StatusLine
	Streams  []StreamLine
	// Bank and ClickHouse are the money collected in all periods, as both know it.
	Bank, ClickHouse schemas.Cents
	Refused          int
	DeadLetters      map[string]int
}
