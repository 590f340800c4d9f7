package demo

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/processors/people"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
)

func agreed() *Result {
	return &Result{
		Period: "2025-11", Elapsed: 12_340 * time.Millisecond, Bank: 4_250_000, Reported: 4_250_000, ClickHouse: 4_250_000,
		Settled:     4_250_000,
		DeadLetters: map[string]int{"UNKNOWN_DEBIT": 1, "BAD_AMOUNT": 2}, Broken: 3,
		Kinds: []KindLine{{
			Kind: schemas.Salary, Collections: 3, Full: 1, Partial: 1, Unpaid: 1, Due: 45_000,
			Collected: 25_000, Attempts: 4, Tried: 3, FirstSuccess: 1,
		}},
		Failures: []people.Failure{{Code: "02", Meaning: "not provided for", Debits: 2, Cents: 30_000}},
		Settlement: client.Settlement{
			SettlementNumber: "SETTLE-2025-11-001", Status: "paid", TotalCollections: 4_250_000, NetAmount: 2_857_062,
			PaymentDate: "2025-12-03", PaymentReference: new("EFT-20251203-001"),
		},
		All: KindLine{Due: 5_000_000},
		Rivals: []people.Outcome{
			{Name: "Kasi", Collected: 4_250_000, Debits: 120, Failed: 7},
			{Name: "all-knowing", Collected: 5_000_000, Debits: 100},
		},
		Latency: LatencyReport{Deposit: spread([]time.Duration{3 * time.Millisecond, 1250 * time.Microsecond})},
	}
}

func TestAnyDifferenceFailsTheMonth(t *testing.T) {
	require.NoError(t, agreed().check())
	for want, spoil := range map[string]func(*Result){
		"the report says R 42499.99: difference R -0.01": func(r *Result) { r.Reported-- },
		"ClickHouse says R 42500.01: difference R 0.01":  func(r *Result) { r.ClickHouse++ },
		"the settlement says R 0.00":                     func(r *Result) { r.Settled = 0 },
		"sent 1 debits twice":                            func(r *Result) { r.Refused = 1 },
		"4 dead letters; expected the 3":                 func(r *Result) { r.DeadLetters["LOST"] = 1 },
		"nothing was collected":                          func(r *Result) { r.Bank = 0 },
	} {
		r := agreed()
		spoil(r)
		require.ErrorContains(t, r.check(), want)
	}
}

func TestAnyDifferenceFailsTheRealRun(t *testing.T) {
	good := func() *RealResult {
		return &RealResult{Stats: feed.Stats{Rows: 10}, Accepted: 10, Bank: 5, ClickHouse: 5}
	}
	require.NoError(t, good().check())
	for want, spoil := range map[string]func(*RealResult){
		"difference R 0.01":                            func(r *RealResult) { r.ClickHouse++ },
		"sent 2 debits twice":                          func(r *RealResult) { r.Refused = 2 },
		"10 transactions were fed, ClickHouse holds 9": func(r *RealResult) { r.Accepted-- },
		"1 dead letters of class TOO_OLD; expected none": func(r *RealResult) {
			r.DeadLetters = map[string]int{"TOO_OLD": 1}
		},
	} {
		r := good()
		spoil(r)
		require.ErrorContains(t, r.check(), want)
	}
}

// Arrears that later months bring are no part of the month's own rate.
func TestArrearsAreApart(t *testing.T) {
	var out bytes.Buffer
	(&RealResult{Statuses: []figures{
		{"PAID_FULL", []int64{9, 90_000, 86_000, 4_000}}, {"UNPAID", []int64{1, 10_000, 0, 0}},
	}}).print(&out)
	require.Regexp(t, `all +│ +10 │ +1000.00 │ +860.00 │ +86.0 % │ +40.00 │ +90.0 %`, out.String())
}

func TestTheResultShowsEveryFigure(t *testing.T) {
	var out bytes.Buffer
	r := agreed()
	r.Policies = 100
	r.print(&out)
	for _, want := range []string{
		"SALARY", "55.6 %", "1.33", "33.3 %", "not provided for", "300.00", "SETTLE-2025-11-001", "paid", "28570.62",
		"EFT-20251203-001", "all-knowing", "85.0 %", "7.00",
		"the bank's own ledger", "42500.00", "3.0 ms",
		"Dead letters: 3 of 3 broken records sent (2 BAD_AMOUNT, 1 UNKNOWN_DEBIT)", "The month took 12.3 s",
	} {
		require.Contains(t, out.String(), want)
	}
}

func TestFirstAttemptsAreJudgedByTheBanksAnswers(t *testing.T) {
	ps := people.New("demo", 3, 40, november, rules.Default().Calendar)
	m := &month{bank: people.NewBank(ps, november), people: ps}
	customer := ps.Policies()[0].Customer
	kind := ps.Kind(customer)
	for id, d := range map[string]people.Debit{
		"A": {DebitInstruction: schemas.DebitInstruction{Attempt: 1}, State: people.Unpaid},
		"B": {DebitInstruction: schemas.DebitInstruction{Attempt: 2}, State: people.Paid},
		"C": {DebitInstruction: schemas.DebitInstruction{Attempt: 1}, State: people.Disputed},
	} {
		d.DebitID, d.CustomerID = id, customer
		booked, err := m.bank.Book.Open(d.DebitInstruction)
		require.NoError(t, err)
		booked.State = d.State
	}
	report := []client.ReportRow{
		{
			CustomerID: customer, CollectionAmountDue: 100, CollectionAmountCollected: 100,
			CollectionStatus: schemas.PaidFull, NumberOfAttempts: 2,
		},
		{CustomerID: customer, CollectionAmountDue: 100, CollectionStatus: schemas.Unpaid, NumberOfAttempts: 1},
		{CustomerID: customer, CollectionAmountDue: 100, CollectionStatus: schemas.CollectionCancelled},
		{CustomerID: "SOMEBODY ELSE"},
	}
	kinds, _ := m.byKind(report)
	for _, k := range kinds {
		if k.Kind == kind {
			require.Equal(t, KindLine{
				Kind: kind, Collections: 3, Full: 1, Unpaid: 1, Cancelled: 1, Due: 300, Collected: 100, Attempts: 3,
				Tried: 2, FirstSuccess: 1,
			}, k)
			require.Equal(t, k.Collections, k.Full+k.Partial+k.Unpaid+k.Cancelled, "the columns add up")
		} else {
			require.Equal(t, KindLine{Kind: k.Kind}, k)
		}
	}
}

func TestOptionsSayAllThatIsMissing(t *testing.T) {
	_, err := Options{}.withDefaults()
	for _, name := range []string{"BaseURL", "Brokers", "ClickHouseURL", "Advancer", "Out"} {
		require.ErrorContains(t, err, name+" is not set")
	}
}

func TestWhatIsNotAllNeverReadsAHundredPercent(t *testing.T) {
	require.Equal(t, "99.9 %", rate(9999, 10_000))
	require.Equal(t, "100.0 %", rate(10_000, 10_000))
	require.Equal(t, "33.3 %", rate(schemas.Cents(1), 3))
	require.Equal(t, "-", rate(0, 0))
}

func TestAMonthTakesSomePolicies(t *testing.T) {
	o := newStandin(t).options(t, &bytes.Buffer{})
	o.Policies = 39
	_, err := Month(t.Context(), o)
	require.ErrorContains(t, err, "at least 40")
}
