package processors_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/schemas/schematest"
)

// outgoing checks events against the published schemas and counts them.
type outgoing struct {
	schemas map[string]*jsonschema.Schema
	seen    map[string]int
}

// check fills the sequence as a stage does, and validates the event as an integrator's client would.
func (o *outgoing) check(t require.TestingT, topic string, meta *schemas.Meta, event any) {
	o.seen[topic]++
	meta.Seq = int64(o.seen[topic])
	text, err := json.Marshal(event)
	require.NoError(t, err)
	require.True(t, schematest.Accepts(o.schemas[topic], text), "%s refuses %s", topic, text)
}

func (o *outgoing) all(t require.TestingT, out *book.Outputs) {
	for i := range out.Deposits {
		o.check(t, schemas.TopicDeposits, &out.Deposits[i].Meta, &out.Deposits[i])
	}
	for i := range out.Decisions {
		o.check(t, schemas.TopicDecisions, &out.Decisions[i].Meta, &out.Decisions[i])
	}
	for i := range out.Debits {
		o.check(t, schemas.TopicDebits, &out.Debits[i].Meta, &out.Debits[i])
	}
	for i := range out.Policies {
		o.check(t, schemas.TopicPolicies, &out.Policies[i].Meta, &out.Policies[i])
	}
	for i := range out.OpenItems {
		o.check(t, schemas.TopicOpenItems, &out.OpenItems[i].Meta, &out.OpenItems[i])
	}
	for i := range out.Collections {
		o.check(t, schemas.TopicCollections, &out.Collections[i].Meta, &out.Collections[i])
	}
}

// Whatever happens to a customer and a tenant, what leaves on the public topics follows the published schemas.
func TestOutgoingEventsFollowTheirSchemas(t *testing.T) {
	o := &outgoing{schemas: map[string]*jsonschema.Schema{}, seen: map[string]int{}}
	topics := []string{
		schemas.TopicDeposits, schemas.TopicDecisions, schemas.TopicDebits, schemas.TopicPolicies, schemas.TopicCollections,
		schemas.TopicSettlements, schemas.TopicPayouts, schemas.TopicOpenItems,
	}
	for _, topic := range topics {
		o.schemas[topic] = schematest.Of(t, topic)
	}
	rules := rules.Default()
	engine := processors.NewEngine(rules)
	rapid.Check(t, func(t *rapid.T) {
		c, out := &book.Customer{}, &book.Outputs{}
		m := schemas.Moment{Date: civil.Date{Year: 2025, Month: 10, Day: 30}, At: time.Date(2025, 11, 1, 8, 0, 0, 0,
			time.UTC)}
		numbers := []string{"POL001", "POL002"}
		for i, number := range numbers {
			terms := schemas.PolicyTerms{
				PremiumCents: schemas.Cents(rapid.IntRange(2000, 40000).Draw(t, "premium")), Status: schemas.PolicyActive,
				Rail: rapid.SampledFrom([]schemas.Rail{schemas.RailEFT, schemas.RailDebiCheck, schemas.RailRM}).Draw(t, "rail"),
			}
			if i == 1 {
				terms.ExternalCustomerRef, terms.ProductCode, terms.MandateReference = "EXT1", "FUNERAL_01", "M-1"
				terms.MandateMaxCents, terms.MandateFixed, terms.CollectionDay = 50000, rapid.Bool().Draw(t, "fixed"), 7
			}
			require.NoError(t, engine.Apply(c, &schemas.PolicyCommand{
				RequestID: "r", Row: i, Action: schemas.PolicyCreate, TenantID: "acme", CustomerID: "CUST001", PolicyNumber: number,
				Terms: &terms,
			}, m, out))
		}
		answered := 0
		for range 70 {
			m.Date, m.Cutoff, m.At = m.Date.AddDays(1), 0, m.At.Add(24*time.Hour)
			require.NoError(t, engine.Apply(c, schemas.Tick{}, m, out))
			if m.Date.Day == 1 {
				for i, number := range numbers {
					require.NoError(t, engine.Apply(c, &schemas.ExecuteCommand{
						RequestID: "x", ExecutionID: "E-1", Row: i, TenantID: "acme", CustomerID: "CUST001", PolicyNumber: number,
						PeriodMonth: schemas.PeriodOf(m.Date),
					}, m, out))
				}
			}
			someDay(t, engine, c, m, out, &answered)
			m.Cutoff = 1
			require.NoError(t, engine.Apply(c, schemas.Tick{}, m, out))
		}
		o.all(t, out)
		tenant := &settlement.Tenant{}
		total := schemas.Cents(rapid.Int64Range(-1e9, 1e9).Draw(t, "total"))
		ev, _, err := settlement.Settle(rules, tenant, schemas.SettleCommand{
			RequestID: "r", TenantID: "acme", PeriodMonth: "2025-11", Cut: []int64{5},
		}, schemas.LedgerSums{TotalCents: total, Movements: 1}, m, true)
		require.NoError(t, err)
		o.check(t, schemas.TopicSettlements, &ev.Meta, ev)
		m.Date = rules.Calendar.OnOrAfter(m.Date.AddDays(60))
		due := settlement.Tick(rules, settlement.Assumed, tenant, m)
		for i, paid := range due.Statements {
			o.check(t, schemas.TopicSettlements, &paid.Meta, &paid)
			o.check(t, schemas.TopicPayouts, &due.Payouts[i].Meta, &due.Payouts[i])
		}
	})
	for _, topic := range topics {
		require.NotZero(t, o.seen[topic], "%s was not tested", topic)
	}
}

// someDay lets income come, the bank answer, and the insurer change its mind.
func someDay(t *rapid.T, e *processors.Engine, c *book.Customer, m schemas.Moment, out *book.Outputs,
	answered *int,
) {
	if rapid.IntRange(0, 3).Draw(t, "income") == 0 {
		balance := schemas.Cents(rapid.Int64Range(-1000, 100000).Draw(t, "balance"))
		require.NoError(t, e.Apply(c, &schemas.Transaction{
			TransactionID: "T-" + m.Date.String(), TenantID: "acme", CustomerID: "CUST001",
			BookedAt:    m.Date.In(time.UTC).Add(9 * time.Hour),
			AmountCents: schemas.Cents(rapid.Int64Range(1, 300000).Draw(t, "amount")), Direction: schemas.Credit,
			BalanceAfterCents: &balance,
			Description:       rapid.SampledFrom([]string{"SALARY", "SASSA", "UBER", "", "REFUND"}).Draw(t, "text"),
		}, m, out))
	}
	for ; *answered < len(out.Debits) && rapid.Bool().Draw(t, "answer"); *answered++ {
		status := rapid.SampledFrom([]schemas.ResultStatus{
			schemas.ResultPaid, schemas.ResultPaid, schemas.ResultUnpaid, schemas.ResultRejected, schemas.ResultDisputed,
		}).Draw(t, "status")
		code := ""
		if status != schemas.ResultPaid {
			code = rapid.SampledFrom([]string{"", "02", "AM04", "04", "XX"}).Draw(t, "code")
		}
		if rapid.IntRange(0, 5).Draw(t, "another amount") == 0 {
			one := schemas.Cents(1)
			require.NoError(t, e.Apply(c, &schemas.Result{
				ResultID: fmt.Sprintf("W-%d", *answered), DebitID: out.Debits[*answered].DebitID, Status: schemas.ResultPaid,
				EffectiveDate: m.Date.String(), AmountCents: &one,
			}, m, out))
		}
		require.NoError(t, e.Apply(c, &schemas.Result{
			ResultID: fmt.Sprintf("R-%d", *answered), DebitID: out.Debits[*answered].DebitID, Status: status,
			EffectiveDate: m.Date.String(), ReasonCode: code,
		}, m, out))
	}
	if rapid.IntRange(0, 30).Draw(t, "patch") == 0 {
		status := rapid.SampledFrom([]schemas.PolicyStatus{
			schemas.PolicyLapsed, schemas.PolicyActive,
			schemas.PolicyCancelled,
		}).Draw(t, "status")
		require.NoError(t, e.Apply(c, &schemas.PolicyCommand{
			RequestID: "p", Action: schemas.PolicyPatch, TenantID: "acme", CustomerID: "CUST001", PolicyNumber: "POL001",
			SetStatus: &status,
		}, m, out))
	}
}
