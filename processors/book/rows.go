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
	was := c.Collections.Find(number, period)
	take := func() {
		c.Collections = slices.DeleteFunc(c.Collections, func(k Collection) bool {
			return k.Period == period && k.Number == number
		})
	}
	if value == nil {
		if was != nil {
			take()
		}
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
	if was != nil && was.Plan != k.Plan { // it stands elsewhere now
		take()
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
