package book

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/segmentio/encoding/json" // the standard library's bytes in half its time (TestFastJSON in package streams)

	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

// stateVersion is written into every core, so that a later layout can tell the old one. Layout 3 is in rows; layout 2
// is the whole customer as one JSON object, and is still read (layout2.go).
const stateVersion = 3

// The rows of a customer's state. A name begins with its kind:
//
//	""                         the core
//	p + policy number          a policy
//	k + period + policy number a collection with its debits
//	s                          the streams; their number and their histories are bounded
//	d + number / depositBlock  deposits
//	i + income id              an income of the feed
//	x + number                 a block of transaction ids, as its bytes
//	w + day + "." + number     a block of what waits for a day
//	a                          the accounts, as their bookings show them; a state of before they were kept has none
//	h + policy number          what is kept of a policy's collections that are over, as its bytes
const (
	rowPolicy     = 'p'
	rowCollection = 'k'
	rowStreams    = 's'
	rowDeposits   = 'd'
	rowIncome     = 'i'
	rowSeen       = 'x'
	rowWaiting    = 'w'
	rowAccounts   = 'a'
	rowPast       = 'h'
)

// periodLen is the length of a period: YYYY-MM.
const periodLen = 7

// depositBlock is how many deposits a row holds at most.
const depositBlock = 8

// Changed calls row with the name of each row in which two states of a customer differ, and of all rows where before is
// nil or of another layout.
func Changed(before, after *Customer, row func(name string)) {
	if before == nil || before.Version == layout2 && after.Version != layout2 {
		before = &Customer{}
		row("")
	} else if !before.equal(&after.Core) {
		row("")
	}
	diff(before.Policies, after.Policies, byNumber, func(was, now *Policy) {
		if was == nil || now == nil || *was != *now {
			row(string(rowPolicy) + cmp.Or(was, now).Number)
		}
	})
	diff(before.Collections, after.Collections, inOrder, func(was, now *Collection) {
		if was == nil || now == nil || !was.equal(now) {
			k := cmp.Or(was, now)
			row(string(rowCollection) + string(k.Period) + k.Number)
		}
	})
	if !slices.EqualFunc(before.Streams, after.Streams, income.Stream.Equal) {
		row(string(rowStreams))
	}
	if !slices.Equal(before.Deposits, after.Deposits) {
		diff(byNo(before.Deposits), byNo(after.Deposits), func(a, b *Deposit) int { return cmp.Compare(a.No, b.No) },
			func(was, now *Deposit) {
				if was == nil || now == nil || *was != *now {
					row(string(rowDeposits) + strconv.Itoa(cmp.Or(was, now).No/depositBlock))
				}
			})
	}
	diff(before.Incomes, after.Incomes, byID, func(was, now *Income) {
		if was == nil || now == nil || *was != *now {
			row(string(rowIncome) + cmp.Or(was, now).ID)
		}
	})
	if !slices.EqualFunc(before.Accounts, after.Accounts, Account.equal) {
		row(string(rowAccounts))
	}
	changedSeen(&before.Seen, &after.Seen, row)
	diff(before.Waiting, after.Waiting, byDayAndNo, func(was, now *WaitingBlock) {
		if was == nil || now == nil || !was.equal(now) {
			w := cmp.Or(was, now)
			row(string(rowWaiting) + strconv.Itoa(int(w.Day)) + "." + strconv.Itoa(w.No))
		}
	})
	diff(before.Past, after.Past, byPolicy, func(was, now *Past) {
		if was == nil || now == nil || *was != *now {
			row(string(rowPast) + cmp.Or(was, now).Number)
		}
	})
}

// diff calls each for every row of two lists that stand in one order. One of the two is nil where the other list alone
// has the row.
func diff[T any](before, after []T, order func(a, b *T) int, each func(was, now *T)) {
	for i, j := 0, 0; i < len(before) || j < len(after); {
		c := 0
		switch {
		case i == len(before):
			c = 1
		case j == len(after):
			c = -1
		default:
			c = order(&before[i], &after[j])
		}
		switch {
		case c < 0:
			each(&before[i], nil)
			i++
		case c > 0:
			each(nil, &after[j])
			j++
		default:
			each(&before[i], &after[j])
			i++
			j++
		}
	}
}

// changedSeen names the blocks that one of the two has alone or in another form. Comparing a block that they share is
// cheap: the texts are one.
func changedSeen(before, after *seenIDs, row func(name string)) {
	from, to := min(before.first, after.first), max(before.first+len(before.blocks), after.first+len(after.blocks))
	if before.empty() {
		from = after.first
	} else if after.empty() {
		from = before.first
	}
	for no := from; no < to; no++ {
		if before.block(no) != after.block(no) {
			row(string(rowSeen) + strconv.Itoa(no))
		}
	}
}

func byNumber(a, b *Policy) int { return strings.Compare(a.Number, b.Number) }

func byID(a, b *Income) int { return strings.Compare(a.ID, b.ID) }

// byNo is deposits in the order of their numbers.
func byNo(l []Deposit) []Deposit {
	return slices.SortedFunc(slices.Values(l), func(a, b Deposit) int { return cmp.Compare(a.No, b.No) })
}

func (c *Core) equal(o *Core) bool {
	return c.Version == o.Version && c.Tenant == o.Tenant && c.ID == o.ID && c.DepositNo == o.DepositNo &&
		c.First == o.First && c.Bounced == o.Bounced && c.Wake == o.Wake && slices.Equal(c.Balances, o.Balances)
}

func (k *Collection) equal(o *Collection) bool {
	return k.Number == o.Number && k.Period == o.Period && k.Execution == o.Execution && k.Version == o.Version &&
		k.Due == o.Due && k.Collected == o.Collected && k.Plan == o.Plan && k.First == o.First && k.Last == o.Last &&
		k.Attempts == o.Attempts && k.Failure == o.Failure && k.Cancelled == o.Cancelled && k.Stopped == o.Stopped &&
		k.Closed == o.Closed && k.Reopened == o.Reopened && k.Voided == o.Voided &&
		k.Decisions == o.Decisions && k.Decided == o.Decided &&
		slices.EqualFunc(k.Debits, o.Debits, Debit.equal)
}

func (d Debit) equal(o Debit) bool {
	return d.ID == o.ID && d.Cents == o.Cents && d.Action == o.Action && d.Until == o.Until && d.Rail == o.Rail &&
		d.State == o.State &&
		d.PaidOn == o.PaidOn && d.BackOn == o.BackOn && d.Code == o.Code && d.RowBefore == o.RowBefore &&
		d.Counted == o.Counted && d.Shown == o.Shown && d.Proved == o.Proved &&
		d.Heard == o.Heard && slices.Equal(d.Uses, o.Uses) && slices.Equal(d.Results, o.Results) &&
		(d.Item == nil) == (o.Item == nil) && (d.Item == nil || *d.Item == *o.Item)
}

// AppendRow appends the value of a row, and nothing where the customer has no such row. The same row always gives the
// same bytes.
func AppendRow(to []byte, c *Customer, name string) ([]byte, error) {
	if name == "" {
		return appendJSON(to, &c.Core)
	}
	if c.Version == layout2 {
		return to, nil // it lies in one record
	}
	kind, name := name[0], name[1:]
	switch kind {
	case rowPolicy:
		return appendFound(to, c.Policies.Find(name))
	case rowCollection:
		return appendFound(to, c.Collections.Find(name[periodLen:], schemas.Period(name[:periodLen])))
	case rowStreams:
		if len(c.Streams) == 0 {
			return to, nil
		}
		return appendJSON(to, c.Streams)
	case rowAccounts:
		if len(c.Accounts) == 0 {
			return to, nil
		}
		return appendJSON(to, c.Accounts)
	case rowDeposits:
		block, err := strconv.Atoi(name)
		if err != nil {
			return to, err
		}
		var list []Deposit
		for i := range c.Deposits {
			if c.Deposits[i].No/depositBlock == block {
				list = append(list, c.Deposits[i])
			}
		}
		if len(list) == 0 {
			return to, nil
		}
		slices.SortFunc(list, func(a, b Deposit) int { return cmp.Compare(a.No, b.No) })
		return appendJSON(to, list)
	case rowIncome:
		return appendFound(to, c.income(name))
	case rowSeen:
		no, err := strconv.Atoi(name)
		return append(to, c.Seen.block(no)...), err
	case rowWaiting:
		day, no, err := waitingRow(name)
		if i, found := c.Waiting.place(day, no); found && err == nil {
			return appendJSON(to, c.Waiting[i].List)
		}
		return to, err
	case rowPast:
		if p := c.Past.Find(name); p != nil {
			to = append(to, p.Packed...)
		}
		return to, nil
	}
	return to, fmt.Errorf("book: no row of a customer is called %q", string(kind)+name)
}

func appendFound[T any](to []byte, row *T) ([]byte, error) {
	if row == nil {
		return to, nil
	}
	return appendJSON(to, row)
}

func appendJSON(to []byte, row any) ([]byte, error) {
	return json.Append(to, row, json.EscapeHTML|json.SortMapKeys)
}

func waitingRow(name string) (schemas.Day, int, error) {
	ofDay, ofNo, _ := strings.Cut(name, ".")
	d, err1 := strconv.ParseInt(ofDay, 10, 32)
	no, err2 := strconv.Atoi(ofNo)
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, fmt.Errorf("book: a row of waiting transactions is called %q: %w", name, err)
	}
	return schemas.Day(d), no, nil
}

// LoadRow puts a row that AppendRow wrote in its place, or takes it away where the value is nil. Rows come in any
// order, and of one name the last counts. It refuses the states of layouts that it does not know.
func LoadRow(c *Customer, name string, value []byte) error {
	if name == "" {
		return c.loadCore(value)
	}
	kind, name := name[0], name[1:]
	switch kind {
	case rowPolicy:
		return loadInto((*[]Policy)(&c.Policies), value, func(p *Policy) int { return strings.Compare(p.Number, name) })
	case rowCollection:
		return c.loadCollection(name, value)
	case rowStreams:
		return c.loadStreams(value)
	case rowDeposits:
		return c.loadDeposits(name, value)
	case rowAccounts:
		l, err := unmarshalList[Account](value)
		c.Accounts = l
		return err
	case rowIncome:
		return loadInto(&c.Incomes, value, func(in *Income) int { return strings.Compare(in.ID, name) })
	case rowSeen:
		no, err := strconv.Atoi(name)
		if err != nil || len(value)%seenSize != 0 {
			return fmt.Errorf("book: block %q of transaction ids has %d bytes", name, len(value))
		}
		c.Seen.put(no, string(value))
		return nil
	case rowWaiting:
		day, no, err := waitingRow(name)
		if err != nil {
			return err
		}
		b := WaitingBlock{Day: day, No: no}
		if b.List, err = unmarshalList[Waiting](value); err != nil {
			return err
		}
		i, found := c.Waiting.place(day, no)
		replace((*[]WaitingBlock)(&c.Waiting), i, found, &b, value == nil)
		return nil
	case rowPast:
		c.Past.set(name, string(value))
		return nil
	}
	return fmt.Errorf("book: no row of a customer is called %q", string(kind)+name)
}

// loadInto puts one row in its place of a sorted list. place compares an element with the row.
func loadInto[T any](l *[]T, value []byte, place func(*T) int) error {
	i, found := search(*l, place)
	if value == nil {
		if found {
			*l = slices.Delete(*l, i, i+1)
		}
		return nil
	}
	var row T
	if found {
		(*l)[i] = row
	} else {
		*l = slices.Insert(*l, i, row)
	}
	return unmarshal(value, &(*l)[i])
}

// object begins a JSON object. Rows count them to give a list the memory that it needs: the decoder's own lists have
// room for ten elements, ten times what most customers need. A text with the sign in it makes a list too roomy, nothing
// else.
var object = []byte("{")

// unmarshalList reads a list of objects.
func unmarshalList[T any](value []byte) ([]T, error) {
	if value == nil {
		return nil, nil
	}
	l := make([]T, 0, bytes.Count(value, object))
	err := unmarshal(value, &l)
	return l, err
}

// compact is a list with no more memory than it needs.
func compact[T any](l []T) []T {
	if cap(l) > len(l) {
		return slices.Clone(l)
	}
	return l
}

// search is where an element stands in a sorted list, or would stand. Elements are large: slices.BinarySearchFunc would
// copy each that it looks at.
func search[T any](l []T, place func(*T) int) (i int, found bool) {
	from, to := 0, len(l)
	for from < to {
		mid := int(uint(from+to) >> 1)
		if place(&l[mid]) < 0 {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return from, from < len(l) && place(&l[from]) == 0
}

// replace puts a row at place i of a list, or takes it away.
func replace[T any](l *[]T, i int, found bool, row *T, gone bool) {
	switch {
	case gone && found:
		*l = slices.Delete(*l, i, i+1)
	case gone:
	case found:
		(*l)[i] = *row
	default:
		*l = slices.Insert(*l, i, *row)
	}
}

func unmarshal(value []byte, row any) error {
	if value == nil {
		return nil
	}
	if err := json.Unmarshal(value, row); err != nil {
		return fmt.Errorf("book: read the state of a customer: %w", err)
	}
	return nil
}

func (c *Customer) loadCore(value []byte) error {
	core := Core{}
	if n := bytes.Count(value, object) - 1; n > 0 { // one for each balance
		core.Balances = make([]Balance, 0, n)
	}
	if err := unmarshal(value, &core); err != nil {
		return err
	}
	switch {
	case core.ID != "" && core.Version == layout2:
		return c.loadLayout2(value)
	case core.ID != "" && core.Version != stateVersion:
		return fmt.Errorf("book: the state of a customer has layout %d; this program reads 2 and %d: run the program that "+
			"wrote it, or replay the timeline", core.Version, stateVersion)
	case c.Version == layout2:
		*c = Customer{} // the rows that follow say all
	}
	c.Core = core
	return nil
}

func (c *Customer) loadCollection(name string, value []byte) error {
	number, period := name[periodLen:], schemas.Period(name[:periodLen])
	if was := c.Collections.Find(number, period); was != nil && value == nil {
		c.Collections = slices.DeleteFunc(c.Collections, func(k Collection) bool {
			return k.Period == period && k.Number == number
		})
	}
	if value == nil {
		return nil
	}
	var k Collection
	if n := bytes.Count(value, object) - 2; n > 0 { // one for each debit
		k.Debits = make([]Debit, 0, n)
	}
	if err := unmarshal(value, &k); err != nil {
		return err
	}
	for i := range k.Debits {
		k.Debits[i].Uses, k.Debits[i].Results = compact(k.Debits[i].Uses), compact(k.Debits[i].Results)
	}
	i, found := search(c.Collections, func(o *Collection) int { return inOrder(o, &k) })
	replace((*[]Collection)(&c.Collections), i, found, &k, false)
	return nil
}

func (c *Customer) loadStreams(value []byte) error {
	l, err := unmarshalList[income.Stream](value)
	if err != nil {
		return err
	}
	for i := range l {
		l[i].History = compact(l[i].History)
	}
	c.Streams = l
	return nil
}

func (c *Customer) loadDeposits(name string, value []byte) error {
	list, err := unmarshalList[Deposit](value)
	if err != nil {
		return err
	}
	block, err := strconv.Atoi(name)
	if err != nil {
		return fmt.Errorf("book: a row of deposits is called %q: %w", name, err)
	}
	c.Deposits = slices.DeleteFunc(c.Deposits, func(d Deposit) bool { return d.No/depositBlock == block })
	for _, d := range list {
		i, _ := search(c.Deposits, func(o *Deposit) int { return cmp.Or(cmp.Compare(o.At, d.At), cmp.Compare(o.No, d.No)) })
		c.Deposits = slices.Insert(c.Deposits, i, d)
	}
	return nil
}
