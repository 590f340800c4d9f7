package api

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"net/http"

	"github.com/kasi-collections/kasi/schemas"
)

var exportHeader = []string{
	"settlement_number", "line_type", "period_month", "customer_id", "external_customer_ref", "policy_number",
	"product_code", "amount",
}

// ExportSettlement is GET /settlements/{id}/export. The lines must add up to the statement to the cent, or nothing is
// sent; should the lines change between the check and the last one, the connection is broken off.
func (s *server) ExportSettlement(w http.ResponseWriter, r *http.Request, id ID) {
	s.respond(w, r, nil, func() error {
		st, err := s.findSettlement(r.Context(), id)
		if err != nil {
			return err
		}
		total := schemas.Cents(st.TotalCollections)
		sum, err := s.linesSum(r.Context(), infoOf(r.Context()).tenant, st.ID)
		if err != nil {
			return err
		}
		if sum != total {
			return fmt.Errorf("settlement %s: lines add up to %s, statement says %s", st.ID, sum, total)
		}
		return s.stream(w, r, "text/csv; charset=utf-8", st.SettlementNumber+".csv", func(buf *bufio.Writer) error {
			return s.exportLines(r, csv.NewWriter(buf), st.ID, total)
		})
	})
}

func (s *server) exportLines(r *http.Request, out *csv.Writer, id string, total schemas.Cents) error {
	if err := out.Write(exportHeader); err != nil {
		return err
	}
	var sum schemas.Cents
	err := s.eachLine(r.Context(), infoOf(r.Context()).tenant, id, func(l settlementLine) error {
		sum += schemas.Cents(l.amount)
		return out.Write([]string{
			l.number, l.kind, l.period, l.customer, l.externalRef, l.policy, l.product,
			schemas.Cents(l.amount).String(),
		})
	})
	if err == nil && sum != total {
		err = fmt.Errorf("settlement %s: lines written add up to %s, statement says %s", id, sum, total)
	}
	return err
}
