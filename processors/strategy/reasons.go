package strategy

import (
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/schemas"
)

// The reasons of decisions. They are part of the contract of kasi.decisions.v1 and never change their meaning; Meaning
// explains each.
const (
	WhyMoneySeen       = "MONEY_SEEN"
	WhyPartOfMoney     = "PART_OF_AMOUNT"
	WhyAnnouncedIncome = "ANNOUNCED_INCOME"
	WhyFirstAttempt    = "FIRST_ATTEMPT"
	WhyMonthEnd        = "MONTH_END_ATTEMPT"
	WhyLikely          = "LIKELY_FUNDS"
	WhyCommonPayday    = "COMMON_PAYDAY"
	WhyFixedSchedule   = "FIXED_SCHEDULE"

	WhyAwaitResult       = "AWAIT_RESULT"
	WhyPeriodNotStarted  = "PERIOD_NOT_STARTED"
	WhyAwaitExecution    = "AWAIT_EXECUTION"
	WhyNotBankingDay     = "NOT_A_BANKING_DAY"
	WhyDepositClearing   = "DEPOSIT_CLEARING"
	WhyNotEnough         = "NOT_ENOUGH_FOR_FULL_AMOUNT"
	WhyBelowMinimum      = "BELOW_MINIMUM_DEBIT"
	WhyAwaitFunds        = "AWAIT_FUNDS"
	WhyAwaitIncome       = "AWAIT_INCOME"
	WhyAwaitFirstAttempt = "AWAIT_FIRST_ATTEMPT_DAY"
	WhyFailuresInARow    = "FAILURES_IN_A_ROW"
	WhyFailureBudget     = "FAILURE_BUDGET_SPENT"
	WhyProofFailed       = "MONEY_LEFT_UNSEEN"
	WhyLittleKnown       = "TOO_LITTLE_KNOWN"
	WhyProtected         = "GRANT_PROTECTED"
	WhyScheduleDone      = "FIXED_SCHEDULE_DONE"

	WhyPolicyCancelled = "POLICY_CANCELLED"
	WhyPolicyLapsed    = "POLICY_LAPSED"
	WhyPolicyOnHold    = "POLICY_ON_HOLD"
	WhyUnknownCode     = "UNKNOWN_REASON_CODE"
	WhyAttemptsUsedUp  = "ATTEMPTS_USED_UP"
	WhyAboveMaximum    = "ABOVE_MANDATE_MAXIMUM"
	WhyPartNotAllowed  = "PART_NOT_ALLOWED"
	WhyPeriodEnded     = "PERIOD_ENDED"

	// WhyBalanceTooSmall is only ever a veto.
	WhyBalanceTooSmall = "BALANCE_TOO_SMALL"

	// WhyBlindRetry is only ever an alternative.
	WhyBlindRetry = "RETRY_WITHOUT_FUNDS"
)

const debit, wait, stop = schemas.DecideDebit, schemas.DecideWait, schemas.DecideStop

// meanings is the table of reasons: what each leads to, why else one would have waited or debited, and what it says to
// an analyst.
var meanings = map[string]book.Meaning{
	WhyMoneySeen: row(debit, WhyAwaitIncome, "Money that came in covers what is outstanding: it is debited in full."),
	WhyPartOfMoney: row(debit, WhyNotEnough,
		"A part of what is outstanding can be debited now, and the rail and the mandate allow a part."),
	WhyAnnouncedIncome: row(debit, WhyAwaitFunds,
		"Income was announced for the banking day before, and there is no bank feed to see it on."),
	WhyFirstAttempt: row(debit, WhyAwaitFunds, "No income of the customer is known: first attempt on the planned day."),
	WhyMonthEnd: row(debit, WhyAwaitFunds,
		"Last banking day of the period and nothing has been tried yet: one attempt of what is outstanding."),
	WhyLikely: row(debit, WhyAwaitFunds,
		"By what is known of the account the money is likely to be there: a debit is worth more than waiting for proof."),
	WhyCommonPayday: row(debit, WhyAwaitFunds, "No feed says anything of the customer, and the planned day of the month "+
		"before did not do: the attempt follows the day on which most people are paid."),
	WhyFixedSchedule: row(debit, WhyAwaitFunds, "The customer is one of the share that is collected from on the planned "+
		"day, whatever is known, so that the insurer sees what the engine is worth."),
	WhyScheduleDone: row(wait, WhyBlindRetry, "The customer is one of the share on a fixed schedule: the debit of the "+
		"planned day was the only one."),
	WhyAwaitResult: row(wait, "",
		"A debit of this collection is with the bank; without its result nothing further is debited."),
	WhyPeriodNotStarted: row(wait, "", "The period of this collection has not begun."),
	WhyAwaitExecution: row(wait, "",
		"Arrears are collected only together with the current period, which has not been executed for this policy."),
	WhyNotBankingDay:   row(wait, "", "A debit is ready, but banks do not process debits on this day."),
	WhyDepositClearing: row(wait, WhyMoneySeen, "Money has come in; it is debited on the banking day after the deposit."),
	WhyNotEnough: row(wait, "",
		"The money that came in does not cover what is outstanding, and the rail or the mandate allows no part."),
	WhyBelowMinimum: row(wait, WhyPartOfMoney, "The money that came in is less than the smallest part worth a debit."),
	WhyAwaitFunds: row(wait, WhyBlindRetry,
		"An attempt has failed or the money seen is used up; the next one follows new money."),
	WhyAwaitIncome: row(wait, WhyFirstAttempt, "The customer's income is known, and the next has not come yet; what "+
		"came before is used up or, days later, taken to be spent."),
	WhyAwaitFirstAttempt: row(wait, WhyFirstAttempt,
		"No income of the customer is known, and the planned day of the first attempt has not come."),
	WhyFailuresInARow: row(wait, WhyMoneySeen,
		"Debits of the customer have failed for want of money, the last ones in a row: the next follows after a pause."),
	WhyFailureBudget: row(wait, WhyMoneySeen, "Debits of the customer have failed for want of money on as many days of "+
		"this month as may be; the last of them is kept for money that covers all that is outstanding."),
	WhyProofFailed: row(wait, WhyMoneySeen, "The account should hold the money, but a debit of this month has "+
		"failed all the same and nothing was seen to be spent: the next follows in the month's last days."),
	WhyLittleKnown: row(wait, WhyMoneySeen, "Debits have failed and none was ever paid, nothing was seen to be spent, "+
		"and hardly any income is known: the next follows when more has come."),
	WhyBalanceTooSmall: row(wait, "", "The balance of the account is known, and no debit is sent against one that is too "+
		"small."),
	WhyProtected: row(wait, WhyBlindRetry,
		"The customer lives on a social grant: only money that is proved to be there is debited."),
	WhyPolicyCancelled: row(stop, "", "The policy is cancelled: it is not debited again."),
	WhyPolicyLapsed:    row(stop, "", "The policy has lapsed: it is not debited unless it is made active again."),
	WhyPolicyOnHold: row(stop, "",
		"What the bank answered forbids further debits of the policy until mandate or account is mended."),
	WhyUnknownCode: row(stop, "",
		"The bank gave a reason code that is not in the table: this collection is not debited again."),
	WhyAttemptsUsedUp: row(stop, "", "The rail allows no further attempt of this collection."),
	WhyAboveMaximum:   row(stop, "", "What is outstanding is above the mandate's maximum, and no part may be debited."),
	WhyPartNotAllowed: row(stop, "", "A part has been collected, and the mandate allows only the full amount."),
	WhyPeriodEnded:    row(stop, "", "The period has ended and the shortfall is not collected as arrears."),
}

func row(action schemas.DecisionAction, alternative, sentence string) book.Meaning {
	m := book.Meaning{Action: action, Sentence: sentence}
	other := debit
	if action == debit {
		other = wait
	}
	if alternative != "" {
		m.Alternatives = []schemas.Alternative{{Action: other, Reason: alternative}}
	}
	return m
}

// Meaning is what a reason means. Events share its alternatives, so they must not be changed. A reason that is not in
// the table means to wait.
func Meaning(reason string) book.Meaning {
	m, ok := meanings[reason]
	if !ok {
		return book.Meaning{Action: wait, Sentence: reason}
	}
	m.SaysHold = reason == WhyPolicyOnHold
	return m
}
