package processors

import (
	"strings"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// The fields of a transaction, in the order of their checks.
const (
	txID = iota
	txTenant
	txCustomer
	txBookedAt
	txAmount
	txDirection
	txAccount
	txBalance
	txCurrency
	txDescription
	txCounterparty
	txCategory
	txFields
)

func txIndex(key []byte) int {
	switch string(key) {
	case "transaction_id":
		return txID
	case "tenant_id":
		return txTenant
	case "customer_id":
		return txCustomer
	case "booked_at":
		return txBookedAt
	case "amount_cents":
		return txAmount
	case "direction":
		return txDirection
	case "account_id":
		return txAccount
	case "balance_after_cents":
		return txBalance
	case "currency":
		return txCurrency
	case "description":
		return txDescription
	case "counterparty":
		return txCounterparty
	case "category":
		return txCategory
	}
	return -1
}

// DecodeTransaction reads and validates a record of kasi.feed.transactions.v1. The error is always a *schemas.Reject.
func DecodeTransaction(b []byte) (schemas.Transaction, error) {
	var fields [txFields]value
	s := scanner{text: b}
	if err := s.object(fields[:], txIndex); err != nil {
		return schemas.Transaction{}, err
	}
	var err error
	r := record{fields: fields[:], err: &err}
	tx := schemas.Transaction{
		TransactionID: r.id(txID, "transaction_id"),
		TenantID:      r.id(txTenant, "tenant_id"),
		CustomerID:    r.id(txCustomer, "customer_id"),
		BookedAt:      r.instant(txBookedAt, "booked_at"),
	}
	var there bool
	if tx.AmountCents, there = r.positive(txAmount, "amount_cents"); !there {
		r.fail(schemas.RejectMissingField, "amount_cents is missing")
	}
	tx.Direction = choice(&r, txDirection, "direction", schemas.Credit, schemas.Debit)
	tx.AccountID = r.noControls(r.text(txAccount, "account_id", maxID), "account_id")
	tx.BalanceAfterCents = optional(r.cents(txBalance, "balance_after_cents", true))
	tx.Currency = choiceOrNone(&r, txCurrency, "currency", "ZAR")
	tx.Description = r.text(txDescription, "description", maxText)
	tx.Counterparty = r.text(txCounterparty, "counterparty", maxText)
	tx.Category = r.text(txCategory, "category", maxText)
	if err != nil {
		return schemas.Transaction{}, err
	}
	return tx, nil
}

// The fields of an income, in the order of their checks.
const (
	incID = iota
	incTenant
	incCustomer
	incKind
	incPayDate
	incState
	incAmount
	incSource
	incFields
)

func incIndex(key []byte) int {
	switch string(key) {
	case "income_id":
		return incID
	case "tenant_id":
		return incTenant
	case "customer_id":
		return incCustomer
	case "kind":
		return incKind
	case "pay_date":
		return incPayDate
	case "state":
		return incState
	case "amount_cents":
		return incAmount
	case "source":
		return incSource
	}
	return -1
}

// DecodeIncome reads and validates a record of kasi.feed.incomes.v1. The error is always a *schemas.Reject.
func DecodeIncome(b []byte) (schemas.Income, error) {
	var fields [incFields]value
	s := scanner{text: b}
	if err := s.object(fields[:], incIndex); err != nil {
		return schemas.Income{}, err
	}
	var err error
	r := record{fields: fields[:], err: &err}
	in := schemas.Income{
		IncomeID:   r.id(incID, "income_id"),
		TenantID:   r.id(incTenant, "tenant_id"),
		CustomerID: r.id(incCustomer, "customer_id"),
		Kind: choice(&r, incKind, "kind", schemas.Salary, schemas.Grant, schemas.Wage, schemas.Gig,
			schemas.OtherIncome),
		PayDate: r.date(incPayDate, "pay_date"),
		State:   choice(&r, incState, "state", schemas.Announced, schemas.IncomePaid, schemas.IncomeCancelled),
	}
	in.AmountCents = optional(r.positive(incAmount, "amount_cents"))
	in.Source = r.text(incSource, "source", maxText)
	if err != nil {
		return schemas.Income{}, err
	}
	return in, nil
}

// The fields of a result, in the order of their checks.
const (
	resID = iota
	resDebit
	resStatus
	resDate
	resCode
	resScheme
	resAmount
	resFields
)

func resIndex(key []byte) int {
	switch string(key) {
	case "result_id":
		return resID
	case "debit_id":
		return resDebit
	case "status":
		return resStatus
	case "effective_date":
		return resDate
	case "reason_code":
		return resCode
	case "reason_scheme":
		return resScheme
	case "amount_cents":
		return resAmount
	}
	return -1
}

// DecodeResult reads and validates a record of kasi.rail.results.v1. The error is always a *schemas.Reject. A debit id that
// cannot be ours is schemas.RejectUnknownDebit; its hexadecimal digits are read in any case, since rails tend to write
// capitals.
func DecodeResult(b []byte) (schemas.Result, error) {
	var fields [resFields]value
	s := scanner{text: b}
	if err := s.object(fields[:], resIndex); err != nil {
		return schemas.Result{}, err
	}
	var err error
	r := record{fields: fields[:], err: &err}
	res := schemas.Result{
		ResultID: r.id(resID, "result_id"),
		DebitID:  strings.ToLower(r.id(resDebit, "debit_id")),
		Status: choice(&r, resStatus, "status", schemas.ResultPaid, schemas.ResultUnpaid, schemas.ResultRejected,
			schemas.ResultDisputed),
		EffectiveDate: r.date(resDate, "effective_date"),
		ReasonCode:    r.noControls(r.text(resCode, "reason_code", maxCode), "reason_code"),
		ReasonScheme:  choiceOrNone(&r, resScheme, "reason_scheme", rules.SchemeZA, rules.SchemeISO),
	}
	res.AmountCents = optional(r.positive(resAmount, "amount_cents"))
	if err == nil {
		if _, err := schemas.DebitRoute(res.DebitID); err != nil {
			r.fail(schemas.RejectUnknownDebit, err.Error())
		}
	}
	if err != nil {
		return schemas.Result{}, err
	}
	return res, nil
}
