package settlement_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
)

// acme is a tenant with statements of November over these totals, made on 2 December.
func acme(t *testing.T, totals ...schemas.Cents) (*settlement.Tenant, []schemas.SettlementEvent) {
	tenant := &settlement.Tenant{}
	var made []schemas.SettlementEvent
	for i, total := range totals {
		ev, _, err := settlement.Settle(rules.Default(), tenant, settle("acme", "2025-11", int64(10+i)), sums(total, 0, 1),
			on(t, "2025-12-02"), true)
		require.NoError(t, err)
		made = append(made, *ev)
	}
	return tenant, made
}

// tick passes the first cut-off of a day.
func tick(t *testing.T, how settlement.Payouts, tenant *settlement.Tenant, day string) settlement.Due {
	return settlement.Tick(rules.Default(), how, tenant, on(t, day))
}

func change(t *testing.T, tenant *settlement.Tenant, action schemas.StatementAction, id, note, day string) (
	*schemas.SettlementEvent, error,
) {
	cmd := schemas.StatementCommand{TenantID: "acme", Action: action, SettlementID: id, Note: note}
	return settlement.Change(rules.Default(), tenant, cmd, on(t, day))
}

func TestStatementsArePaidAtTheCutOffOfTheirDate(t *testing.T) {
	tenant, made := acme(t, 30000)
	require.Empty(t, tick(t, settlement.Assumed, tenant, "2025-12-02"))
	morning := on(t, "2025-12-03")
	morning.Cutoff = 0
	require.Empty(t, settlement.Tick(rules.Default(), settlement.Assumed, tenant, morning), "not before the cut-off")
	due := tick(t, settlement.Assumed, tenant, "2025-12-03")
	require.Len(t, due.Statements, 1)
	paid := due.Statements[0]

	want := made[0] // nothing but the payment has changed
	require.NotEqual(t, want.EventID, paid.EventID)
	want.Meta, want.Version, want.Change, want.Status = paid.Meta, 2, schemas.SettlementPaidOut, schemas.SettlementPaid
	want.Payouts, want.PayoutID, want.PayoutState = 1, schemas.PayoutID("acme", want.SettlementID, 1), schemas.PayoutPaid
	want.PaidDate = "2025-12-03"
	require.Equal(t, want, paid)
	require.Equal(t, "2025-12-03", paid.BusinessDate)
	require.Equal(t, []schemas.PayoutEvent{{
		Meta: due.Payouts[0].Meta, PayoutID: paid.PayoutID, TenantID: "acme", SettlementID: paid.SettlementID,
		SettlementNumber: "SETTLE-2025-11-001", AmountCents: 20167, Currency: "ZAR", PaymentDate: "2025-12-03",
		PaymentReference: "EFT-20251203-001",
	}}, due.Payouts)
	require.Empty(t, tick(t, settlement.Assumed, tenant, "2025-12-04"), "once only")
}

// What could not be sent on its day goes on the next banking day, under that day's date and its old reference.
func TestAPaymentThatMissedItsDay(t *testing.T) {
	tenant, _ := acme(t, 30000)
	require.Empty(t, tick(t, settlement.Assumed, tenant, "2025-12-06"), "a Saturday")
	missed := on(t, "2025-12-06")
	missed.Sent = date(t, "2025-12-08") // the calendar catches up
	due := settlement.Tick(rules.Default(), settlement.Assumed, tenant, missed)
	require.Equal(t, "2025-12-08", due.Payouts[0].PaymentDate)
	require.Equal(t, "EFT-20251203-001", due.Payouts[0].PaymentReference)
	require.Equal(t, "2025-12-08", due.Statements[0].PaymentDate)
}

// A payable of zero or less is never paid. The next statement takes it up, whatever period it is of, once.
func TestNegativeStatementsAreCarriedForward(t *testing.T) {
	r := rules.Default()
	tenant, made := acme(t, 30000, -10000, -5000)
	require.Equal(t, schemas.Cents(-6722), made[1].NetCents)
	require.Equal(t, schemas.Cents(-6722), made[1].PayableCents)
	require.Equal(t, schemas.Cents(-6722), made[2].BroughtForwardCents)
	require.Equal(t, schemas.Cents(-6722-3361), made[2].PayableCents)
	for _, ev := range made[1:] {
		require.Equal(t, schemas.SettlementCarried, ev.Status)
		require.Empty(t, ev.PaymentReference)
	}
	december, _, err := settlement.Settle(r, tenant, settle("acme", "2025-12", 20), sums(30000, 0, 1), on(t, "2026-01-02"),
		true)
	require.NoError(t, err)
	require.Equal(t, schemas.Cents(-10083), december.BroughtForwardCents)
	require.Equal(t, schemas.Cents(20167-10083), december.PayableCents)
	require.Equal(t, "EFT-20260102-001", december.PaymentReference)
	next, _, err := settlement.Settle(r, tenant, settle("acme", "2025-12", 21), sums(100, 0, 1), on(t, "2026-01-02"), true)
	require.NoError(t, err)
	require.Zero(t, next.BroughtForwardCents, "taken up once")

	due := tick(t, settlement.Assumed, tenant, "2026-01-05")
	var paid schemas.Cents
	for _, p := range due.Payouts {
		paid += p.AmountCents
	}
	require.Len(t, due.Payouts, 3, "the carried ones are never paid")
	require.Equal(t, made[0].NetCents+made[1].NetCents+made[2].NetCents+december.NetCents+next.NetCents, paid)
}

func TestAStatementOfZeroIsCarriedForward(t *testing.T) {
	tenant, made := acme(t, 0)
	require.Equal(t, schemas.SettlementCarried, made[0].Status)
	require.Empty(t, tick(t, settlement.Assumed, tenant, "2025-12-03"))
}

func TestDebitsInFlightAreNamed(t *testing.T) {
	s := sums(30000, 0, 1)
	s.InFlightDebits, s.InFlightCents = 2, 300
	ev, _, err := settlement.Settle(rules.Default(), &settlement.Tenant{}, settle("acme", "2025-11", 10), s,
		on(t, "2025-12-02"), true)
	require.NoError(t, err)
	require.Equal(t, 2, ev.InFlightDebits)
	require.Equal(t, schemas.Cents(300), ev.InFlightCents)
}

func TestAPeriodIsOpenUntilItsLastDayIsOver(t *testing.T) {
	for day, open := range map[string]bool{"2025-10-31": true, "2025-11-30": true, "2025-12-01": false} {
		from, is := settlement.OpenUntil("2025-11", on(t, day))
		require.Equal(t, open, is, day)
		require.Equal(t, "2025-12-01", from.String())
	}
}

// A disputed statement is not paid until that is resolved.
func TestADisputedStatementIsNotPaid(t *testing.T) {
	tenant, made := acme(t, 30000)
	id := made[0].SettlementID
	ev, err := change(t, tenant, schemas.StatementDispute, id, "VAT", "2025-12-02")
	require.NoError(t, err)
	require.Equal(t, schemas.SettlementDisputed, ev.Status)
	require.Equal(t, schemas.SettlementInDispute, ev.Change)
	require.Equal(t, "VAT", ev.Note)
	again, err := change(t, tenant, schemas.StatementDispute, id, "VAT", "2025-12-02")
	require.NoError(t, err)
	require.Nil(t, again, "the same call again")
	_, err = change(t, tenant, schemas.StatementDispute, id, "fees", "2025-12-02")
	require.ErrorContains(t, err, "disputed already")
	require.Empty(t, tick(t, settlement.Assumed, tenant, "2025-12-03"))

	ev, err = change(t, tenant, schemas.StatementResolve, id, "all is well", "2025-12-05")
	require.NoError(t, err)
	require.Equal(t, schemas.SettlementPending, ev.Status)
	require.Equal(t, "all is well", ev.Note)
	_, err = change(t, tenant, schemas.StatementResolve, id, "all is well", "2025-12-05")
	require.ErrorContains(t, err, "is not disputed")
	due := tick(t, settlement.Assumed, tenant, "2025-12-08")
	require.Equal(t, "2025-12-08", due.Payouts[0].PaymentDate, "the next banking day")
	require.Equal(t, made[0].NetCents, due.Payouts[0].AmountCents)

	// One that was paid, or carried forward, goes back to what it was.
	_, err = change(t, tenant, schemas.StatementDispute, id, "once more", "2026-01-01")
	require.NoError(t, err)
	require.Empty(t, tick(t, settlement.Assumed, tenant, "2026-02-20"), "kept while it is disputed")
	ev, err = change(t, tenant, schemas.StatementResolve, id, "", "2026-02-20")
	require.NoError(t, err)
	require.Equal(t, schemas.SettlementPaid, ev.Status)
}

func TestStatementsAreDisputedWithin30Days(t *testing.T) {
	tenant, made := acme(t, 30000, -100)
	_, err := change(t, tenant, schemas.StatementDispute, made[0].SettlementID, "late", "2026-01-02")
	require.ErrorContains(t, err, "until 2026-01-01")
	tick(t, settlement.Assumed, tenant, "2026-01-02")
	require.Empty(t, tenant.Open, "nothing can happen to them any more")
	_, err = change(t, tenant, schemas.StatementDispute, made[1].SettlementID, "late", "2026-01-02")
	require.Equal(t, settlement.Unknown, err)
}

// With confirmed payouts the bank's answer decides.
func TestConfirmedPayouts(t *testing.T) {
	tenant, made := acme(t, 30000)
	due := tick(t, settlement.Confirmed, tenant, "2025-12-03")
	require.Equal(t, schemas.SettlementPending, due.Statements[0].Status)
	require.Equal(t, schemas.PayoutInstructed, due.Statements[0].PayoutState)
	require.Empty(t, tick(t, settlement.Confirmed, tenant, "2025-12-04"), "instructed once")

	answer := func(id string, status schemas.PayoutStatus, effective, day string) (*schemas.SettlementEvent, error) {
		before := tenant.Clone()
		ev, err := settlement.Answer(tenant, schemas.PayoutResult{PayoutID: id, Status: status, EffectiveDate: effective},
			on(t, day))
		if err != nil {
			require.Equal(t, before, tenant, "what is refused changes nothing")
		}
		return ev, err
	}
	refused := func(class string, id string, status schemas.PayoutStatus, effective string) {
		_, err := answer(id, status, effective, "2025-12-04")
		var why *schemas.Reject
		require.ErrorAs(t, err, &why)
		require.Equal(t, class, why.Class)
	}
	first := due.Payouts[0].PayoutID
	refused(schemas.RejectUnknownPayout, schemas.PayoutID("acme", made[0].SettlementID, 2), schemas.PayoutWasPaid,
		"2025-12-04")
	refused(schemas.RejectBadDate, first, schemas.PayoutWasPaid, "2025-12-02")
	refused(schemas.RejectBadDate, first, schemas.PayoutWasPaid, "2025-12-05")

	failed, err := answer(first, schemas.PayoutHasFailed, "2025-12-04", "2025-12-04")
	require.NoError(t, err)
	require.Equal(t, schemas.SettlementPending, failed.Status)
	require.Equal(t, schemas.PayoutFailed, failed.PayoutState)
	require.Empty(t, tick(t, settlement.Confirmed, tenant, "2025-12-05"), "nobody has asked for it")
	refused(schemas.RejectContradictsFinal, first, schemas.PayoutWasPaid, "2025-12-04")
	same, err := answer(first, schemas.PayoutHasFailed, "2025-12-04", "2025-12-04")
	require.NoError(t, err)
	require.Nil(t, same)

	_, err = change(t, tenant, schemas.StatementRetry, made[0].SettlementID, "", "2025-12-08")
	require.NoError(t, err)
	_, err = change(t, tenant, schemas.StatementRetry, made[0].SettlementID, "", "2025-12-08")
	require.ErrorContains(t, err, "no payout of the statement has failed")
	due = tick(t, settlement.Confirmed, tenant, "2025-12-09")
	second := due.Payouts[0].PayoutID
	require.NotEqual(t, first, second)
	require.Equal(t, "EFT-20251203-001", due.Payouts[0].PaymentReference)
	same, err = answer(first, schemas.PayoutHasFailed, "2025-12-04", "2025-12-09")
	require.NoError(t, err)
	require.Nil(t, same, "late news of the first")

	// An answer that comes while the statement is disputed is kept.
	_, err = change(t, tenant, schemas.StatementDispute, made[0].SettlementID, "why", "2025-12-09")
	require.NoError(t, err)
	paid, err := answer(second, schemas.PayoutWasPaid, "2025-12-09", "2025-12-10")
	require.NoError(t, err)
	require.Equal(t, schemas.SettlementDisputed, paid.Status)
	require.Equal(t, "2025-12-09", paid.PaidDate)
	back, err := change(t, tenant, schemas.StatementResolve, made[0].SettlementID, "", "2025-12-10")
	require.NoError(t, err)
	require.Equal(t, schemas.SettlementPaid, back.Status)
	refused(schemas.RejectContradictsFinal, second, schemas.PayoutHasFailed, "2025-12-10")
}
