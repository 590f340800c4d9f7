package main

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// CONTRACT 8: anything may arrive on the outside topics, from any client, with any key and partitioner.

func TestScenarioBadRecords(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policy("POL1", "150.00")
	p.execute("2025-11", 1)
	sent := map[string]string{} // value -> topic
	bad := func(topic, value string) {
		require.NotContains(t, sent, value)
		sent[value] = topic
		p.raw(topic, fmt.Sprint(len(sent)), value)
	}
	good := map[string]map[string]string{
		"kasi.feed.transactions.v1": {
			"transaction_id": `"t%d"`, "tenant_id": `"demo"`, "customer_id": `"CPOL1"`,
			"booked_at": `"2025-11-01T09:00:00+02:00"`, "amount_cents": `100`, "direction": `"DEBIT"`,
		},
		"kasi.feed.incomes.v1": {
			"income_id": `"i%d"`, "tenant_id": `"demo"`, "customer_id": `"CPOL1"`, "kind": `"GIG"`,
			"pay_date": `"2025-11-01"`, "state": `"CANCELLED"`,
		},
		"kasi.rail.results.v1": {
			"result_id": `"r%d"`, "debit_id": `"` + strings.Repeat("0", 32) + `"`,
			"status": `"PAID"`, "effective_date": `"2025-11-05"`,
		},
	}
	n := 0
	object := func(fields map[string]string) string {
		n++
		var parts []string
		for k, v := range fields {
			if strings.Contains(v, "%d") {
				v = fmt.Sprintf(v, n)
			}
			parts = append(parts, `"`+k+`": `+v)
		}
		return "{" + strings.Join(parts, " ,") + "}"
	}
	with := func(topic, field, value string) string {
		f := maps.Clone(good[topic])
		if value == "" {
			delete(f, field)
		} else {
			f[field] = value
		}
		f["note"] = fmt.Sprintf(`"%d"`, n) // makes each value another
		return object(f)
	}
	for topic, fields := range good {
		for field := range fields {
			bad(topic, with(topic, field, "")) // missing
			bad(topic, with(topic, field, "null"))
			bad(topic, with(topic, field, "[]"))
			bad(topic, with(topic, field, "true"))
			bad(topic, with(topic, field, `""`))
		}
		for i, text := range []string{"", "hello", "{}", "[1]", "null", `{"a":`, "\x00\xff", "{} {}"} {
			bad(topic, strings.Repeat(" ", len(sent)+i)+text)
		}
	}
	tx, in, res := "kasi.feed.transactions.v1", "kasi.feed.incomes.v1", "kasi.rail.results.v1"
	for _, v := range []string{"-100", "0", "1.5", "1e3", `"100"`, "99999999999999999999", "100.0"} {
		bad(tx, with(tx, "amount_cents", v))
	}
	for _, v := range []string{`"2025-11-01T09:00:00"`, `"2025-11-01"`, `"2025-02-30T09:00:00Z"`, "1761980400"} {
		bad(tx, with(tx, "booked_at", v))
	}
	bad(tx, with(tx, "direction", `"credit?"`))
	bad(tx, with(tx, "currency", `"USD"`))
	bad(tx, with(tx, "balance_after_cents", `"12"`))
	bad(in, with(in, "kind", `"LOTTERY"`))
	bad(in, with(in, "state", `"MAYBE"`))
	bad(in, with(in, "pay_date", `"2025-11-31"`))
	bad(in, with(in, "amount_cents", "-1"))
	bad(res, with(res, "status", `"OK"`))
	bad(res, with(res, "effective_date", `"2025-11-05T00:00:00Z"`))
	bad(res, with(res, "reason_scheme", `"UK"`))
	bad(res, with(res, "amount_cents", "1.5"))
	p.raw(tx, "", with(tx, "currency", `"ZAR"`)) // good, with an unknown field
	p.advance("2025-11-03")
	letters := p.deadLetters()
	for _, l := range letters {
		require.Equal(t, sent[l.value], l.topic, l.value)
		require.NotEmpty(t, l.class)
		require.NotEmpty(t, l.headers["__connect.errors.partition"])
		require.NotEmpty(t, l.headers["__connect.errors.offset"])
		require.NotEmpty(t, l.headers["__connect.errors.exception.message"])
		require.NotContains(t, l.headers["__connect.errors.exception.message"], "CPOL1", "no personal data in messages")
		require.NotEmpty(t, l.key)
		delete(sent, l.value)
	}
	require.Empty(t, sent, "every bad record is dead-lettered, once")
	require.Equal(t, "1", p.sql("SELECT count() FROM transactions"), "bad records stop nothing")
}

func TestScenarioAnyClientAnyOrder(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policies("", "C1,E,POL1,F,300.00", "C2,E,FUTURE,F,150.00", "C3,E,STALE,F,150.00", "C4,E,TOMORROW,F,150.00")
	p.execute("2025-11", 4)
	// Each record three times, on whatever partition, under whatever key; unknown fields beside.
	manual, err := kgo.NewClient(kgo.SeedBrokers(p.kafka), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer manual.Close()
	for i, key := range []string{"", "x", "C1"} {
		v := `{"transaction_id":"t1","tenant_id":"demo","customer_id":"C1","booked_at":"2025-11-03T05:00:00Z",` +
			`"amount_cents":8000,"direction":"CREDIT","description":"piece job","extra":{"a":[1,2]}}`
		r := &kgo.Record{Topic: "kasi.feed.transactions.v1", Partition: int32(i % 2), Value: []byte(v)}
		if key != "" {
			r.Key = []byte(key)
		}
		require.NoError(t, manual.ProduceSync(context.Background(), r).FirstErr())
	}
	p.credit("C2", "2025-11-18", 850000, "SALARY") // a payroll told of in advance
	p.send("kasi.feed.transactions.v1", "", map[string]any{
		"transaction_id": "edge", "tenant_id": "demo",
		"customer_id": "C4", "booked_at": "2025-11-03T22:30:00Z", "amount_cents": 5000, "direction": "CREDIT",
		"description": "piece job",
	})
	bank := p.bank(paysAll)
	bank.until("2025-11-03")
	require.Equal(t, []string{"2025-11-03 2025-11 8000"}, p.dates("POL1"), "one deposit, however often it is told")
	require.Empty(t, p.dates("TOMORROW"), "half past midnight in Johannesburg is the 4th")
	bank.until("2025-11-04")
	require.Equal(t, []string{"2025-11-04 2025-11 5000"}, p.dates("TOMORROW"))
	require.Equal(t, "2", p.sql("SELECT count() FROM transactions WHERE customer_id IN ('C1', 'C4')"))
	p.bank(func(d debit) (string, string) {
		return map[string]string{"STALE": "UNPAID", "FUTURE": "UNPAID"}[d.PolicyNumber], "02"
	}).until("2025-11-05")
	bank.answered = map[string]bool{}
	for _, d := range p.debits() {
		bank.answered[d.DebitID] = true
	}
	bank.until("2025-11-17")
	require.Len(t, p.dates("FUTURE"), 1, "what is booked on the 18th does not count on the 17th")
	p.credit("C3", "2025-11-14", 850000, "SALARY") // the feed is late
	bank.until("2025-11-19")
	require.Equal(t, []string{"2025-11-05 2025-11 15000", "2025-11-19 2025-11 15000"}, p.dates("FUTURE"))
	require.Equal(t, []string{"2025-11-05 2025-11 15000", "2025-11-18 2025-11 15000"}, p.dates("STALE"),
		"late news of money is used as soon as it comes")
	require.Empty(t, p.deadLetters())
}
