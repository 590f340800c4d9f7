package demo

import (
	"math/rand/v2"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// monday the 3rd is November's first banking day.
var monday = november.AddDays(2)

func client(balance schemas.Cents) *person {
	return &person{rng: rand.New(rand.NewPCG(1, 1)), tenant: "demo", acc: account{
		customer: "CUST0001", id: "ACC1",
		opening: balance, balance: balance,
	}}
}

func instruct(id string, cents schemas.Cents) schemas.DebitInstruction {
	return schemas.DebitInstruction{
		DebitID: id, TenantID: "demo", CustomerID: "CUST0001", PolicyNumber: "POL0001", PeriodMonth: "2025-11", Attempt: 1,
		AmountCents: cents, Currency: "ZAR", ActionDate: monday.String(), Rail: schemas.RailDebiCheck,
	}
}

func bankOf(people ...*person) *pretendBank {
	return newBank(people, rules.Default().Calendar, november.AddDays(29))
}

func TestTheBankPaysToTheLastCentAndNotBeyond(t *testing.T) {
	p := client(15_001)
	b := bankOf(p)
	var out answers
	require.NoError(t, b.present(monday, []schemas.DebitInstruction{instruct("A", 15_001), instruct("B", 1)}, &out))
	require.Zero(t, p.acc.balance)
	require.Len(t, out.results, 2)
	require.Equal(t, schemas.ResultPaid, out.results[0].Status)
	require.Equal(t, schemas.ResultUnpaid, out.results[1].Status)
	require.Equal(t, "02", out.results[1].ReasonCode)
	require.Equal(t, "ZA", out.results[1].ReasonScheme)
	require.Equal(t, schemas.Cents(15_001), b.book.collected("2025-11"))
	require.Zero(t, b.book.collected("2025-12"))
	require.Len(t, out.txs, 1)
	require.Equal(t, schemas.Debit, out.txs[0].Direction)
}

func TestTheBankRefusesADebitIDSeenTwice(t *testing.T) {
	p := client(100_000)
	b := bankOf(p)
	var out answers
	require.NoError(t, b.present(monday, []schemas.DebitInstruction{instruct("A", 15_000)}, &out))
	require.ErrorContains(t, b.present(monday, []schemas.DebitInstruction{instruct("A", 15_000)}, &out), "debit A twice")
	require.Equal(t, schemas.Cents(85_000), p.acc.balance, "the second moved nothing")
	require.Equal(t, schemas.Cents(15_000), b.book.total())
	require.Equal(t, 1, b.book.refused)
}

func TestTroubledAccountsAnswerWithTheirCode(t *testing.T) {
	p := client(100_000)
	p.trouble = trouble{from: monday, code: "12"}
	var out answers
	require.NoError(t, bankOf(p).present(monday, []schemas.DebitInstruction{instruct("A", 15_000)}, &out))
	require.Equal(t, "12", out.results[0].ReasonCode)
	require.Equal(t, schemas.Cents(100_000), p.acc.balance)
}

func TestTheBankWaitsForTheActionDate(t *testing.T) {
	b := bankOf(client(100_000))
	var out answers
	d := instruct("A", 15_000)
	d.ActionDate = monday.AddDays(1).String()
	require.NoError(t, b.present(monday, []schemas.DebitInstruction{d}, &out))
	require.Empty(t, out.results)
	require.NoError(t, b.present(monday.AddDays(1), nil, &out))
	require.Len(t, out.results, 1)

	d = instruct("B", 15_000)
	d.ActionDate = november.String()
	require.ErrorContains(t, b.present(monday, []schemas.DebitInstruction{d}, &out), "is no banking day")
}

func TestMoneyThatComesBack(t *testing.T) {
	for to, want := range map[state]schemas.Result{
		stateReturned: {Status: schemas.ResultUnpaid, ReasonCode: "02"},
		stateDisputed: {Status: schemas.ResultDisputed, ReasonCode: "30"},
	} {
		p := client(20_000)
		b := bankOf(p)
		var out answers
		require.NoError(t, b.present(monday, []schemas.DebitInstruction{instruct("A", 15_000)}, &out))
		paid := out.results[0]
		day := monday.AddDays(2)
		b.comebacks = map[civil.Date][]comeback{day: {{b.book.debits["A"], to}}}
		out = answers{}
		b.comeBack(day, &out)
		require.Equal(t, schemas.Cents(20_000), p.acc.balance)
		require.Zero(t, b.book.collected("2025-11"))
		require.Equal(t, want.Status, out.results[0].Status)
		require.Equal(t, want.ReasonCode, out.results[0].ReasonCode)
		require.NotEqual(t, paid.ResultID, out.results[0].ResultID)
		require.Equal(t, day.String(), out.results[0].EffectiveDate)
		require.Empty(t, b.comebacks)
	}
}

// What left the accounts is what the ledger says was collected, whatever the debits.
func TestTheLedgerIsWhatLeftTheAccounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opening := schemas.Cents(rapid.Int64Range(0, 100_000).Draw(t, "opening"))
		p := client(opening)
		b := bankOf(p)
		amounts := rapid.SliceOfN(rapid.Int64Range(1, 40_000), 1, 20).Draw(t, "amounts")
		for i, cents := range amounts {
			d := instruct(string(rune('A'+i)), schemas.Cents(cents))
			d.Rail = rapid.SampledFrom([]schemas.Rail{schemas.RailEFT, schemas.RailDebiCheck}).Draw(t, "rail")
			var out answers
			if err := b.present(monday, []schemas.DebitInstruction{d}, &out); err != nil {
				t.Fatal(err)
			}
		}
		for d := monday; !d.After(november.AddDays(30)); d = d.AddDays(1) {
			b.comeBack(d, &answers{})
		}
		if left := opening - p.acc.balance; left != b.book.total() || p.acc.balance < 0 {
			t.Fatalf("R %s left the account, the ledger says R %s", left, b.book.total())
		}
	})
}
