package backtest

import "github.com/kasi-collections/kasi/schemas"

// oracleTries collects with the knowledge of every balance to come: as much as anybody could have by the end of the
// month, on banking days, and never in vain.
//
// Each month begins with an account from which nothing was taken before. The premium is taken whole on the first day
// that has it, or else in parts: all that is there on each banking day. What is taken early cannot be spent, and what
// is spent is gone. A rand more that was taken before never leaves more, and a rand left never brings more than a rand
// later; so no contender collects more in any month. DESIGN.md has the proof.
func oracleTries(a scene, d *days, premium schemas.Cents) []try {
	var tries []try
	untouched := a.ledger()
	day := a.first
	for i, m := range a.months {
		for ; day < m.first; day++ {
			untouched.open(day, nil)
		}
		greedy := untouched.fork()
		best, most, parts, lack := schemas.Day(0), schemas.Cents(0), len(tries), premium
		for ; day <= m.last; day++ {
			untouched.open(day, nil)
			greedy.open(day, nil)
			if !d.are(day) {
				continue
			}
			if there := min(untouched.available(), premium); there > most {
				best, most = day, there
			}
			if there := min(greedy.available(), lack); there > 0 {
				tries = append(tries, paidTry(i, day, there))
				greedy.take(there)
				lack -= there
			}
		}
		if best != 0 && most >= premium-lack {
			tries = append(tries[:parts], paidTry(i, best, most))
		}
	}
	return tries
}

func paidTry(month int, on schemas.Day, cents schemas.Cents) try {
	return try{month: month, cents: cents, first: on, last: on, state: tryPaid, on: on}
}
