package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

// collected is a collection and what is decided about it.
type collected struct {
	read.Collection
	hold string // of its policy
	next *NextStep
}

// withNext finds what happens next to each of some collections.
func withNext(ctx context.Context, db *read.DB, rows []read.Collection) ([]collected, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	return collectedOf(ctx, db, rows, func(context.Context) ([]read.Collection, error) { return rows, nil })
}

// collectedOf asks for collections and, at the same time, for what is decided about them and their policies: of names
// the numbers and periods of all that may be answered.
func collectedOf(ctx context.Context, db *read.DB, of []read.Collection,
	ask func(context.Context) ([]read.Collection, error),
) ([]collected, error) {
	var rows []read.Collection
	var standing map[string]read.Standing
	var policies map[string]read.Policy
	g, together := errgroup.WithContext(ctx) // which ends with the questions
	g.Go(func() (err error) { rows, err = ask(together); return err })
	g.Go(func() (err error) { standing, err = db.Standing(together, of); return err })
	g.Go(func() (err error) { policies, err = db.PoliciesOf(together, of); return err })
	err := g.Wait()
	out := make([]collected, len(rows))
	undecided := false
	for i, c := range rows {
		p := policies[c.PolicyNumber]
		out[i] = collected{c, p.HoldReason, nextStep(c, &p, standing[c.ID])}
		undecided = undecided || out[i].awaitsCutoff()
	}
	if err != nil || !undecided {
		return out, err
	}
	day, known, err := db.BusinessDate(ctx)
	for i, c := range out {
		if known && c.awaitsCutoff() && c.Period > schemas.PeriodOf(day) {
			out[i].next = awaitsPeriod(c.Period)
		}
	}
	return out, err
}

func (c *collected) awaitsCutoff() bool { return c.next != nil && c.next.Reason == whyAwaitCutoff }

// awaitsPeriod is the next step of a collection whose period lies ahead: its first cut-off decides.
func awaitsPeriod(p schemas.Period) *NextStep {
	first := p.First().String()
	return &NextStep{
		Action: schemas.DecideWait, Date: &first, Reason: whyNotBegun,
		Explanation: "The period " + string(p) + " has not begun; it is decided about from " + first + " on.",
	}
}

// The reasons of next steps that no decision has said yet.
const (
	whyAwaitCutoff = "AWAIT_CUTOFF"
	whyNotBegun    = "PERIOD_NOT_STARTED"
	whyAwaitResult = "AWAIT_RESULT"
	whyCancelled   = "POLICY_CANCELLED"
	whyAboveMax    = "ABOVE_MANDATE_MAXIMUM"
	whyOnHold      = "POLICY_ON_HOLD"
	whyVoided      = "EXECUTION_VOIDED"
)

// nextStep is what happens next to a collection: what the standing decision, if there is one, says, unless something
// has happened since. What the policy's own terms forbid it says at once, before any cut-off. A collection that is paid
// in full has none.
func nextStep(c read.Collection, p *read.Policy, d read.Standing) *NextStep {
	left := c.DueCents - c.CollectedCents
	stop := func(reason, explanation string) *NextStep {
		return &NextStep{Action: schemas.DecideStop, Reason: reason, Explanation: explanation}
	}
	switch {
	case c.Status == schemas.CollectionVoided:
		return stop(whyVoided, "Its execution was taken back before anything was tried.")
	case c.Status == schemas.PaidFull, c.CollectedCents >= c.DueCents:
		return nil
	case c.InFlightCents > 0:
		return &NextStep{
			Action: schemas.DecideWait, Reason: whyAwaitResult,
			Explanation: "A debit of R " + c.InFlightCents.String() +
				" is with the bank; nothing further is debited before its answer.",
		}
	case c.Status != schemas.CollectionCancelled && p.Status == schemas.PolicyActive && p.HoldReason != "" &&
		d.Action != schemas.DecideStop:
		return stop(
			whyOnHold,
			"The policy is on hold ("+p.HoldReason+"): it is not debited until its mandate changes or its "+
				"status is set to active.",
		)
	case c.Status != schemas.CollectionCancelled && p.MandateMaxCents > 0 && left > p.MandateMaxCents &&
		(p.MandateFixed || p.Rail == schemas.RailEFT) && d.Action != schemas.DecideStop:
		return stop(
			whyAboveMax,
			"R "+left.String()+" is outstanding, the mandate's maximum is R "+p.MandateMaxCents.String()+
				", and parts are not allowed: it is not debited until the maximum is raised.",
		)
	case d.Action == schemas.DecideStop, d.Action == schemas.DecideWait && c.Status != schemas.CollectionCancelled:
		return &NextStep{Action: d.Action, Date: orNull(d.NextDate), Reason: d.Reason, Explanation: d.Explanation}
	case c.Status == schemas.CollectionCancelled:
		return stop(whyCancelled, "The policy is cancelled or lapsed: it is not debited.")
	}
	return &NextStep{
		Action: schemas.DecideWait, Reason: whyAwaitCutoff, Explanation: "The next cut-off decides what happens.",
	}
}

// decided is a decision as it was emitted, and in plain words.
type decided struct {
	seq int64
	*schemas.DecisionEvent
	words []Words
}

// ListDecisions is GET /collections/{id}/decisions.
func (s *server) ListDecisions(w http.ResponseWriter, r *http.Request, id ID, params ListDecisionsParams) {
	day := ""
	respondList(s, w, r, params, func(in *input) read.Page {
		day = filter(in, "stood_on", params.StoodOn, aDate)
		return readPage(in, params.Limit, params.Cursor, 3)
	}, func(db *read.DB, ctx context.Context, p read.Page) ([]decided, error) {
		rows, err := ofCollection(ctx, id, func() ([]read.Decision, error) {
			if day == "" {
				return db.Decisions(ctx, id, p)
			}
			d, ok, err := db.DecisionOn(ctx, id, day)
			if !ok {
				return nil, err
			}
			return []read.Decision{d}, err
		})
		if err != nil {
			return nil, err
		}
		out := make([]decided, len(rows))
		for i, row := range rows {
			ev, err := row.Event()
			if err != nil {
				return nil, err
			}
			out[i] = decided{row.Seq, ev, s.Words(ev)}
		}
		return out, nil
	}, decisionBody, func(d decided) []string {
		return []string{d.BusinessDate, strconv.FormatInt(d.At.UnixMilli(), 10), strconv.FormatInt(d.seq, 10)}
	})
}

// ofCollection asks for rows that belong to a collection. Where there are none, the collection may be none of the
// tenant's.
func ofCollection[T any](ctx context.Context, id string, ask func() ([]T, error)) (rows []T, err error) {
	if isID(id) {
		rows, err = ask()
	}
	if err == nil && len(rows) == 0 {
		_, err = find(ctx, "collection", id, (*read.DB).Collection)
	}
	return rows, err
}

func decisionBody(d decided) Decision {
	in := &d.Inputs
	out := Decision{
		ID: d.EventID, Date: d.BusinessDate, DecidedAt: d.Shown(), Action: d.Action, Reason: d.Reason,
		Explanation: d.Explanation,
		Amount:      schemas.Rands(d.AmountCents), DebitID: orNull(d.DebitID), TrackingUntil: orNull(d.TrackingUntil),
		NextDate: orNull(d.NextDate), Alternatives: []Alternative{}, Words: d.words,
		Inputs: DecisionInputs{
			Due: schemas.Rands(in.DueCents), Collected: schemas.Rands(in.CollectedCents),
			InFlight: schemas.Rands(in.InFlightCents), Budget: schemas.Rands(in.BudgetCents),
			Balance: randsOrNull(in.BalanceCents), Attempts: in.Attempts,
			Rail: string(in.Rail), LastDepositDate: orNull(in.LastDepositDate), NextExpectedDate: orNull(in.NextExpectedDate),
			LastReason: orNull(in.LastReason), Lowest: randsOrNull(in.LowestCents), Highest: randsOrNull(in.HighestCents),
			ChancePer10000: in.ChancePer10000, Value: randsOrNull(in.ValueCents), Cell: orNull(in.Cell),
			CellCount: orNull(in.CellCount), WindowFrom: orNull(in.WindowFrom), WindowTo: orNull(in.WindowTo),
			Veto: orNull(in.Veto), TableHash: orNull(in.TableHash),
		},
	}
	if d.Situation != "" {
		out.Situation = json.RawMessage(d.Situation)
	}
	for _, a := range d.Alternatives {
		out.Alternatives = append(out.Alternatives, Alternative{
			Action: a.Action, Reason: a.Reason, Amount: orNull(schemas.Rands(a.AmountCents)),
			TrackingUntil: orNull(a.TrackingUntil), ChancePer10000: a.ChancePer10000, Value: randsOrNull(a.ValueCents),
		})
	}
	return out
}

func randsOrNull(c *schemas.Cents) *schemas.Rands { return (*schemas.Rands)(c) }

// attempt is a debit and the bank's answers to it.
type attempt struct {
	read.Attempt
	answers []read.Answer
}

// ListAttempts is GET /collections/{id}/attempts.
func (s *server) ListAttempts(w http.ResponseWriter, r *http.Request, id ID, params ListAttemptsParams) {
	respondList(s, w, r, params, func(in *input) read.Page {
		return readPage(in, params.Limit, params.Cursor, 1)
	}, func(db *read.DB, ctx context.Context, p read.Page) ([]attempt, error) {
		var answers map[string][]read.Answer
		rows, err := ofCollection(ctx, id, func() (rows []read.Attempt, err error) {
			rows, answers, err = db.Answered(ctx, id, p)
			return rows, err
		})
		out := make([]attempt, len(rows))
		for i, row := range rows {
			out[i] = attempt{row, answers[row.DebitID]}
		}
		return out, err
	}, attemptBody, func(a attempt) []string { return []string{strconv.Itoa(int(a.Attempt.Attempt))} })
}

// standing is how a debit stands after a change; the keys are all changes that an answer of the bank makes.
var standing = map[schemas.ChangeKind]string{
	schemas.ChangePaid: "paid", schemas.ChangeUnpaid: "unpaid", schemas.ChangeLateUnpaid: "unpaid",
	schemas.ChangeRejected: "rejected", schemas.ChangeDisputed: "disputed", schemas.ChangePaidDisputed: "disputed",
}

func attemptBody(a attempt) Attempt {
	out := Attempt{
		Attempt: int(a.Attempt.Attempt), DebitID: a.DebitID, Amount: schemas.Rands(a.AmountCents), ActionDate: a.ActionDate,
		TrackingUntil: orNull(a.TrackingUntil), Rail: string(a.Rail), Status: "pending", TransactionIds: a.TransactionIDs,
		Results: []AttemptResult{},
	}
	for _, x := range a.answers {
		out.Status = AttemptStatus(standing[x.Kind])
		out.Results = append(out.Results, AttemptResult{
			Status: AttemptResultStatus(standing[x.Kind]), EffectiveDate: orNull(x.EffectiveDate),
			ReasonCode: orNull(x.ReasonCode), ReasonScheme: orNull(x.Scheme), Moved: schemas.Rands(x.MovedCents),
			ResultID: x.ResultID, Date: x.BusinessDate, HeardAt: schemas.Meta{BusinessDate: x.BusinessDate, At: x.At}.Shown(),
		})
	}
	return out
}
