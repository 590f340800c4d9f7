package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

func collectionBody(c read.Collection) Collection {
	return Collection{
		ID: c.ID, PeriodMonth: c.Period, CustomerID: c.CustomerID, ExternalCustomerRef: c.ExternalCustomerRef,
		PolicyNumber: c.PolicyNumber, ProductCode: c.ProductCode, CollectionAmountDue: schemas.Rands(c.DueCents),
		CollectionAmountCollected: schemas.Rands(c.CollectedCents), Shortfall: schemas.Rands(c.DueCents - c.CollectedCents),
		CollectionStatus: c.Status, FirstAttemptDate: orNull(dateOf(c.FirstAttempt)),
		LastAttemptDate: orNull(dateOf(c.LastAttempt)), NumberOfAttempts: int(c.Attempts),
		LastFailureReason: orNull(c.LastFailureReason),
	}
}

// dateOf writes a ClickHouse Date, which the driver gives as midnight UTC.
func dateOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// GetCollection is GET /collections/{id}.
func (s *server) GetCollection(w http.ResponseWriter, r *http.Request, id ID) {
	respondWith(s, w, r, "collection", id, (*read.DB).Collection, collectionBody)
}

// ListCollections is GET /collections.
func (s *server) ListCollections(w http.ResponseWriter, r *http.Request, params ListCollectionsParams) {
	respondList(s, w, r, params, func(in *input) read.Page {
		p := readPage(in, params.Limit, params.Cursor, 2)
		p.Period = filter(in, "period_month", params.PeriodMonth, aPeriod)
		p.CustomerID = filter(in, "customer_id", params.CustomerID, aText)
		p.PolicyNumber = filter(in, "policy_number", params.PolicyNumber, aText)
		p.Status = filter(in, "collection_status", params.CollectionStatus, aCollectionStatus)
		return p
	}, (*read.DB).Collections, collectionBody, func(c read.Collection) []string {
		return []string{string(c.Period), c.PolicyNumber}
	})
}

// reportHeader are the 13 fields in the order of CONTRACT 3.
const reportHeader = "period_month,customer_id,external_customer_ref,policy_number,product_code," +
	"collection_amount_due,collection_amount_collected,shortfall,collection_status,first_attempt_date," +
	"last_attempt_date,number_of_attempts,last_failure_reason\n"

// ReportCollections is GET /reports/collections.
func (s *server) ReportCollections(w http.ResponseWriter, r *http.Request, params ReportCollectionsParams) {
	s.respond(w, r, params, func(ctx context.Context, info *requestInfo) error {
		period, bad := checkPeriod(params.PeriodMonth)
		if bad != nil {
			return bad.as400("period_month", params.PeriodMonth)
		}
		each := func(use func(read.Collection) error) error { return info.db.EachCollection(ctx, period, use) }
		switch {
		case params.Format == nil || *params.Format == "csv":
			return reportCSV(w, period, each)
		case *params.Format == "json":
			return reportJSON(w, period, each)
		}
		return invalid("format", "csv or json", *params.Format, "format is neither csv nor json")
	})
}

func reportCSV(w http.ResponseWriter, period schemas.Period, each func(use func(read.Collection) error) error) error {
	return stream(w, "text/csv; charset=utf-8", "collections-"+string(period)+".csv", func(buf *bufio.Writer) error {
		_, _ = buf.WriteString(reportHeader)
		out := csv.NewWriter(buf) // writes into buf itself, which stream flushes
		return each(func(c read.Collection) error {
			return out.Write([]string{
				string(c.Period), c.CustomerID, c.ExternalCustomerRef, c.PolicyNumber, c.ProductCode, c.DueCents.String(),
				c.CollectedCents.String(), (c.DueCents - c.CollectedCents).String(), string(c.Status), dateOf(c.FirstAttempt),
				dateOf(c.LastAttempt), strconv.Itoa(int(c.Attempts)), c.LastFailureReason,
			})
		})
	})
}

func reportJSON(w http.ResponseWriter, period schemas.Period, each func(use func(read.Collection) error) error) error {
	return stream(w, "application/json", "", func(buf *bufio.Writer) error {
		_, _ = buf.WriteString(`{"period_month":"` + string(period) + `","results":[`)
		comma := ""
		err := each(func(c read.Collection) error {
			b, err := json.Marshal(struct { // a ReportRow: all fields but the id
				Collection
				ID *string `json:"id,omitempty"`
			}{Collection: collectionBody(c)})
			_, _ = buf.WriteString(comma)
			_, _ = buf.Write(b)
			comma = ",\n"
			return err
		})
		if err == nil { // else the end stays away, so that nobody takes the part for the whole
			_, err = buf.WriteString("]}\n")
		}
		return err
	})
}

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
		in := readInput(w, r, "period_month", "policy_ids")
		period, _ := check(in, "period_month", true, aPeriod)
		numbers := in.texts("policy_ids")
		if in.err != nil {
			return in.err
		}
		e := &execution{server: s, requestInfo: info, id: uuid.NewString(), period: period}
		if err := e.checkNotPassed(ctx); err != nil {
			return err
		}
		var err error
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
	period, now := e.period, schemas.PeriodOf(day)
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
		refs, err := e.db.PoliciesAfter(ctx, after, executePage)
		if err != nil {
			return err
		}
		if len(refs) == 0 {
			return nil
		}
		after = refs[len(refs)-1].ID
		have, err := e.db.CollectedBetween(ctx, e.period, refs[0].ID, after)
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
		refs, err := e.db.PoliciesByIDs(ctx, ids)
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
		have, err := e.db.CollectedAmong(ctx, e.period, ids)
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
func (e *execution) queue(ctx context.Context, refs []read.PolicyRef, have map[string]bool) error {
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
	counts, err := awaitOutcomes(ctx, e.Wait, e.queued, func(ctx context.Context) (uint64, error) {
		return e.db.CollectionsOfExecution(ctx, e.period, e.id)
	})
	if err != nil {
		e.Log.LogAttrs(ctx, slog.LevelWarn, "execution accepted, collections not visible yet",
			slog.String("request_id", e.requestID), slog.String("execution_id", e.id), slog.Int("queued", e.queued),
			slog.Uint64("answered", counts.Answered), slog.Any("error", err))
	}
}
