package api

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

func collectionBody(c read.Collection) Collection {
	return Collection{
		ID: c.ID, PeriodMonth: c.Period, CustomerID: c.CustomerID, ExternalCustomerRef: c.ExternalCustomerRef,
		PolicyNumber: c.PolicyNumber, ProductCode: c.ProductCode, CollectionAmountDue: schemas.Rands(c.DueCents),
		CollectionAmountCollected: schemas.Rands(c.CollectedCents), Shortfall: schemas.Rands(c.DueCents - c.CollectedCents),
		CollectionStatus: c.Status, FirstAttemptDate: dateOrNull(c.FirstAttempt), LastAttemptDate: dateOrNull(c.LastAttempt),
		NumberOfAttempts: int(c.Attempts), LastFailureReason: orNull(c.LastFailureReason),
	}
}

// dateOrNull writes a ClickHouse Date, which the driver gives as midnight UTC.
func dateOrNull(t *time.Time) *string {
	if t == nil {
		return nil
	}
	return orNull(t.UTC().Format(time.DateOnly))
}

// GetCollection is GET /collections/{id}.
func (s *server) GetCollection(w http.ResponseWriter, r *http.Request, id ID) {
	respondWith(s, w, r, "collection", id, s.db.Collection, collectionBody)
}

// ListCollections is GET /collections.
func (s *server) ListCollections(w http.ResponseWriter, r *http.Request, params ListCollectionsParams) {
	s.respond(w, r, params, func() error {
		in := &input{}
		p := readPage(in, params.Limit, params.Cursor, 2)
		f := read.CollectionFilter{
			Period:       filter(in, "period_month", params.PeriodMonth, checkPeriod),
			CustomerID:   filter(in, "customer_id", params.CustomerID, asText),
			PolicyNumber: filter(in, "policy_number", params.PolicyNumber, asText),
			Status:       filter(in, "collection_status", params.CollectionStatus, checkCollectionStatus),
		}
		return writePage(w, in, p, func() ([]read.Collection, error) {
			return s.db.Collections(r.Context(), infoOf(r.Context()).tenant, f, [2]string(p.after), p.limit+1)
		}, collectionBody, func(c read.Collection) []string {
			return []string{string(c.Period), c.PolicyNumber}
		})
	})
}

// reportHeader are the 13 fields in the order of CONTRACT 3.
var reportHeader = []string{
	"period_month", "customer_id", "external_customer_ref", "policy_number", "product_code", "collection_amount_due",
	"collection_amount_collected", "shortfall", "collection_status", "first_attempt_date", "last_attempt_date",
	"number_of_attempts", "last_failure_reason",
}

// ReportCollections is GET /reports/collections.
func (s *server) ReportCollections(w http.ResponseWriter, r *http.Request, params ReportCollectionsParams) {
	s.respond(w, r, params, func() error {
		period, bad := checkPeriod(params.PeriodMonth)
		if bad != nil {
			return bad.as400("period_month", params.PeriodMonth)
		}
		format := "csv"
		if params.Format != nil {
			format = *params.Format
		}
		switch format {
		case "csv":
			return s.reportCSV(w, r, period)
		case "json":
			return s.reportJSON(w, r, period)
		}
		return invalid("format", "csv or json", format, "format is neither csv nor json")
	})
}

func (s *server) reportCSV(w http.ResponseWriter, r *http.Request, period schemas.Period) error {
	return s.stream(w, r, "text/csv; charset=utf-8", "collections-"+string(period)+".csv", func(buf *bufio.Writer) error {
		out := csv.NewWriter(buf) // writes into buf itself, which stream flushes
		if err := out.Write(reportHeader); err != nil {
			return err
		}
		return s.db.EachCollection(r.Context(), infoOf(r.Context()).tenant, period,
			func(c read.Collection) error { return out.Write(reportRecord(c)) })
	})
}

func reportRecord(c read.Collection) []string {
	date := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return *dateOrNull(t)
	}
	return []string{
		string(c.Period), c.CustomerID, c.ExternalCustomerRef, c.PolicyNumber, c.ProductCode, c.DueCents.String(),
		c.CollectedCents.String(), (c.DueCents - c.CollectedCents).String(), string(c.Status), date(c.FirstAttempt),
		date(c.LastAttempt), strconv.Itoa(int(c.Attempts)), c.LastFailureReason,
	}
}

func (s *server) reportJSON(w http.ResponseWriter, r *http.Request, period schemas.Period) error {
	return s.stream(w, r, "application/json", "", func(buf *bufio.Writer) error {
		// bufio keeps its first error, which Flush returns.
		_, _ = buf.WriteString(`{"period_month":"` + string(period) + `","results":[`)
		comma := ""
		err := s.db.EachCollection(r.Context(), infoOf(r.Context()).tenant, period, func(c read.Collection) error {
			b, err := json.Marshal(reportRow(collectionBody(c)))
			if err != nil {
				return err
			}
			_, _ = buf.WriteString(comma)
			comma = ",\n"
			_, err = buf.Write(b)
			return err
		})
		if err != nil {
			return err // the end stays away, so that nobody takes the part for the whole
		}
		_, err = buf.WriteString("]}\n")
		return err
	})
}

func reportRow(c Collection) ReportRow {
	return ReportRow{
		PeriodMonth: c.PeriodMonth, CustomerID: c.CustomerID, ExternalCustomerRef: c.ExternalCustomerRef,
		PolicyNumber: c.PolicyNumber, ProductCode: c.ProductCode, CollectionAmountDue: c.CollectionAmountDue,
		CollectionAmountCollected: c.CollectionAmountCollected, Shortfall: c.Shortfall,
		CollectionStatus: c.CollectionStatus, FirstAttemptDate: c.FirstAttemptDate, LastAttemptDate: c.LastAttemptDate,
		NumberOfAttempts: c.NumberOfAttempts, LastFailureReason: c.LastFailureReason,
	}
}
