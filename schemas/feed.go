package schemas

import "time"

// Transaction is one transaction on a customer's bank account. The duplicate key is (tenant_id, customer_id,
// account_id, transaction_id).
//
//catalog:feed TopicFeedTransactions Bank transaction
type Transaction struct {
	// The feed's id of the transaction, unique for the customer's account.
	TransactionID string `json:"transaction_id" cat:"id after=customer_id"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low id"`
	// The insurer's id of the customer.
	CustomerID string `json:"customer_id" cat:"id"`
	// When the bank booked it.
	BookedAt time.Time `json:"booked_at"`
	// Amount, always positive.
	AmountCents Cents `json:"amount_cents" cat:"min=1"`
	// CREDIT: money came to the account; DEBIT: money left it.
	Direction Direction `json:"direction"`
	// The feed's id of the account.
	AccountID string `json:"account_id,omitempty" cat:"id"`
	// The account's balance after the transaction, where the feed says it; may be negative.
	BalanceAfterCents *Cents `json:"balance_after_cents,omitempty"`
	// ZAR, which is also what absence means.
	Currency string `json:"currency,omitempty" cat:"enum=ZAR"`
	// The bank's text.
	Description string `json:"description,omitempty" cat:"text"`
	// Who paid or was paid.
	Counterparty string `json:"counterparty,omitempty" cat:"text"`
	// The feed's category.
	Category string `json:"category,omitempty" cat:"low text"`
	// How sure the booking is: BOOKED, which is also what absence means, or PENDING, which never counts.
	State BookingState `json:"state,omitempty"`
	// The transaction of the account in whose place this one stands.
	ReplacesTransactionID string `json:"replaces_transaction_id,omitempty" cat:"id"`
}

// BookingState is how sure a booking is.
type BookingState string

// The states of a booking.
const (
	Booked  BookingState = "BOOKED"
	Pending BookingState = "PENDING"
)

// Direction of a transaction, seen from the customer's account.
type Direction string

// The two directions.
const (
	Credit Direction = "CREDIT"
	Debit  Direction = "DEBIT"
)

// Income is one payment of income, as a payroll, a grant pay list or an income verifier knows it. A later record with
// the same income_id replaces the earlier one.
//
//catalog:feed TopicFeedIncomes Income
type Income struct {
	// The source's id of the payment, unique for the customer.
	IncomeID string `json:"income_id" cat:"id"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"id"`
	// The insurer's id of the customer.
	CustomerID string `json:"customer_id" cat:"id"`
	// Where the income comes from.
	Kind IncomeKind `json:"kind"`
	// The day it is paid, in Africa/Johannesburg.
	PayDate string `json:"pay_date" cat:"date"`
	// How far the payment has got.
	State IncomeState `json:"state"`
	// Amount, always positive.
	AmountCents *Cents `json:"amount_cents,omitempty" cat:"min=1"`
	// Who says so.
	Source string `json:"source,omitempty" cat:"text"`
}

// IncomeKind names where income comes from.
type IncomeKind string

// The kinds of income.
const (
	Salary      IncomeKind = "SALARY"
	Grant       IncomeKind = "GRANT"
	Pension     IncomeKind = "PENSION"
	Wage        IncomeKind = "WAGE"
	Gig         IncomeKind = "GIG"
	OtherIncome IncomeKind = "OTHER"
)

// IncomeState is how far a payment of income has got.
type IncomeState string

// The states of an income.
const (
	Announced       IncomeState = "ANNOUNCED"
	IncomePaid      IncomeState = "PAID"
	IncomeCancelled IncomeState = "CANCELLED"
)

// Result is the bank's answer to one debit. The duplicate key is result_id.
//
//catalog:feed TopicRailResults Result of a debit
type Result struct {
	// The bank's id of the answer.
	ResultID string `json:"result_id" cat:"id"`
	// The id of kasi.debits.v1: a UUIDv8 of 32 hexadecimal digits, in either case.
	DebitID string `json:"debit_id" cat:"id pattern=^[0-9a-fA-F]{12}8[0-9a-fA-F]{3}[89abAB][0-9a-fA-F]{15}$"`
	// What happened to the debit.
	Status ResultStatus `json:"status"`
	// The bank's date of the answer.
	EffectiveDate string `json:"effective_date" cat:"date"`
	// Why it was not paid: a South-African or ISO 20022 code such as 02 or AM04.
	ReasonCode string `json:"reason_code,omitempty" cat:"code"`
	// The scheme of the code; where absent, a code of digits is ZA and any other ISO.
	ReasonScheme string `json:"reason_scheme,omitempty" cat:"enum=ZA,ISO"`
	// Amount; where present it must be the debit's.
	AmountCents *Cents `json:"amount_cents,omitempty" cat:"min=1"`
}

// ResultStatus is what happened to a debit.
type ResultStatus string

// The statuses a bank reports.
const (
	ResultPaid     ResultStatus = "PAID"
	ResultUnpaid   ResultStatus = "UNPAID"
	ResultRejected ResultStatus = "REJECTED"
	ResultDisputed ResultStatus = "DISPUTED"
)
