package read

// Queries is every query under its name, for the golden test.
var Queries = map[string]string{
	"policy_list": sqlPolicyList, "policy_by_id": sqlPolicyByID, "policies_by_ids": sqlPoliciesByIDs,
	"outcomes_between": sqlOutcomesBetween, "policies_without": sqlPoliciesWithout, "execution": sqlExecution,
	"policies_of_request": sqlPoliciesOfRequest, "policies_unchanged": sqlPoliciesUnchanged,
	"policy_of_request": sqlPolicyOfRequest, "collection_list": sqlCollectionList, "collection_by_id": sqlCollectionByID,
	"collection_report": sqlCollectionReport,
	"collected_among":   sqlCollectedAmong, "collections_of_execution": sqlCollectionsOfExecution,
	"collections_exist": sqlCollectionsExist, "settlement_list": sqlSettlementList, "settlement_by_id": sqlSettlementByID,
	"settlement_lines": sqlSettlementLines, "settlement_lines_sum": sqlSettlementLinesSum,
	"settlement_covers": sqlSettlementCovers, "settlement_history": sqlSettlementHistory,
	"settlement_lines_page": sqlSettlementLinesPage,
	"outcome_counts":        sqlOutcomeCounts,
	"outcome_refusals":      sqlOutcomeRefusals, "outcome_first": sqlOutcomeFirst, "sink_marks": sqlSinkMarks,
	"hole_why":      sqlHoleWhy,
	"decision_list": sqlDecisionList, "decision_on": sqlDecisionOn, "decisions_standing": sqlDecisionsStanding,
	"attempt_list": sqlAttemptList, "attempt_answers": sqlAttemptAnswers,
	"calendar": sqlCalendar, "item_list": sqlItemList, "item_by_id": sqlItemByID,
	"month_statuses": sqlMonthStatuses, "month_days": sqlMonthDays, "month_reasons": sqlMonthReasons,
	"attention": sqlAttention, "periods": sqlPeriods, "deposits": sqlDeposits, "facts": sqlFacts, "turns": sqlTurns,
	"trace_kind": sqlTraceKind, "trace_debits": sqlTraceDebits, "trace_lines": sqlTraceLines, "trace_steps": sqlTraceSteps,
	"income_streams": sqlIncomeStreams, "customer_collections": sqlCustomerCollections,
	"delivery_list": sqlDeliveryList, "delivery_by_id": sqlDeliveryByID,
	"search": sqlSearch, "streams": sqlStreams, "paydays": sqlPaydays,
}
