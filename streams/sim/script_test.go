package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"cloud.google.com/go/civil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// script draws what the outside world does: insurers, bank feeds, payrolls. What it does wrong (duplicates, late and
// malformed records) is counted.
type script struct {
	*run
	rng       *rand.Rand
	customers []customer
	feeds     []*kgo.Record  // that may come again
	period    schemas.Period // the last one executed whole
	n         int
}

type customer struct {
	tenant, id string
	policies   []string
	salary     schemas.Cents
	payday     int
}

func newScript(r *run, rng *rand.Rand) *script {
	s := &script{run: r, rng: rng}
	for i := range 2 + min(rng.IntN(5), rng.IntN(5)) {
		c := customer{
			tenant: []string{"acme", "beta"}[rng.IntN(2)], id: fmt.Sprintf("C%d", i), payday: 1 + rng.IntN(28),
			salary: schemas.Cents(100_000 * (1 + rng.IntN(9))),
		}
		if rng.IntN(4) == 0 {
			c.salary = 0 // no regular income
		}
		for j := range 1 + min(rng.IntN(3), rng.IntN(3)) {
			c.policies = append(c.policies, fmt.Sprintf("P%d%d", i, j))
		}
		s.customers = append(s.customers, c)
	}
	return s
}

func (s *script) id(prefix string) string {
	s.n++
	return fmt.Sprintf("%s%d", prefix, s.n)
}

func (s *script) one(of ...string) string { return of[s.rng.IntN(len(of))] }

func (s *script) customer() customer { return s.customers[s.rng.IntN(len(s.customers))] }

// first is what happens before anything else: policies, and their execution on the first day of a period.
func (s *script) first() {
	for _, c := range s.customers {
		for _, number := range c.policies {
			if s.rng.IntN(10) > 0 {
				s.policy(c, number)
			}
			if s.rng.IntN(6) == 0 {
				s.move(c, number)
			}
		}
	}
}

// day is what happens on one day.
func (s *script) day(today civil.Date) {
	if period := schemas.PeriodOf(today); period != s.period {
		s.period = period
		if s.rng.IntN(2) == 0 { // too early: there is nothing to settle yet, and there never was
			s.settle(period)
		}
		for _, c := range s.customers {
			for _, number := range c.policies {
				s.execute(c, number, schemas.PeriodOf(today))
			}
		}
	}
	for _, c := range s.customers {
		if c.salary > 0 && today.Day == c.payday {
			s.transaction(c, today, c.salary, "SALARY ACME")
		}
	}
	for range s.rng.IntN(4) {
		s.something(today)
		if s.rng.IntN(3) == 0 {
			s.rest()
		}
	}
	if today.Day == 2 || s.rng.IntN(15) == 0 {
		period := schemas.PeriodOf(schemas.PeriodOf(today).First().AddDays(-1))
		if s.rng.IntN(3) == 0 {
			period = schemas.PeriodOf(today)
		}
		s.settle(period)
	}
}

func (s *script) something(today civil.Date) {
	c := s.customer()
	number := c.policies[s.rng.IntN(len(c.policies))]
	switch what := s.rng.IntN(28); {
	case what >= 24:
		s.move(c, number)
	case what < 7:
		s.transaction(c, today.AddDays(-s.rng.IntN(4)), schemas.Cents(500+s.rng.IntN(30000)), s.one("piece job", "TIPS",
			"gift", "SASSA", "REFUND"))
	case what < 9:
		s.income(c, today)
	case what < 12:
		s.patch(c, number)
	case what == 12:
		s.policy(c, number)
	case what == 13: // a number that may be another customer's
		s.policy(c, s.customer().policies[0])
	case what < 16:
		period := schemas.PeriodOf(today)
		if s.rng.IntN(4) == 0 {
			period = period.Next()
		}
		s.execute(c, number, period)
	case what < 19:
		s.malformed(c)
	case len(s.feeds) > 0: // anything may come again, long after, too
		s.count("feed: duplicate")
		old := s.feeds[s.rng.IntN(len(s.feeds))]
		s.produce(false, &kgo.Record{Topic: old.Topic, Key: old.Key, Value: old.Value})
	}
}

func (s *script) feed(topic string, value any) {
	b, _ := json.Marshal(value)
	rec := &kgo.Record{Topic: topic, Key: []byte(s.one("", "k", "another")), Value: b}
	s.feeds = append(s.feeds, rec)
	s.produce(false, &kgo.Record{Topic: topic, Key: rec.Key, Value: b})
}

func (s *script) transaction(c customer, booked civil.Date, cents schemas.Cents, text string) {
	tx := schemas.Transaction{
		TransactionID: s.id("t"), TenantID: c.tenant, CustomerID: c.id, Direction: schemas.Credit, AmountCents: cents,
		Description: text,
		BookedAt:    booked.In(schemas.Johannesburg).Add(time.Duration(s.rng.IntN(24)) * time.Hour),
	}
	if booked != s.today {
		s.count("feed: late")
	}
	if s.rng.IntN(6) == 0 {
		tx.Direction = schemas.Debit
	}
	if s.rng.IntN(5) == 0 {
		balance := schemas.Cents(s.rng.IntN(100_000))
		tx.BalanceAfterCents = &balance
	}
	s.feed(schemas.TopicFeedTransactions, tx)
}

func (s *script) income(c customer, today civil.Date) {
	in := schemas.Income{
		IncomeID: s.one("i1", "i2", s.id("i")), TenantID: c.tenant, CustomerID: c.id,
		Kind:    schemas.IncomeKind(s.one("SALARY", "GRANT", "OTHER")),
		PayDate: today.AddDays(s.rng.IntN(9) - 2).String(), State: schemas.IncomeState(s.one("ANNOUNCED", "ANNOUNCED", "PAID",
			"CANCELLED")),
	}
	if s.rng.IntN(3) > 0 {
		cents := schemas.Cents(1000 * (1 + s.rng.IntN(500)))
		in.AmountCents = &cents
	}
	s.feed(schemas.TopicFeedIncomes, in)
}

// malformed is what an integrator gets wrong; all of it belongs into the dead letters.
func (s *script) malformed(c customer) {
	s.count("feed: malformed")
	good := fmt.Sprintf(`{"transaction_id":%q,"tenant_id":%q,"customer_id":%q,`, s.id("bad"), c.tenant, c.id)
	value := s.one(
		`{`, ``, `null`, `[]`, "\xff\xfe",
		good+`"booked_at":"2025-11-05T08:00:00+02:00","amount_cents":-1,"direction":"CREDIT"}`,
		good+`"booked_at":"yesterday","amount_cents":100,"direction":"CREDIT"}`,
		good+`"booked_at":"2025-11-05T08:00:00+02:00","amount_cents":1.5,"direction":"CREDIT"}`,
		good+`"booked_at":"2025-11-05T08:00:00+02:00","amount_cents":100,"direction":"SIDEWAYS"}`,
		good+`"amount_cents":100,"direction":"CREDIT"}`,
	)
	s.produce(true, &kgo.Record{Topic: s.one(schemas.TopicFeedTransactions, schemas.TopicFeedIncomes,
		schemas.TopicRailResults), Value: []byte(value)})
}

func (s *script) policy(c customer, number string) {
	terms := schemas.PolicyTerms{
		ProductCode: "FUNERAL_01", PremiumCents: schemas.Cents([]int{1, 5000, 15000, 20000, 30050}[s.rng.IntN(5)]),
		Status:       schemas.PolicyActive,
		Rail:         schemas.Rail(s.one("DEBICHECK", "DEBICHECK", "EFT", "RM")),
		MandateFixed: s.rng.IntN(5) == 0, CollectionDay: []int{0, 0, 1, 5, 25, 31}[s.rng.IntN(6)], MandateReference: s.one("",
			"M1", "M2"),
	}
	if s.rng.IntN(5) == 0 {
		terms.MandateMaxCents = 10000
	}
	s.command(schemas.PolicyCommand{
		RequestID: s.id("import"), Action: schemas.PolicyAction(s.one("IMPORT", "IMPORT", "CREATE")), TenantID: c.tenant,
		CustomerID: c.id, PolicyNumber: number, Terms: &terms,
	})
}

func (s *script) patch(c customer, number string) {
	cmd := schemas.PolicyCommand{
		RequestID: s.id("patch"), Action: schemas.PolicyPatch, TenantID: c.tenant,
		PolicyNumber: number,
	}
	if s.rng.IntN(3) == 0 {
		premium := schemas.Cents(1 + s.rng.IntN(40000))
		cmd.SetPremium = &premium
	} else {
		status := schemas.PolicyStatus(s.one("cancelled", "cancelled", "lapsed", "active", "active"))
		if status != schemas.PolicyActive {
			s.count("command: cancellation")
		}
		cmd.SetStatus = &status
	}
	s.command(cmd)
}

// move gives a policy to a customer, who may have it already. Others want it at the same time, now and then.
func (s *script) move(c customer, number string) {
	to := s.customer()
	cmd := schemas.PolicyCommand{
		RequestID: s.id("move"), Action: schemas.PolicyPatch, TenantID: c.tenant, CustomerID: to.id, PolicyNumber: number,
	}
	if s.rng.IntN(3) == 0 {
		premium := schemas.Cents(1 + s.rng.IntN(40000))
		cmd.SetPremium = &premium
	}
	s.count("command: move")
	s.command(cmd)
	for s.rng.IntN(3) == 0 {
		s.patch(c, number)
	}
}

func (s *script) command(cmd schemas.PolicyCommand) {
	s.later()
	s.check(s.commands.Policies(s.ctx, []schemas.PolicyCommand{cmd}))
	if s.rng.IntN(4) == 0 { // a caller that heard no answer sends it again
		s.count("command: duplicate")
		if cmd.CustomerID != "" && s.rng.IntN(2) == 0 { // long after, too
			s.rest()
		}
		s.later()
		s.check(s.commands.Policies(s.ctx, []schemas.PolicyCommand{cmd}))
	}
}

func (s *script) execute(c customer, number string, period schemas.Period) {
	s.later()
	owner := c.id
	if p, known := s.oracle.policies[schemas.PolicyID(c.tenant, number)]; known {
		owner = p.CustomerID // as far as it can be read: the policy may be on its way
	}
	s.check(s.commands.Execute(s.ctx, []schemas.ExecuteCommand{{
		RequestID: s.id("execute"), ExecutionID: "e-" + string(period), TenantID: c.tenant, CustomerID: owner,
		PolicyNumber: number, PeriodMonth: period,
	}}))
}

// settle asks for a statement as the API does: with the cut as it is now.
func (s *script) settle(period schemas.Period) {
	_, err := s.commands.Owed(s.ctx)
	s.check(err)
	cut, err := s.ledger.cut(s.ctx, s.rig.partitions)
	s.check(err)
	for _, tenant := range []string{"acme", "beta"} {
		s.count("command: settlement")
		s.later()
		s.check(s.commands.Settle(s.ctx, schemas.SettleCommand{
			RequestID: s.id("settle"), TenantID: tenant,
			PeriodMonth: period, Cut: cut,
		}))
	}
}
