package book

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// TestDepositsAreBounded brings a customer far more deposits than are kept, while a debit with the bank counts on the
// first: that one stays until the debit has failed, and can be given back. Of the others the latest stay.
func TestDepositsAreBounded(t *testing.T) {
	t.Parallel()
	r, c, out := rules.Default(), &Customer{}, &Outputs{}
	m := schemas.Moment{Date: schemas.Day(20400).Date(), Cutoff: 1, At: time.Unix(20400*86400, 0)}
	tell := func(from, to int) {
		for i := from; i < to; i++ {
			b := Open(r, c, m, out)
			require.NoError(t, b.Transaction(&schemas.Transaction{
				TransactionID: fmt.Sprint("t", i), TenantID: "T", CustomerID: "C", Direction: schemas.Credit,
				Description: fmt.Sprint("TIPS ", i%7), AmountCents: schemas.Cents(1000 + i),
				BookedAt: schemas.Day(20399).Date().In(schemas.Johannesburg).Add(time.Duration(i) * time.Second),
			}))
			require.LessOrEqual(t, len(c.Deposits), MaxDeposits)
		}
	}
	tell(0, 10)
	c.Collections = Collections{{Number: "P", Period: "2025-11", Debits: []Debit{{ID: "d", Uses: [][2]int64{{1, 1000}}}}}}
	c.Deposits[0].Remaining = 0
	tell(10, 5*MaxDeposits)
	require.Equal(t, 1, c.Deposits[0].No, "a debit with the bank counts on it")
	require.Equal(t, 5*MaxDeposits, c.Deposits[len(c.Deposits)-1].No)
	require.GreaterOrEqual(t, len(c.Deposits), MaxDeposits*3/4)
	for i := range c.Deposits[2:] {
		require.Equal(t, c.Deposits[i+1].No+1, c.Deposits[i+2].No, "of the others the latest stay")
	}
	d := &c.Collections[0].Debits[0]
	d.State = DebitUnpaid
	c.giveBack(d)
	require.Equal(t, schemas.Cents(1000), c.Deposits[0].Remaining)
	c.Deposits[len(c.Deposits)-1].Remaining = 0
	tell(5*MaxDeposits, 6*MaxDeposits)
	require.Greater(t, c.Deposits[0].No, 1, "nothing counts on it any more")
}

// TestAnInstructionFitsARecord debits money of 200 deposits: each is used up, and the instruction names the first 100.
func TestAnInstructionFitsARecord(t *testing.T) {
	t.Parallel()
	c := &Customer{
		Core:        Core{Version: stateVersion, Tenant: "T", ID: "C"},
		Policies:    Policies{{Number: "P", Status: schemas.PolicyActive}},
		Collections: Collections{{Number: "P", Period: "2025-11", Due: 20_000}},
	}
	ruling := Ruling{Reason: "MONEY_SEEN", Amount: 20_000}
	for i := 1; i <= 200; i++ {
		c.Deposits = append(c.Deposits, Deposit{No: i, Cents: 100, Remaining: 100, Transaction: fmt.Sprint("t", i)})
		ruling.Uses = append(ruling.Uses, Use{Deposit: i, Cents: 100})
	}
	out := &Outputs{}
	b := Open(rules.Default(), c, schemas.Moment{Date: schemas.Day(20400).Date(), Cutoff: 1}, out)
	require.NoError(t, b.CarryOut([]Ruling{ruling}, 0, func(string) Meaning { return Meaning{} }))
	require.Len(t, out.Debits[0].TransactionIDs, 100)
	require.Equal(t, "t100", out.Debits[0].TransactionIDs[99])
	require.Len(t, c.Collections[0].Debits[0].Uses, 200)
	require.Nil(t, find(c.Deposits, func(d *Deposit) bool { return d.Remaining > 0 }))
}
