package processors

import (
	"slices"
	"strings"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Execute makes the collection of one policy for one period, with the premium as it is now, if it is missing, and
// answers with an outcome: OK, UNCHANGED, NOT_FOUND or CONFLICT.
func (e *Engine) Execute(c *Customer, cmd schemas.ExecuteCommand, m schemas.Moment, out *Outputs) error {
	if err := c.claim(cmd.TenantID, cmd.CustomerID); err != nil {
		return err
	}
	answer := schemas.OutcomeEvent{
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: cmd.Row, PolicyNumber: cmd.PolicyNumber,
		Code:     schemas.OutcomeOK,
		ObjectID: schemas.CollectionID(schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber), cmd.PeriodMonth),
	}
	params := e.rules.Params(m.BusinessDate())
	c.prune(schemas.DayOf(m.BusinessDate()), e.rules, &params) // so that when pruning ran last makes no difference to the answer
	pol := c.policy(cmd.PolicyNumber)
	switch {
	case c.collection(cmd.PolicyNumber, cmd.PeriodMonth) != nil:
		answer.Code = schemas.OutcomeUnchanged
	case pol == nil:
		answer.Code, answer.Message = schemas.OutcomeNotFound, "there is no policy of this number"
	case pol.Status != schemas.PolicyActive:
		answer.Code, answer.Message = schemas.OutcomeConflict, "the policy is "+string(pol.Status)
	case cmd.PeriodMonth < schemas.PeriodOf(m.BusinessDate()):
		answer.Code, answer.Message = schemas.OutcomeConflict, "the period has passed"
	default:
		k := c.collect(collection{
			Number: pol.Number, Period: cmd.PeriodMonth, Execution: cmd.ExecutionID, Due: pol.Premium,
			Plan: e.plan(cmd.PeriodMonth, pol, &params),
		})
		c.touch()
		c.changed(k, m, schemas.Change{Kind: schemas.ChangeCreated}, out)
	}
	c.outcome(m, answer, out)
	return nil
}

// collect puts a collection in its place: by period, planned day and policy number.
func (c *Customer) collect(k collection) *collection {
	i, _ := slices.BinarySearchFunc(c.Collections, k, func(a, b collection) int {
		if n := strings.Compare(string(a.Period), string(b.Period)); n != 0 {
			return n
		}
		if a.Plan != b.Plan {
			return int(a.Plan - b.Plan)
		}
		return strings.Compare(a.Number, b.Number)
	})
	c.Collections = slices.Insert(c.Collections, i, k)
	return &c.Collections[i]
}

// plan is the day of the first attempt while no income is known: the first banking day on or after the policy's or the
// configured day of the period, but never after the period's last banking day.
func (e *Engine) plan(p schemas.Period, pol *policy, params *rules.Params) schemas.Day {
	dom := pol.Day
	if dom == 0 {
		dom = params.FirstAttemptDay
	}
	cal := e.rules.Calendar
	d := dayInMonth(monthOf(schemas.DayOf(p.First())), dom)
	return min(schemas.DayOf(cal.OnOrAfter(d.Date())), schemas.DayOf(cal.OnOrBefore(p.Last())))
}
