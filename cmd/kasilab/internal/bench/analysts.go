package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/kasi-collections/kasi/schemas"
	sink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/sinks/clickhouse/questions"
)

// plainQuestions are asked beside those of the dictionary.
var plainQuestions = []questions.Question{
	{Name: "debits-limit-10", SQL: "SELECT * FROM debits LIMIT 10"},
	{
		Name: "debits-of-a-month",
		SQL:  "SELECT status, count(), sum(amount) FROM debits WHERE period_month = '2025-11' GROUP BY status",
	},
	{Name: "one-policy", SQL: "SELECT * FROM collections WHERE tenant_id = 'acme' AND policy_number = 'POL100'"},
}

// benchAnalysts fills six months of o.policies policies into the tables of events by SQL, makes the states of them as
// the sink's watch does and the server merges them at rest. It asks each question of the dictionary as the analyst,
// within the analyst's limits, three times. The table has the median.
func benchAnalysts(ctx context.Context, _ *kafka, o *options, t *table) error {
	ch, err := startClickHouse(ctx)
	if err != nil {
		return err
	}
	defer ch.stop()
	database, err := ch.database(ctx)
	if err != nil {
		return err
	}
	opts := ch.options(database)
	opts.ReadTimeout = time.Hour
	conn, err := clickhouse.Open(opts)
	if err != nil {
		return err
	}
	defer conn.Close()
	began := time.Now()
	for i, statement := range questions.Sample(o.policies) {
		if err := conn.Exec(ctx, statement); err != nil {
			return err
		}
		say("   statement %d after %.0f s", i+1, time.Since(began).Seconds())
	}
	filled := time.Since(began)
	for _, state := range schemas.States() {
		if err := sink.FillState(ctx, conn, state); err != nil {
			return err
		}
		// As the server does by itself once no row came for an hour.
		if err := conn.Exec(ctx, "OPTIMIZE TABLE "+state.Name+" FINAL"); err != nil {
			return err
		}
		say("   %s after %.0f s", state.Name, time.Since(began).Seconds())
	}
	t.note("Six months of %d policies: events in %.0f s, their current states in %.0f s more.", o.policies,
		filled.Seconds(), (time.Since(began) - filled).Seconds())
	as := ch.options(database)
	as.Auth.Username, as.Auth.Password = "analyst", clickHousePassword
	analyst, err := clickhouse.Open(as)
	if err != nil {
		return err
	}
	defer analyst.Close()
	t.section("question", "seconds")
	for _, q := range append(plainQuestions, questions.All()...) {
		var took []float64
		for range 3 {
			began := time.Now()
			if err := analyst.Exec(ctx, q.SQL); err != nil {
				return fmt.Errorf("%s: %w", q.Name, err)
			}
			took = append(took, time.Since(began).Seconds())
		}
		slices.Sort(took)
		t.row(q.Name, fmt.Sprintf("%.2f", median(took)))
	}
	return nil
}
