package people

import (
	"fmt"
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

func bankOf(p *person) *Bank {
	people := &People{
		cal: rules.Default().Calendar, people: []*person{p}, byID: map[string]*person{p.acc.customer: p},
	}
	return NewBank(people, november.AddDays(29))
}

func TestTheBankPaysToTheLastCentAndNotBeyond(t *testing.T) {
	p := client(15_001)
	b := bankOf(p)
	out, err := b.Present(monday, []schemas.DebitInstruction{instruct("A", 15_001), instruct("B", 1)})
	require.NoError(t, err)
	require.Zero(t, p.acc.balance)
	require.Len(t, out.Results, 2)
	require.Equal(t, schemas.ResultPaid, out.Results[0].Status)
	require.Equal(t, schemas.ResultUnpaid, out.Results[1].Status)
	require.Equal(t, "02", out.Results[1].ReasonCode)
	require.Equal(t, "ZA", out.Results[1].ReasonScheme)
	require.Equal(t, schemas.Cents(15_001), b.Book.Collected("2025-11"))
	require.Zero(t, b.Book.Collected("2025-12"))
	require.Len(t, out.Transactions, 1)
	require.Equal(t, schemas.Debit, out.Transactions[0].Direction)
}

func TestTheBankRefusesADebitIDSeenTwice(t *testing.T) {
	p := client(100_000)
	b := bankOf(p)
	_, err := b.Present(monday, []schemas.DebitInstruction{instruct("A", 15_000)})
	require.NoError(t, err)
	_, err = b.Present(monday, []schemas.DebitInstruction{instruct("A", 15_000)})
	require.ErrorContains(t, err, "debit A twice")
	require.Equal(t, schemas.Cents(85_000), p.acc.balance, "the second moved nothing")
	require.Equal(t, schemas.Cents(15_000), b.Book.Collected(""))
	require.Equal(t, 1, b.Book.Refused)
}

func TestTroubledAccountsAnswerWithTheirCode(t *testing.T) {
	p := client(100_000)
	p.trouble = trouble{from: monday, code: "12"}
	out, err := bankOf(p).Present(monday, []schemas.DebitInstruction{instruct("A", 15_000)})
	require.NoError(t, err)
	require.Equal(t, "12", out.Results[0].ReasonCode)
	require.Equal(t, schemas.Cents(100_000), p.acc.balance)
}

func TestTheBankWaitsForTheActionDate(t *testing.T) {
	b := bankOf(client(100_000))
	d := instruct("A", 15_000)
	d.ActionDate = monday.AddDays(1).String()
	out, err := b.Present(monday, []schemas.DebitInstruction{d})
	require.NoError(t, err)
	require.Empty(t, out.Results)
	out, err = b.Present(monday.AddDays(1), nil)
	require.NoError(t, err)
	require.Len(t, out.Results, 1)

	d = instruct("B", 15_000)
	d.ActionDate = november.String()
	_, err = b.Present(monday, []schemas.DebitInstruction{d})
	require.ErrorContains(t, err, "is no banking day")
}

func TestMoneyThatComesBack(t *testing.T) {
	for to, want := range map[DebitState]schemas.Result{
		Returned: {Status: schemas.ResultUnpaid, ReasonCode: "02"},
		Disputed: {Status: schemas.ResultDisputed, ReasonCode: "30"},
	} {
		p := client(20_000)
		b := bankOf(p)
		out, err := b.Present(monday, []schemas.DebitInstruction{instruct("A", 15_000)})
		require.NoError(t, err)
		paid := out.Results[0]
		day := monday.AddDays(2)
		b.comebacks = map[civil.Date][]comeback{day: {{b.Book.byID["A"], to}}}
		out = b.Return(day)
		require.Equal(t, schemas.Cents(20_000), p.acc.balance)
		require.Zero(t, b.Book.Collected("2025-11"))
		require.Equal(t, want.Status, out.Results[0].Status)
		require.Equal(t, want.ReasonCode, out.Results[0].ReasonCode)
		require.NotEqual(t, paid.ResultID, out.Results[0].ResultID)
		require.Equal(t, day.String(), out.Results[0].EffectiveDate)
		require.Empty(t, b.comebacks)
	}
}

// What left the accounts is what the book says was collected, whatever the debits.
func TestTheBookIsWhatLeftTheAccounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opening := schemas.Cents(rapid.Int64Range(0, 100_000).Draw(t, "opening"))
		p := client(opening)
		b := bankOf(p)
		amounts := rapid.SliceOfN(rapid.Int64Range(1, 40_000), 1, 20).Draw(t, "amounts")
		for i, cents := range amounts {
			d := instruct(string(rune('A'+i)), schemas.Cents(cents))
			d.Rail = rapid.SampledFrom([]schemas.Rail{schemas.RailEFT, schemas.RailDebiCheck}).Draw(t, "rail")
			if _, err := b.Present(monday, []schemas.DebitInstruction{d}); err != nil {
				t.Fatal(err)
			}
		}
		for d := monday; !d.After(november.AddDays(30)); d = d.AddDays(1) {
			b.Return(d)
		}
		if left := opening - p.acc.balance; left != b.Book.Collected("") || p.acc.balance < 0 {
			t.Fatalf("R %s left the account, the book says R %s", left, b.Book.Collected(""))
		}
	})
}

// Every answer leaves the bank at least once and by the last day, some of them later than given, some again.
func TestLateAnswersLoseNothing(t *testing.T) {
	last := november.AddDays(29)
	l := NewLateAnswers(1, last)
	first, sent := map[string]string{}, map[string]int{}
	given, late := 0, 0
	for d := november; !d.After(last.AddDays(2)); d = d.AddDays(1) {
		var rs []schemas.Result
		for range 20 {
			id := fmt.Sprint(given)
			rs, first[id] = append(rs, schemas.Result{ResultID: id}), d.String()
			given++
		}
		for _, r := range l.Send(d, rs) {
			if sent[r.ResultID]++; first[r.ResultID] != d.String() {
				late++
			}
		}
	}
	require.Len(t, sent, given)
	require.Empty(t, l.later)
	again := 0
	for _, n := range sent {
		again += n - 1
	}
	require.Positive(t, late)
	require.Positive(t, again)
}

// A tracked debit is presented each banking day until it is paid or its days are over, and is answered once.
func TestATrackedDebitIsAnsweredOnce(t *testing.T) {
	present := func(until civil.Date, salary civil.Date) (on []string, status schemas.ResultStatus, left schemas.Cents) {
		p := client(100)
		b := bankOf(p)
		d := instruct("A", 15_000)
		d.TrackingUntil = until.String()
		debits := []schemas.DebitInstruction{d}
		for day := monday; !day.After(monday.AddDays(20)); day = day.AddDays(1) {
			if day == salary {
				p.acc.balance += 20_000
			}
			out, err := b.Present(day, debits)
			require.NoError(t, err)
			debits = nil
			for _, r := range out.Results {
				on, status = append(on, r.EffectiveDate), r.Status
			}
		}
		require.Len(t, b.Book.Debits, 1)
		return on, status, p.acc.balance
	}
	day := func(n int) string { return monday.AddDays(n).String() }

	on, status, left := present(monday.AddDays(7), monday.AddDays(5)) // a Saturday: presented again on Monday
	require.Equal(t, []string{day(7)}, on)
	require.Equal(t, schemas.ResultPaid, status)
	require.Equal(t, schemas.Cents(5_100), left)

	on, status, left = present(monday.AddDays(4), monday.AddDays(7)) // a Friday
	require.Equal(t, []string{day(4)}, on)
	require.Equal(t, schemas.ResultUnpaid, status)
	require.Equal(t, schemas.Cents(20_100), left, "nothing is taken after the last day")

	on, _, _ = present(monday.AddDays(5), monday.AddDays(7)) // a Saturday: the Friday before is the last
	require.Equal(t, []string{day(4)}, on)
}

// Other collectors meet the same people: what one takes moves no chance of theirs. None of them beats the one that
// knows every balance.
func TestRivals(t *testing.T) {
	r := Rivals{Seed: 1, Policies: 200, From: november, Calendar: rules.Default().Calendar}
	oracle := r.Oracle()
	require.Zero(t, oracle.Failed)
	require.Equal(t, oracle, r.Oracle(), "the same people, the same outcome")
	best, first := r.BestFixedDay(), r.FixedDay(1)
	require.GreaterOrEqual(t, oracle.Collected, best.Collected)
	require.Greater(t, best.Collected, first.Collected)
	require.Equal(t, 200, best.Debits)
	require.Positive(t, best.Failed)
	var due schemas.Cents
	for _, p := range New("demo", 1, 200, november, r.Calendar).Policies() {
		due += p.Premium
	}
	require.Greater(t, oracle.Collected*100/due, schemas.Cents(90))
	r.Ended = map[string]civil.Date{"POL0001": november}
	require.Equal(t, 199, r.FixedDay(1).Debits, "a policy that has ended is not debited")
}
