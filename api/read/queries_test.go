package read_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

func TestMain(m *testing.M) { os.Exit(chtest.Main(m)) }

var update = flag.Bool("update", false, "write the golden files anew")

// TestQueriesAreGolden compares each query's text whole, so that a change of what is asked is seen in a review.
func TestQueriesAreGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/queries/*.sql")
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.MkdirAll("testdata/queries", 0o755))
		for name, text := range read.Queries {
			require.NoError(t, os.WriteFile("testdata/queries/"+name+".sql", []byte(text+"\n"), 0o644))
		}
		return
	}
	require.Len(
		t,
		files,
		len(read.Queries),
		"one golden file a query; go test ./api/read -run Golden -update writes them",
	)
	for name, text := range read.Queries {
		want, err := os.ReadFile("testdata/queries/" + name + ".sql")
		require.NoError(t, err)
		require.Equal(t, string(want), text+"\n", name)
	}
}

type env struct {
	t  *testing.T
	db driver.Conn
}

// TestQueriesReadTheKnownRows runs every query against two tenants' rows. The rows are there twice, as after a replay:
// no answer may change.
func TestQueriesReadTheKnownRows(t *testing.T) {
	db, err := clickhouse.Open(chtest.New(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	e := &env{t, db}
	require.NoError(t, db.Exec(t.Context(), "INSERT INTO calendar_log (business_date, cutoff) VALUES ('2025-11-05', 0)"))
	a, b := schemas.PolicyID("acme", "P1"), schemas.PolicyID("acme", "P2")
	cA := schemas.CollectionID(a, "2025-11")
	st := schemas.SettlementID("acme", "2025-11", 1)
	for range 2 {
		e.knownRows(a, b, cA, st)
	}
	for _, state := range schemas.States() {
		require.NoError(t, chsink.FillState(t.Context(), db, state))
	}
	tenant, request := clickhouse.Named("tenant", "acme"), clickhouse.Named("request", "r1")
	named := clickhouse.Named
	page := func(more ...any) []any {
		return append([]any{
			tenant, named("limit", 10), named("status", ""), named("external_customer_ref", ""), named("product_code", ""),
			named("failure_reason", ""), named("failed", ""), named("attempted", ""), named("updated_since", 0),
		}, more...)
	}
	traced := func(kind any) []any {
		return []any{
			tenant, kind, named("settlements", []string{st}), named("collections", []string{cA}),
			named("debits", []string{"D1", "D2"}), named("transactions", []string{"t9"}),
		}
	}
	for name, c := range map[string]struct {
		args []any
		want []string
	}{
		"policy_list": {
			page(named("after", ""), named("policy_number", ""), named("policy_id", a), named("customer_id", "")),
			[]string{a, b},
		},
		"policy_by_id": {
			[]any{tenant, named("id", a)},
			[]string{a + " P1 C1 E1 F 20000 lapsed RM M1 30000 true 25   MANDATE_ENDED 2 2025-11-01 07:00:00 " +
				"2025-11-02 07:00:00"},
		},
		"policies_by_ids": {[]any{tenant, named("ids", []string{a, b, cA})}, sorted(t, e, a+" P1 C1 lapsed",
			b+" P2 C2 active")},
		"outcomes_between": {[]any{tenant, request, named("from", 2), named("to", 9)}, []string{"2"}},
		"policies_without": {[]any{tenant, named("period", "2025-11")}, []string{"1"}},
		"not_debited":      {[]any{tenant, named("numbers", []string{})}, []string{"0 0"}},
		"execution": {
			[]any{tenant, named("execution", "x1")},
			[]string{"x1 2025-11 r1 false 7 5 2 1 true 2025-11-05 07:00:00  0 false"},
		},
		"policy_of_request": {
			[]any{tenant, named("id", a), request},
			[]string{a + " P1 C1 E1 F 15000 active RM M1 30000 true 25    1 2025-11-01 07:00:00 2025-11-01 07:00:00"},
		},
		"versions_of_request": {[]any{tenant, request}, []string{"2"}},
		"policy_each": {[]any{tenant}, sorted(t, e,
			a+" P1 C1 E1 F 20000 lapsed RM M1 30000 true 25   MANDATE_ENDED 2 2025-11-01 07:00:00 2025-11-02 07:00:00",
			b+" P2 C2 E2 F 15000 active RM  0 false 0    1 2025-11-01 07:00:00 2025-11-01 07:00:00")},
		"policy_history": {page(named("id", a), named("after", "1")), []string{
			a + " P1 C1 E1 F 20000 lapsed RM M1 30000 true 25   MANDATE_ENDED 2 2025-11-01 07:00:00 2025-11-02 07:00:00  r2 ",
		}},
		"policies_of": {[]any{tenant, named("ids", []string{a})}, []string{
			a + " P1 C1 E1 F 20000 lapsed RM M1 30000 true 25   MANDATE_ENDED 2 2025-11-01 07:00:00 2025-11-02 07:00:00",
		}},
		"import_outcomes":      {[]any{tenant, request, named("rows", 2)}, []string{"3 1 0 1 1 0"}},
		"cancelled_by_request": {[]any{tenant, request}, []string{"0"}},
		"rows_answered":        {[]any{tenant, request, named("from", 3), named("to", 9)}, []string{"3"}},
		"import": {[]any{tenant, named("id", "i1")}, []string{
			"true full false 2025-11-05 07:00:00 9 0 2 2 7 5 0 0 0 2025-11-05 07:00:00 2025-11-05 07:01:00",
		}},
		"import_errors":      {[]any{tenant, named("id", "i1")}, []string{"3 2 P9 rail INVALID_VALUE wrong"}},
		"voids_of":           {[]any{tenant, named("execution", "x1")}, []string{"x2 3 true"}},
		"voided_collections": {[]any{tenant, named("period", "2025-11"), named("execution", "x1")}, []string{"0"}},
		"report_open":        {[]any{tenant, named("period", "2025-11")}, []string{"0"}},
		"policies_unchanged": {[]any{tenant, request}, []string{"1"}},
		"collection_list": {
			page(named("period", "2025-11"), named("policy_number", ""), named("customer_id", ""), named("after_period", ""),
				named("after_policy", "")),
			[]string{cA + " 2025-11 C1 E1 P1 F 15000 15000 0 PAID_FULL 2025-11-05 2025-11-26 2 "},
		},
		"decision_list": {
			page(named("id", cA), named("after_date", "2025-11-05"), named("after_at", "1762326000000"),
				named("after_seq", "4")),
			[]string{b + " 7 2025-11-15 2025-11-15 07:00:00 acme C1 P1 " + cA + " 2025-11 WAIT AWAIT_INCOME Later.  0  " +
				"2025-11-25 [] {} "},
		},
		"decision_on": {
			[]any{tenant, named("id", cA), named("day", "2025-11-14")},
			[]string{a + " 4 2025-11-05 2025-11-05 07:00:00 acme C1 P1 " + cA + " 2025-11 DEBIT FIRST_ATTEMPT Now. D1 15000 " +
				`2025-11-14  [] {} {"due":15000}`},
		},
		"decisions_standing": {
			[]any{tenant, named("numbers", []string{"P1"}), named("periods", []string{"2025-11"})},
			[]string{cA + " WAIT AWAIT_INCOME Later. 2025-11-25"},
		},
		"trace_kind":   {[]any{tenant, named("id", "D1")}, []string{"debit"}},
		"trace_debits": {[]any{tenant, named("id", "t1"), named("kind", "transaction")}, []string{"D2 " + cA + " [t1 t2]"}},
		"trace_lines": {
			traced(named("kind", "collection")),
			[]string{st + " SETTLE-2025-11-001 COLLECTION " + cA + " P1 2025-11 15000"},
		},
		"trace_steps": {traced(named("kind", "debit")), []string{
			"debit D1 " + cA + " 1970-01-01 1970-01-01 00:00:00 kasi.debits.v1 0 0 debits_log RM 15000 attempt 1 of P1, " +
				"action date 2025-11-05",
			"debit D2 " + cA + " 1970-01-01 1970-01-01 00:00:00 kasi.debits.v1 0 0 debits_log RM 15000 attempt 2 of P1, " +
				"action date 2025-11-26",
			"decision " + a + " " + cA + " 2025-11-05 2025-11-05 07:00:00 kasi.decisions.v1 0 0 decisions_log DEBIT 15000 " +
				"FIRST_ATTEMPT: Now.",
			"collection " + cA + " " + cA + " 2025-11-06 2025-11-06 07:00:00 kasi.collections.v1 0 1 collections_log " +
				"DEBIT_UNPAID 0 version 1: UNPAID, the bank said ZA 02",
			"settlement " + st + "  2025-12-02 1970-01-01 00:00:00 kasi.settlements.v1 0 0 settlements_log pending 10084 " +
				"SETTLE-2025-11-001, version 1: CREATED",
		}},
		"income_streams": {
			[]any{tenant, named("customer_id", "C1")},
			[]string{"s1 SALARY MONTHLY MATURE 90 2025-11-25 850000 REVERSED 2025-12-24"},
		},
		"customer_collections": {
			[]any{tenant, named("customer_id", "C1"), named("limit", 10)},
			[]string{cA + " 2025-11 C1 E1 P1 F 15000 15000 0 PAID_FULL 2025-11-05 2025-11-26 2 "},
		},
		"audit": {
			[]any{
				tenant, named("since", "2025-11-05T00:00:00Z"), named("after", "2025-11-05T07:00:00Z"), named("id", "r1"),
				named("limit", 10),
			},
			[]string{"2025-11-05 07:00:00 r2 k2 10.0.0.1 PATCH /v1/policies/{id} P1 409 CONFLICT true"},
		},
		"delivery_list": {
			page(named("id", a), named("type", ""), named("object", ""), named("after_created", ""), named("after_id", "")),
			[]string{
				cA + " collection.paid O2 delivered 2 200   {\"n\":2} 2025-11-06 07:00:00 2025-11-06 07:00:02",
				b + " collection.failed O1 pending 0 0   {\"n\":1} 2025-11-05 07:00:00 2025-11-05 07:00:00",
			},
		},
		"delivery_by_id": {
			[]any{tenant, named("id", a), named("delivery", b)},
			[]string{b + " collection.failed O1 pending 0 0   {\"n\":1} 2025-11-05 07:00:00 2025-11-05 07:00:00"},
		},
		"attempt_list": {
			page(named("id", cA), named("after", "")),
			[]string{"1 2025-11 D1 15000 2025-11-05 2025-11-14 RM []", "2 2025-11 D2 15000 2025-11-26  RM [t1 t2]"},
		},
		"attempt_answers": {
			[]any{tenant, named("id", cA)},
			[]string{
				"D1 DEBIT_UNPAID 2025-11-05 02 ZA 0 R1 2025-11-06 2025-11-06 07:00:00",
				"D2 DEBIT_PAID 2025-11-28   15000 R2 2025-11-28 2025-11-28 07:00:00",
			},
		},
		"collection_by_id": {
			[]any{tenant, named("id", cA)},
			[]string{cA + " 2025-11 C1 E1 P1 F 15000 15000 0 PAID_FULL 2025-11-05 2025-11-26 2 "},
		},
		"collection_report": {
			[]any{tenant, named("period", "2025-11")},
			[]string{cA + " 2025-11 C1 E1 P1 F 15000 15000 0 PAID_FULL 2025-11-05 2025-11-26 2 "},
		},
		"collected_among":          {[]any{tenant, named("period", "2025-11"), named("ids", []string{cA, b})}, []string{a}},
		"collections_of_execution": {[]any{tenant, named("period", "2025-11"), named("execution", "x1")}, []string{"1"}},
		"collections_exist":        {[]any{tenant, named("period", "2025-12")}, []string{"0"}},
		"settlement_list": {
			page(named("period", ""), named("after_period", ""), named("after_number", "")),
			[]string{st + " SETTLE-2025-11-001 2025-11 15000 3750 525 4275 641 10084 2025-12-03 paid EFT-20251203-001 " +
				"2025-12-02 08:00:00 1 300 -50 10034 -10 2025-12-03 PAID dealt with 2"},
		},
		"settlement_by_id": {
			[]any{tenant, named("id", st)},
			[]string{st + " SETTLE-2025-11-001 2025-11 15000 3750 525 4275 641 10084 2025-12-03 paid EFT-20251203-001 " +
				"2025-12-02 08:00:00 1 300 -50 10034 -10 2025-12-03 PAID dealt with 2"},
		},
		"settlement_history": {
			[]any{tenant, named("id", st)}, []string{"1 CREATED pending 2025-12-02 ", "2 PAID paid 2025-12-03 dealt with"},
		},
		"settlement_lines_page": {
			page(named("id", st), named("after_type", "COLLECTION"), named("after_period", "2025-11"),
				named("after_number", "P0"), named("after_id", "")),
			[]string{"SETTLE-2025-11-001 COLLECTION 2025-11 C1 E1 P1 F 15000 " + cA},
		},
		"settlement_lines": {
			[]any{tenant, named("id", st)},
			[]string{"SETTLE-2025-11-001 COLLECTION 2025-11 C1 E1 P1 F 15000 " + cA},
		},
		"settlement_lines_sum": {[]any{tenant, named("id", st)}, []string{"15000"}},
		"settlement_covers":    {[]any{tenant, named("id", st)}, []string{"[7]"}},
		"outcome_counts":       {[]any{tenant, request}, []string{"3 1 1"}},
		"outcome_refusals":     {[]any{tenant, request, named("limit", 5)}, []string{"3 0  CONFLICT taken"}},
		"outcome_first":        {[]any{tenant, request}, []string{"OK  p1 "}},
		"item_list": {
			page(named("after", ""), named("policy_number", "P1"), named("customer_id", ""), named("period", "2025-11")),
			[]string{a + " AMOUNT_MISMATCH CLOSED 2025-11 C1 P1 " + cA + " D1 15000 10000 2025-11-05 2025-11-06 R1 seen 2 " +
				"2025-11-07 07:00:00 1970-01-01"},
		},
		"item_by_id": {
			[]any{tenant, named("id", a)},
			[]string{a + " AMOUNT_MISMATCH CLOSED 2025-11 C1 P1 " + cA + " D1 15000 10000 2025-11-05 2025-11-06 R1 seen 2 " +
				"2025-11-07 07:00:00 1970-01-01"},
		},
		"sink_marks": {[]any{named("topic", "t")}, []string{"0 9 7"}},
		"hole_why": {
			[]any{named("topic", "t"), named("stage", ""), named("partition", 0), named("from", 5), named("to", 7)},
			[]string{"removed"},
		},
		"month_statuses": {[]any{tenant, named("period", "2025-11")}, []string{"PAID_FULL 1 0 15000 15000 0"}},
		"month_days": {[]any{tenant, named("periods", []string{"2025-11"})}, []string{
			"2025-11 2025-11-05 0 0 1 0", "2025-11 2025-11-28 15000 1 0 0",
		}},
		"month_reasons": {[]any{tenant, named("period", "2025-11")}, []string{"ZA 02 1 15000"}},
		"attention":     {[]any{tenant}, []string{"0 0"}}, // the policy on hold has lapsed, the item is closed
		"periods":       {[]any{tenant}, []string{"2025-11"}},
		"deposits": {
			[]any{tenant, named("customer_id", "C1"), named("from", "2025-11-01"), named("to", "2025-11-30")},
			[]string{"t1 2025-11-25 850000 s1 SALARY MONTHLY MATURE 90 2025-12-24 REVERSED"},
		},
		"facts": {
			[]any{
				tenant, named("customer_id", "C1"), named("periods", []string{"2025-11"}),
				named("numbers", []string{"P1"}),
			},
			[]string{
				cA + " P1 2025-11 DEBIT_PAID D2 15000 15000   2025-11-28 15000 15000 2025-11-28 2025-11-28 07:00:00",
				cA + " P1 2025-11 DEBIT_UNPAID D1 15000 0 ZA 02 2025-11-05 0 15000 2025-11-06 2025-11-06 07:00:00",
			},
		},
		"turns": {
			[]any{
				tenant, named("customer_id", "C1"), named("periods", []string{"2025-11"}),
				named("numbers", []string{"P1"}),
			},
			[]string{
				cA + " P1 2025-11-15 WAIT AWAIT_INCOME Later. 0 2025-11-25",
				cA + " P1 2025-11-05 DEBIT FIRST_ATTEMPT Now. 15000 ",
			},
		},
		"search":   {[]any{tenant, named("q", "P1")}, []string{"policy " + a + " C1 P1"}},
		"streams":  {[]any{tenant}, []string{"SALARY MONTHLY MATURE 1 90"}},
		"paydays":  {[]any{tenant, named("from", "2025-11-26")}, []string{"2025-12-24 1"}},
		"calendar": {nil, []string{"2025-11-05"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, e.rows(read.Queries[name], name == "policy_list", c.args...))
		})
	}
}

// rows runs a query and writes each row as text, or only its first column.
func (e *env) rows(query string, first bool, args ...any) (out []string) {
	e.t.Helper()
	rows, err := e.db.Query(e.t.Context(), query, args...)
	require.NoError(e.t, err)
	defer rows.Close()
	for rows.Next() {
		out = append(out, rowText(e.t, rows, first))
	}
	require.NoError(e.t, rows.Err())
	return out
}

// sorted puts lines that begin with a UUID into ClickHouse's order of UUIDs, which is not that of their text.
func sorted(t *testing.T, e *env, lines ...string) []string {
	t.Helper()
	return e.rows("SELECT arrayJoin(arraySort(l -> toUUID(substring(l, 1, 36)), {lines:Array(String)}))", false,
		clickhouse.Named("lines", lines))
}

func (e *env) knownRows(a, b, cA, st string) {
	for _, q := range []string{
		`INSERT INTO policies_log (tenant_id, policy_id, policy_number, customer_id, external_customer_ref, product_code,
				premium_cents, status, rail, mandate_reference,
			mandate_max_cents, mandate_fixed, collection_day, hold_reason, version, request_id, created_at, updated_at,
				event_id) VALUES
			('acme', 'A', 'P1', 'C1', 'E1', 'F', 15000, 'active', 'RM', 'M1', 30000, true, 25, '', 1, 'r1',
				'2025-11-01 07:00:00', '2025-11-01 07:00:00', 'A'),
			('acme', 'A', 'P1', 'C1', 'E1', 'F', 20000, 'lapsed', 'RM', 'M1', 30000, true, 25, 'MANDATE_ENDED', 2, 'r2',
				'2025-11-01 07:00:00', '2025-11-02 07:00:00', 'B'),
			('acme', 'B', 'P2', 'C2', 'E2', 'F', 15000, 'active', 'RM', '', 0, false, 0, '', 1, 'r1', '2025-11-01 07:00:00',
				'2025-11-01 07:00:00', 'S'),
			('other', 'A', 'P1', 'C9', 'E9', 'F', 1, 'active', 'RM', '', 0, false, 0, '', 9, 'r1', '2025-11-01 07:00:00',
				'2025-11-01 07:00:00', 'S')`,
		`INSERT INTO collections_log (tenant_id, period_month, collection_id, version, customer_id, external_customer_ref,
				policy_id, policy_number, product_code, execution_id,
			due_cents, collected_cents, collection_status, first_attempt_date, last_attempt_date, number_of_attempts,
				last_failure_reason, moved_cents, src_partition, src_offset, change_kind, change_amount_cents,
				change_debit_id, change_result_id, reason_code, reason_scheme, effective_date, business_date, at) VALUES
			('acme', '2025-11', 'C', 1, 'C1', 'E1', 'A', 'P1', 'F', 'x1', 15000, 0, 'UNPAID', '2025-11-05', '2025-11-05', 1,
				'INSUFFICIENT_FUNDS', 0, 0, 1, 'DEBIT_UNPAID', 15000, 'D1', 'R1', '02', 'ZA', '2025-11-05', '2025-11-06',
				'2025-11-06 07:00:00'),
			('acme', '2025-11', 'C', 2, 'C1', 'E1', 'A', 'P1', 'F', 'x1', 15000, 15000, 'PAID_FULL', '2025-11-05',
				'2025-11-26', 2, '', 15000, 0, 5, 'DEBIT_PAID', 15000, 'D2', 'R2', '', '', '2025-11-28', '2025-11-28',
				'2025-11-28 07:00:00'),
			('other', '2025-11', 'C', 3, 'C9', 'E9', 'A', 'P1', 'F', 'x1', 1, 1, 'PAID_FULL', NULL, NULL, 0, '', 1, 0, 6,
				'DEBIT_PAID', 1, 'D2', 'R9', '', '', '2025-11-28', '2025-11-28', '2025-11-28 07:00:00')`,
		`INSERT INTO decisions_log (tenant_id, customer_id, policy_number, collection_id, period_month, action, reason,
				explanation, debit_id, amount_cents, tracking_until, next_date, alternatives, inputs, situation, business_date,
				seq, at, event_id) VALUES
			('acme', 'C1', 'P1', 'C', '2025-11', 'DEBIT', 'FIRST_ATTEMPT', 'Now.', 'D1', 15000, '2025-11-14', NULL, '[]', '{}',
				'{"due":15000}', '2025-11-05', 4, '2025-11-05 07:00:00', 'A'),
			('acme', 'C1', 'P1', 'C', '2025-11', 'WAIT', 'AWAIT_INCOME', 'Later.', '', 0, NULL, '2025-11-25', '[]', '{}', '',
				'2025-11-15', 7, '2025-11-15 07:00:00', 'B'),
			('other', 'C9', 'P1', 'C', '2025-11', 'STOP', 'POLICY_LAPSED', 'No.', '', 0, NULL, NULL, '[]', '{}', '',
				'2025-11-20', 9, '2025-11-20 07:00:00', 'S')`,
		`INSERT INTO debits_log (tenant_id, period_month, collection_id, attempt, debit_id, customer_id, policy_number,
				amount_cents, action_date, tracking_until, rail, transaction_ids, seq) VALUES
			('acme', '2025-11', 'C', 1, 'D1', 'C1', 'P1', 15000, '2025-11-05', '2025-11-14', 'RM', [], 1),
			('acme', '2025-11', 'C', 2, 'D2', 'C1', 'P1', 15000, '2025-11-26', NULL, 'RM', ['t1', 't2'], 2),
			('other', '2025-11', 'C', 3, 'D9', 'C9', 'P1', 1, '2025-11-26', NULL, 'RM', [], 3)`,
		`INSERT INTO settlements_log (tenant_id, settlement_id, settlement_number, period_month, sequence, version,
				total_collections_cents, distribution_fee_cents,
			collections_fee_cents, total_fees_cents, vat_cents, net_cents, payment_date, payment_reference, status,
				created_at, coverage_period, coverage_from, coverage_to, in_flight_debits, in_flight_cents,
				brought_forward_cents, payable_cents, adjustments_cents, paid_date, payout_state, note, change_kind,
				business_date) VALUES
			('acme', 'S', 'SETTLE-2025-11-001', '2025-11', 1, 1, 15000, 3750, 525, 4275, 641, 10084, '2025-12-03',
				'EFT-20251203-001', 'pending', '2025-12-02 08:00:00',
			['2025-11'], [[0]], [[7]], 1, 300, -50, 10034, -10, NULL, '', '', 'CREATED', '2025-12-02'),
			('acme', 'S', 'SETTLE-2025-11-001', '2025-11', 1, 2, 15000, 3750, 525, 4275, 641, 10084, '2025-12-03',
				'EFT-20251203-001', 'paid', '2025-12-02 08:00:00',
			['2025-11'], [[0]], [[7]], 1, 300, -50, 10034, -10, '2025-12-03', 'PAID', 'dealt with', 'PAID', '2025-12-03')`,
		`INSERT INTO outcomes_log (tenant_id, request_id, row, code, message, object_id, event_id) VALUES ('acme', 'r1', 1,
				'OK', '', 'p1', 'A'),
			('acme', 'r1', 2, 'UNCHANGED', '', '` + b + `', 'B'), ('acme', 'r1', 3, 'CONFLICT', 'taken', '', 'C'), ('other',
				'r1', 4, 'CONFLICT', 'taken', '', 'S')`,
		`INSERT INTO open_items_log (tenant_id, item_id, kind, state, period_month, customer_id, policy_number,
				collection_id, debit_id, amount_cents, said_cents, action_date, since, result_id, note, version, at) VALUES
			('acme', 'A', 'AMOUNT_MISMATCH', 'OPEN', '2025-11', 'C1', 'P1', 'C', 'D1', 15000, 10000, '2025-11-05',
				'2025-11-06', 'R1', '', 1, '2025-11-06 07:00:00'),
			('acme', 'A', 'AMOUNT_MISMATCH', 'CLOSED', '2025-11', 'C1', 'P1', 'C', 'D1', 15000, 10000, '2025-11-05',
				'2025-11-06', 'R1', 'seen', 2, '2025-11-07 07:00:00'),
			('other', 'A', 'NO_ANSWER', 'OPEN', '2025-11', 'C9', 'P1', 'C', 'D9', 1, 0, '2025-11-05', '2025-11-19', '', '',
				3, '2025-11-19 07:00:00')`,
		`INSERT INTO executions_log (tenant_id, execution_id, period_month, request_id, part, parts, piece, policies_queued,
				collections_created, unchanged, refused, done, at, event_id, business_date) VALUES
			('acme', 'x1', '2025-11', 'r1', 0, 2, 1, 7, 1, 0, 0, false, '2025-11-05 07:00:00', 'A', '2025-11-05'),
			('acme', 'x1', '2025-11', 'r1', 0, 2, 2, 7, 3, 1, 0, true, '2025-11-05 07:00:00', 'B', '2025-11-05'),
			('acme', 'x1', '2025-11', 'r1', 1, 2, 1, 7, 2, 1, 1, true, '2025-11-05 07:00:00', 'C', '2025-11-05'),
			('other', 'x1', '2025-11', 'r1', 0, 2, 3, 9, 9, 9, 9, false, '2025-11-05 07:00:00', 'S', '2025-11-05')`,
		`INSERT INTO executions_log (tenant_id, execution_id, period_month, part, parts, piece, voided, voids,
				done, at, event_id, business_date) VALUES
			('acme', 'x2', '2025-11', 0, 1, 1, 1, 'x1', false, '2025-11-06 07:00:00', 'A', '2025-11-06'),
			('acme', 'x2', '2025-11', 0, 1, 2, 3, 'x1', true, '2025-11-06 07:00:00', 'B', '2025-11-06'),
			('other', 'x2', '2025-11', 0, 1, 1, 9, 'x1', true, '2025-11-06 07:00:00', 'S', '2025-11-06')`,
		`INSERT INTO imports_log (tenant_id, import_id, no, kind, line, row, policy_number, column_name, code, message, mode,
				dry_run, asked_at, rows, failed, warnings, imported, created, at, event_id) VALUES
			('acme', 'i1', 1, 'ACCEPTED', 0, 0, '', '', '', '', 'full', false, '2025-11-05 07:00:00', 9, 1, 2, 0, 0,
				'2025-11-05 07:00:00', 'A'),
			('acme', 'i1', 2, 'ERROR', 3, 2, 'P9', 'rail', 'INVALID_VALUE', 'wrong', 'full', false, '2025-11-05 07:00:00',
				0, 0, 0, 0, 0, '2025-11-05 07:00:00', 'B'),
			('acme', 'i1', 3, 'COMPLETED', 0, 0, '', '', '', '', 'full', false, '2025-11-05 07:00:00', 9, 2, 2, 7, 5,
				'2025-11-05 07:01:00', 'C'),
			('other', 'i1', 4, 'COMPLETED', 0, 0, '', '', '', '', 'merge', true, '2025-11-05 07:00:00', 1, 1, 1, 1, 1,
				'2025-11-05 07:00:00', 'S')`,
		`INSERT INTO deposits_log (tenant_id, customer_id, transaction_id, deposit_date, amount_cents, stream_id, kind,
				frequency, stream_status, confidence_percent, next_expected_date, deposit_no, taken_back, seq, event_id) VALUES
			('acme', 'C1', 't1', '2025-11-25', 850000, 's1', 'SALARY', 'MONTHLY', 'MATURE', 90, '2025-12-24', 1, '', 1, 'A'),
			('acme', 'C1', 't1', '2025-11-25', 850000, 's1', 'SALARY', 'MONTHLY', 'MATURE', 90, '2025-12-24', 1, 'REVERSED', 2,
				'B'),
			('other', 'C1', 't9', '2025-11-25', 1, 's1', 'WAGE', 'WEEKLY', 'MATURE', 90, '2025-12-24', 1, '', 3, 'S')`,
		`INSERT INTO sink_holes (topic, stage, partition, from_seq, to_seq, why, at) VALUES
			('t', '', 0, 7, 9, 'removed', '2025-11-05 07:00:00'), ('t', '', 0, 6, 6, 'before', '2025-11-04 07:00:00'),
			('t', '', 0, 8, 9, 'beside', '2025-11-06 07:00:00'), ('t', 's', 0, 5, 7, 'stage', '2025-11-06 07:00:00'),
			('t', '', 1, 5, 7, 'partition', '2025-11-06 07:00:00'), ('u', '', 0, 5, 7, 'topic', '2025-11-06 07:00:00')`,
		`INSERT INTO audit_log (tenant_id, at, request_id, key_id, address, method, route, object_id, status, outcome,
				replayed, seq) VALUES
			('acme', '2025-11-04 07:00:00', 'r0', 'k1', '10.0.0.1', 'POST', '/v1/policies', '', 201, 'OK', false, 1),
			('acme', '2025-11-05 07:00:00', 'r1', 'k1', '10.0.0.1', 'POST', '/v1/policies', '', 201, 'OK', false, 2),
			('acme', '2025-11-05 07:00:00', 'r2', 'k2', '10.0.0.1', 'PATCH', '/v1/policies/{id}', 'P1', 409, 'CONFLICT',
				true, 3),
			('other', '2025-11-06 07:00:00', 'r3', 'k3', '10.0.0.1', 'POST', '/v1/policies', '', 201, 'OK', false, 4)`,
		`INSERT INTO webhook_deliveries_log (tenant_id, webhook_id, delivery_id, event_type, object_id, status, attempts,
				status_code, error, next_attempt_at, payload, since, at, src_offset) VALUES
			('acme', 'A', 'B', 'collection.failed', 'O1', 'pending', 0, 0, '', '', '{"n":1}', '2025-11-05 07:00:00',
				'2025-11-05 07:00:00', 1),
			('acme', 'A', 'C', 'collection.paid', 'O2', 'pending', 0, 0, '', '', '{"n":2}', '2025-11-06 07:00:00',
				'2025-11-06 07:00:00', 2),
			('acme', 'A', 'C', 'collection.paid', 'O2', 'retrying', 1, 500, 'answered 500', 'soon', '', '2025-11-06 07:00:00',
				'2025-11-06 07:00:01', 3),
			('acme', 'A', 'C', 'collection.paid', 'O2', 'delivered', 2, 200, '', '', '', '2025-11-06 07:00:00',
				'2025-11-06 07:00:02', 4),
			('other', 'A', 'S', 'collection.paid', 'O9', 'failed', 9, 0, '', '', '{}', '2025-11-07 07:00:00',
				'2025-11-07 07:00:00', 5)`,
		`INSERT INTO sink_marks (topic, partition, next_offset, next_seq) VALUES ('t', 0, 9, 0), ('t', 0, 4, 7), ('u', 1,
				3, 2)`,
	} {
		q = strings.NewReplacer("'A'", "'"+a+"'", "'B'", "'"+b+"'", "'C'", "'"+cA+"'", "'S'", "'"+st+"'").Replace(q)
		require.NoError(e.t, e.db.Exec(e.t.Context(), q))
	}
}

// rowText writes a row's columns as text, with blanks between them.
func rowText(t *testing.T, rows driver.Rows, first bool) string {
	t.Helper()
	types := rows.ColumnTypes()
	values := make([]any, len(types))
	for i, c := range types {
		values[i] = reflect.New(c.ScanType()).Interface()
	}
	require.NoError(t, rows.Scan(values...))
	var out []string
	for i, v := range values {
		elem := reflect.Indirect(reflect.ValueOf(v))
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		if !elem.IsValid() {
			out = append(out, "NULL")
			continue
		}
		text := fmt.Sprint(elem.Interface())
		if at, ok := elem.Interface().(time.Time); ok {
			text = at.UTC().Format(time.DateTime)
			if types[i].DatabaseTypeName() == "Date" || types[i].DatabaseTypeName() == "Nullable(Date)" {
				text = at.Format(time.DateOnly)
			}
		}
		out = append(out, text)
	}
	if first {
		return out[0]
	}
	return strings.Join(out, " ")
}
