package settlement_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
)

// on is a moment at the cut-off of a day.
func date(t require.TestingT, s string) civil.Date {
	d, err := civil.ParseDate(s)
	require.NoError(t, err)
	return d
}

func on(t require.TestingT, day string) schemas.Moment {
	return schemas.Moment{Date: date(t, day), Cutoff: 1, At: time.Date(2025, 12, 2, 9, 30, 0, 0, time.UTC)}
}

func settle(tenant string, p schemas.Period, cut ...int64) schemas.SettleCommand {
	return schemas.SettleCommand{RequestID: "req-1", TenantID: tenant, PeriodMonth: p, Cut: cut}
}

func sums(total, adjustments schemas.Cents, movements int64) schemas.LedgerSums {
	return schemas.LedgerSums{TotalCents: total, AdjustmentsCents: adjustments, Movements: movements}
}

// The documented example of CONTRACT 5, every field of it.
func TestStatementOfTheDocumentedExample(t *testing.T) {
	r, tenant, m := rules.Default(), &settlement.Tenant{}, on(t, "2025-12-02")
	ev, id, err := settlement.Settle(r, tenant, settle("acme", "2025-11", 10, 20), sums(4250000, 0, 300), m, true)
	require.NoError(t, err)
	require.Equal(t, id, ev.SettlementID)
	require.Equal(t, &schemas.SettlementEvent{
		Meta: schemas.Meta{
			EventID: ev.EventID, BusinessDate: "2025-12-02", At: m.At,
		},
		SettlementID:          schemas.SettlementID("acme", "2025-11", 1),
		TenantID:              "acme",
		Number:                "SETTLE-2025-11-001",
		PeriodMonth:           "2025-11",
		Sequence:              1,
		Version:               1,
		TotalCollectionsCents: 4250000,
		DistributionFeeCents:  1062500,
		CollectionsFeeCents:   148750,
		TotalFeesCents:        1211250,
		VATCents:              181688,
		NetCents:              2857062,
		PayableCents:          2857062,
		PaymentDate:           "2025-12-03",
		PaymentReference:      "EFT-20251203-001",
		Status:                schemas.SettlementPending,
		Change:                schemas.SettlementCreated,
		RequestID:             "req-1",
		CreatedAt:             m.At,
		MadeDate:              "2025-12-02",
		Coverage:              []schemas.Coverage{{Period: "2025-11", From: []int64{0, 0}, To: []int64{10, 20}}},
	}, ev)
	require.NotEmpty(t, ev.EventID)
}

// Rounding is half away from zero on both sides of it, and the figures add up whatever the rounding does.
func TestFiguresRoundHalfAwayFromZero(t *testing.T) {
	r := rules.Default()
	for _, row := range []struct{ total, distribution, collections, fees, vat, net schemas.Cents }{
		{2, 1, 0, 1, 0, 1},                         // 0.5 cent -> 1
		{-2, -1, 0, -1, 0, -1},                     // -0.5 cent -> -1
		{100, 25, 4, 29, 4, 67},                    // 3.5 -> 4; 4.35 -> 4
		{-100, -25, -4, -29, -4, -67},              // the same mirrored
		{10, 3, 0, 3, 0, 7},                        // 2.5 -> 3; VAT 0.45 -> 0
		{0, 0, 0, 0, 0, 0},                         // nothing collected
		{15000, 3750, 525, 4275, 641, 10084},       // VAT 641.25
		{-15000, -3750, -525, -4275, -641, -10084}, // a month in which only a dispute came
		{999999999999, 250000000000, 35000000000, 285000000000, 42750000000, 672249999999},
	} {
		ev, _, err := settlement.Settle(r, &settlement.Tenant{}, settle("acme", "2025-11", 1), sums(row.total, 0, 1),
			on(t, "2025-12-02"),
			true)
		require.NoError(t, err)
		require.Equal(t, row.distribution, ev.DistributionFeeCents, "distribution of %s", row.total)
		require.Equal(t, row.collections, ev.CollectionsFeeCents, "collections of %s", row.total)
		require.Equal(t, row.fees, ev.TotalFeesCents, "fees of %s", row.total)
		require.Equal(t, row.vat, ev.VATCents, "VAT of %s", row.total)
		require.Equal(t, row.net, ev.NetCents, "net of %s", row.total)
		require.Equal(t, ev.TotalCollectionsCents, ev.TotalFeesCents+ev.VATCents+ev.NetCents)
	}
}

func TestNumbersAreGapFreeAndRepeatsReturnTheSameStatement(t *testing.T) {
	r, tenant, m := rules.Default(), &settlement.Tenant{}, on(t, "2025-12-02")

	ev, id, err := settlement.Settle(r, tenant, settle("acme", "2025-11", 5), sums(0, 0, 0), m, false)
	require.NoError(t, err)
	require.Nil(t, ev, "a period without collections has nothing to settle")
	require.Empty(t, id)

	first, _, err := settlement.Settle(r, tenant, settle("acme", "2025-11", 5), sums(0, 0, 0), m, true)
	require.NoError(t, err)
	require.Equal(t, "SETTLE-2025-11-001", first.Number, "collections of which none was paid make a statement of zero")

	again, id, err := settlement.Settle(r, tenant, settle("acme", "2025-11", 9), sums(0, 0, 0), m, true)
	require.NoError(t, err)
	require.Nil(t, again)
	require.Equal(t, first.SettlementID, id)
	cover, err := settlement.Cover(tenant, settle("acme", "2025-11", 9))
	require.NoError(t, err)
	require.Equal(t, int64(5), cover[0].From[0], "the covered cut advances only with a statement")

	second, id, err := settlement.Settle(r, tenant, settle("acme", "2025-11", 12), sums(500, 0, 1), m, true)
	require.NoError(t, err)
	require.Equal(t, "SETTLE-2025-11-002", second.Number)
	require.Equal(t, "EFT-20251203-001", second.PaymentReference, "the statement of zero has none")
	require.Equal(t, []schemas.Coverage{{Period: "2025-11", From: []int64{5}, To: []int64{12}}}, second.Coverage)
	require.Equal(t, second.SettlementID, id)

	other, _, err := settlement.Settle(r, &settlement.Tenant{}, settle("other", "2025-11", 12), sums(500, 0, 1), m, true)
	require.NoError(t, err)
	require.Equal(t, "SETTLE-2025-11-001", other.Number)
	require.Equal(t, "EFT-20251203-001", other.PaymentReference, "counted per tenant")
	require.NotEqual(t, first.SettlementID, other.SettlementID)
}

// A late unpaid of a settled period leaves its statement alone and comes back in the next one, of a later or of the
// same period.
func TestLateMovementsOfSettledPeriodsAreAdjustments(t *testing.T) {
	r, tenant := rules.Default(), &settlement.Tenant{}
	_, _, err := settlement.Settle(r, tenant, settle("acme", "2025-11", 10, 10), sums(30000, 0, 2), on(t, "2025-12-02"),
		true)
	require.NoError(t, err)

	cmd := settle("acme", "2025-12", 30, 8) // partition 1: an older cut, clamped
	cover, err := settlement.Cover(tenant, cmd)
	require.NoError(t, err)
	require.Equal(t, []schemas.Coverage{
		{Period: "2025-12", From: []int64{0, 0}, To: []int64{30, 8}},
		{Period: "2025-11", From: []int64{10, 10}, To: []int64{30, 10}},
	}, cover)
	ev, _, err := settlement.Settle(r, tenant, cmd, sums(25000, -15000, 3), on(t, "2026-01-02"), true)
	require.NoError(t, err)
	require.Equal(t, cover, ev.Coverage)
	require.Equal(t, schemas.Cents(-15000), ev.AdjustmentsCents)
	require.Equal(t, schemas.Cents(25000), ev.TotalCollectionsCents)

	cover, err = settlement.Cover(tenant, settle("acme", "2025-11", 40, 40))
	require.NoError(t, err)
	require.Equal(t, []schemas.Coverage{{Period: "2025-11", From: []int64{30, 10}, To: []int64{40, 40}}}, cover,
		"what December's statement took as an adjustment is not counted again; later periods are not November's business")

	cover, err = settlement.Cover(tenant, settle("acme", "2025-10", 40, 40))
	require.NoError(t, err)
	require.Equal(t, []schemas.Coverage{{Period: "2025-10", From: []int64{0, 0}, To: []int64{40, 40}}}, cover)
}

func TestPaymentDate(t *testing.T) {
	r := rules.Default()
	for _, row := range []struct {
		period    schemas.Period
		notBefore string
		want      string
	}{
		{"2025-11", "2025-12-02", "2025-12-03"},
		{"2025-11", "2025-11-20", "2025-12-03"}, // asked for in the middle of the month
		{"2025-11", "2025-12-03", "2025-12-03"}, // on the day itself
		{"2025-11", "2025-12-04", "2026-01-02"}, // too late: the next one; 3 January 2026 is a Saturday
		{"2025-11", "2026-01-03", "2026-02-03"},
		{"2025-12", "2026-01-02", "2026-01-02"},
		{"2025-10", "2025-11-01", "2025-11-03"},
		{"2025-07", "2025-08-01", "2025-08-01"}, // the 3rd is a Sunday
		{"2024-03", "2024-04-01", "2024-04-03"},
		{"2025-04", "2025-05-01", "2025-05-02"}, // the 3rd is a Saturday
		{"2025-11", "2026-12-31", "2026-12-31"}, // 3 January 2027 is a Sunday, the Friday before it New Year's Day
	} {
		require.Equal(t, row.want, r.PaymentDate(row.period, date(t, row.notBefore)).String(), "%s not before %s", row.period,
			row.notBefore)
	}
}

func TestCutsThatCannotBeCompared(t *testing.T) {
	r, tenant, m := rules.Default(), &settlement.Tenant{}, on(t, "2025-12-02")
	_, _, err := settlement.Settle(r, tenant, settle("acme", "2025-11", 10, 20), sums(100, 0, 1), m, true)
	require.NoError(t, err)
	before := tenant.Clone()
	for name, cut := range map[string][]int64{"shorter": {10}, "longer": {10, 20, 30}, "empty": {}, "negative": {10, -1}} {
		for _, p := range []schemas.Period{"2025-11", "2025-12", "2025-10"} {
			_, err := settlement.Cover(tenant, settle("acme", p, cut...))
			var reject *schemas.Reject
			require.ErrorAs(t, err, &reject, name)
			require.Equal(t, schemas.RejectCutMismatch, reject.Class)
			_, _, err = settlement.Settle(r, tenant, settle("acme", p, cut...), sums(100, 0, 1), m, true)
			require.ErrorAs(t, err, &reject, name)
			require.Equal(t, before, tenant, "a refused command changes nothing")
		}
	}
}

// The state survives its changelog, and a clone shares nothing that changes.
func TestTenantStateRoundTripsAndClones(t *testing.T) {
	r, tenant := rules.Default(), &settlement.Tenant{}
	_, _, err := settlement.Settle(r, tenant, settle("acme", "2025-11", 10, 20), sums(100, 0, 1), on(t, "2025-12-02"),
		true)
	require.NoError(t, err)
	rows := map[string]string{}
	write(t, rows, nil, tenant)
	require.Equal(t, tenant, restored(t, rows))
	stored := maps.Clone(rows)

	copied := tenant.Clone()
	_, _, err = settlement.Settle(r, copied, settle("acme", "2025-12", 30, 40), sums(100, 0, 1), on(t, "2026-01-02"), true)
	require.NoError(t, err)
	settlement.Tick(r, settlement.Assumed, copied, on(t, "2026-01-05"))
	again := map[string]string{}
	write(t, again, nil, tenant)
	require.Equal(t, stored, again, "the original is untouched")
	require.Equal(t, &settlement.Tenant{}, (&settlement.Tenant{}).Clone())

	write(t, rows, tenant, copied)
	require.Equal(t, copied, restored(t, rows), "the rows that changed are all that the changelog lacks")
	require.Len(t, rows, 4, "a statement that is paid and may be disputed no more is gone")
}

// write writes the rows in which two states differ, as the stage does, and restored reads them in any order.
func write(t *testing.T, rows map[string]string, before, after *settlement.Tenant) {
	settlement.Changed(before, after, func(name string) {
		value, err := settlement.AppendRow(nil, after, name)
		require.NoError(t, err)
		if delete(rows, name); len(value) > 0 {
			rows[name] = string(value)
		}
	})
}

func restored(t *testing.T, rows map[string]string) *settlement.Tenant {
	tenant := &settlement.Tenant{}
	for name, value := range rows {
		require.NoError(t, settlement.LoadRow(tenant, name, []byte(value)))
	}
	return tenant
}

// A tenant that the build before wrote as one record is taken over: its first edit writes all its rows.
func TestTenantOfOneRow(t *testing.T) {
	const old = `{"periods":{"2025-10":{"n":1,"cut":[5]},"2025-11":{"n":2,"cut":[9]}},"pending":[` +
		`{"settlement_id":"b","period_month":"2025-11","sequence":2},` +
		`{"settlement_id":"a","period_month":"2025-11","sequence":1}],"references":{"2025-12-03":2}}`
	was := &settlement.Tenant{}
	require.NoError(t, settlement.LoadRow(was, "", []byte(old)))
	require.Equal(t, "a", was.Open[0].SettlementID)
	now, rows := was.Clone(), map[string]string{"": old}
	write(t, rows, was, now)
	require.Len(t, rows, 5)
	require.Equal(t, now, restored(t, rows))
	require.Equal(t, schemas.SettlementCreated, was.Open[0].Change)
	require.NoError(t, settlement.LoadRow(was, "", []byte(rows[""])))
	require.Empty(t, was.Periods, "the rows that follow say all")
	require.ErrorContains(t, settlement.LoadRow(was, "", []byte(`{"layout":5}`)), "layout 5")
	require.ErrorContains(t, settlement.LoadRow(was, "?", []byte(`{}`)), `called "?"`)
	require.ErrorContains(t, settlement.LoadRow(was, "s2025-11.x", []byte(`{}`)), "is called")
}

// Replaying the same commands gives the same events, byte for byte.
func TestSettlementReplays(t *testing.T) {
	run := func() string {
		r, tenant := rules.Default(), &settlement.Tenant{}
		var all []any
		for i, p := range []schemas.Period{"2025-09", "2025-10", "2025-11", "2025-10", "2025-11"} {
			cut := int64(10 * (i + 1))
			ev, _, err := settlement.Settle(r, tenant, settle("acme", p, cut, cut), sums(schemas.Cents(1000*i), 0, 1),
				on(t, "2025-12-02"),
				true)
			require.NoError(t, err)
			all = append(all, ev, settlement.Tick(r, settlement.Assumed, tenant, on(t, "2025-12-02")))
		}
		all = append(all, settlement.Tick(r, settlement.Assumed, tenant, on(t, "2025-12-03")), tenant)
		text, err := json.Marshal(all)
		require.NoError(t, err)
		return string(text)
	}
	require.Equal(t, run(), run())
}

// Rates that change within the period: those of its last day hold (CONTRACT 5), for the fees and for the VAT.
func TestRatesOfTheLastDayHold(t *testing.T) {
	r, err := rules.Load([]byte("fees:\n- {from: 2025-11-15, distribution_percent: 30}\nvat:\n" +
		"- {from: 2025-11-30, percent: 16}\n- {from: 2025-12-01, percent: 99}\n"))
	require.NoError(t, err)
	ev, _, err := settlement.Settle(r, &settlement.Tenant{}, settle("acme", "2025-11", 10), sums(100_00, 0, 1),
		on(t, "2025-12-02"), true)
	require.NoError(t, err)
	require.Equal(t, []schemas.Cents{30_00, 3_50, 33_50, 5_36, 61_14}, []schemas.Cents{
		ev.DistributionFeeCents, ev.CollectionsFeeCents, ev.TotalFeesCents, ev.VATCents, ev.NetCents,
	})
}
