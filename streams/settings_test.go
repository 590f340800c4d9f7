package streams

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/price"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/stage"
)

// settings puts settings of acme on every partition.
func (m *month) settings(version int64, settings ...schemas.TenantSetting) {
	for p := range m.partitions {
		m.add(schemas.KindTenant, uint32(p), "acme", schemas.TenantSettings{
			TenantID: "acme", Version: version, Settings: settings,
		})
	}
}

func from(day, name, value string) schemas.TenantSetting {
	return schemas.TenantSetting{From: day, Name: name, Value: value}
}

// played are the outputs of the month's records on one partition.
func (m *month) played() (out []*kgo.Record) {
	m.t.Helper()
	tk, memory := collectTasks()
	for offset, rec := range m.records {
		rec.Offset = int64(offset)
		caused, err := stage.Dry(row("collect"), tk, memory, 0, 1, rec)
		require.NoError(m.t, err)
		memory.Merge()
		out = append(out, caused...)
	}
	return out
}

// worths are what waiting was worth in the priced decisions of each day.
func worths(t *testing.T, m *month) map[string][]int {
	t.Helper()
	found := map[string][]int{}
	for _, r := range m.played() {
		require.NotEqual(t, schemas.TopicDeadLetters, r.Topic, "%s", r.Value)
		if r.Topic == schemas.TopicDecisions {
			if day, s := priced(t, r); s.Amount > 0 {
				found[day] = append(found[day], s.Patience)
			}
		}
	}
	return found
}

func priced(t *testing.T, r *kgo.Record) (day string, s price.Situation) {
	t.Helper()
	var ev schemas.DecisionEvent
	require.NoError(t, json.Unmarshal(r.Value, &ev))
	if ev.Situation != "" {
		require.NoError(t, json.Unmarshal([]byte(ev.Situation), &s))
	}
	return ev.BusinessDate, s
}

// TestSettingsOfATenantCountFromTheirDay: customers that sleep are looked at again on the day on which a setting
// begins, and decided by it. Settings of another tenant and an older version change nothing.
func TestSettingsOfATenantCountFromTheirDay(t *testing.T) {
	t.Parallel()
	life := func(more func(m *month, day string)) map[string][]int {
		m := newMonth(t, 1)
		m.tick("2025-11-01", 0)
		m.policy("CUST001", 10_000)
		for _, day := range []string{"2025-07-25", "2025-08-25", "2025-09-25", "2025-10-24"} {
			m.of(schemas.KindTransaction, "CUST001", fmt.Sprintf(`{"transaction_id":"T-%s","tenant_id":"acme",`+
				`"customer_id":"CUST001","booked_at":"%sT09:00:00+02:00","amount_cents":850000,"direction":"CREDIT",`+
				`"description":"SALARY"}`, day, day))
			m.of(schemas.KindTransaction, "CUST001", fmt.Sprintf(`{"transaction_id":"S-%s","tenant_id":"acme",`+
				`"customer_id":"CUST001","booked_at":"%sT15:00:00+02:00","amount_cents":849000,"direction":"DEBIT",`+
				`"description":"RENT"}`, day, day))
		}
		m.execute("CUST001")
		for _, day := range []string{"2025-11-01", "2025-11-02", "2025-11-03", "2025-11-04", "2025-11-05", "2025-11-06"} {
			more(m, day)
			m.tick(day, 0)
			m.tick(day, 1)
		}
		return worths(t, m)
	}
	general := life(func(*month, string) {})
	require.Equal(t, map[string][]int{"2025-11-01": {9650}}, general, "then the customer sleeps")
	own := life(func(m *month, day string) {
		if day == "2025-11-02" {
			m.settings(7, from("2025-11-04", "patience", "1"))
			m.settings(6, from("2025-11-03", "patience", "2"))
			m.settings(7, from("2025-11-03", "patience", "3"))
		}
	})
	require.Equal(t, map[string][]int{"2025-11-01": {9650}, "2025-11-04": {1}}, own)
	late := life(func(m *month, day string) {
		if day == "2025-11-03" {
			m.settings(7, from("2025-11-01", "patience", "1"))
		}
	})
	require.Equal(t, map[string][]int{"2025-11-01": {9650}, "2025-11-03": {1}}, late, "it counts at the next cut-off")
}

// TestSettingsLetMoreFail: a customer whose failures of the month are used up waits. Where the tenant allows more from
// a day on, it is debited on that day.
func TestSettingsLetMoreFail(t *testing.T) {
	t.Parallel()
	debits := func(more ...schemas.TenantSetting) (days []string) {
		m := newMonth(t, 1)
		m.tick("2025-11-01", 0)
		m.settings(1, from("2025-11-01", "failure_days", "1"))
		m.policy("CUST001", 10_000)
		m.execute("CUST001")
		for day := (civil.Date{Year: 2025, Month: 11, Day: 1}); day.Day <= 20; day = day.AddDays(1) {
			m.tick(day.String(), 0)
			switch day.Day {
			case 4, 12:
				m.transaction("CUST001", "T"+day.String(), day.String(), 10_000)
			case 6:
				m.result(debitOf("CUST001", 1), "R1", schemas.ResultUnpaid, "2025-11-05")
			case 15:
				m.settings(2, append(more, from("2025-11-01", "failure_days", "1"))...)
			}
			m.tick(day.String(), 1)
		}
		for _, ev := range eventsOf[schemas.DebitInstruction](t, of(m.played(), schemas.TopicDebits)) {
			days = append(days, ev.ActionDate)
		}
		return days
	}
	require.Equal(t, []string{"2025-11-04"}, debits())
	require.Equal(t, []string{"2025-11-04", "2025-11-18"}, debits(from("2025-11-18", "failure_days", "5")))
}

// of are the records of a topic.
func of(records []*kgo.Record, topic string) []*kgo.Record {
	return slices.DeleteFunc(records, func(r *kgo.Record) bool { return r.Topic != topic })
}
