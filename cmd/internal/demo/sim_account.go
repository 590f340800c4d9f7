package demo

import (
	"fmt"
	"strconv"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

// account is a simulated customer's bank account. Its balance changes through move and nothing else, so that the
// opening balance and the sum of the movements always make the balance.
type account struct {
	customer string
	id       string
	opening  schemas.Cents
	balance  schemas.Cents
	moves    int
}

// move books signed cents (positive: money comes in) and returns the transaction that the bank feed reports.
func (a *account) move(at time.Time, cents schemas.Cents, m memo) schemas.Transaction {
	a.balance += cents
	a.moves++
	after := a.balance
	tx := schemas.Transaction{
		TransactionID:     a.id + "-" + strconv.Itoa(a.moves),
		TenantID:          m.tenant,
		CustomerID:        a.customer,
		BookedAt:          at,
		AmountCents:       cents,
		Direction:         schemas.Credit,
		AccountID:         a.id,
		BalanceAfterCents: &after,
		Currency:          "ZAR",
		Description:       m.text,
		Counterparty:      m.party,
		Category:          m.category,
	}
	if cents < 0 {
		tx.AmountCents, tx.Direction = -cents, schemas.Debit
	}
	return tx
}

// memo is what a statement says about a transaction.
type memo struct{ tenant, text, party, category string }

// clock is an instant of a business day in Johannesburg.
func clock(d civil.Date, hour, minute int) time.Time {
	return time.Date(d.Year, d.Month, d.Day, hour, minute, 0, 0, schemas.Johannesburg)
}

// customerID and the like name the i-th simulated thing, counted from 1.
func customerID(i int) string { return fmt.Sprintf("CUST%04d", i) }
