package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
)

// decision writes a decision about the collection of a policy of acme.
func (p *pipeline) decision(number string, ev schemas.DecisionEvent, alternatives, inputs string) {
	id := schemas.CollectionID(schemas.PolicyID("acme", number), "2025-11")
	maybe := func(text string) any {
		if text == "" {
			return (*string)(nil)
		}
		return &text
	}
	p.insert("decisions_log", "tenant_id, customer_id, policy_number, collection_id, period_month, action, reason, "+
		"explanation, debit_id, amount_cents, tracking_until, next_date, alternatives, inputs, situation, business_date, "+
		"seq, at, event_id", [][]any{{
		"acme", "C-" + number, number, id, "2025-11", string(ev.Action), ev.Reason, ev.Explanation, ev.DebitID,
		int64(ev.AmountCents), maybe(ev.TrackingUntil), maybe(ev.NextDate), alternatives, inputs, ev.Situation,
		ev.BusinessDate, ev.Seq, time.Date(2025, 11, 5, 7, 0, 0, 0, time.UTC), uuid.New(),
	}})
}

// debit writes a debit of the collection of a policy of acme.
func (p *pipeline) debit(number, id string, attempt int, action, until string) {
	var tracked *string
	if until != "" {
		tracked = &until
	}
	p.insert("debits_log", "tenant_id, period_month, collection_id, attempt, debit_id, customer_id, policy_number, "+
		"amount_cents, action_date, tracking_until, rail, transaction_ids", [][]any{{
		"acme", "2025-11", schemas.CollectionID(schemas.PolicyID("acme", number), "2025-11"), uint32(attempt), id,
		"C-" + number, number, int64(15000), action, tracked, "DEBICHECK",
		[]string{"t1"},
	}})
}

// executed is an API with the collection of POL001 of November 2025.
func executed(t *testing.T) (e *env, path string) {
	e = newEnv(t)
	e.policy("POL001")
	e.execute(`{"period_month":"2025-11"}`)
	return e, "/v1/collections/" + schemas.CollectionID(schemas.PolicyID("acme", "POL001"), "2025-11")
}

func TestDecisionsOfACollection(t *testing.T) {
	e, path := executed(t)
	decisions := func(query string) api.DecisionList {
		return decoded[api.DecisionList](e.get(path + "/decisions" + query).is(http.StatusOK))
	}
	require.Equal(t, `{"data":[],"next_cursor":null}`+"\n", string(e.get(path+"/decisions").is(http.StatusOK).body))
	meta := func(day string, seq int64) schemas.Meta { return schemas.Meta{BusinessDate: day, Seq: seq} }
	e.pipe.decision("POL001", schemas.DecisionEvent{
		Meta: meta("2025-11-03", 9), Action: schemas.DecideWait, Reason: "AWAIT_INCOME", Explanation: "Later.",
		NextDate: "2025-11-25",
	}, `[{"action":"DEBIT","reason":"FIRST_ATTEMPT"}]`, `{"due_cents":15000,"rail":"RM"}`)
	e.pipe.decision("POL001", schemas.DecisionEvent{
		Meta: meta("2025-11-12", 2), Action: schemas.DecideDebit, Reason: "MONEY_SEEN", Explanation: "Now.", DebitID: "D1",
		AmountCents: 15000, TrackingUntil: "2025-11-21", Situation: `{"due":15000}`,
	}, `[{"action":"WAIT","reason":"AWAIT_INCOME","value_cents":-150}]`, `{"due_cents":15000,"lowest_cents":0,`+
		`"chance_per_10000":9312,"value_cents":14000,"cell":"c","cell_count":7,"window_from":"2025-11-24","veto":"V",`+
		`"table_hash":"h"}`)

	all := decisions("")
	require.Len(t, all.Data, 2)
	first, second := all.Data[0], all.Data[1]
	require.Equal(t, "2025-11-03", first.Date)
	require.Equal(t, "2025-11-25", *first.NextDate)
	require.Nil(t, first.DebitID)
	require.Nil(t, first.Inputs.Lowest)
	require.Equal(t, "null", string(first.Situation))
	require.Equal(t, []api.Alternative{{Action: schemas.DecideDebit, Reason: "FIRST_ATTEMPT"}}, first.Alternatives)
	require.Equal(t, []api.Words{{About: "why", Text: "Later."}}, first.Words)
	require.Equal(t, schemas.Rands(15000), second.Amount)
	require.Equal(t, "2025-11-21", *second.TrackingUntil)
	require.Equal(t, schemas.Rands(0), *second.Inputs.Lowest, "nothing is known to be there, which is not unknown")
	require.Nil(t, second.Inputs.Highest)
	require.Equal(t, int64(9312), *second.Inputs.ChancePer10000)
	require.Equal(t, schemas.Rands(-150), *second.Alternatives[0].Value)
	require.JSONEq(t, `{"due":15000}`, string(second.Situation))

	page := decisions("?limit=1")
	require.Equal(t, first, page.Data[0])
	page = decisions("?limit=1&cursor=" + *page.NextCursor)
	require.Equal(t, []api.Decision{second}, page.Data, "by the day, not by the number alone")
	require.Nil(t, page.NextCursor)

	for day, want := range map[string][]api.Decision{
		"2025-11-02": {}, "2025-11-03": {first}, "2025-11-11": {first}, "2025-11-12": {second}, "2147-12-31": {second},
	} {
		require.Equal(t, want, decisions("?stood_on="+day).Data, day)
	}
	e.get(path + "/decisions?stood_on=12%20November").is(http.StatusBadRequest)
	e.get(path + "/decisions?stood_on=9999-12-31").is(http.StatusBadRequest)
	for _, what := range []string{"/decisions", "/attempts"} {
		e.request(http.MethodGet, path+what, otherKey, "", nil).is(http.StatusNotFound)
		e.get("/v1/collections/" + schemas.FactID("none") + what).is(http.StatusNotFound)
	}
}

func TestAttemptsOfACollection(t *testing.T) {
	e, path := executed(t)
	attempts := func(query string) api.AttemptList {
		return decoded[api.AttemptList](e.get(path + "/attempts" + query).is(http.StatusOK))
	}
	require.Empty(t, attempts("").Data)
	e.pipe.debit("POL001", "D1", 1, "2025-11-05", "2025-11-14")
	e.pipe.debit("POL001", "D2", 2, "2025-11-26", "")
	answer := func(debit, result string, kind schemas.ChangeKind, moved schemas.Cents) {
		e.pipe.change("POL001", "2025-11", func(c *schemas.CollectionEvent) {
			c.Change = schemas.Change{Kind: kind, DebitID: debit, MovedCents: moved, ResultID: result}
			if result != "" {
				c.Change.EffectiveDate, c.Change.ReasonCode, c.Change.ReasonScheme = "2025-11-07", "02", "ZA"
			}
		})
	}
	answer("D1", "", schemas.ChangeInstructed, 0)
	answer("D1", "R1", schemas.ChangePaid, 15000)
	answer("D1", "R2", schemas.ChangeLateUnpaid, -15000)
	answer("D2", "", schemas.ChangeInstructed, 0)
	all := attempts("").Data
	require.Len(t, all, 2)
	require.Equal(t, api.AttemptStatus("unpaid"), all[0].Status)
	require.Equal(t, "2025-11-14", *all[0].TrackingUntil)
	require.Len(t, all[0].Results, 2)
	require.Equal(t, api.AttemptResultStatus("paid"), all[0].Results[0].Status)
	require.Equal(t, "02", *all[0].Results[1].ReasonCode)
	require.Equal(t, schemas.Rands(-15000), all[0].Results[1].Moved)
	require.Equal(t, "2025-11-06", all[0].Results[1].Date)
	require.Equal(t, api.AttemptStatus("pending"), all[1].Status)
	require.Empty(t, all[1].Results)
	require.Nil(t, all[1].TrackingUntil)
	page := attempts("?limit=1")
	require.Equal(t, all[:1], page.Data)
	require.Equal(t, all[1:], attempts("?limit=1&cursor="+*page.NextCursor).Data)
}

// A collection of a period that lies ahead waits for the period's first day, as its first decision will say.
func TestAPeriodThatHasNotBegun(t *testing.T) {
	e, _ := executed(t)
	e.post("/v1/collections/execute", `{"period_month":"2025-12"}`).is(http.StatusAccepted)
	next := func() map[string]*api.NextStep {
		out := map[string]*api.NextStep{}
		for _, c := range decoded[api.CollectionList](e.get("/v1/collections?policy_number=POL001")).Data {
			out[string(c.PeriodMonth)] = c.NextStep
		}
		return out
	}
	steps, first := next(), "2025-12-01"
	require.Equal(t, "AWAIT_CUTOFF", steps["2025-11"].Reason)
	require.Equal(t, &api.NextStep{
		Action: schemas.DecideWait, Date: &first, Reason: "PERIOD_NOT_STARTED",
		Explanation: "The period 2025-12 has not begun; it is decided about from 2025-12-01 on.",
	}, steps["2025-12"])
	e.pipe.day("2025-12-01")
	require.Equal(t, "AWAIT_CUTOFF", next()["2025-12"].Reason)
}

func TestTheNextStepOfACollection(t *testing.T) {
	e, path := executed(t)
	next := func() *api.NextStep {
		one := decoded[api.Collection](e.get(path).is(http.StatusOK))
		list := decoded[api.CollectionList](e.get("/v1/collections?policy_number=POL001").is(http.StatusOK))
		require.Equal(t, []api.Collection{one}, list.Data)
		return one.NextStep
	}
	require.Equal(t, "AWAIT_CUTOFF", next().Reason, "nothing is decided yet")
	e.pipe.decision("POL001", schemas.DecisionEvent{
		Meta: schemas.Meta{BusinessDate: "2025-11-03", Seq: 1}, Action: schemas.DecideWait, Reason: "AWAIT_INCOME",
		Explanation: "Later.", NextDate: "2025-11-25",
	}, "[]", "{}")
	date := "2025-11-25"
	require.Equal(t, &api.NextStep{Action: schemas.DecideWait, Date: &date, Reason: "AWAIT_INCOME", Explanation: "Later."},
		next())
	e.pipe.decision("POL001", schemas.DecisionEvent{
		Meta: schemas.Meta{BusinessDate: "2025-11-26", Seq: 2}, Action: schemas.DecideDebit, Reason: "MONEY_SEEN",
	}, "[]", "{}")
	e.pipe.change("POL001", "2025-11", func(c *schemas.CollectionEvent) { c.InFlightCents = 15000 })
	require.Equal(t, "AWAIT_RESULT", next().Reason)
	require.Contains(t, next().Explanation, "R 150.00")
	e.pipe.change("POL001", "2025-11", func(c *schemas.CollectionEvent) { c.InFlightCents = 0 })
	require.Equal(t, "AWAIT_CUTOFF", next().Reason, "the debit failed, and no cut-off has come since")
	e.pipe.change("POL001", "2025-11", func(c *schemas.CollectionEvent) { c.Status = schemas.CollectionCancelled })
	require.Equal(t, schemas.DecideStop, next().Action)
	e.pipe.pay("POL001", "2025-11", 15000, "2025-11-28")
	require.Nil(t, next())
	report := e.get("/v1/reports/collections?period_month=2025-11&format=json").is(http.StatusOK)
	require.NotContains(t, string(report.body), "next_step", "a report has the 13 fields")
	require.NotContains(t, string(report.body), "in_flight")
}
