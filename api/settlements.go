package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/kasi-collections/kasi/schemas"
)

// CreateSettlement is POST /settlements.
func (s *server) CreateSettlement(w http.ResponseWriter, r *http.Request) {
	s.respond(w, r, nil, func() error { return s.createSettlement(w, r) })
}

// createSettlement computes over what has provably arrived: it asks what the pipeline owes by now, waits until all of
// that is in ClickHouse, and only then asks for the statement of what is there.
func (s *server) createSettlement(w http.ResponseWriter, r *http.Request) error {
	ctx, info := r.Context(), infoOf(r.Context())
	in, err := readInput(w, r, "period_month")
	if err != nil {
		return err
	}
	period, _ := check(in, "period_month", true, expectedPeriod, checkPeriod)
	if err := in.done(); err != nil {
		return err
	}
	ends, err := s.owedNow(ctx)
	if err != nil {
		return err
	}
	arrived, err := s.awaitMarks(ctx, schemas.TopicCollections, ends)
	if err != nil {
		return err
	}
	if executed, err := s.collectionsExist(ctx, info.tenant, period); err != nil {
		return err
	} else if !executed {
		return conflict("Nothing was executed for %s, so there is nothing to settle", period).at("period_month",
			"a period with collections", string(period))
	}
	cmd := schemas.SettleCommand{RequestID: info.requestID, TenantID: info.tenant, PeriodMonth: period, Cut: arrived}
	if err := s.commands.Settle(ctx, cmd); err != nil {
		return unavailable(err, "The command could not be written to Kafka")
	}
	const hint = "Call again: it returns the same statement"
	o, err := s.awaitOutcome(ctx, info.tenant, info.requestID)
	if err != nil {
		return s.late(err, hint)
	}
	if o.code != schemas.OutcomeOK && o.code != schemas.OutcomeUnchanged {
		return conflict("The period cannot be settled: %s", o.message).at("period_month", "a period that can be settled",
			string(period))
	}
	var st Settlement
	err = poll(ctx, s.wait, func() (ok bool, _ uint64, err error) {
		st, ok, err = s.settlementByID(ctx, info.tenant, o.objectID)
		return ok, 0, err
	})
	if err != nil {
		return s.late(err, hint)
	}
	status := http.StatusOK
	if o.code == schemas.OutcomeOK {
		status = http.StatusCreated
		w.Header().Set("Location", "/v1/settlements/"+st.ID)
	}
	writeJSON(w, status, settlementCreated(st))
	return nil
}

func settlementCreated(st Settlement) SettlementCreated {
	return SettlementCreated{
		ID: st.ID, SettlementNumber: st.SettlementNumber, PeriodMonth: st.PeriodMonth, TotalCollections: st.TotalCollections,
		DistributionFee: st.DistributionFee, CollectionsFee: st.CollectionsFee, TotalFees: st.TotalFees, Vat: st.Vat,
		NetAmount:   st.NetAmount,
		PaymentDate: st.PaymentDate, Status: st.Status,
	}
}

func (s *server) owedNow(ctx context.Context) ([]int64, error) {
	bounded, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	ends, err := s.commands.Owed(bounded)
	if err != nil {
		return nil, unavailable(err,
			"The engine has not yet worked off all results and instructions, or Kafka cannot be reached; try again")
	}
	return ends, nil
}

// awaitMarks waits until ClickHouse holds every partition of a topic up to its end, or says which one is how far
// behind. It returns the first seq of each partition that ClickHouse need not hold yet.
func (s *server) awaitMarks(ctx context.Context, topic string, ends []int64) ([]int64, error) {
	behind, have, want := "", int64(0), int64(0)
	arrived := make([]int64, len(ends))
	err := poll(ctx, s.wait, func() (bool, uint64, error) {
		marks, err := s.sinkMarks(ctx, topic)
		if err != nil {
			return false, 0, err
		}
		var progress uint64
		behind = ""
		for p, end := range ends {
			mark := marks[uint32(p)].offset
			arrived[p] = marks[uint32(p)].seq
			progress += uint64(max(0, min(mark, end)))
			if mark < end && behind == "" {
				behind, have, want = fmt.Sprintf("partition %d of %s", p, topic), mark, end
			}
		}
		return behind == "", progress, nil
	})
	if err == nil || behind == "" {
		return arrived, err
	}
	return nil, newError(http.StatusServiceUnavailable, codeUnavailable,
		"Not everything has arrived: %s is in ClickHouse up to offset %d of %d. Is the sink running? Try again", behind, have,
		want).
		at(behind, strconv.FormatInt(want, 10), strconv.FormatInt(have, 10)).because(err)
}

// findSettlement is the tenant's statement of an id out of a path, or a 404.
func (s *server) findSettlement(ctx context.Context, id string) (Settlement, error) {
	if !isID(id) {
		return Settlement{}, notFound("settlement", id)
	}
	st, ok, err := s.settlementByID(ctx, infoOf(ctx).tenant, id)
	if err == nil && !ok {
		err = notFound("settlement", id)
	}
	return st, err
}

// GetSettlement is GET /settlements/{id}.
func (s *server) GetSettlement(w http.ResponseWriter, r *http.Request, id ID) {
	s.respond(w, r, nil, func() error {
		st, err := s.findSettlement(r.Context(), id)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, st)
		return nil
	})
}

// ListSettlements is GET /settlements.
func (s *server) ListSettlements(w http.ResponseWriter, r *http.Request, params ListSettlementsParams) {
	s.respond(w, r, params, func() error {
		p, err := readPage(params.Limit, params.Cursor, 2)
		if err != nil {
			return err
		}
		var f settlementFilter
		if f.period, err = filter("period_month", params.PeriodMonth, checkPeriod); err != nil {
			return err
		}
		if f.status, err = filter("status", params.Status, checkSettlementStatus); err != nil {
			return err
		}
		items, err := s.settlementPage(r.Context(), infoOf(r.Context()).tenant, f, p)
		if err != nil {
			return err
		}
		data, next := cut(items, p, func(st Settlement) []string {
			return []string{
				string(st.PeriodMonth),
				st.SettlementNumber,
			}
		})
		writeJSON(w, http.StatusOK, SettlementList{Data: data, NextCursor: next})
		return nil
	})
}

func checkSettlementStatus(v string) (schemas.SettlementStatus, *fault) {
	switch st := schemas.SettlementStatus(strings.ToLower(v)); st {
	case schemas.SettlementPending, schemas.SettlementPaid, schemas.SettlementDisputed:
		return st, nil
	}
	const expected = "pending, paid or disputed"
	return "", &fault{rowInvalid, expected, "is not a status of a settlement; expected " + expected}
}
