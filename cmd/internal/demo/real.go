package demo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"cloud.google.com/go/civil"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/kasi-collections/kasi/processors/arena/backtest"
	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/processors/rules"
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
	parties
	bank *realBank
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
	var err error
	if o.Product, err = o.withDefaults(); err != nil {
		return nil, err
	}
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
	last := rows[len(rows)-1].Date
	r := &realRun{RealOptions: o, bank: newRealBank(rows, o.NoBuffer), pending: premiums(rows)}
	fixed := onFixedDays(rows, r.pending, r.bank)
	r.parties, err = o.parties(ctx, schemas.PeriodOf(last))
	defer r.close()
	if err != nil {
		return nil, err
	}
	stats, err := feed.Replay(ctx, feed.Options{
		Rows: rows, Brokers: o.Brokers, Advancer: o.Advancer, Out: o.Progress, Terminal: o.Terminal,
		KgoOpts: o.KgoOpts, Before: r.before, After: r.after,
	})
	if err != nil {
		return nil, err
	}
	// One more day passes, for the last answers. Its debits have none: they were collected by nobody, so the books agree
	// all the same.
	if err := r.Advancer.Advance(ctx, last.AddDays(1)); err != nil {
		return nil, fmt.Errorf("demo: advance the calendar: %w", err)
	}
	res := &r.result
	res.Stats, res.Fixed, res.NoBuffer = stats, fixed, o.NoBuffer
	if err := res.ask(ctx, o.Product, r.bank.book); err != nil {
		return nil, err
	}
	res.print(o.Out)
	return res, res.check()
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
	if err != nil {
		return err
	}
	results, err := r.bank.present(day, debits)
	if err != nil || len(results) == 0 {
		return err
	}
	return errors.Join(r.push.Results(ctx, results...), r.push.Flush(ctx))
}

// check is the verdict.
func (r *RealResult) check() error {
	var f faults
	f.unlessf(r.ClickHouse == r.Bank, "the bank collected R %s, ClickHouse says R %s: difference R %s", r.Bank,
		r.ClickHouse, r.ClickHouse-r.Bank)
	f.unlessf(r.Refused == 0, "the bank was sent %d debits twice", r.Refused)
	f.unlessf(r.Accepted == int64(r.Rows), "%d transactions were fed, ClickHouse holds %d", r.Rows, r.Accepted)
	for class, n := range r.DeadLetters {
		f.unlessf(n == 0, "%d dead letters of class %s; expected none", n, class)
	}
	return errors.Join(f...)
}

// RealResult is what a real-input run came to.
type RealResult struct {
	feed.Stats
	NoBuffer bool
	// Policies imported and collections started.
	Policies, Executed int
	// Debits the bank was told, and paid; Tried are the first attempts, FirstPaid those of them that were paid.
	Debits, Paid, Tried, FirstPaid int
	// Accepted and Deposits count rows in ClickHouse.
	Accepted, Deposits int64
	// Fixed is what debit orders on a fixed day would have come to.
	Fixed fixedDays
	// Statuses are collections by status, and their cents: due, collected within the month they were due for, collected
	// later. Streams the deposits by frequency, as the engine saw
	// them.
	Statuses, Streams []figures
	// Bank and ClickHouse are the money collected in all periods, as both know it.
	Bank, ClickHouse schemas.Cents
	Refused          int
	DeadLetters      map[string]int
	book             *people.BankBook
}

// premiumPercent of the median monthly income is a real account's made-up premium.
const premiumPercent = 5

// premiums makes one policy an account, ordered by first month and account, as the arena has them. Accounts without a
// full month get no policy.
func premiums(rows []feed.Row) []realPolicy {
	txs := make([]schemas.Transaction, len(rows))
	for i := range rows {
		txs[i] = rows[i].Transaction
	}
	var policies []realPolicy
	for _, a := range backtest.Accounts(txs, rules.Default(), false) {
		if first, end, ok := a.FullMonths(); ok {
			policies = append(policies, realPolicy{a.ID, a.Customer, a.Premium(premiumPercent), first, end})
		}
	}
	slices.SortFunc(policies, func(a, b realPolicy) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.account, b.account))
	})
	return policies
}

// spreadAccounts moves each account's rows 0 to 27 days into the future, by a hash of its number, and sorts by date
// again.
func spreadAccounts(rows []feed.Row) []feed.Row {
	for i := range rows {
		days := backtest.Offset(rows[i].AccountID)
		rows[i].Date = rows[i].Date.AddDays(days)
		rows[i].BookedAt = rows[i].BookedAt.Add(time.Duration(days) * 24 * time.Hour)
	}
	slices.SortStableFunc(rows, func(a, b feed.Row) int { return a.Date.Compare(b.Date) })
	return rows
}

// fixedDays is how a debit order on a fixed day of the month would have done on the same balances and premiums: one
// attempt each full month, at the end of that day. It is the measure that the engine's timing has to beat.
type fixedDays struct {
	Attempts int
	// Paid counts the attempts that would have been paid, by day of the month (1-28).
	Paid [29]int
}

// best and worst name the days on which most and fewest were paid, the earliest where several are equal.
func (f fixedDays) best() int  { return 1 + slices.Index(f.Paid[1:], slices.Max(f.Paid[1:])) }
func (f fixedDays) worst() int { return 1 + slices.Index(f.Paid[1:], slices.Min(f.Paid[1:])) }

// onFixedDays computes fixedDays for the policies of a bank whose accounts have not been opened by any day yet.
func onFixedDays(rows []feed.Row, policies []realPolicy, b *realBank) fixedDays {
	var f fixedDays
	ends := dayEnds(rows)
	for _, p := range policies {
		var balance schemas.Cents
		left := ends[p.customer]
		for d := p.first.First(); d.Before(p.end.First()); d = d.AddDays(1) {
			for ; len(left) > 0 && !left[0].day.After(d); left = left[1:] {
				balance = left[0].balance
			}
			if d.Day > 28 {
				continue
			}
			if d.Day == 1 {
				f.Attempts++
			}
			if balance-b.accounts[p.customer].lows[schemas.PeriodOf(d)] >= p.premium {
				f.Paid[d.Day]++
			}
		}
	}
	return f
}

// dayEnd is the balance at the end of a day with transactions.
type dayEnd struct {
	day     civil.Date
	balance schemas.Cents
}

// dayEnds are each customer's, in their order.
func dayEnds(rows []feed.Row) map[string][]dayEnd {
	all := map[string][]dayEnd{}
	for _, r := range rows {
		ends := all[r.CustomerID]
		if n := len(ends); n > 0 && ends[n-1].day == r.Date {
			ends = ends[:n-1]
		}
		all[r.CustomerID] = append(ends, dayEnd{r.Date, *r.BalanceAfterCents})
	}
	return all
}

// upTo is the rows up to and including a day.
func upTo(rows []feed.Row, last civil.Date) []feed.Row {
	n, _ := slices.BinarySearchFunc(rows, last.AddDays(1), func(r feed.Row, d civil.Date) int { return r.Date.Compare(d) })
	return rows[:n]
}

// ask takes the figures from the bank's book, ClickHouse and Kafka.
func (r *RealResult) ask(ctx context.Context, p Product, book *people.BankBook) error {
	r.Bank, r.Refused, r.Debits, r.book = book.Collected(""), book.Refused, len(book.Debits), book
	for _, d := range book.Debits {
		if d.State == people.Paid {
			r.Paid++
		}
		if d.Attempt == 1 {
			r.Tried++
		}
		if d.Attempt == 1 && d.State == people.Paid {
			r.FirstPaid++
		}
	}
	err := p.arrived(ctx)
	if err != nil {
		return err
	}
	if r.ClickHouse, err = p.collected(ctx, ""); err != nil {
		return err
	}
	counts, err := p.figures(ctx, `SELECT 'both', (SELECT count() FROM transactions WHERE tenant_id = {tenant:String}),
(SELECT count() FROM deposits WHERE tenant_id = {tenant:String})`, nil)
	if err != nil {
		return err
	}
	r.Accepted, r.Deposits = counts[0].n[0], counts[0].n[1]
	if r.Statuses, err = p.figures(ctx, `SELECT c.collection_status, count(), sum(c.due_cents), sum(m.within), sum(m.later)
FROM collections AS c LEFT JOIN
(
    SELECT tenant_id, collection_id, sum(moved_cents) - within AS later,
        sumIf(moved_cents, formatDateTime(effective_date, '%Y-%m') <= period_month) AS within
    FROM movements GROUP BY tenant_id, collection_id
) AS m ON m.tenant_id = c.tenant_id AND m.collection_id = c.collection_id
WHERE c.tenant_id = {tenant:String} GROUP BY c.collection_status ORDER BY c.collection_status`,
		nil); err != nil {
		return err
	}
	if r.Streams, err = p.figures(ctx, `SELECT if(frequency = '', 'not known yet', frequency) AS f, count() FROM deposits
WHERE tenant_id = {tenant:String} GROUP BY f ORDER BY count() DESC, f`,
		nil); err != nil {
		return err
	}
	r.DeadLetters, err = p.deadLetters(ctx)
	return err
}

// statusRow is a line of RealResult.Statuses. What was collected later is apart from the month's own rate.
func statusRow(name string, n []int64) table.Row {
	due, within, later := schemas.Cents(n[1]), schemas.Cents(n[2]), schemas.Cents(n[3])
	return table.Row{name, n[0], due, within, rate(within, due), later, rate(within+later, due)}
}

func (r *RealResult) print(w io.Writer) {
	balances := "on the real balances, whose large buffers let almost every debit pass whatever its day: this " +
		"collection rate proves nothing"
	if r.NoBuffer {
		balances = "with each month's balance lowered by that month's lowest: every account runs dry once a month; the " +
			"feed reports no balances"
	}
	sayf(w, "\n%d real transactions on %d days in %.1f s: %d transactions/s, %.1f ms a day", r.Rows, r.Days,
		r.Elapsed.Seconds(), r.RowsPerSecond(), r.Elapsed.Seconds()*1000/float64(r.Days))
	sayf(w, "Amounts are Czech crowns taken as rand; %s.", balances)
	sayf(w, "%d policies at %d %% of the account's median monthly income, %d collections started", r.Policies,
		premiumPercent, r.Executed)
	sayf(w, "%d deposits detected in %d accepted transactions", r.Deposits, r.Accepted)
	sayf(w, "%d debits, %d paid (%s); of %d first attempts %d were paid (%s)", r.Debits, r.Paid, rate(r.Paid, r.Debits),
		r.Tried, r.FirstPaid, rate(r.FirstPaid, r.Tried))
	best, worst := r.Fixed.best(), r.Fixed.worst()
	sayf(w, "On the same balances, one debit on a fixed day of the month would be paid in %s (day %d, the best for all) "+
		"to %s (day %d, the worst)\n", rate(r.Fixed.Paid[best], r.Fixed.Attempts), best,
		rate(r.Fixed.Paid[worst], r.Fixed.Attempts), worst)
	streams, statuses, all := []table.Row{}, []table.Row{}, [4]int64{}
	for _, s := range r.Streams {
		streams = append(streams, table.Row{s.name, s.n[0], rate(s.n[0], r.Deposits)})
	}
	for _, s := range r.Statuses {
		for i := range all {
			all[i] += s.n[i]
		}
		statuses = append(statuses, statusRow(s.name, s.n))
	}
	show(w, "Deposits by frequency then", 2, table.Row{"frequency", "deposits", "share"}, streams)
	sayf(w, "")
	show(w, "Collections by status", 2, table.Row{
		"status", "collections", "due R", "in its month R", "rate", "later, as arrears R", "rate with arrears",
	}, statuses, statusRow("all", all[:]))
	sayf(w, "\nThe bank's own ledger R %s, ClickHouse R %s, difference R %s", r.Bank, r.ClickHouse, r.ClickHouse-r.Bank)
}
