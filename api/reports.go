package api

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/kasi-collections/kasi/schemas"
)

// reportHeader are the 13 fields in the order of SPEC section 3.
var reportHeader = []string{
	"period_month", "customer_id", "external_customer_ref", "policy_number", "product_code", "collection_amount_due",
	"collection_amount_collected",
	"shortfall", "collection_status", "first_attempt_date", "last_attempt_date", "number_of_attempts",
	"last_failure_reason",
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
		return s.eachCollection(r.Context(), infoOf(r.Context()).tenant, period,
			func(c Collection) error { return out.Write(reportRecord(c)) })
	})
}

func reportRecord(c Collection) []string {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return []string{
		string(c.PeriodMonth), c.CustomerID, c.ExternalCustomerRef, c.PolicyNumber, c.ProductCode,
		rands(c.CollectionAmountDue),
		rands(c.CollectionAmountCollected), rands(c.Shortfall), string(c.CollectionStatus), text(c.FirstAttemptDate),
		text(c.LastAttemptDate),
		strconv.Itoa(c.NumberOfAttempts), text(c.LastFailureReason),
	}
}

func rands(r Rands) string { return schemas.Cents(r).String() }

func (s *server) reportJSON(w http.ResponseWriter, r *http.Request, period schemas.Period) error {
	return s.stream(w, r, "application/json", "", func(buf *bufio.Writer) error {
		// bufio keeps its first error, which Flush returns.
		_, _ = buf.WriteString(`{"period_month":"` + string(period) + `","results":[`)
		comma := ""
		err := s.eachCollection(r.Context(), infoOf(r.Context()).tenant, period, func(c Collection) error {
			b, err := json.Marshal(reportRow(c))
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
		PolicyNumber: c.PolicyNumber,
		ProductCode:  c.ProductCode, CollectionAmountDue: c.CollectionAmountDue,
		CollectionAmountCollected: c.CollectionAmountCollected,
		Shortfall:                 c.Shortfall, CollectionStatus: c.CollectionStatus, FirstAttemptDate: c.FirstAttemptDate,
		LastAttemptDate:  c.LastAttemptDate,
		NumberOfAttempts: c.NumberOfAttempts, LastFailureReason: c.LastFailureReason,
	}
}
