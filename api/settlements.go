package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
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
		PaymentReference: orNull(st.PaymentReference), CreatedAt: st.CreatedAt.UTC(),
		InFlight:       InFlight{Count: int(st.InFlightDebits), Amount: schemas.Rands(st.InFlightCents)},
		BroughtForward: schemas.Rands(st.BroughtForwardCents), PayableAmount: schemas.Rands(st.PayableCents),
		Adjustments: schemas.Rands(st.AdjustmentsCents), PaidDate: dayOrNull(st.PaidDate),
		PayoutState: orNull(st.PayoutState), Note: orNull(st.Note),
	}
}

func dayOrNull(t *time.Time) *string {
	if t == nil {
		return nil
	}
	return orNull(t.UTC().Format(time.DateOnly))
}

// createdBody is the statement as POST answers it.
func createdBody(st read.Settlement) SettlementCreated {
	b := settlementBody(st)
	return SettlementCreated{
		ID: b.ID, SettlementNumber: b.SettlementNumber, PeriodMonth: b.PeriodMonth, TotalCollections: b.TotalCollections,
		DistributionFee: b.DistributionFee, CollectionsFee: b.CollectionsFee, TotalFees: b.TotalFees, Vat: b.Vat,
		NetAmount: b.NetAmount, PaymentDate: b.PaymentDate, Status: b.Status,
	}
}

func previewBody(text string) (b SettlementPreview, err error) {
	var ev schemas.SettlementEvent
	if err := json.Unmarshal([]byte(text), &ev); err != nil {
		return b, fmt.Errorf("preview: %w", err)
	}
	return SettlementPreview{
		PeriodMonth: ev.PeriodMonth, TotalCollections: schemas.Rands(ev.TotalCollectionsCents),
		DistributionFee: schemas.Rands(ev.DistributionFeeCents), CollectionsFee: schemas.Rands(ev.CollectionsFeeCents),
		TotalFees: schemas.Rands(ev.TotalFeesCents), Vat: schemas.Rands(ev.VATCents), NetAmount: schemas.Rands(ev.NetCents),
		PaymentDate: ev.PaymentDate, Status: "preview",
		InFlight:       InFlight{Count: ev.InFlightDebits, Amount: schemas.Rands(ev.InFlightCents)},
		BroughtForward: schemas.Rands(ev.BroughtForwardCents), PayableAmount: schemas.Rands(ev.PayableCents),
		Adjustments: schemas.Rands(ev.AdjustmentsCents),
	}, nil
}

// CreateSettlement is POST /settlements. It computes over what is provably there: it asks what the pipeline owes by
// now, waits until all of that has arrived in ClickHouse, counts that none of it has been lost since, and only then
// asks for the statement. The settle stage counts once more when it sums; what is lost in between makes it wait.
func (s *server) CreateSettlement(w http.ResponseWriter, r *http.Request, _ CreateSettlementParams) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		in := readInput(w, r, "period_month", "preview")
		period, _ := check(in, "period_month", true, aPeriod)
		preview, _ := check(in, "preview", false, aBool)
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
		cmd := schemas.SettleCommand{
			RequestID: info.command, TenantID: info.tenant, PeriodMonth: period, Cut: arrived, Preview: preview,
		}
		const hint = "Call again: it returns the same statement"
		o, err := s.outcome(ctx, func() error { return s.Commands.Settle(ctx, cmd) })
		if err != nil {
			if lost := s.whole(ctx, arrived); errors.As(lost, new(*schemas.Hole)) {
				return lost
			}
			return s.late(err, hint)
		}
		switch {
		case o.Code == schemas.OutcomePeriodOpen:
			return periodOpen(period, o.Message)
		case o.Code == schemas.OutcomeNotFound:
			return conflict("Nothing was executed for %s, so there is nothing to settle", period).
				at("period_month", "a period with collections", string(period))
		case o.Statement != "":
			body, err := previewBody(o.Statement)
			if err == nil {
				writeJSON(w, http.StatusOK, body)
			}
			return err
		case o.Code != schemas.OutcomeOK && o.Code != schemas.OutcomeUnchanged:
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
		writeJSON(w, status, createdBody(st))
		return nil
	})
}

// periodOpen refuses the settlement of a period that has not ended. message says from when on it can be settled.
func periodOpen(period schemas.Period, message string) error {
	e := conflict("%s. {\"preview\":true} gives its figures now", message).
		at("period_month", "a period that has ended; this one can be settled from "+period.Next().First().String(),
			string(period))
	e.code = "PERIOD_OPEN"
	return e
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
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		st, err := find(ctx, "settlement", id, (*read.DB).Settlement)
		if err != nil {
			return err
		}
		return s.writeSettlement(ctx, w, st)
	})
}

// writeSettlement answers one statement with its history.
func (s *server) writeSettlement(ctx context.Context, w http.ResponseWriter, st read.Settlement) error {
	changes, err := infoOf(ctx).db.SettlementHistory(ctx, st.ID)
	if err != nil {
		return err
	}
	history := make([]SettlementChange, len(changes))
	for i, c := range changes {
		history[i] = SettlementChange{
			Version: c.Version, Change: c.Change, Status: c.Status, Date: c.Date.UTC().Format(time.DateOnly),
		}
		if c.Change == string(schemas.SettlementInDispute) || c.Change == string(schemas.SettlementResolved) {
			history[i].Note = orNull(c.Note)
		}
	}
	body := settlementBody(st)
	body.History = &history
	writeJSON(w, http.StatusOK, body)
	return nil
}

// DisputeSettlement is POST /settlements/{id}/dispute.
func (s *server) DisputeSettlement(w http.ResponseWriter, r *http.Request, id ID, _ DisputeSettlementParams) {
	s.changeStatement(w, r, id, schemas.StatementDispute, "reason")
}

// ResolveSettlement is POST /settlements/{id}/resolve.
func (s *server) ResolveSettlement(w http.ResponseWriter, r *http.Request, id ID, _ ResolveSettlementParams) {
	s.changeStatement(w, r, id, schemas.StatementResolve, "note")
}

func (s *server) changeStatement(w http.ResponseWriter, r *http.Request, id ID, action schemas.StatementAction,
	field string,
) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		in := readInput(w, r, field)
		note, _ := check(in, field, true, aNote)
		if in.err != nil {
			return in.err
		}
		st, err := find(ctx, "settlement", id, (*read.DB).Settlement)
		if err != nil {
			return err
		}
		cmd := schemas.StatementCommand{
			RequestID: info.command, TenantID: info.tenant, Action: action, SettlementID: st.ID, Note: note,
		}
		o, err := s.outcome(ctx, func() error { return s.Commands.Statement(ctx, cmd) })
		if err == nil && o.Code == schemas.OutcomeOK && !info.again {
			st, err = pollUntil(ctx, s.Wait, func(ctx context.Context) (read.Settlement, bool, error) {
				now, ok, err := info.db.Settlement(ctx, id)
				return now, ok && now.Version > st.Version, err
			})
		}
		if err != nil {
			return s.late(err, "It will be carried out: look at GET /v1/settlements/"+st.ID)
		}
		if o.Code != schemas.OutcomeOK && o.Code != schemas.OutcomeUnchanged {
			return conflict("The settlement stays as it is: %s", o.Message)
		}
		return s.writeSettlement(ctx, w, st)
	})
}

// ListSettlementLines is GET /settlements/{id}/lines. As with the export, nothing is answered over a hole.
func (s *server) ListSettlementLines(w http.ResponseWriter, r *http.Request, id ID, params ListSettlementLinesParams) {
	respondList(s, w, r, params, func(in *input) read.Page {
		return readPage(in, params.Limit, params.Cursor, 4)
	}, func(db *read.DB, ctx context.Context, p read.Page) ([]read.SettlementLine, error) {
		st, err := find(ctx, "settlement", id, (*read.DB).Settlement)
		if err != nil {
			return nil, err
		}
		covered, err := db.SettlementCovers(ctx, st.ID)
		if err == nil {
			err = s.whole(ctx, covered)
		}
		if err != nil {
			return nil, err
		}
		return db.SettlementLines(ctx, st.ID, p)
	}, func(l read.SettlementLine) SettlementLine {
		return SettlementLine{
			SettlementNumber: l.Number, LineType: l.Type, PeriodMonth: l.Period, CollectionID: l.CollectionID,
			CustomerID: l.CustomerID, ExternalCustomerRef: l.ExternalCustomerRef, PolicyNumber: l.PolicyNumber,
			ProductCode: l.ProductCode, Amount: schemas.Rands(l.AmountCents),
		}
	}, func(l read.SettlementLine) []string {
		return []string{l.Type, string(l.Period), l.PolicyNumber, l.CollectionID}
	})
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
