package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

func collectionBody(c collected) Collection {
	return Collection{
		ID: c.ID, PeriodMonth: c.Period, CustomerID: c.CustomerID, ExternalCustomerRef: c.ExternalCustomerRef,
		PolicyNumber: c.PolicyNumber, ProductCode: c.ProductCode, CollectionAmountDue: schemas.Rands(c.DueCents),
		CollectionAmountCollected: schemas.Rands(c.CollectedCents), Shortfall: schemas.Rands(c.DueCents - c.CollectedCents),
		CollectionStatus: c.Status, FirstAttemptDate: orNull(dateOf(c.FirstAttempt)),
		LastAttemptDate: orNull(dateOf(c.LastAttempt)), NumberOfAttempts: int(c.Attempts),
		LastFailureReason: orNull(c.LastFailureReason), InFlight: schemas.Rands(c.InFlightCents), Hold: orNull(c.hold),
		NextStep: c.next,
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
	ask := func(db *read.DB, ctx context.Context, id string) (c collected, ok bool, err error) {
		row, ok, err := db.Collection(ctx, id)
		if err != nil || !ok {
			return c, ok, err
		}
		rows, err := withNext(ctx, db, []read.Collection{row})
		if err != nil {
			return c, false, err
		}
		return rows[0], true, nil
	}
	respondWith(s, w, r, "collection", id, ask, collectionBody)
}

// ListCollections is GET /collections.
func (s *server) ListCollections(w http.ResponseWriter, r *http.Request, params ListCollectionsParams) {
	respondList(s, w, r, params, func(in *input) read.Page {
		p := readPage(in, params.Limit, params.Cursor, 2)
		p.Period = filter(in, "period_month", params.PeriodMonth, aPeriod)
		p.CustomerID = filter(in, "customer_id", params.CustomerID, aText)
		p.PolicyNumber = filter(in, "policy_number", params.PolicyNumber, aText)
		p.Status = filter(in, "collection_status", params.CollectionStatus, aCollectionStatus)
		if params.Status != nil {
			p.Status = filter(in, "status", params.Status, aCollectionStatus)
		}
		p.ProductCode = filter(in, "product_code", params.ProductCode, aText)
		p.Reason = strings.ToUpper(filter(in, "failure_reason", params.FailureReason, aText))
		p.Failed, p.Attempted = yesOrNo(in, "failed", params.Failed), yesOrNo(in, "attempted", params.Attempted)
		p.UpdatedSince = since(in, params.UpdatedSince)
		return p
	}, func(db *read.DB, ctx context.Context, p read.Page) ([]collected, error) {
		if p.PolicyNumber != "" && p.Period != "" {
			of := []read.Collection{{PolicyNumber: p.PolicyNumber, Period: schemas.Period(p.Period)}}
			return collectedOf(ctx, db, of, func(ctx context.Context) ([]read.Collection, error) {
				return db.Collections(ctx, p)
			})
		}
		rows, err := db.Collections(ctx, p)
		if err != nil {
			return nil, err
		}
		return withNext(ctx, db, rows)
	}, collectionBody, func(c collected) []string {
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
		if err := markReport(ctx, w, info.db, period); err != nil {
			return err
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

// markReport says whether the figures of a period can still change: while it runs, and while a debit of it is open.
func markReport(ctx context.Context, w http.ResponseWriter, db *read.DB, period schemas.Period) error {
	mark := "provisional"
	day, known, err := db.BusinessDate(ctx)
	if err != nil {
		return err
	}
	if known && day.After(period.Last()) {
		open, err := db.CollectionsInFlight(ctx, period)
		if err != nil {
			return err
		}
		if open == 0 {
			mark = "final"
		}
	}
	w.Header().Set("Kasi-Report", mark)
	return nil
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
			b, err := json.Marshal(struct { // a ReportRow: the 13 fields
				Collection
				ID       *string        `json:"id,omitempty"`
				InFlight *schemas.Rands `json:"in_flight,omitempty"`
				Hold     *string        `json:"hold,omitempty"`
				NextStep *NextStep      `json:"next_step,omitempty"`
			}{Collection: collectionBody(collected{Collection: c})})
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
