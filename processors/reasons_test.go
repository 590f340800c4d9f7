package processors_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/schemas"
)

// Every code of SPEC 4.7, with the remedy the specification gives its group.
func TestReasonsOfTheSpecification(t *testing.T) {
	r := processors.DefaultRules()
	for _, row := range []struct {
		scheme, code, name string
		remedy             processors.Remedy
	}{
		{"ZA", "02", "INSUFFICIENT_FUNDS", processors.RemedyFunds},
		{"ZA", "03", "DEBITS_NOT_ALLOWED", processors.RemedyAccount},
		{"ZA", "04", "PAYMENT_STOPPED", processors.RemedyStop},
		{"ZA", "05", "ACCOUNT_DORMANT", processors.RemedyAccount},
		{"ZA", "06", "ACCOUNT_FROZEN", processors.RemedyAccount},
		{"ZA", "08", "SEQUESTRATION", processors.RemedyStop},
		{"ZA", "10", "LIQUIDATION", processors.RemedyStop},
		{"ZA", "12", "ACCOUNT_CLOSED", processors.RemedyAccount},
		{"ZA", "14", "ACCOUNT_TRANSFERRED", processors.RemedyAccount},
		{"ZA", "16", "ACCOUNT_TRANSFERRED_BANK", processors.RemedyAccount},
		{"ZA", "18", "ACCOUNT_HOLDER_DECEASED", processors.RemedyStop},
		{"ZA", "22", "EFFECTS_NOT_CLEARED", processors.RemedyFunds},
		{"ZA", "26", "NO_SUCH_ACCOUNT", processors.RemedyAccount},
		{"ZA", "28", "RECALLED", processors.RemedyStop},
		{"ZA", "56", "NOT_FICA_COMPLIANT", processors.RemedyAccount},
		{"ZA", "30", "NO_AUTHORITY", processors.RemedyStop},
		{"ZA", "32", "CONTRAVENES_AUTHORITY", processors.RemedyMandate},
		{"ZA", "34", "AUTHORITY_CANCELLED", processors.RemedyMandate},
		{"ZA", "36", "PREVIOUSLY_STOPPED", processors.RemedyStop},
		{"ISO", "AM04", "INSUFFICIENT_FUNDS", processors.RemedyFunds},
		{"ISO", "AC01", "NO_SUCH_ACCOUNT", processors.RemedyAccount},
		{"ISO", "AC04", "ACCOUNT_CLOSED", processors.RemedyAccount},
		{"ISO", "AC06", "ACCOUNT_FROZEN", processors.RemedyAccount},
		{"ISO", "AG01", "DEBITS_NOT_ALLOWED", processors.RemedyAccount},
		{"ISO", "MD01", "NO_MANDATE", processors.RemedyMandate},
		{"ISO", "MD07", "ACCOUNT_HOLDER_DECEASED", processors.RemedyStop},
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
	r := processors.DefaultRules()
	for _, row := range []struct {
		status       schemas.ResultStatus
		scheme, code string
		name         string
		remedy       processors.Remedy
		known        bool
	}{
		{schemas.ResultUnpaid, "ZA", "2", "INSUFFICIENT_FUNDS", processors.RemedyFunds, true},
		{schemas.ResultUnpaid, "", "002", "INSUFFICIENT_FUNDS", processors.RemedyFunds, true},
		{schemas.ResultUnpaid, "", " am04 ", "INSUFFICIENT_FUNDS", processors.RemedyFunds, true},
		{schemas.ResultUnpaid, "", "", "UNSPECIFIED", processors.RemedyFunds, true},
		{schemas.ResultRejected, "ZA", "", "REJECTED", processors.RemedyAccount, true},
		{schemas.ResultDisputed, "ISO", " ", "DISPUTED", processors.RemedyMandate, true},
		{schemas.ResultUnpaid, "", "77", "UNKNOWN_77", processors.RemedyStop, false},
		{schemas.ResultUnpaid, "", "XX99", "UNKNOWN_XX99", processors.RemedyStop, false},
		// a ZA code called ISO: not guessed at
		{schemas.ResultUnpaid, "ISO", "02", "UNKNOWN_02", processors.RemedyStop, false},
		{schemas.ResultUnpaid, "ZA", "AM04", "UNKNOWN_AM04", processors.RemedyStop, false}, // and the other way
		{schemas.ResultUnpaid, "ZA", "0", "UNKNOWN_0", processors.RemedyStop, false},
		{schemas.ResultUnpaid, "BANK", "02", "UNKNOWN_02", processors.RemedyStop, false},
		{schemas.ResultUnpaid, "", "20", "UNKNOWN_20", processors.RemedyStop, false}, // 20 is not 02
	} {
		got := r.Reason(row.status, row.scheme, row.code)
		require.Equal(t, row.name, got.Name, "%+v", row)
		require.Equal(t, row.remedy, got.Remedy, "%+v", row)
		require.Equal(t, row.known, got.Known, "%+v", row)
		require.NotEmpty(t, got.Description)
	}
	require.Empty(t, r.Reason(schemas.ResultPaid, "", "").Name, "a paid debit has no reason")
}
