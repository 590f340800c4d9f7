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

	WhyPolicyCancelled = "POLICY_CANCELLED"
	WhyPolicyLapsed    = "POLICY_LAPSED"
	WhyPolicyOnHold    = "POLICY_ON_HOLD"
	WhyUnknownCode     = "UNKNOWN_REASON_CODE"
	WhyAttemptsUsedUp  = "ATTEMPTS_USED_UP"
	WhyAboveMaximum    = "ABOVE_MANDATE_MAXIMUM"
	WhyPartNotAllowed  = "PART_NOT_ALLOWED"
	WhyPeriodEnded     = "PERIOD_ENDED"

	// WhyBlindRetry is only ever an alternative.
	WhyBlindRetry = "RETRY_WITHOUT_FUNDS"
)

func waitFor(reason string) []schemas.Alternative {
	return []schemas.Alternative{{Action: schemas.DecideWait, Reason: reason}}
}

func debitFor(reason string) []schemas.Alternative {
	return []schemas.Alternative{{Action: schemas.DecideDebit, Reason: reason}}
}

const debit, wait, stop = schemas.DecideDebit, schemas.DecideWait, schemas.DecideStop

// Meaning is the table of reasons: what each leads to, what else could have been done, and what it says to an analyst.
func Meaning(reason string) book.Meaning {
	switch reason {
	case WhyMoneySeen:
		return row(debit, waitFor(WhyAwaitIncome), "Money that came in covers what is outstanding: it is debited in full.")
	case WhyPartOfMoney:
		return row(debit, waitFor(WhyNotEnough), "A part of what is outstanding can be debited now, and the rail and the "+
			"mandate allow a part.")
	case WhyAnnouncedIncome:
		return row(debit, waitFor(WhyAwaitFunds), "Income was announced for the banking day before, and there is no bank "+
			"feed to see it on.")
	case WhyFirstAttempt:
		return row(debit, waitFor(WhyAwaitFunds), "No income of the customer is known: first attempt on the planned day.")
	case WhyMonthEnd:
		return row(debit, waitFor(WhyAwaitFunds), "Last banking day of the period and nothing has been tried yet: one "+
			"attempt of what is outstanding.")
	case WhyAwaitResult:
		return row(wait, nil, "A debit of this collection is with the bank; without its result nothing further is debited.")
	case WhyPeriodNotStarted:
		return row(wait, nil, "The period of this collection has not begun.")
	case WhyAwaitExecution:
		return row(wait, nil, "Arrears are collected only together with the current period, which has not been executed "+
			"for this policy.")
	case WhyNotBankingDay:
		return row(wait, nil, "A debit is ready, but banks do not process debits on this day.")
	case WhyDepositClearing:
		return row(wait, debitFor(WhyMoneySeen), "Money has come in; it is debited on the banking day after the deposit.")
	case WhyNotEnough:
		return row(wait, nil, "The money that came in does not cover what is outstanding, and the rail or the mandate "+
			"allows no part.")
	case WhyBelowMinimum:
		return row(wait, debitFor(WhyPartOfMoney), "The money that came in is less than the smallest part worth a debit.")
	case WhyAwaitFunds:
		return row(wait, debitFor(WhyBlindRetry), "An attempt has failed or the money seen is used up; the next one "+
			"follows new money.")
	case WhyAwaitIncome:
		return row(wait, debitFor(WhyFirstAttempt), "The customer's income is known, and the next has not come yet; what "+
			"came before is used up or, days later, taken to be spent.")
	case WhyAwaitFirstAttempt:
		return row(wait, debitFor(WhyFirstAttempt), "No income of the customer is known, and the planned day of the first "+
			"attempt has not come.")
	case WhyPolicyCancelled:
		return row(stop, nil, "The policy is cancelled: it is not debited again.")
	case WhyPolicyLapsed:
		return row(stop, nil, "The policy has lapsed: it is not debited unless it is made active again.")
	case WhyPolicyOnHold:
		m := row(stop, nil, "What the bank answered forbids further debits of the policy until mandate or account is "+
			"mended.")
		m.SaysHold = true
		return m
	case WhyUnknownCode:
		return row(stop, nil, "The bank gave a reason code that is not in the table: this collection is not debited again.")
	case WhyAttemptsUsedUp:
		return row(stop, nil, "The rail allows no further attempt of this collection.")
	case WhyAboveMaximum:
		return row(stop, nil, "What is outstanding is above the mandate's maximum, and no part may be debited.")
	case WhyPartNotAllowed:
		return row(stop, nil, "A part has been collected, and the mandate allows only the full amount.")
	case WhyPeriodEnded:
		return row(stop, nil, "The period has ended and the shortfall is not collected as arrears.")
	}
	return row(wait, nil, reason)
}

func row(action schemas.DecisionAction, alternatives []schemas.Alternative, sentence string) book.Meaning {
	return book.Meaning{Action: action, Sentence: sentence, Alternatives: alternatives}
}
