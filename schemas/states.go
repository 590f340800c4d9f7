package schemas

import "strings"

// State is a table of current states. The sink writes it beside the tables of events, and nothing is in it that they do
// not say: whatever it has lost is made again from them.
type State struct {
	Table
	// Fill makes all rows again. To do it beside the sink, or twice, changes nothing.
	Fill []string
	// Holds and Ought are queries for one number each, which are equal where the table lacks nothing.
	Holds, Ought string
}

// States are the tables of current states.
func States() []State {
	var states []State
	for _, t := range stateTables() {
		if t.Of == "" {
			states = append(states, debitState(t))
			continue
		}
		columns, latest := strings.Join(t.stored(), ", "), t.Latest
		if latest == "at" {
			latest = "toUnixTimestamp64Milli(at)" // an instant has no sum
		}
		states = append(states, State{
			Table: t, Fill: []string{"INSERT INTO " + t.Name + " (" + columns + ") SELECT " + columns + " FROM " + t.Of},
			Holds: "SELECT sum(" + latest + ") FROM " + t.Name + " FINAL",
			Ought: "SELECT sum(latest) FROM (SELECT max(" + latest + ") AS latest FROM " + t.Of + " GROUP BY " + t.Key + ")",
		})
	}
	return states
}

// stored are the columns that are not computed.
func (t Table) stored() (names []string) {
	for _, c := range t.Columns {
		if c.Expression == "" {
			names = append(names, c.Name)
		}
	}
	return names
}

// debitState is made of the instructions and of the changes of the collections (DebitState).
func debitState(t Table) State {
	var instructed []string
	for _, name := range t.stored() {
		switch name {
		case "external_customer_ref", "product_code", "last_answer", "answers", // of the collection
			"decided_reason", "chance_per_10000", "last_deposit_date": // of the decision
		default:
			instructed = append(instructed, name)
		}
	}
	columns := strings.Join(instructed, ", ")
	kinds := make([]string, len(answerKinds))
	for i, kind := range answerKinds {
		kinds[i] = Quote(string(kind))
	}
	const events = "SELECT groupBitmap(toUInt64(seq)) AS n FROM "
	answered := "change_kind IN (" + strings.Join(kinds, ", ") + ")"
	return State{
		Table: t, Fill: []string{
			"INSERT INTO " + t.Name + " (" + columns + ") SELECT " + columns + " FROM debits_log",
			"INSERT INTO " + t.Name + " (" + t.Key + `, customer_id, external_customer_ref, product_code, last_answer, answers)
SELECT tenant_id, period_month, policy_number, collection_id, change_debit_id, customer_id, external_customer_ref,
    product_code, if(` + answered + `, arrayStringConcat([leftPad(toString(version), 10, '0'), change_kind, reason_code,
        reason_scheme, ifNull(toString(effective_date), ''), toString(business_date), change_result_id], char(9)), ''),
    if(` + answered + `, [version], [])
FROM collections_log WHERE change_debit_id != ''`,
			"INSERT INTO " + t.Name + " (" + t.Key + `, customer_id, decided_reason, chance_per_10000, last_deposit_date)
SELECT tenant_id, period_month, policy_number, collection_id, debit_id, customer_id, reason,
    JSONExtract(inputs, 'chance_per_10000', 'Nullable(Int64)'),
    toDateOrNull(JSONExtractString(inputs, 'last_deposit_date'))
FROM decisions_log WHERE debit_id != ''`,
		},
		Holds: "SELECT countIf(amount_cents > 0) + sum(length(answers)) + countIf(decided_reason != '') FROM " + t.Name +
			" FINAL",
		Ought: "SELECT (SELECT sum(n) FROM (" + events + "debits_log GROUP BY src_partition)) + (SELECT sum(n) FROM (" +
			events + "collections_log WHERE change_debit_id != '' AND " + answered + " GROUP BY src_partition)) + (SELECT " +
			"sum(n) FROM (" + events + "decisions_log WHERE debit_id != '' GROUP BY src_partition))",
	}
}
