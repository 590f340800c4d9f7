package api_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
)

const partitions = 2

// pipeline stands in for Kafka, the stages and the sink: it answers each command at once with the rows that they would
// write. It knows just enough of the rules for the API's own behaviour; what the engine decides is tested where it is.
type pipeline struct {
	t  *testing.T
	db driver.Conn

	mu          sync.Mutex
	policies    map[string]schemas.PolicyEvent       // by id
	collections map[string]schemas.CollectionEvent   // by id
	statements  map[string][]schemas.SettlementEvent // by tenant and period
	settled     map[string]*settlement.Tenant
	today       civil.Date        // of the settle stage
	ends        [partitions]int64 // of kasi.collections.v1
	seq         [partitions]int64
	commands    int
	calls       int64 // in the audit

	fail    error                 // what every command returns
	deaf    bool                  // commands are taken and never answered
	stuck   bool                  // the sink's marks stand still
	every   func()                // called for each batch of policies
	writing func(context.Context) // called for each execution
	half    bool                  // executions are never completed
	closed  bool                  // the open item is
	debited bool                  // policies are, so that they stay with their customers
	forget  bool                  // policies are not kept, for imports too large for that
	cutErr  error

	settling func() // called before a settlement command is taken
}

func newPipeline(t *testing.T, db driver.Conn) *pipeline {
	return &pipeline{
		t: t, db: db, policies: map[string]schemas.PolicyEvent{}, collections: map[string]schemas.CollectionEvent{},
		statements: map[string][]schemas.SettlementEvent{}, settled: map[string]*settlement.Tenant{},
		today: civil.Date{Year: 2025, Month: time.December, Day: 2},
	}
}

var errKafka = errors.New("no broker")

func (p *pipeline) day(date string) {
	require.NoError(p.t, p.db.Exec(p.t.Context(), "INSERT INTO calendar_log (business_date, cutoff) VALUES (?, 0)", date))
}

// insert writes rows into a table's columns.
func (p *pipeline) insert(table, columns string, rows [][]any) {
	if len(rows) == 0 {
		return
	}
	b, err := p.db.PrepareBatch(context.Background(), "INSERT INTO "+table+" ("+columns+")")
	require.NoError(p.t, err)
	for _, r := range rows {
		require.NoError(p.t, b.Append(r...))
	}
	require.NoError(p.t, b.Send())
}

// item writes a version of the open item of a debit.
func (p *pipeline) item(debit string, state schemas.OpenItemState, version int64, note string) {
	p.insert("open_items_log", "tenant_id, item_id, version, customer_id, policy_number, collection_id, period_month, "+
		"debit_id, kind, state, amount_cents, said_cents, action_date, since, result_id, note, at", [][]any{{
		"acme", schemas.OpenItemID(debit), version, "C-POL001", "POL001", schemas.FactID("collection"), "2025-11", debit,
		"AMOUNT_MISMATCH", string(state), int64(15000), int64(10000), "2025-11-05", "2025-11-06", "R1", note,
		time.Date(2025, 11, 6, 7, 0, int(version), 0, time.UTC),
	}})
}

func (p *pipeline) Audit(_ context.Context, ev schemas.AuditEvent, _ func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	p.insert("audit_log", "tenant_id, at, request_id, key_id, address, method, route, object_id, status, outcome, "+
		"replayed, seq, event_id", [][]any{{
		ev.TenantID, time.Now(), ev.RequestID, ev.KeyID, ev.Address, ev.Method, ev.Route, ev.ObjectID, int64(ev.Status),
		ev.Outcome, ev.Replayed, p.calls, uuid.New(),
	}})
}

func (p *pipeline) CloseItem(_ context.Context, cmd schemas.CloseItemCommand) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commands++
	if p.fail != nil || p.deaf {
		return p.fail
	}
	out := schemas.OutcomeEvent{RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: 1, Code: schemas.OutcomeUnchanged}
	if cmd.CustomerID == "C-POL001" && !p.closed {
		p.closed = true
		out.Code = schemas.OutcomeOK
		p.item(cmd.DebitID, schemas.ItemClosed, 2, cmd.Note)
	}
	p.outcomes([]schemas.OutcomeEvent{out})
	return nil
}

func (p *pipeline) outcomes(outs []schemas.OutcomeEvent) {
	var rows [][]any
	for _, o := range outs {
		rows = append(rows, []any{
			o.TenantID, o.RequestID, uint32(o.Row), uint32(o.Line), o.Code, o.Message, o.PolicyNumber, o.ObjectID,
			o.Version, o.Stage, o.Statement, uuid.New(),
		})
	}
	p.insert("outcomes_log", "tenant_id, request_id, row, line, code, message, policy_number, object_id, version, "+
		"stage, statement, event_id", rows)
}

const policyColumns = "tenant_id, policy_id, policy_number, customer_id, external_customer_ref, product_code, " +
	"premium_cents, status, rail, mandate_reference, " +
	"mandate_max_cents, mandate_fixed, collection_day, bank, account_token, action, key_id, " +
	"hold_reason, version, request_id, created_at, updated_at, event_id"

func policyRow(e schemas.PolicyEvent) []any {
	return []any{
		e.TenantID, e.PolicyID, e.PolicyNumber, e.CustomerID, e.ExternalCustomerRef, e.ProductCode, int64(e.PremiumCents),
		string(e.Status), string(e.Rail),
		e.MandateReference, int64(e.MandateMaxCents), e.MandateFixed, uint8(e.CollectionDay), e.Bank,
		e.AccountToken, string(e.Action),
		e.KeyID, e.HoldReason, e.Version,
		e.RequestID, e.CreatedAt, e.UpdatedAt, uuid.New(),
	}
}

func (p *pipeline) Policies(_ context.Context, cmds []schemas.PolicyCommand) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commands += len(cmds)
	if p.every != nil {
		p.every()
	}
	if p.fail != nil || p.deaf {
		return p.fail
	}
	var outs []schemas.OutcomeEvent
	var rows [][]any
	for _, c := range cmds {
		id := schemas.PolicyID(c.TenantID, c.PolicyNumber)
		old, exists := p.policies[id]
		now, code, message := p.decide(c, old, exists)
		if code == schemas.OutcomeOK {
			now.PolicyID, now.TenantID, now.PolicyNumber, now.RequestID = id, c.TenantID, c.PolicyNumber, c.RequestID
			now.Version, now.UpdatedAt, now.Action, now.KeyID = old.Version+1, time.Now(), c.Action, c.KeyID
			if !p.forget {
				p.policies[id] = now
			}
			rows = append(rows, policyRow(now))
		}
		outs = append(outs, schemas.OutcomeEvent{
			RequestID: c.RequestID, TenantID: c.TenantID, Row: c.Row, Line: c.Line, Code: code, Message: message,
			PolicyNumber: c.PolicyNumber, Version: now.Version,
			ObjectID: id, Stage: "collect",
		})
	}
	p.insert("policies_log", policyColumns, rows)
	p.outcomes(outs)
	return nil
}

func (p *pipeline) decide(
	c schemas.PolicyCommand,
	old schemas.PolicyEvent,
	exists bool,
) (now schemas.PolicyEvent, code,
	message string,
) {
	now = old
	patch := c.Action == schemas.PolicyPatch
	switch {
	case patch && !exists:
		return now, schemas.OutcomeNotFound, "there is no such policy"
	case c.Action == schemas.PolicyCreate && exists:
		return now, schemas.OutcomeConflict, "the policy number exists"
	case c.IfVersion != 0 && c.IfVersion != old.Version:
		return now, schemas.OutcomePrecondition, "the policy has another version"
	case !patch && exists && old.CustomerID != c.CustomerID:
		return now, schemas.OutcomeConflict, "the policy number belongs to another customer"
	}
	if patch && c.CustomerID != "" {
		now.CustomerID = c.CustomerID
	}
	if now.CustomerID != old.CustomerID && p.debited {
		return now, schemas.OutcomeConflict, "it has been debited"
	}
	if c.SetStatus != nil {
		now.Status = *c.SetStatus
	}
	if t := c.Terms; t != nil {
		take := func(field string, f func()) {
			if c.Gives(field) {
				f()
			}
		}
		take(schemas.GivenReference, func() { now.ExternalCustomerRef = t.ExternalCustomerRef })
		take(schemas.GivenProduct, func() { now.ProductCode = t.ProductCode })
		take(schemas.GivenPremium, func() { now.PremiumCents = t.PremiumCents })
		take(schemas.GivenStatus, func() { now.Status = t.Status })
		take(schemas.GivenRail, func() { now.Rail = t.Rail })
		take(schemas.GivenMandate, func() { now.MandateReference = t.MandateReference })
		take(schemas.GivenMaximum, func() { now.MandateMaxCents = t.MandateMaxCents })
		take(schemas.GivenFixed, func() { now.MandateFixed = t.MandateFixed })
		take(schemas.GivenDay, func() { now.CollectionDay = t.CollectionDay })
		take(schemas.GivenBank, func() { now.Bank = t.Bank })
		take(schemas.GivenToken, func() { now.AccountToken = t.AccountToken })
	}
	if !exists {
		now.CustomerID, now.CreatedAt = c.CustomerID, time.Now()
		now.Status = cmp.Or(now.Status, schemas.PolicyActive)
	}
	now.Rail = cmp.Or(now.Rail, schemas.RailDebiCheck)
	switch {
	case exists && old.Status == schemas.PolicyCancelled && now.Status != schemas.PolicyActive &&
		(now.PolicyTerms != old.PolicyTerms || !patch && !c.Gives(schemas.GivenStatus)):
		return now, schemas.OutcomeConflict, "the policy is cancelled"
	case exists && now.PolicyTerms == old.PolicyTerms && now.CustomerID == old.CustomerID:
		return now, schemas.OutcomeUnchanged, ""
	}
	return now, schemas.OutcomeOK, ""
}

// Import writes entries of an import.
func (p *pipeline) Import(_ context.Context, entries []schemas.ImportEntry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	var rows [][]any
	for _, e := range entries {
		rows = append(rows, []any{
			e.TenantID, e.ImportID, e.No, string(e.Kind), uint32(e.Line), uint32(e.Row), e.PolicyNumber, e.Column, e.Code,
			e.Message, e.Mode, e.DryRun, e.KeyID, e.AskedAt, e.Rows, e.LeftOut, e.Warnings, e.Failed, e.Imported, e.Created,
			e.Updated, e.Unchanged, e.Cancelled, uuid.New(), time.Now(),
		})
	}
	p.insert(
		"imports_log",
		"tenant_id, import_id, no, kind, line, row, policy_number, column_name, code, message, mode, "+
			"dry_run, key_id, asked_at, rows, left_out, warnings, failed, imported, created, updated, unchanged, cancelled, "+
			"event_id, at",
		rows,
	)
	return nil
}

func (p *pipeline) Execute(_ context.Context, cmds []schemas.ExecuteCommand) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commands += len(cmds)
	if p.fail != nil || p.deaf {
		return p.fail
	}
	var outs []schemas.OutcomeEvent
	var made []schemas.CollectionEvent
	for _, c := range cmds {
		policy := p.policies[schemas.PolicyID(c.TenantID, c.PolicyNumber)]
		id, code := schemas.CollectionID(policy.PolicyID, c.PeriodMonth), schemas.OutcomeOK
		if _, exists := p.collections[id]; exists {
			code = schemas.OutcomeUnchanged
		} else {
			made = append(made, schemas.CollectionEvent{
				CollectionID: id, TenantID: c.TenantID, CustomerID: c.CustomerID, PolicyID: policy.PolicyID,
				PolicyNumber:        c.PolicyNumber,
				ExternalCustomerRef: policy.ExternalCustomerRef, ProductCode: policy.ProductCode, PeriodMonth: c.PeriodMonth,
				ExecutionID: c.ExecutionID,
				DueCents:    policy.PremiumCents, Status: schemas.Unpaid, Change: schemas.Change{Kind: schemas.ChangeCreated},
			})
		}
		outs = append(outs, schemas.OutcomeEvent{
			RequestID: c.RequestID, TenantID: c.TenantID, Row: c.Row, Code: code,
			ObjectID: id, Stage: "collect",
		})
	}
	p.write(made...)
	p.outcomes(outs)
	return nil
}

// Execution makes every collection that is missing, in two pieces on one partition. With half, only the first is done.
func (p *pipeline) Execution(ctx context.Context, cmd schemas.ExecutionCommand) error {
	if p.writing != nil {
		p.writing(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil || p.deaf {
		return p.fail
	}
	var made []schemas.CollectionEvent
	var counts schemas.ExecutionCounts
	for _, c := range p.collections {
		if cmd.Voids != "" && c.ExecutionID == cmd.Voids && c.Attempts == 0 && c.Status != schemas.CollectionVoided {
			counts.Voided++
			c.Status, c.Change = schemas.CollectionVoided, schemas.Change{Kind: schemas.ChangeVoided}
			made = append(made, c)
		}
	}
	for id, policy := range p.policies {
		collection := schemas.CollectionID(id, cmd.PeriodMonth)
		switch is, exists := p.collections[collection]; {
		case cmd.Named || cmd.Voids != "" || policy.TenantID != cmd.TenantID || policy.Status != schemas.PolicyActive:
		case exists && is.Status != schemas.CollectionVoided:
			counts.Unchanged++
		default:
			counts.CollectionsCreated++
			made = append(made, schemas.CollectionEvent{
				CollectionID: collection, TenantID: cmd.TenantID, CustomerID: policy.CustomerID, PolicyID: id,
				PolicyNumber: policy.PolicyNumber, ExternalCustomerRef: policy.ExternalCustomerRef,
				ProductCode: policy.ProductCode, PeriodMonth: cmd.PeriodMonth, ExecutionID: cmd.ExecutionID,
				DueCents: policy.PremiumCents, Status: schemas.Unpaid, Change: schemas.Change{Kind: schemas.ChangeCreated},
			})
		}
	}
	if p.half {
		counts.CollectionsCreated, made = 1, made[:1]
	}
	p.write(made...)
	columns := "tenant_id, execution_id, period_month, request_id, part, parts, piece, policies_queued, named, " +
		"collections_created, unchanged, refused, voided, voids, done, business_date, at, event_id"
	row := func(piece int64, c schemas.ExecutionCounts, done bool) []any {
		return []any{
			cmd.TenantID, cmd.ExecutionID, string(cmd.PeriodMonth), cmd.RequestID, uint32(0), uint32(1), piece,
			cmd.PoliciesQueued, cmd.Named, c.CollectionsCreated, c.Unchanged, c.Refused, c.Voided, cmd.Voids, done,
			time.Date(2025, 11, 5, 0, 0, 0, 0, time.UTC), time.Date(2025, 11, 5, 7, 0, 0, 0, time.UTC), uuid.New(),
		}
	}
	p.insert("executions_log", columns, [][]any{row(1, schemas.ExecutionCounts{}, false), row(2, counts, !p.half)})
	return nil
}

// write stores the next version of collections and moves the sink's marks.
func (p *pipeline) write(events ...schemas.CollectionEvent) {
	var rows [][]any
	date := func(s string) *time.Time {
		if s == "" {
			return nil
		}
		d, err := time.Parse(time.DateOnly, s)
		require.NoError(p.t, err)
		return &d
	}
	for _, c := range events {
		c.Version = p.collections[c.CollectionID].Version + 1
		p.collections[c.CollectionID] = c
		part := schemas.PartitionOf(schemas.RoutingHash(schemas.CustomerKey(c.TenantID, c.CustomerID)), partitions)
		p.seq[part]++
		rows = append(rows, []any{
			c.TenantID, string(c.PeriodMonth), c.CollectionID, c.Version, c.CustomerID, c.ExternalCustomerRef, c.PolicyID,
			c.PolicyNumber, c.ProductCode,
			c.ExecutionID, int64(c.DueCents), int64(c.CollectedCents), string(c.Status), date(c.FirstAttemptDate),
			date(c.LastAttemptDate), uint32(c.Attempts),
			c.LastFailureReason, string(c.Change.Kind), int64(c.Change.MovedCents), uuid.New(), p.seq[part], uint32(part),
			p.ends[part], int64(c.InFlightCents), c.Change.DebitID, c.Change.ResultID, c.Change.ReasonCode,
			c.Change.ReasonScheme, date(c.Change.EffectiveDate), date("2025-11-06"),
		})
		p.ends[part]++
	}
	p.insert("collections_log",
		"tenant_id, period_month, collection_id, version, customer_id, external_customer_ref, policy_id, policy_number, "+
			"product_code, "+
			"execution_id, due_cents, collected_cents, collection_status, first_attempt_date, last_attempt_date, "+
			"number_of_attempts, last_failure_reason, "+
			"change_kind, moved_cents, event_id, seq, src_partition, src_offset, in_flight_cents, change_debit_id, "+
			"change_result_id, reason_code, reason_scheme, effective_date, business_date", rows)
	if p.stuck {
		return
	}
	var marks [][]any
	for part, end := range p.ends {
		marks = append(marks, []any{schemas.TopicCollections, uint32(part), end, p.seq[part] + 1})
	}
	p.insert("sink_marks", "topic, partition, next_offset, next_seq", marks)
}

// change writes the next version of one collection of acme.
func (p *pipeline) change(number string, period schemas.Period, f func(c *schemas.CollectionEvent)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.collections[schemas.CollectionID(schemas.PolicyID("acme", number), period)]
	require.True(p.t, ok, "no collection of %s in %s", number, period)
	c.Change = schemas.Change{Kind: schemas.ChangeInstructed}
	f(&c)
	p.write(c)
}

// pay books money on a collection of acme; negative amounts go back.
func (p *pipeline) pay(number string, period schemas.Period, cents schemas.Cents, date string) {
	p.change(number, period, func(c *schemas.CollectionEvent) {
		c.CollectedCents += cents
		c.Attempts++
		c.LastAttemptDate = date
		if c.FirstAttemptDate == "" {
			c.FirstAttemptDate = date
		}
		c.Status = schemas.PaidPartial
		if c.CollectedCents == c.DueCents {
			c.Status = schemas.PaidFull
		}
		c.Change = schemas.Change{Kind: schemas.ChangePaid, MovedCents: cents}
	})
}

func (p *pipeline) Owed(context.Context) ([]int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]int64(nil), p.ends[:]...), p.cutErr
}

// moment is the settle stage's business time.
func (p *pipeline) moment() schemas.Moment {
	return schemas.Moment{Date: p.today, Cutoff: 1, At: time.Date(2025, 12, 2, 8, 0, 0, 0, time.UTC)}
}

// Settle makes a statement of the period's movements since its last one, as the settle stage does.
func (p *pipeline) Settle(ctx context.Context, cmd schemas.SettleCommand) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.settling != nil {
		p.settling()
	}
	if p.fail != nil || p.deaf {
		return p.fail
	}
	out := schemas.OutcomeEvent{
		RequestID: cmd.RequestID,
		TenantID:  cmd.TenantID,
		Code:      schemas.OutcomeOK,
		Stage:     "settle",
	}
	if from, open := settlement.OpenUntil(cmd.PeriodMonth, p.moment()); open && !cmd.Preview {
		out.Code = schemas.OutcomePeriodOpen
		out.Message = fmt.Sprintf("%s has not ended; it can be settled from %s", cmd.PeriodMonth, from)
		p.outcomes([]schemas.OutcomeEvent{out})
		return nil
	}
	if p.settled[cmd.TenantID] == nil {
		p.settled[cmd.TenantID] = &settlement.Tenant{}
	}
	tenant := p.settled[cmd.TenantID]
	if cmd.Preview {
		tenant = tenant.Clone()
	}
	cover, err := settlement.Cover(tenant, cmd)
	require.NoError(p.t, err)
	sums, err := chsink.Ledger{Conn: p.db}.Sum(ctx, cmd.TenantID, cmd.PeriodMonth, cover)
	require.NoError(p.t, err)
	anything, err := chsink.Ledger{Conn: p.db}.HasCollections(ctx, cmd.TenantID, cmd.PeriodMonth, cmd.Cut)
	require.NoError(p.t, err)
	ev, id, err := settlement.Settle(rules.Default(), tenant, cmd, sums, p.moment(), anything)
	require.NoError(p.t, err)
	out.ObjectID = id
	switch {
	case ev != nil && cmd.Preview:
		text, err := json.Marshal(ev)
		require.NoError(p.t, err)
		out.ObjectID, out.Statement = "", string(text)
	case ev != nil:
		key := cmd.TenantID + string(cmd.PeriodMonth)
		p.statements[key] = append(p.statements[key], *ev)
		p.store(*ev)
	case id != "":
		out.Code = schemas.OutcomeUnchanged
	default:
		out.Code, out.Message = schemas.OutcomeNotFound, "the period has no collections"
	}
	p.outcomes([]schemas.OutcomeEvent{out})
	return nil
}

// Statement disputes and resolves statements, as the settle stage does.
func (p *pipeline) Statement(_ context.Context, cmd schemas.StatementCommand) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil || p.deaf {
		return p.fail
	}
	out := schemas.OutcomeEvent{
		RequestID: cmd.RequestID,
		TenantID:  cmd.TenantID,
		Code:      schemas.OutcomeOK,
		Stage:     "settle",
	}
	ev, err := settlement.Change(rules.Default(), p.settled[cmd.TenantID], cmd, p.moment())
	switch {
	case err != nil:
		out.Code, out.Message = schemas.OutcomeConflict, err.Error()
	case ev == nil:
		out.Code = schemas.OutcomeUnchanged
	default:
		p.store(*ev)
	}
	p.outcomes([]schemas.OutcomeEvent{out})
	return nil
}

func (p *pipeline) store(st schemas.SettlementEvent) {
	day := func(text string) *time.Time {
		if text == "" {
			return nil
		}
		date, err := time.Parse(time.DateOnly, text)
		require.NoError(p.t, err)
		return &date
	}
	var periods []string
	var from, to [][]int64
	for _, c := range st.Coverage {
		periods, from, to = append(periods, string(c.Period)), append(from, c.From), append(to, c.To)
	}
	p.insert("settlements_log",
		"tenant_id, settlement_id, settlement_number, period_month, sequence, version, total_collections_cents, "+
			"adjustments_cents, distribution_fee_cents, collections_fee_cents, total_fees_cents, vat_cents, net_cents, "+
			"brought_forward_cents, payable_cents, in_flight_debits, in_flight_cents, payment_date, payment_reference, "+
			"status, change_kind, note, payout_state, paid_date, request_id, created_at, made_date, business_date, "+
			"coverage_period, coverage_from, coverage_to, event_id", [][]any{{
			st.TenantID, st.SettlementID, st.Number, string(st.PeriodMonth), uint32(st.Sequence), st.Version,
			int64(st.TotalCollectionsCents), int64(st.AdjustmentsCents), int64(st.DistributionFeeCents),
			int64(st.CollectionsFeeCents), int64(st.TotalFeesCents), int64(st.VATCents), int64(st.NetCents),
			int64(st.BroughtForwardCents), int64(st.PayableCents), uint32(st.InFlightDebits), int64(st.InFlightCents),
			day(st.PaymentDate), st.PaymentReference, string(st.Status), string(st.Change), st.Note, string(st.PayoutState),
			day(st.PaidDate), st.RequestID, st.CreatedAt, day(st.MadeDate), day(st.BusinessDate), periods, from, to, uuid.New(),
		}})
}
