package api

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/civil"
	"github.com/google/uuid"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

const (
	executePage = 20_000 // policies read at once when all are executed
	lookupBatch = 1_000  // ids looked up at once when policies are named
	// executeAhead is how many months ahead a period may lie: 2052-11 typed for 2025-11 must not queue collections that
	// wait for decades.
	executeAhead = 12
)

// execution is one execution under way.
type execution struct {
	*server
	*requestInfo
	id     string
	period schemas.Period
	queued int
}

// ExecuteCollections is POST /collections/execute.
func (s *server) ExecuteCollections(w http.ResponseWriter, r *http.Request) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		in, err := readInput(w, r, "period_month", "policy_ids")
		if err != nil {
			return err
		}
		period, _ := check(in, "period_month", true, aPeriod)
		numbers := in.texts("policy_ids")
		if in.err != nil {
			return in.err
		}
		if err := s.checkNotPassed(ctx, period); err != nil {
			return err
		}
		e := &execution{server: s, requestInfo: info, id: uuid.NewString(), period: period}
		if numbers != nil {
			err = e.named(ctx, numbers)
		} else {
			err = e.all(ctx)
		}
		if err != nil {
			return err
		}
		e.await(ctx)
		writeJSON(w, http.StatusAccepted, Execution{ExecutionID: e.id, Status: "processing", PoliciesQueued: e.queued})
		return nil
	})
}

// checkNotPassed refuses a period that has fully passed on the business calendar, because its collections could not be
// debited any more, and one too far ahead.
func (s *server) checkNotPassed(ctx context.Context, period schemas.Period) error {
	day, known, err := s.db.BusinessDate(ctx)
	if err != nil {
		return err
	}
	if !known { // a fresh system: the first tick is on its way
		day, err = pollUntil(ctx, s.Wait, func() (civil.Date, bool, error) { return s.db.BusinessDate(ctx) })
		if err != nil {
			return unavailable(err, "The business calendar has no date yet; is the ticker running?")
		}
	}
	now := schemas.PeriodOf(day)
	if period < now {
		return newError(http.StatusUnprocessableEntity, "The period %s has passed: the business date is %s", period, day).
			at("period_month", string(now)+" or later", string(period))
	}
	if last := schemas.PeriodOf(now.First().AddMonths(executeAhead)); period > last {
		return newError(http.StatusUnprocessableEntity,
			"The period %s is more than %d months ahead: the business date is %s", period, executeAhead, day).
			at("period_month", string(now)+" to "+string(last), string(period))
	}
	return nil
}

// all queues every active policy without a collection of the period, page by page in the order of the policies' ids.
func (e *execution) all(ctx context.Context) error {
	after := uuid.Nil.String()
	for {
		refs, err := e.db.PoliciesAfter(ctx, e.tenant, after, executePage)
		if err != nil {
			return err
		}
		if len(refs) == 0 {
			return nil
		}
		after = refs[len(refs)-1].ID
		have, err := e.db.CollectedBetween(ctx, e.tenant, e.period, refs[0].ID, after)
		if err != nil {
			return err
		}
		if err := e.queue(ctx, refs, have); err != nil {
			return err
		}
	}
}

// named queues the policies of the given numbers, or none of them when one is unknown or not active.
func (e *execution) named(ctx context.Context, numbers []string) error {
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	found := map[string]read.PolicyRef{}
	for chunk := range slices.Chunk(numbers, lookupBatch) {
		ids := make([]string, len(chunk))
		for i, n := range chunk {
			ids[i] = schemas.PolicyID(e.tenant, n)
		}
		refs, err := e.db.PoliciesByIDs(ctx, e.tenant, ids)
		if err != nil {
			return err
		}
		for _, p := range refs {
			found[p.Number] = p
		}
	}
	var unknown, idle []string
	refs := make([]read.PolicyRef, 0, len(numbers))
	for _, n := range numbers {
		p, ok := found[n]
		if !ok {
			unknown = append(unknown, n)
		} else if p.Status != schemas.PolicyActive {
			idle = append(idle, n+" ("+string(p.Status)+")")
		}
		refs = append(refs, p)
	}
	if len(unknown) > 0 {
		return newError(http.StatusNotFound, "Unknown policy numbers: %s; nothing was queued", listed(unknown)).
			at("policy_ids", "policy numbers of yours", listed(unknown))
	}
	if len(idle) > 0 {
		return conflict("Policies that are not active: %s; nothing was queued", listed(idle)).
			at("policy_ids", "active policies", listed(idle))
	}
	for batch := range slices.Chunk(refs, lookupBatch) {
		ids := make([]string, len(batch))
		for i, p := range batch {
			ids[i] = schemas.CollectionID(p.ID, e.period)
		}
		have, err := e.db.CollectedAmong(ctx, e.tenant, e.period, ids)
		if err != nil {
			return err
		}
		if err := e.queue(ctx, batch, have); err != nil {
			return err
		}
	}
	return nil
}

// listed names the first of many.
func listed(names []string) string {
	const most = 20
	if len(names) > most {
		names = append(names[:most:most], "...")
	}
	return strings.Join(names, ", ")
}

// queue sends a command for each active policy that is not among those that have a collection.
func (e *execution) queue(ctx context.Context, refs []read.PolicyRef, have read.IDs) error {
	cmds := make([]schemas.ExecuteCommand, 0, len(refs))
	for _, p := range refs {
		if p.Status == schemas.PolicyActive && !have[p.ID] {
			cmds = append(cmds, schemas.ExecuteCommand{
				RequestID: e.requestID, ExecutionID: e.id, Row: e.queued + len(cmds) + 1, TenantID: e.tenant,
				CustomerID: p.CustomerID, PolicyNumber: p.Number, PeriodMonth: e.period,
			})
		}
	}
	if len(cmds) == 0 {
		return nil
	}
	if err := e.Commands.Execute(ctx, cmds); err != nil {
		return unavailable(err,
			"%d policies were queued, then the commands could not be written to Kafka; calling again adds what is missing",
			e.queued)
	}
	e.queued += len(cmds)
	return nil
}

// await waits until the new collections can be read. It gives up silently: the execution was accepted, and 202 promises
// no more.
func (e *execution) await(ctx context.Context) {
	if e.queued == 0 {
		return
	}
	counts, err := e.awaitOutcomes(ctx, e.Wait, e.queued)
	if err == nil {
		err = awaitCount(ctx, e.Wait, counts.OK, func() (uint64, error) {
			return e.db.CollectionsOfExecution(ctx, e.tenant, e.period, e.id)
		})
	}
	if err != nil {
		e.Log.LogAttrs(ctx, slog.LevelWarn, "execution accepted, collections not visible yet",
			slog.String("request_id", e.requestID), slog.String("execution_id", e.id), slog.Int("queued", e.queued),
			slog.Uint64("answered", counts.Answered), slog.Any("error", err))
	}
}
