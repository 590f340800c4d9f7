package api

import (
	"net/http"
	"strings"

	"github.com/kasi-collections/kasi/schemas"
)

// GetCollection is GET /collections/{id}.
func (s *server) GetCollection(w http.ResponseWriter, r *http.Request, id ID) {
	s.respond(w, r, nil, func() error {
		if !isID(id) {
			return notFound("collection", id)
		}
		c, ok, err := s.collectionByID(r.Context(), infoOf(r.Context()).tenant, id)
		if err != nil {
			return err
		}
		if !ok {
			return notFound("collection", id)
		}
		writeJSON(w, http.StatusOK, c)
		return nil
	})
}

// ListCollections is GET /collections.
func (s *server) ListCollections(w http.ResponseWriter, r *http.Request, params ListCollectionsParams) {
	s.respond(w, r, params, func() error {
		p, err := readPage(params.Limit, params.Cursor, 2)
		if err != nil {
			return err
		}
		var f collectionFilter
		if f.period, err = filter("period_month", params.PeriodMonth, checkPeriod); err != nil {
			return err
		}
		if f.customer, err = textFilter("customer_id", params.CustomerID); err != nil {
			return err
		}
		if f.policy, err = textFilter("policy_number", params.PolicyNumber); err != nil {
			return err
		}
		if f.status, err = filter("collection_status", params.CollectionStatus, checkCollectionStatus); err != nil {
			return err
		}
		items, err := s.collectionPage(r.Context(), infoOf(r.Context()).tenant, f, p)
		if err != nil {
			return err
		}
		data, next := cut(items, p, func(c Collection) []string { return []string{string(c.PeriodMonth), c.PolicyNumber} })
		writeJSON(w, http.StatusOK, CollectionList{Data: data, NextCursor: next})
		return nil
	})
}

func checkCollectionStatus(v string) (schemas.CollectionStatus, *fault) {
	switch st := schemas.CollectionStatus(strings.ToUpper(v)); st {
	case schemas.PaidFull, schemas.PaidPartial, schemas.Unpaid, schemas.CollectionCancelled:
		return st, nil
	}
	const expected = "PAID_FULL, PAID_PARTIAL, UNPAID or CANCELLED"
	return "", &fault{rowInvalid, expected, "is not a status of a collection; expected " + expected}
}
