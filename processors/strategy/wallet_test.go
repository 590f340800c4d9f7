package strategy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/book"
)

// A blind debit takes a salary that is still clearing. What the balance has left is then there for the next debit:
// money that is gone is not held against it.
func TestBlindDebitsTakeClearingMoneyOnce(t *testing.T) {
	c := &cutoff{View: &View{Customer: &book.Customer{
		Deposits: []book.Deposit{{No: 1, At: 10, Account: "A"}, {No: 2, At: 20, Account: "A"}},
		Core:     book.Core{Balances: []book.Balance{{Account: "A", At: 20}}},
	}}}
	c.wallet.deposits = []held{{left: 8500, worth: worthClearing}, {left: 80, worth: worthReady}}
	c.wallet.balances[0].cents, c.wallet.balances[0].clearing = 8580, 8500
	require.Equal(t, []book.Use{{Deposit: 1, Cents: 8500, LowersBalance: true}}, c.take(8500, true))
	require.Equal(t, []book.Use{{Deposit: 2, Cents: 80, LowersBalance: true}}, c.take(80, false))
}
