package processors

import "github.com/kasi-collections/kasi/schemas"

// The reasons of decisions. They are part of the contract of kasi.decisions.v1 and never change their meaning; verdicts
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

// verdict is what a reason means: the action it leads to, a sentence for an analyst, and what else could have been
// done.
type verdict struct {
	action       schemas.DecisionAction
	sentence     string
	alternatives []schemas.Alternative
}

func waitFor(reason string) []schemas.Alternative {
	return []schemas.Alternative{{Action: schemas.DecideWait, Reason: reason}}
}

func debitFor(reason string) []schemas.Alternative {
	return []schemas.Alternative{{Action: schemas.DecideDebit, Reason: reason}}
}

// verdictOf is the table of reasons.
func verdictOf(reason string) verdict {
	const debit, wait, stop = schemas.DecideDebit, schemas.DecideWait, schemas.DecideStop
	switch reason {
	case WhyMoneySeen:
		return verdict{
			debit, "Money that came in covers what is outstanding: it is debited in full.",
			waitFor(WhyAwaitIncome),
		}
	case WhyPartOfMoney:
		return verdict{
			debit, "A part of what is outstanding can be debited now, and the rail and the mandate allow a part.",
			waitFor(WhyNotEnough),
		}
	case WhyAnnouncedIncome:
		return verdict{
			debit, "Income was announced for the banking day before, and there is no bank feed to see it on.",
			waitFor(WhyAwaitFunds),
		}
	case WhyFirstAttempt:
		return verdict{debit, "No income of the customer is known: first attempt on the planned day.", waitFor(WhyAwaitFunds)}
	case WhyMonthEnd:
		return verdict{
			debit,
			"Last banking day of the period and nothing has been tried yet: one attempt of what is outstanding.",
			waitFor(WhyAwaitFunds),
		}
	case WhyAwaitResult:
		return verdict{
			wait, "A debit of this collection is with the bank; without its result nothing further is debited.",
			nil,
		}
	case WhyPeriodNotStarted:
		return verdict{wait, "The period of this collection has not begun.", nil}
	case WhyAwaitExecution:
		return verdict{wait, "Arrears are collected only together with the current period, which has not been executed " +
			"for this policy.", nil}
	case WhyNotBankingDay:
		return verdict{wait, "A debit is ready, but banks do not process debits on this day.", nil}
	case WhyDepositClearing:
		return verdict{wait, "Money has come in; it is debited on the banking day after the deposit.", debitFor(WhyMoneySeen)}
	case WhyNotEnough:
		return verdict{wait, "The money that came in does not cover what is outstanding, and the rail or the mandate " +
			"allows no part.", nil}
	case WhyBelowMinimum:
		return verdict{wait, "The money that came in is less than the smallest part worth a debit.", debitFor(WhyPartOfMoney)}
	case WhyAwaitFunds:
		return verdict{
			wait, "An attempt has failed or the money seen is used up; the next one follows new money.",
			debitFor(WhyBlindRetry),
		}
	case WhyAwaitIncome:
		return verdict{wait, "The customer's income is known, and the next has not come yet; what came before is used up " +
			"or, days later, taken to be spent.", debitFor(WhyFirstAttempt)}
	case WhyAwaitFirstAttempt:
		return verdict{
			wait, "No income of the customer is known, and the planned day of the first attempt has not come.",
			debitFor(WhyFirstAttempt),
		}
	case WhyPolicyCancelled:
		return verdict{stop, "The policy is cancelled: it is not debited again.", nil}
	case WhyPolicyLapsed:
		return verdict{stop, "The policy has lapsed: it is not debited unless it is made active again.", nil}
	case WhyPolicyOnHold:
		return verdict{stop, "What the bank answered forbids further debits of the policy until mandate or account is " +
			"mended.", nil}
	case WhyUnknownCode:
		return verdict{
			stop, "The bank gave a reason code that is not in the table: this collection is not debited again.",
			nil,
		}
	case WhyAttemptsUsedUp:
		return verdict{stop, "The rail allows no further attempt of this collection.", nil}
	case WhyAboveMaximum:
		return verdict{stop, "What is outstanding is above the mandate's maximum, and no part may be debited.", nil}
	case WhyPartNotAllowed:
		return verdict{stop, "A part has been collected, and the mandate allows only the full amount.", nil}
	case WhyPeriodEnded:
		return verdict{stop, "The period has ended and the shortfall is not collected as arrears.", nil}
	}
	return verdict{wait, reason, nil}
}
