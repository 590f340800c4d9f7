package api

import (
	"context"
	"net/http"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

func itemBody(i read.OpenItem) OpenItem {
	return OpenItem{
		ID: i.ID, Kind: i.Kind, State: i.State, PeriodMonth: i.Period, CustomerID: i.CustomerID,
		PolicyNumber: i.PolicyNumber, CollectionID: i.CollectionID, DebitID: i.DebitID,
		Amount: schemas.Rands(i.AmountCents), AmountSaid: orNull(schemas.Rands(i.SaidCents)), ActionDate: i.ActionDate,
		Since: i.Since, ResultID: orNull(i.ResultID), Note: orNull(i.Note), Version: i.Version,
		UpdatedAt: schemas.Meta{BusinessDate: i.BusinessDate, At: i.At}.Shown(),
	}
}

// ListOpenItems is GET /open-items.
func (s *server) ListOpenItems(w http.ResponseWriter, r *http.Request, params ListOpenItemsParams) {
	respondList(s, w, r, params, func(in *input) read.Page {
		p := readPage(in, params.Limit, params.Cursor, 1)
		p.Status = filter(in, "state", params.State, anItemState)
		p.Period = filter(in, "period_month", params.PeriodMonth, aPeriod)
		p.PolicyNumber = filter(in, "policy_number", params.PolicyNumber, aText)
		p.CustomerID = filter(in, "customer_id", params.CustomerID, aText)
		return p
	}, (*read.DB).OpenItems, itemBody, func(i read.OpenItem) []string { return []string{i.ID} })
}

// GetOpenItem is GET /open-items/{id}.
func (s *server) GetOpenItem(w http.ResponseWriter, r *http.Request, id ID) {
	respondWith(s, w, r, "open item", id, (*read.DB).OpenItem, itemBody)
}

// CloseOpenItem is POST /open-items/{id}/close.
func (s *server) CloseOpenItem(w http.ResponseWriter, r *http.Request, id ID, _ CloseOpenItemParams) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		cmd := schemas.CloseItemCommand{RequestID: info.command, TenantID: info.tenant}
		if r.ContentLength != 0 {
			in := readInput(w, r, "note")
			cmd.Note, _ = check(in, "note", false, aText)
			if in.err != nil {
				return in.err
			}
		}
		item, err := find(ctx, "open item", id, (*read.DB).OpenItem)
		if err != nil {
			return err
		}
		cmd.CustomerID, cmd.DebitID = item.CustomerID, item.DebitID
		o, err := s.outcome(ctx, func() error { return s.Commands.CloseItem(ctx, cmd) })
		if err == nil && o.Code == schemas.OutcomeOK && !info.again {
			item, err = pollUntil(ctx, s.Wait, func(ctx context.Context) (read.OpenItem, bool, error) {
				now, ok, err := info.db.OpenItem(ctx, id)
				return now, ok && now.Version > item.Version, err
			})
		}
		if err != nil {
			return s.late(err, "It will be carried out: look at GET /v1/open-items/"+id)
		}
		if o.Code == schemas.OutcomeNotFound {
			return conflict("The open item cannot be closed: %s", o.Message)
		}
		writeJSON(w, http.StatusOK, itemBody(item))
		return nil
	})
}
