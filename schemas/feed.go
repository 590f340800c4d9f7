package schemas

import "time"

// Transaction is one bank transaction of a customer, as a bank feed reports it (kasi.feed.transactions.v1). Its
// duplicate key is (tenant_id, customer_id, transaction_id). AmountCents is positive; Direction says whether it came or
// went.
type Transaction struct {
	TransactionID     string    `json:"transaction_id"`
	TenantID          string    `json:"tenant_id"`
	CustomerID        string    `json:"customer_id"`
	BookedAt          time.Time `json:"booked_at"`
	AmountCents       Cents     `json:"amount_cents"`
	Direction         Direction `json:"direction"`
	AccountID         string    `json:"account_id,omitempty"`
	BalanceAfterCents *Cents    `json:"balance_after_cents,omitempty"`
	Currency          string    `json:"currency,omitempty"`
	Description       string    `json:"description,omitempty"`
	Counterparty      string    `json:"counterparty,omitempty"`
	Category          string    `json:"category,omitempty"`
}

// Direction of a transaction, seen from the customer's account.
type Direction string

// The two directions.
const (
	Credit Direction = "CREDIT"
	Debit  Direction = "DEBIT"
)

// Income is what a payroll, a grant pay list or an income verifier says about one payment of income
// (kasi.feed.incomes.v1). A later record with the same income_id replaces the earlier one.
type Income struct {
	IncomeID    string      `json:"income_id"`
	TenantID    string      `json:"tenant_id"`
	CustomerID  string      `json:"customer_id"`
	Kind        IncomeKind  `json:"kind"`
	PayDate     string      `json:"pay_date"` // YYYY-MM-DD in Africa/Johannesburg
	State       IncomeState `json:"state"`
	AmountCents *Cents      `json:"amount_cents,omitempty"`
	Source      string      `json:"source,omitempty"`
}

// IncomeKind names where income comes from.
type IncomeKind string

// The kinds of income.
const (
	Salary      IncomeKind = "SALARY"
	Grant       IncomeKind = "GRANT"
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

// Result is the bank's answer to one debit (kasi.rail.results.v1). Its duplicate key is result_id. AmountCents, where
// present, must be the debit's amount.
type Result struct {
	ResultID      string       `json:"result_id"`
	DebitID       string       `json:"debit_id"`
	Status        ResultStatus `json:"status"`
	EffectiveDate string       `json:"effective_date"` // YYYY-MM-DD
	ReasonCode    string       `json:"reason_code,omitempty"`
	ReasonScheme  string       `json:"reason_scheme,omitempty"` // ZA or ISO
	AmountCents   *Cents       `json:"amount_cents,omitempty"`
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
