package settlement_test

import (
	"fmt"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
)

// movement is one record of kasi.collections.v1 as a settlement sees it; its offset is its index in the partition.
type movement struct {
	tenant string
	period schemas.Period
	cents  schemas.Cents
	// statement is the number of the statement that counted it.
	statement string
}

// ledger is a model of the collections topic and of what the ledger's query sums.
type ledger struct {
	t          *rapid.T
	partitions [][]movement
}

// cut is the end of each partition now.
func (l *ledger) cut() []int64 {
	cut := make([]int64, len(l.partitions))
	for p, records := range l.partitions {
		cut[p] = int64(len(records))
	}
	return cut
}

// sum adds up what a coverage counts, and marks it as counted when the statement is known.
func (l *ledger) sum(tenant string, p schemas.Period, cover []schemas.Coverage,
	statement string,
) (sums schemas.LedgerSums) {
	for _, c := range cover {
		for partition, records := range l.partitions {
			require.LessOrEqual(l.t, c.From[partition], c.To[partition], "a coverage never runs backwards")
			for offset := c.From[partition]; offset < c.To[partition] && offset < int64(len(records)); offset++ {
				mv := &records[offset]
				if mv.tenant != tenant || mv.period != c.Period || mv.cents == 0 {
					continue
				}
				sums.Movements++
				sums.TotalCents += mv.cents
				if c.Period != p {
					sums.AdjustmentsCents += mv.cents
				}
				if statement != "" {
					require.Empty(l.t, mv.statement, "counted twice")
					mv.statement = statement
				}
			}
		}
	}
	return sums
}

// settleModel drives the settlement of two tenants over one topic.
type settleModel struct {
	ledger
	rules   *rules.Rules
	tenants map[string]*settlement.Tenant
	events  map[string][]schemas.SettlementEvent
	today   civil.Date
	sent    []schemas.SettleCommand
	paid    map[string]bool          // payouts
	out     map[string]schemas.Cents // what each tenant was paid
}

func (m *settleModel) settle(cmd schemas.SettleCommand) {
	tenant := m.tenants[cmd.TenantID]
	cover, err := settlement.Cover(tenant, cmd)
	require.NoError(m.t, err)
	before := tenant.Clone()
	sums := m.sum(cmd.TenantID, cmd.PeriodMonth, cover, "")
	anything := m.hasCollections(cmd.TenantID, cmd.PeriodMonth)
	ev, id, err := settlement.Settle(m.rules, tenant, cmd, sums, schemas.Moment{Date: m.today, Cutoff: 1}, anything)
	require.NoError(m.t, err)
	if ev == nil {
		require.Zero(m.t, sums.Movements, "movements always make a statement")
		require.Equal(m.t, before, tenant)
		require.Equal(m.t, tenant.Periods[cmd.PeriodMonth].Statements > 0, id != "")
		return
	}
	require.Equal(m.t, cover, ev.Coverage)
	require.Equal(m.t, sums, m.sum(cmd.TenantID, cmd.PeriodMonth, ev.Coverage, ev.Number))
	m.events[cmd.TenantID] = append(m.events[cmd.TenantID], *ev)
}

func (m *settleModel) hasCollections(tenant string, p schemas.Period) bool {
	for _, records := range m.partitions {
		for _, mv := range records {
			if mv.tenant == tenant && mv.period == p {
				return true
			}
		}
	}
	return false
}

// check is the law of conservation: what the statements total, and what no statement counts yet, is all that moved.
func (m *settleModel) check() {
	for tenant, state := range m.tenants {
		var moved, open, settled, nets, carried, payable, waiting schemas.Cents
		for partition, records := range m.partitions {
			for offset, mv := range records {
				if mv.tenant != tenant {
					continue
				}
				moved += mv.cents
				covered, ok := state.Periods[mv.period]
				if !ok || int64(offset) >= covered.Covered[partition] {
					require.Empty(m.t, mv.statement)
					open += mv.cents
				} else if mv.cents != 0 {
					require.NotEmpty(m.t, mv.statement, "before the cut and in no statement")
				}
			}
		}
		references, next := map[string]bool{}, map[schemas.Period]int{}
		for _, ev := range m.events[tenant] {
			settled += ev.TotalCollectionsCents
			next[ev.PeriodMonth]++
			require.Equal(m.t, fmt.Sprintf("SETTLE-%s-%03d", ev.PeriodMonth, next[ev.PeriodMonth]), ev.Number)
			require.False(m.t, references[ev.PaymentReference], "a payment reference is used once")
			require.Equal(m.t, ev.PayableCents > 0, ev.PaymentReference != "")
			references[ev.PaymentReference] = ev.PaymentReference != ""
			nets += ev.NetCents
			require.LessOrEqual(m.t, ev.BroughtForwardCents, schemas.Cents(0))
			require.Equal(m.t, ev.PayableCents, ev.NetCents+ev.BroughtForwardCents)
			carried = min(ev.PayableCents, 0)
			payable += max(ev.PayableCents, 0)
			require.Equal(m.t, ev.TotalCollectionsCents, ev.TotalFeesCents+ev.VATCents+ev.NetCents)
			require.Equal(m.t, ev.TotalFeesCents, ev.DistributionFeeCents+ev.CollectionsFeeCents)
		}
		require.Equal(m.t, moved, settled+open, "conservation for %s", tenant)
		require.Equal(m.t, nets, payable+carried, "each net is payable or carried forward, once")
		require.Equal(m.t, carried, state.CarriedCents)
		for _, ev := range state.Open {
			if ev.Status == schemas.SettlementPending {
				waiting += ev.PayableCents
			}
		}
		require.Equal(m.t, payable, m.out[tenant]+waiting, "what is payable was paid or waits for its day")
	}
}

// Random movements of two tenants and four periods over some partitions, settled at random moments with cuts that may
// be stale or repeated: nothing is counted twice, nothing is lost.
func TestSettlementConservesMoney(t *testing.T) {
	rules := rules.Default()
	periods := []schemas.Period{"2025-09", "2025-10", "2025-11", "2025-12"}
	rapid.Check(t, func(t *rapid.T) {
		m := &settleModel{
			ledger:  ledger{t: t, partitions: make([][]movement, rapid.IntRange(1, 3).Draw(t, "partitions"))},
			rules:   rules,
			tenants: map[string]*settlement.Tenant{"acme": {}, "other": {}},
			events:  map[string][]schemas.SettlementEvent{},
			today:   civil.Date{Year: 2025, Month: 10, Day: 1},
			paid:    map[string]bool{}, out: map[string]schemas.Cents{},
		}
		tenant, period := rapid.SampledFrom([]string{"acme", "other"}), rapid.SampledFrom(periods)
		t.Repeat(map[string]func(*rapid.T){
			"move": func(t *rapid.T) {
				for range rapid.IntRange(1, 5).Draw(t, "n") {
					p := rapid.IntRange(0, len(m.partitions)-1).Draw(t, "partition")
					cents := schemas.Cents(rapid.Int64Range(-20000, 50000).Draw(t, "cents"))
					m.partitions[p] = append(m.partitions[p], movement{
						tenant: tenant.Draw(t, "tenant"),
						period: period.Draw(t, "period"), cents: cents,
					})
				}
			},
			"settle": func(t *rapid.T) {
				cmd := schemas.SettleCommand{
					TenantID: tenant.Draw(t, "tenant"), PeriodMonth: period.Draw(t, "period"),
					Cut: m.cut(),
				}
				m.sent = append(m.sent, cmd)
				if rapid.Bool().Draw(t, "delivered now") {
					m.settle(cmd)
				}
			},
			"deliver late or twice": func(t *rapid.T) {
				if len(m.sent) > 0 {
					m.settle(rapid.SampledFrom(m.sent).Draw(t, "command"))
				}
			},
			"tick": func(t *rapid.T) {
				m.today = m.today.AddDays(rapid.IntRange(0, 20).Draw(t, "days"))
				for name, state := range m.tenants {
					due := settlement.Tick(rules, settlement.Assumed, state, schemas.Moment{Date: m.today, Cutoff: 1})
					require.Len(t, due.Payouts, len(due.Statements))
					for i, paid := range due.Statements {
						require.Equal(t, name, paid.TenantID)
						require.LessOrEqual(t, paid.PaymentDate, m.today.String())
						require.Equal(t, schemas.SettlementPaid, paid.Status)
						require.Equal(t, paid.PayableCents, due.Payouts[i].AmountCents)
						require.False(t, m.paid[due.Payouts[i].PayoutID], "paid twice")
						m.paid[due.Payouts[i].PayoutID] = true
						m.out[name] += due.Payouts[i].AmountCents
					}
				}
			},
			"": func(*rapid.T) { m.check() },
		})
	})
}
