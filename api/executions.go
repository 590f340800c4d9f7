package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

const (
	lookupBatch = 1_000 // ids looked up at once when policies are named
	// executeAhead is how many months ahead a period may lie: 2052-11 typed for 2025-11 must not queue collections that
	// wait for decades.
	executeAhead = 12
	// An execution of up to fewPolicies is waited for like any write. A larger one is answered within acceptWithin.
	fewPolicies  = 1_000
	acceptWithin = 500 * time.Millisecond
	// An execution that was asked for less than newFor ago may not be in ClickHouse yet; it is waited for.
	newFor      = time.Minute
	newPatience = 2 * time.Second
)

// execution is one execution that is asked for.
type execution struct {
	*server
	*requestInfo
	cmd      schemas.ExecutionCommand
	warnings []Warning
}

// ExecuteCollections is POST /collections/execute.
func (s *server) ExecuteCollections(w http.ResponseWriter, r *http.Request, _ ExecuteCollectionsParams) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		began := time.Now()
		in := readInput(w, r, "period_month", "policy_ids")
		period, _ := check(in, "period_month", true, aPeriod)
		numbers := in.texts("policy_ids")
		if in.err != nil {
			return in.err
		}
		e := &execution{server: s, requestInfo: info, cmd: schemas.ExecutionCommand{
			ExecutionID: info.newID(), RequestID: info.command, TenantID: info.tenant,
			PeriodMonth: period, Named: numbers != nil,
		}}
		if info.again {
			if found, err := e.earlier(ctx, w); found || err != nil {
				return err
			}
		}
		if err := e.checkNotPassed(ctx); err != nil {
			return err
		}
		if err := e.queue(ctx, numbers); err != nil {
			return err
		}
		e.await(ctx, began)
		e.warnOfPolicies(ctx, numbers)
		writeJSON(w, http.StatusAccepted, ExecutionAccepted{
			ExecutionID: e.cmd.ExecutionID, Status: "processing", PoliciesQueued: int(e.cmd.PoliciesQueued),
			Warnings: orNone(e.warnings),
		})
		return nil
	})
}

// warnOfPolicies warns of policies that are not debited whatever money comes. It is accepted by now, so what cannot be
// read is left out.
func (e *execution) warnOfPolicies(ctx context.Context, numbers []string) {
	above, held, err := e.db.NotDebited(ctx, numbers)
	if err != nil {
		e.Log.LogAttrs(ctx, slog.LevelWarn, "policies that are not debited cannot be counted", slog.Any("error", err))
	}
	warn := func(n uint64, field, code, why string) {
		if n > 0 {
			e.warnings = append(e.warnings, Warning{field, code, fmt.Sprintf("%d of the active policies %s", n, why)})
		}
	}
	warn(above, "collection_amount", warnMaximum,
		"have a fixed mandate whose maximum is below the premium: they are not debited until it is raised")
	warn(held, "hold", warnOnHold,
		"are on hold: they are not debited until their mandate changes or their status is set to active")
}

// earlier answers with the execution that an earlier try has begun. Where it has begun none, the execution gets another
// id: on some of the partitions the first one may be.
func (e *execution) earlier(ctx context.Context, w http.ResponseWriter) (found bool, err error) {
	if err = e.workedOff(ctx); err != nil {
		return false, err
	}
	x, err := pollUntil(ctx, earlierPatience, func(ctx context.Context) (read.Execution, bool, error) {
		return e.db.Execution(ctx, e.cmd.ExecutionID)
	})
	if errors.Is(err, errLate) {
		e.cmd.ExecutionID = uuid.Must(uuid.NewV7()).String()
		return false, nil
	}
	if err == nil {
		writeJSON(w, http.StatusAccepted, ExecutionAccepted{
			ExecutionID: e.cmd.ExecutionID, Status: "processing", PoliciesQueued: int(x.Queued),
		})
	}
	return err == nil, err
}

// checkNotPassed refuses a period that has fully passed on the business calendar, because its collections could not be
// debited any more, and one too far ahead.
func (e *execution) checkNotPassed(ctx context.Context) error {
	day, known, err := e.db.BusinessDate(ctx)
	if err != nil {
		return err
	}
	if !known { // a fresh system: the first tick is on its way
		day, err = pollUntil(ctx, e.Wait, e.db.BusinessDate)
		if err != nil {
			return unavailable(err, "The business calendar has no date yet; is the ticker running?")
		}
	}
	period, now := e.cmd.PeriodMonth, schemas.PeriodOf(day)
	if period < now {
		return newError(http.StatusUnprocessableEntity, "The period %s has passed: the business date is %s", period, day).
			at("period_month", string(now)+" or later", string(period))
	}
	if period == now && e.LastDebits != nil {
		if last := e.LastDebits(period); last.Before(day) {
			e.warnings = append(
				e.warnings,
				Warning{"period_month", "NO_BANKING_DAY_LEFT", fmt.Sprintf("The last banking day of "+
					"%s was %s: collections made now are not debited in this period", period, last)},
			)
		} else if last == day {
			e.warnings = append(e.warnings, Warning{"period_month", "LAST_BANKING_DAY", fmt.Sprintf("Today, %s, is the last "+
				"banking day of %s: collections are tried at its last cut-off, and not at all where that has passed", last,
				period)})
		}
	}
	if last := schemas.PeriodOf(now.First().AddMonths(executeAhead)); period > last {
		return newError(http.StatusUnprocessableEntity,
			"The period %s is more than %d months ahead: the business date is %s", period, executeAhead, day).
			at("period_month", string(now)+" to "+string(last), string(period))
	}
	return nil
}

// queue writes the execution, behind the commands of named policies: once it is there, all is. The caller may hang up
// meanwhile; what was begun is written to its end.
func (e *execution) queue(ctx context.Context, numbers []string) error {
	var cmds []schemas.ExecuteCommand
	var err error
	if e.cmd.Named {
		cmds, err = e.named(ctx, numbers)
		e.cmd.PoliciesQueued = int64(len(cmds))
	} else {
		e.cmd.PoliciesQueued, err = e.db.PoliciesWithout(ctx, e.cmd.PeriodMonth)
	}
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if len(cmds) > 0 {
		err = e.Commands.Execute(ctx, cmds)
	}
	if err == nil {
		err = e.Commands.Execution(ctx, e.cmd)
	}
	if err != nil {
		return unavailable(err, "The execution was not written to Kafka as a whole; calling again adds what is missing")
	}
	return nil
}

// named are the commands for the policies of the given numbers that have no collection yet, or an error when one number
// is unknown or not active.
func (e *execution) named(ctx context.Context, numbers []string) ([]schemas.ExecuteCommand, error) {
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	found := map[string]read.PolicyRef{}
	for chunk := range slices.Chunk(numbers, lookupBatch) {
		ids := make([]string, len(chunk))
		for i, n := range chunk {
			ids[i] = schemas.PolicyID(e.tenant, n)
		}
		refs, err := e.db.PoliciesByIDs(ctx, ids)
		if err != nil {
			return nil, err
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
		return nil, newError(http.StatusNotFound, "Unknown policy numbers: %s; nothing was queued", listed(unknown)).
			at("policy_ids", "policy numbers of yours", listed(unknown))
	}
	if len(idle) > 0 {
		return nil, conflict("Policies that are not active: %s; nothing was queued", listed(idle)).
			at("policy_ids", "active policies", listed(idle))
	}
	var cmds []schemas.ExecuteCommand
	for batch := range slices.Chunk(refs, lookupBatch) {
		ids := make([]string, len(batch))
		for i, p := range batch {
			ids[i] = schemas.CollectionID(p.ID, e.cmd.PeriodMonth)
		}
		have, err := e.db.CollectedAmong(ctx, e.cmd.PeriodMonth, ids)
		if err != nil {
			return nil, err
		}
		for _, p := range batch {
			if !have[p.ID] {
				cmds = append(cmds, schemas.ExecuteCommand{
					RequestID: e.command, ExecutionID: e.cmd.ExecutionID, Row: len(cmds) + 1, TenantID: e.tenant,
					CustomerID: p.CustomerID, PolicyNumber: p.Number, PeriodMonth: e.cmd.PeriodMonth,
				})
			}
		}
	}
	return cmds, nil
}

// listed names the first of many.
func listed(names []string) string {
	const most = 20
	if len(names) > most {
		names = append(names[:most:most], "...")
	}
	return strings.Join(names, ", ")
}

// await waits until the new collections can be read. It gives up silently: the execution was accepted, and 202 promises
// no more.
func (e *execution) await(ctx context.Context, began time.Time) {
	bound := e.Wait
	if e.cmd.PoliciesQueued > fewPolicies {
		bound = min(bound, acceptWithin-time.Since(began))
	}
	var x read.Execution
	var found bool
	err := poll(ctx, bound, func() (done bool, _ uint64, err error) {
		x, found, err = e.db.Execution(ctx, e.cmd.ExecutionID)
		return found && x.Completed, 0, err
	})
	if err == nil {
		err = awaitCount(ctx, e.Wait, uint64(x.Created), func(ctx context.Context) (uint64, error) {
			return e.db.CollectionsOfExecution(ctx, e.cmd.PeriodMonth, e.cmd.ExecutionID)
		})
	}
	if err != nil && (!found || e.cmd.PoliciesQueued <= fewPolicies) {
		e.Log.LogAttrs(ctx, slog.LevelWarn, "execution accepted, collections not visible yet",
			slog.String("request_id", e.requestID), slog.String("execution_id", e.cmd.ExecutionID),
			slog.Int64("queued", e.cmd.PoliciesQueued), slog.Int64("created", x.Created), slog.Any("error", err))
	}
}

// GetExecution is GET /executions/{id}. Its id holds when it was made, so one that was asked for a moment ago is waited
// for.
func (s *server) GetExecution(w http.ResponseWriter, r *http.Request, id ID) {
	ask := func(db *read.DB, ctx context.Context, id string) (x read.Execution, found bool, err error) {
		bound := time.Duration(0)
		if made := uuid.MustParse(id); made.Version() == 7 && time.Since(time.Unix(made.Time().UnixTime())) < newFor {
			bound = min(s.Wait, newPatience)
		}
		err = poll(ctx, bound, func() (bool, uint64, error) {
			x, found, err = db.Execution(ctx, id)
			return found, 0, err
		})
		if errors.Is(err, errLate) {
			err = nil
		}
		return x, found, err
	}
	respondWith(s, w, r, "execution", id, ask, executionBody)
}

func executionBody(x read.Execution) Execution {
	status, done := "processing", min(x.Queued, x.Created+x.Unchanged+x.Refused)
	if x.Completed {
		status, done = "completed", x.Queued
	}
	return Execution{
		ExecutionID: x.ID, PeriodMonth: x.Period, Status: status, PoliciesQueued: int(x.Queued), PoliciesDone: int(done),
		CollectionsCreated: int(
			x.Created,
		), Unchanged: int(x.Unchanged), Refused: int(x.Refused), CollectionsVoided: int(x.Voided),
		CreatedAt: x.CreatedAt.UTC(),
	}
}

// DeleteExecution is DELETE /executions/{id}. What it takes back is named by the execution, so calling it again is
// safe.
func (s *server) DeleteExecution(w http.ResponseWriter, r *http.Request, id ID) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		x, err := find(ctx, "execution", id, (*read.DB).Execution)
		if err != nil {
			return err
		}
		if !x.Completed {
			// Its pieces come one behind the other; a command between them would leave out those that follow.
			x, err = pollUntil(ctx, s.Wait, func(ctx context.Context) (read.Execution, bool, error) {
				x, _, err := info.db.Execution(ctx, id)
				return x, x.Completed, err
			})
			if errors.Is(err, errLate) {
				return conflict("The execution is still being worked on; call again once it is completed")
			}
			if err != nil {
				return err
			}
		}
		cmd := schemas.ExecutionCommand{
			ExecutionID: uuid.Must(uuid.NewV7()).String(), RequestID: info.requestID, TenantID: info.tenant,
			PeriodMonth: x.Period, Voids: x.ID,
		}
		if err := s.Commands.Execution(context.WithoutCancel(ctx), cmd); err != nil {
			return unavailable(err, "The command was not written to Kafka as a whole; calling again is safe")
		}
		status := http.StatusOK
		err = poll(ctx, s.Wait, func() (bool, uint64, error) {
			done, voided, err := info.db.VoidOf(ctx, x.Period, cmd.ExecutionID, x.ID)
			return done, voided, err
		})
		if errors.Is(err, errLate) {
			status, err = http.StatusAccepted, nil
		}
		if err == nil {
			x, _, err = info.db.Execution(ctx, id)
		}
		if err == nil {
			writeJSON(w, status, executionBody(x))
		}
		return err
	})
}
