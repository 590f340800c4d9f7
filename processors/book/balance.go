package book

import (
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// Balance is the latest known balance of an account, less what was debited by Kasi since.
type Balance struct {
	Account string        `json:"a,omitempty"`
	At      int64         `json:"t"`
	Cents   schemas.Cents `json:"c"`
}

// MaxBalances bounds the accounts whose balance is kept; beyond it the one that has been silent for longest is
// forgotten.
const MaxBalances = 8

// learnBalance keeps a balance unless a later one of the account is known. Of the same instant the one that arrives
// later counts.
func (c *Customer) learnBalance(now Balance) {
	i := slices.IndexFunc(c.Balances, func(x Balance) bool { return x.Account == now.Account })
	if i >= 0 && c.Balances[i].At > now.At {
		return
	}
	if i < 0 && len(c.Balances) == MaxBalances {
		i = 0 // balances stand in the order in which they were learned
	}
	if i >= 0 {
		c.Balances = slices.Delete(c.Balances, i, i+1)
	}
	c.Balances = append(c.Balances, now)
}
