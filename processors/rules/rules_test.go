package rules_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

func TestRailRules(t *testing.T) {
	r := rules.Default()
	day := date(t, "2025-11-05")
	require.Equal(t, rules.RailRule{
		Name: schemas.RailEFT, UnpaidsEndMandate: 2,
		AttemptsPerCycle: 1,
	}, r.Rail(schemas.RailEFT, day))
	for _, rail := range []schemas.Rail{schemas.RailDebiCheck, schemas.RailRM} {
		require.Equal(t, rules.RailRule{
			Name: rail, RePresent: true, PartialAllowed: true, TrackingDays: 10,
		}, r.Rail(rail, day))
	}
	require.Equal(t, rules.RailRule{Name: "CARD", UnpaidsEndMandate: 1, AttemptsPerCycle: 1}, r.Rail("CARD", day),
		"an unknown rail gets the strictest rule")
}

// CONTRACT 4.9: 40 days, 60 from 13 April 2026, on every rail.
func TestDisputeDaysAtTheBoundary(t *testing.T) {
	r := rules.Default()
	for _, rail := range []schemas.Rail{schemas.RailEFT, schemas.RailDebiCheck, schemas.RailRM} {
		require.Equal(t, 40, r.DisputeDays(rail, date(t, "1993-01-01")))
		require.Equal(t, 40, r.DisputeDays(rail, date(t, "2026-04-12")))
		require.Equal(t, 60, r.DisputeDays(rail, date(t, "2026-04-13")))
		require.Equal(t, 60, r.DisputeDays(rail, date(t, "2030-01-01")))
	}
}

func TestFeesAndVATAtTheirBoundaries(t *testing.T) {
	r, err := rules.Load([]byte(`
tenant_fees:
  acme:
    - {from: 2025-07-01, distribution_percent: 20}
    - {from: 2026-01-01, distribution_percent: 20.25, collections_percent: 3}
`))
	require.NoError(t, err)
	for _, row := range []struct{ tenant, on, distribution, collections, vat string }{
		{"other", "2025-11-30", "0.25", "0.035", "0.15"},
		{"acme", "2025-06-30", "0.25", "0.035", "0.15"},
		{"acme", "2025-07-01", "0.2", "0.035", "0.15"},
		{"acme", "2025-12-31", "0.2", "0.035", "0.15"},
		{"acme", "2026-01-01", "0.2025", "0.03", "0.15"},
		{"other", "2018-03-31", "0.25", "0.035", "0.14"},
		{"other", "2018-04-01", "0.25", "0.035", "0.15"},
		{"other", "1993-04-06", "0.25", "0.035", "0.1"},
		{"other", "1993-04-07", "0.25", "0.035", "0.14"},
		{"other", "1980-01-01", "0.25", "0.035", "0.1"}, // before the first date the first rate holds
	} {
		rates := r.Fees(row.tenant, date(t, row.on))
		got := []string{rates.Distribution.String(), rates.Collections.String(), rates.VAT.String()}
		require.Equal(t, []string{row.distribution, row.collections, row.vat}, got, "%s on %s", row.tenant, row.on)
	}
}

func TestCollectingParameters(t *testing.T) {
	p := rules.Default().Params(date(t, "2025-11-05"))
	require.Equal(t, 5, p.FirstAttemptDay)
	require.Equal(t, schemas.Cents(1000), p.MinDebitCents)
	require.Equal(t, 120, p.SeenDays)
	require.Equal(t, 3, p.MoneyDays)
	require.Equal(t, 730, p.BackfillDays)
	require.Equal(t, 2, p.ArrearsPeriods)
	require.Equal(t, []string{"15:00"}, p.CutoffTimes)
	require.Equal(t, 35, p.DepositDays)
	require.Equal(t, 45, p.KnownIncomeDays)
	require.Equal(t, 24, p.StreamHistory)
	require.Equal(t, 3, p.SameMoneyDays)
	senseOf := func(first string) (words []string, sense rules.Sense) {
		f := p.Phrases[first]
		require.NotEmpty(t, f, first)
		return f[0].Words, f[0].Sense
	}
	for first, want := range map[string]rules.Sense{
		"REVERSAL": rules.NeverIncome, "CASHBACK": rules.NotIncome, "REFUND": rules.NotAfterKind,
		"BETWAY": rules.NotIncome, "SASSA": rules.NamesKind,
	} {
		words, sense := senseOf(first)
		require.Equal(t, []string{first}, words)
		require.Equal(t, want, sense, first)
	}
	require.True(t, p.Phrases["LOANS"][0].Payer, "a word of two lists")
	words, sense := senseOf("OLD")
	require.Equal(t, []string{"OLD", "AGE", "PENSION", "FUND"}, words, "the longest comes first")
	require.Equal(t, rules.NamesKind, sense)
	require.Equal(t, schemas.Pension, p.Phrases["OLD"][0].Kind.Kind)
	require.NotEmpty(t, p.Reversals["RTD"])
}

// An override changes what it names, from its date on, and leaves the rest.
func TestOverride(t *testing.T) {
	r, err := rules.Load([]byte(`
proclaimed:
  - {date: 2026-11-04, name: Local elections}
not_observed:
  - {date: 2026-11-05, name: was no holiday to begin with}
collecting:
  - {first_attempt_day: 1, min_debit: "25.00"}
  - {from: 2026-01-01, cutoff_times: ["10:00", "15:30"]}
rails:
  - {rail: RM, from: 2026-06-01, tracking_days: 5}
dispute_windows:
  - {from: 2026-09-01, days: 90, rails: [EFT]}
payment_day:
  - {from: 2026-01-01, day: 5}
reasons:
  - {name: WALLET_LOCKED, remedy: FIX_ACCOUNT, za: ["99"], description: A new code.}
  - {name: STOPPED_BY_CUSTOMER, remedy: NEW_MANDATE, za: ["04"], description: A code given another meaning.}
`))
	require.NoError(t, err)
	require.False(t, r.Calendar.IsBankingDay(date(t, "2026-11-04")))
	require.True(t, r.Calendar.IsBankingDay(date(t, "2026-11-05")))
	require.True(t, rules.Default().Calendar.IsBankingDay(date(t, "2026-11-04")),
		"nothing is shared with the defaults")

	before, after := r.Params(date(t, "2025-12-31")), r.Params(date(t, "2026-01-01"))
	require.Equal(t, 1, before.FirstAttemptDay)
	require.Equal(t, schemas.Cents(2500), before.MinDebitCents)
	require.Equal(t, []string{"15:00"}, before.CutoffTimes)
	require.Equal(t, []string{"10:00", "15:30"}, after.CutoffTimes)
	require.Equal(t, 1, after.FirstAttemptDay)
	require.Equal(t, 120, after.SeenDays)

	require.Equal(t, 10, r.Rail(schemas.RailRM, date(t, "2026-05-31")).TrackingDays)
	require.Equal(t, 5, r.Rail(schemas.RailRM, date(t, "2026-06-01")).TrackingDays)
	require.True(t, r.Rail(schemas.RailRM, date(t, "2026-06-01")).RePresent)
	require.Equal(t, 60, r.DisputeDays(schemas.RailRM, date(t, "2026-09-01")))
	require.Equal(t, 90, r.DisputeDays(schemas.RailEFT, date(t, "2026-09-01")))
	require.Equal(t, "2026-02-05", r.PaymentDate("2026-01", date(t, "2026-02-01")).String())
	require.Equal(t, "WALLET_LOCKED", r.Reason(schemas.ResultUnpaid, "", "99").Name)
	require.Equal(t, rules.RemedyMandate, r.Reason(schemas.ResultUnpaid, "ZA", "4").Remedy)

	same, err := rules.Load([]byte("\n# nothing but a comment\n"))
	require.NoError(t, err)
	require.Equal(t, rules.Default(), same)
}

// A file with many mistakes is refused with all of them.
func TestLoadingIsStrict(t *testing.T) {
	_, err := rules.Load([]byte(`
proclaimed:
  - {date: 2026-02-30, name: no such day}
  - {date: 26-11-04, name: no such form}
rails:
  - {rail: CARD, tracking_days: -1}
dispute_windows:
  - {from: soon, days: 60}
fees:
  - {distribution_percent: 125}
vat:
  - {percent: "15 %"}
tenant_fees:
  acme: [{collections_percent: -1}]
payment_day:
  - {day: 31}
grants:
  - {banking_day: 2, never_on: [MONTAG]}
grant_exceptions:
  - {period: 2026-13, older_persons: 2026-01-02, disability: 2026-01-05, children: x}
reasons:
  - {name: no name, remedy: HOPE, description: x}
without_code:
  - {status: PAID, name: PAID, remedy: STOP, description: x}
collecting:
  - {first_attempt_day: 0, min_debit: "1.005", cutoff_times: ["15:00", "9:00"], kinds: [{kind: LOTTERY, words: [" "]}]}
`))
	require.Error(t, err)
	for _, want := range []string{
		`line 3: "2026-02-30" is not a date`, `line 4: "26-11-04"`, `line 6: rail: "CARD"`, "line 6: tracking_days: -1",
		`line 8: "soon" is not a date`, `line 10: "125" is not a percentage`, `line 12: "15 %"`, `line 14: "-1"`,
		"line 16: payment_day: 31", `line 18: "MONTAG"`, `line 20: period: "2026-13"`, `line 20: "x" is not a date`,
		`line 22: name: "no name"`, `line 22: remedy: "HOPE"`, `"no name" has no code`,
		`line 24: status: "PAID" is not one of`, "line 26: first_attempt_day: 0", "more than two decimals",
		`line 26: cutoff_times: "9:00"`,
		`line 26: kind: "LOTTERY"`, "line 26: words[0] is empty",
	} {
		require.Contains(t, err.Error(), want)
	}

	for _, text := range []string{
		"holydays: []", "collecting:\n  - {first_day: 3}\nvats: []", "collecting: {}", "a: b\n---\nc: d",
		"rails: [{rail: RM, re_present: maybe}]",
		"collecting:\n  - {seen_days: 1.5}", "---\n---\n",
	} {
		_, err := rules.Load([]byte(text))
		require.Error(t, err, "%q", text)
		require.True(t, strings.HasPrefix(err.Error(), "rules file: "), err.Error())
	}
	_, err = rules.Load([]byte("collecting:\n  - {first_day: 3, seen_days: 5}\nvats: []\nproclaimed: [{name: no date}]"))
	for _, want := range []string{
		"line 2: field first_day not found", "line 3: field vats not found", "line 2: seen_days: 5 is out of range",
		"line 4: date is missing",
	} {
		require.ErrorContains(t, err, want)
	}
}

func BenchmarkDefaultRules(b *testing.B) {
	for b.Loop() {
		rules.Default()
	}
}

// The hash goes by what the rules say, not by how it is written.
func TestHash(t *testing.T) {
	hash := func(override string) string {
		r, err := rules.Load([]byte(override))
		require.NoError(t, err)
		return r.Hash()
	}
	built := hash("")
	require.Regexp(t, "^[0-9a-f]{16}$", built)
	require.Equal(t, built, hash("# nothing but a comment\n"))
	const fees = "fees:\n  - from: 2026-01-01\n    distribution_percent: 20\n"
	changed := hash(fees)
	require.NotEqual(t, built, changed)
	require.Equal(t, changed, hash("# why\nfees:\n- {distribution_percent: 20, from: 2026-01-01}\n"))
	require.NotEqual(t, changed, hash(strings.Replace(fees, "20\n", "21\n", 1)))
}

func TestSettingsOfATenant(t *testing.T) {
	general, err := rules.Load([]byte(`
tenant_fees:
  acme: [{from: 2025-07-01, distribution_percent: 20}]
`))
	require.NoError(t, err)
	own := schemas.TenantSettings{TenantID: "acme", Settings: []schemas.TenantSetting{
		{From: "2025-10-01", Name: "collections_fee", Value: "3"},
		{From: "2025-11-01", Name: "distribution_fee", Value: "22.5"},
		{From: "2025-11-01", Name: "failure_days", Value: "2"},
		{From: "2025-12-01", Name: "distribution_fee"},
		{From: "2025-12-01", Name: "failure_days", Value: ""},
	}}
	r, err := general.For(own)
	require.NoError(t, err)
	for _, c := range []struct {
		on, distribution, collections string
		days                          int
	}{
		{"2025-06-30", "0.25", "0.035", 5},
		{"2025-09-30", "0.2", "0.035", 5},
		{"2025-10-01", "0.2", "0.03", 5},
		{"2025-11-30", "0.225", "0.03", 2},
		{"2025-12-01", "0.2", "0.03", 5},
	} {
		rates := r.Fees("acme", date(t, c.on))
		require.Equal(t, c.distribution+" "+c.collections, rates.Distribution.String()+" "+rates.Collections.String(), c.on)
		require.Equal(t, c.days, r.Params(date(t, c.on)).FailureDays, c.on)
		require.Equal(t, general.Params(date(t, c.on)).Patience, r.Params(date(t, c.on)).Patience)
		require.Equal(t, general.Fees("other", date(t, c.on)), r.Fees("other", date(t, c.on)))
	}
	require.Equal(t, "0.2", general.Fees("acme", date(t, "2025-11-30")).Distribution.String(), "the general rules stay")
	require.Equal(t, general.Hash(), r.Hash(), "settings are input, no rules of the program")
	for text, want := range map[string]string{
		"2025-11-01 patience 10001":       `patience: "10001" is not a whole number from 0 to 10000`,
		"2025-11-01 patience 1.5":         "is not a whole number",
		"2025-11-01 distribution_fee 101": `distribution_fee: "101" is not a percentage`,
		"2025-11-01 colour blue":          `"colour" is no setting; there are distribution_fee, collections_fee`,
		"2025-11-1 patience 1":            `from: "2025-11-1" is not a date`,
	} {
		w := strings.Fields(text)
		one := []schemas.TenantSetting{{From: w[0], Name: w[1], Value: w[2]}}
		_, err := general.For(schemas.TenantSettings{Settings: one})
		require.ErrorContains(t, err, want)
	}
}
