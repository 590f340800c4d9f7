package processors

import "github.com/kasi-collections/kasi/schemas"

// Remedy is what can be done about a failed debit.
type Remedy string

// The remedies (SPEC 4.7).
const (
	// RemedyFunds: try again when money comes.
	RemedyFunds Remedy = "RETRY_WHEN_FUNDS"
	// RemedyAccount: the account must be mended before another debit.
	RemedyAccount Remedy = "FIX_ACCOUNT"
	// RemedyMandate: only a new mandate allows another debit.
	RemedyMandate Remedy = "NEW_MANDATE"
	// RemedyStop: never debit again.
	RemedyStop Remedy = "STOP"
)

// Reason is what a bank's code means.
type Reason struct {
	// Name is how reports show it: INSUFFICIENT_FUNDS.
	Name        string
	Remedy      Remedy
	Description string
	// Known is false for a code that is not in the table.
	Known bool
}

// Reason looks a code up. scheme is ZA, ISO or empty (then guessed by shape: digits are ZA); codes may lack their leading zero.
// UNPAID without a code is UNSPECIFIED (retry when funds come); REJECTED without one is REJECTED (fix the account); DISPUTED without one
// is DISPUTED (new mandate). An unknown code is UNKNOWN_<code>, RemedyStop, Known false: nothing is guessed.
func (r *Rules) Reason(status schemas.ResultStatus, scheme, code string) Reason { return Reason{} }
