package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

// storyLength bounds the policies and collections of a customer's story.
const storyLength = 1000

// GetCustomer is GET /customers/{customer_id}.
func (s *server) GetCustomer(w http.ResponseWriter, r *http.Request, customerID string) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		story := Customer{CustomerID: customerID}
		var streams []read.IncomeStream
		var deposits []read.Deposit
		var policies []read.Policy
		var collections []collected
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() (err error) { streams, err = info.db.IncomeStreams(ctx, customerID); return err })
		g.Go(func() (err error) {
			deposits, err = info.db.Deposits(ctx, customerID, strconv.Itoa(schemas.FirstYear)+"-01-01",
				strconv.Itoa(schemas.LastYear)+"-12-31")
			return err
		})
		g.Go(func() (err error) {
			policies, err = info.db.Policies(ctx, read.Page{
				CustomerID: customerID, After: []string{""}, Limit: storyLength,
			})
			return err
		})
		g.Go(func() error {
			rows, err := info.db.CustomerCollections(ctx, customerID, storyLength)
			if err == nil {
				collections, err = withNext(ctx, info.db, rows)
			}
			return err
		})
		if err := g.Wait(); err != nil {
			return err
		}
		if len(streams)+len(deposits)+len(policies)+len(collections) == 0 {
			return newError(http.StatusNotFound, "There is no customer with this id").
				at("customer_id", "the id of a customer of yours", customerID)
		}
		story.IncomeStreams, story.Deposits = bodies(streams, streamBody), bodies(deposits, depositBody)
		story.Policies, story.Collections = bodies(policies, policyBody), bodies(collections, collectionBody)
		story.NextStep = firstStep(collections)
		writeJSON(w, http.StatusOK, story)
		return nil
	})
}

// bodies makes a list of a list.
func bodies[T, B any](rows []T, body func(T) B) []B {
	out := make([]B, len(rows))
	for i, row := range rows {
		out[i] = body(row)
	}
	return out
}

func streamBody(i read.IncomeStream) IncomeStream {
	return IncomeStream{
		StreamID: i.ID, Kind: i.Kind, Frequency: orNull(i.Frequency), Status: i.Status,
		ConfidencePercent: int(i.ConfidencePercent), LastDepositDate: i.LastDepositDate,
		LastAmount: schemas.Rands(i.LastAmountCents), LastDepositStatus: cmp.Or(i.TakenBack, depositCounts),
		NextExpectedDate: orNull(i.NextExpectedDate),
	}
}

// depositCounts is the status of a deposit that was not taken back.
const depositCounts = "COUNTED"

func depositBody(d read.Deposit) Deposit {
	return Deposit{
		TransactionID: d.TransactionID, Date: d.Date, Amount: schemas.Rands(d.AmountCents), StreamID: d.StreamID,
		Kind: d.Kind, Status: cmp.Or(d.TakenBack, depositCounts),
	}
}

// firstStep is what happens next to a customer: the first step of any collection that waits for a day, else of one that
// waits, else of one that is stopped.
func firstStep(collections []collected) *NextStep {
	rank := func(n *NextStep) int {
		switch {
		case n.Action == schemas.DecideStop:
			return 2
		case n.Date == nil:
			return 1
		}
		return 0
	}
	day := func(n *NextStep) string {
		if n.Date == nil {
			return ""
		}
		return *n.Date
	}
	var steps []*NextStep
	for _, c := range collections {
		if c.next != nil {
			steps = append(steps, c.next)
		}
	}
	if len(steps) == 0 {
		return nil
	}
	return slices.MinFunc(steps, func(a, b *NextStep) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(day(a), day(b)))
	})
}

// GetTrace is GET /trace/{id}.
func (s *server) GetTrace(w http.ResponseWriter, r *http.Request, id string) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		t, ok, err := info.db.Trace(ctx, id)
		if err != nil {
			return err
		}
		if !ok {
			return newError(http.StatusNotFound, "Nothing has this id").
				at("id", "the id of a transaction, income, debit, collection or settlement of yours", id)
		}
		lines, err := info.db.TraceLines(ctx, t)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if !slices.Contains(t.Settlements, l.SettlementID) {
				t.Settlements = append(t.Settlements, l.SettlementID)
			}
		}
		steps, err := info.db.TraceSteps(ctx, t)
		if err != nil {
			return err
		}
		out := Trace{ID: id, Kind: t.Kind, Steps: bodies(steps, stepBody)}
		for _, l := range lines {
			out.Steps = append(out.Steps, lineStep(l))
		}
		if out.Steps, err = withPayouts(ctx, info.db, t.Settlements, out.Steps); err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, out)
		return nil
	})
}

func stepBody(t read.TraceStep) TraceStep {
	return TraceStep{
		Kind: t.Kind, ID: t.ID, CollectionID: orNull(t.CollectionID), Date: orNull(t.Date), At: instantOrNull(t.Date, t.At),
		Topic: &t.Topic, Partition: new(int(t.Partition)), Offset: &t.Offset, Table: &t.Table, Status: t.Status,
		Amount: orNull(schemas.Rands(t.AmountCents)), Text: t.Text,
	}
}

func instantOrNull(date string, at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return new(schemas.Meta{BusinessDate: date, At: at}.Shown())
}

func lineStep(l read.TraceLine) TraceStep {
	return TraceStep{
		Kind: "settlement_line", ID: l.SettlementID, CollectionID: &l.CollectionID, Status: l.Type,
		Amount: new(schemas.Rands(l.AmountCents)),
		Text:   l.Number + ": " + l.PolicyNumber + ", period " + string(l.Period),
	}
}

// withPayouts adds the payment of each statement that is to be paid and for which no instruction is given yet.
func withPayouts(ctx context.Context, db *read.DB, ids []string, steps []TraceStep) ([]TraceStep, error) {
	for _, id := range ids {
		st, ok, err := db.Settlement(ctx, id)
		if err != nil {
			return nil, err
		}
		if !ok || st.PaymentReference == "" || st.PayoutState != "" {
			continue
		}
		steps = append(steps, TraceStep{
			Kind: "payout", ID: st.PaymentReference, Date: orNull(dateOf(&st.PaymentDate)), Status: "PLANNED",
			Amount: new(schemas.Rands(st.PayableCents)), Text: st.PaymentReference + " of " + st.Number,
		})
	}
	return steps, nil
}
