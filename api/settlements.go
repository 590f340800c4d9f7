package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

func settlementBody(st read.Settlement) Settlement {
	return Settlement{
		ID: st.ID, SettlementNumber: st.Number, PeriodMonth: st.Period,
		TotalCollections: schemas.Rands(st.TotalCollectionsCents), DistributionFee: schemas.Rands(st.DistributionFeeCents),
		CollectionsFee: schemas.Rands(st.CollectionsFeeCents), TotalFees: schemas.Rands(st.TotalFeesCents),
		Vat: schemas.Rands(st.VATCents), NetAmount: schemas.Rands(st.NetCents),
		PaymentDate: st.PaymentDate.UTC().Format(time.DateOnly), Status: st.Status,
		PaymentReference: st.PaymentReference, CreatedAt: st.CreatedAt.UTC(),
	}
}

// CreateSettlement is POST /settlements. It computes over what is provably there: it asks what the pipeline owes by
// now, waits until all of that has arrived in ClickHouse, counts that none of it has been lost since, and only then
// asks for the statement. The settle stage counts once more when it sums; what is lost in between makes it wait.
func (s *server) CreateSettlement(w http.ResponseWriter, r *http.Request) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		in := readInput(w, r, "period_month")
		period, _ := check(in, "period_month", true, aPeriod)
		if in.err != nil {
			return in.err
		}
		arrived, err := s.arrived(ctx)
		if err != nil {
			return err
		}
		if err := s.whole(ctx, arrived); err != nil {
			return err
		}
		if executed, err := info.db.HasCollections(ctx, period); err != nil {
			return err
		} else if !executed {
			return conflict("Nothing was executed for %s, so there is nothing to settle", period).
				at("period_month", "a period with collections", string(period))
		}
		cmd := schemas.SettleCommand{RequestID: info.requestID, TenantID: info.tenant, PeriodMonth: period, Cut: arrived}
		if err := s.Commands.Settle(ctx, cmd); err != nil {
			return unavailable(err, "The command could not be written to Kafka")
		}
		const hint = "Call again: it returns the same statement"
		o, err := pollUntil(ctx, s.Wait, info.db.Outcome)
		if err != nil {
			if lost := s.whole(ctx, arrived); errors.As(lost, new(*schemas.Hole)) {
				return lost
			}
			return s.late(err, hint)
		}
		if o.Code != schemas.OutcomeOK && o.Code != schemas.OutcomeUnchanged {
			return conflict("The period cannot be settled: %s", o.Message).
				at("period_month", "a period that can be settled", string(period))
		}
		st, err := pollUntil(ctx, s.Wait, func(ctx context.Context) (read.Settlement, bool, error) {
			return info.db.Settlement(ctx, o.ObjectID)
		})
		if err != nil {
			return s.late(err, hint)
		}
		status := http.StatusOK
		if o.Code == schemas.OutcomeOK {
			status = http.StatusCreated
			w.Header().Set("Location", "/v1/settlements/"+st.ID)
		}
		writeJSON(w, status, struct { // a SettlementCreated: all fields but these two
			Settlement
			PaymentReference *string    `json:"payment_reference,omitempty"`
			CreatedAt        *time.Time `json:"created_at,omitempty"`
		}{Settlement: settlementBody(st)})
		return nil
	})
}

// arrived waits until ClickHouse holds all that the pipeline owes by now, or says which partition of
// kasi.collections.v1 is how far behind. It returns the first seq of each partition that ClickHouse need not hold yet.
func (s *server) arrived(ctx context.Context) ([]int64, error) {
	bounded, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	ends, err := s.Commands.Owed(bounded)
	if err != nil {
		return nil, unavailable(err,
			"The engine has not yet worked off all results and instructions, or Kafka cannot be reached; try again")
	}
	var missing *apiError
	arrived := make([]int64, len(ends))
	err = poll(ctx, s.Wait, func() (bool, uint64, error) {
		marks, err := infoOf(ctx).db.Marks(ctx, schemas.TopicCollections)
		if err != nil {
			return false, 0, err
		}
		var progress uint64
		missing = nil
		for p, end := range ends {
			mark := marks[p].NextOffset
			arrived[p] = marks[p].NextSeq
			progress += uint64(max(0, min(mark, end)))
			if mark < end && missing == nil {
				behind := fmt.Sprintf("partition %d of %s", p, schemas.TopicCollections)
				missing = newError(http.StatusServiceUnavailable,
					"Not everything has arrived: %s is in ClickHouse up to offset %d of %d. Is the sink running? Try again",
					behind, mark, end).at(behind, strconv.FormatInt(end, 10), strconv.FormatInt(mark, 10))
			}
		}
		return missing == nil, progress, nil
	})
	if err != nil && missing != nil {
		return nil, missing.because(err)
	}
	return arrived, err
}

// whole refuses to go on over a hole: what the sink once stored and ClickHouse has lost. The sink finds it by itself
// and fills it from Kafka, so that the same call works a little later.
func (s *server) whole(ctx context.Context, until []int64) error {
	ctx, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	err := s.Whole(ctx, until)
	var hole *schemas.Hole
	var twins *schemas.Twins
	switch {
	case err == nil:
		return nil
	case errors.As(err, &twins):
		return newError(http.StatusServiceUnavailable, "No statement is made: %s", twins).because(err)
	case errors.As(err, &hole):
		return newError(http.StatusServiceUnavailable, "ClickHouse has lost events: %s. %s", hole, whyMissing(ctx, hole)).
			at(hole.Place(), fmt.Sprintf("numbers up to %d", until[hole.Partition]-1),
				fmt.Sprintf("none from %d to %d", hole.From, hole.To)).because(err)
	}
	return unavailable(err, "ClickHouse cannot be asked whether everything is there; try again")
}

// whyMissing says why a hole is not filled yet, as far as any sink has found out.
func whyMissing(ctx context.Context, hole *schemas.Hole) string {
	if why, known, err := infoOf(ctx).db.HoleWhy(ctx, hole); err == nil && known {
		return "They cannot be filled in: " + why
	}
	return "The sink fills them in from Kafka (or: kasi sink refill); try again then"
}

// GetSettlement is GET /settlements/{id}.
func (s *server) GetSettlement(w http.ResponseWriter, r *http.Request, id ID) {
	respondWith(s, w, r, "settlement", id, (*read.DB).Settlement, settlementBody)
}

// ListSettlements is GET /settlements.
func (s *server) ListSettlements(w http.ResponseWriter, r *http.Request, params ListSettlementsParams) {
	respondList(s, w, r, params, func(in *input) read.Page {
		p := readPage(in, params.Limit, params.Cursor, 2)
		p.Period = filter(in, "period_month", params.PeriodMonth, aPeriod)
		p.Status = filter(in, "status", params.Status, aSettlementStatus)
		return p
	}, (*read.DB).Settlements, settlementBody, func(st read.Settlement) []string {
		return []string{string(st.Period), st.Number}
	})
}

const exportHeader = "settlement_number,line_type,period_month,customer_id,external_customer_ref,policy_number," +
	"product_code,amount\n"

// ExportSettlement is GET /settlements/{id}/export. Everything that the statement counts must be there, and the lines
// must add up to it to the cent, or nothing is sent; should the lines change between the check and the last one, the
// connection is broken off.
func (s *server) ExportSettlement(w http.ResponseWriter, r *http.Request, id ID) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		st, err := find(ctx, "settlement", id, (*read.DB).Settlement)
		if err != nil {
			return err
		}
		covered, err := info.db.SettlementCovers(ctx, st.ID)
		if err != nil {
			return err
		}
		if err := s.whole(ctx, covered); err != nil {
			return err
		}
		total := st.TotalCollectionsCents
		sum, err := info.db.SettlementLinesSum(ctx, st.ID)
		if err != nil {
			return err
		}
		if sum != total {
			return fmt.Errorf("settlement %s: lines add up to %s, statement says %s", st.ID, sum, total)
		}
		return stream(w, "text/csv; charset=utf-8", st.Number+".csv", func(buf *bufio.Writer) error {
			_, _ = buf.WriteString(exportHeader)
			out := csv.NewWriter(buf) // writes into buf itself, which stream flushes
			var sum schemas.Cents
			err := info.db.EachSettlementLine(ctx, st.ID, func(l read.SettlementLine) error {
				sum += l.AmountCents
				return out.Write([]string{
					l.Number, l.Type, string(l.Period), l.CustomerID, l.ExternalCustomerRef, l.PolicyNumber, l.ProductCode,
					l.AmountCents.String(),
				})
			})
			if err == nil && sum != total {
				err = fmt.Errorf("settlement %s: lines written add up to %s, statement says %s", st.ID, sum, total)
			}
			return err
		})
	})
}
