package rules_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Every code of CONTRACT 4.7, with the remedy the specification gives its group.
func TestReasonsOfTheSpecification(t *testing.T) {
	r := rules.Default()
	for _, row := range []struct {
		scheme, code, name string
		remedy             rules.Remedy
	}{
		{"ZA", "02", "INSUFFICIENT_FUNDS", rules.RemedyFunds},
		{"ZA", "03", "DEBITS_NOT_ALLOWED", rules.RemedyAccount},
		{"ZA", "04", "PAYMENT_STOPPED", rules.RemedyStop},
		{"ZA", "05", "ACCOUNT_DORMANT", rules.RemedyAccount},
		{"ZA", "06", "ACCOUNT_FROZEN", rules.RemedyAccount},
		{"ZA", "08", "SEQUESTRATION", rules.RemedyStop},
		{"ZA", "10", "LIQUIDATION", rules.RemedyStop},
		{"ZA", "12", "ACCOUNT_CLOSED", rules.RemedyAccount},
		{"ZA", "14", "ACCOUNT_TRANSFERRED", rules.RemedyAccount},
		{"ZA", "16", "ACCOUNT_TRANSFERRED_BANK", rules.RemedyAccount},
		{"ZA", "18", "ACCOUNT_HOLDER_DECEASED", rules.RemedyStop},
		{"ZA", "22", "EFFECTS_NOT_CLEARED", rules.RemedyFunds},
		{"ZA", "26", "NO_SUCH_ACCOUNT", rules.RemedyAccount},
		{"ZA", "28", "RECALLED", rules.RemedyStop},
		{"ZA", "56", "NOT_FICA_COMPLIANT", rules.RemedyAccount},
		{"ZA", "30", "NO_AUTHORITY", rules.RemedyStop},
		{"ZA", "32", "CONTRAVENES_AUTHORITY", rules.RemedyMandate},
		{"ZA", "34", "AUTHORITY_CANCELLED", rules.RemedyMandate},
		{"ZA", "36", "PREVIOUSLY_STOPPED", rules.RemedyStop},
		{"ISO", "AM04", "INSUFFICIENT_FUNDS", rules.RemedyFunds},
		{"ISO", "AC01", "NO_SUCH_ACCOUNT", rules.RemedyAccount},
		{"ISO", "AC04", "ACCOUNT_CLOSED", rules.RemedyAccount},
		{"ISO", "AC06", "ACCOUNT_FROZEN", rules.RemedyAccount},
		{"ISO", "AG01", "DEBITS_NOT_ALLOWED", rules.RemedyAccount},
		{"ISO", "MD01", "NO_MANDATE", rules.RemedyMandate},
		{"ISO", "MD07", "ACCOUNT_HOLDER_DECEASED", rules.RemedyStop},
	} {
		for _, status := range []schemas.ResultStatus{schemas.ResultUnpaid, schemas.ResultRejected, schemas.ResultDisputed} {
			got := r.Reason(status, row.scheme, row.code)
			require.Equal(t, row.name, got.Name, "%s %s", row.scheme, row.code)
			require.Equal(t, row.remedy, got.Remedy, "%s %s", row.scheme, row.code)
			require.True(t, got.Known)
			require.NotEmpty(t, got.Description)
			require.Equal(t, got, r.Reason(status, "", row.code), "the scheme is guessed by the code's shape")
		}
	}
}

func TestReasonsByShapeAndWithoutCode(t *testing.T) {
	r := rules.Default()
	for _, row := range []struct {
		status       schemas.ResultStatus
		scheme, code string
		name         string
		remedy       rules.Remedy
		known        bool
	}{
		{schemas.ResultUnpaid, "ZA", "2", "INSUFFICIENT_FUNDS", rules.RemedyFunds, true},
		{schemas.ResultUnpaid, "", "002", "INSUFFICIENT_FUNDS", rules.RemedyFunds, true},
		{schemas.ResultUnpaid, "", " am04 ", "INSUFFICIENT_FUNDS", rules.RemedyFunds, true},
		{schemas.ResultUnpaid, "", "", "UNSPECIFIED", rules.RemedyFunds, true},
		{schemas.ResultRejected, "ZA", "", "REJECTED", rules.RemedyAccount, true},
		{schemas.ResultDisputed, "ISO", " ", "DISPUTED", rules.RemedyMandate, true},
		{schemas.ResultUnpaid, "", "77", "UNKNOWN_77", rules.RemedyStop, false},
		{schemas.ResultUnpaid, "", "XX99", "UNKNOWN_XX99", rules.RemedyStop, false},
		// a ZA code called ISO: not guessed at
		{schemas.ResultUnpaid, "ISO", "02", "UNKNOWN_02", rules.RemedyStop, false},
		{schemas.ResultUnpaid, "ZA", "AM04", "UNKNOWN_AM04", rules.RemedyStop, false}, // and the other way
		{schemas.ResultUnpaid, "ZA", "0", "UNKNOWN_0", rules.RemedyStop, false},
		{schemas.ResultUnpaid, "BANK", "02", "UNKNOWN_02", rules.RemedyStop, false},
		{schemas.ResultUnpaid, "", "20", "UNKNOWN_20", rules.RemedyStop, false}, // 20 is not 02
	} {
		got := r.Reason(row.status, row.scheme, row.code)
		require.Equal(t, row.name, got.Name, "%+v", row)
		require.Equal(t, row.remedy, got.Remedy, "%+v", row)
		require.Equal(t, row.known, got.Known, "%+v", row)
		require.NotEmpty(t, got.Description)
	}
	require.Empty(t, r.Reason(schemas.ResultPaid, "", "").Name, "a paid debit has no reason")
}
