package book

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/kasi-collections/kasi/processors/income"
)

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
