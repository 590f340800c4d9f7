package clickhouse

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

func TestPlanIsReadBack(t *testing.T) {
	c := chunk{topicPartition: topicPartition{"kasi.debits.v1", 3}, first: 100, last: 199}
	require.Equal(t, "kasi.debits.v1-3-100-199", c.token())
	require.Equal(t, "plan 100-199", c.plan())
	last, ok := parsePlan("plan 100-199", 100)
	require.True(t, ok)
	require.EqualValues(t, 199, last)
	for _, other := range []string{
		"", "kgo-member", "plan ", "plan 100", "plan 101-199", "plan 100-99", "plan 100-x", "plan 100-199-1",
	} {
		_, ok := parsePlan(other, 100)
		require.False(t, ok, other)
	}
}

// Whatever was fetched when, chunks follow each other without gap or overlap, and a planned range is taken exactly as
// it was planned.
func TestChunksFollowEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := partition{topicPartition: topicPartition{topic: "x"}, next: rapid.Int64Range(0, 50).Draw(t, "next"), plan: none}
		start, offset := p.next, p.next
		plan := none
		if rapid.Bool().Draw(t, "has plan") {
			plan = p.next + rapid.Int64Range(0, 30).Draw(t, "planned")
			p.plan = plan
		}
		kept := 0
		want := start
		for range rapid.IntRange(1, 20).Draw(t, "fetches") {
			for range rapid.IntRange(0, 5).Draw(t, "records") {
				// Aborted transactions leave gaps, but a planned range's last record is there, since it was there when it was
				// planned.
				gap := rapid.Int64Range(0, 3).Draw(t, "gap")
				if offset <= plan && offset+gap > plan {
					gap = plan - offset
				}
				offset += gap
				p.buffer = append(p.buffer, &kgo.Record{Offset: offset})
				offset++
				kept++
			}
			p.start()
			c := p.work
			if c == nil {
				continue
			}
			require.Equal(t, want, c.first)
			if want == start && plan != none {
				require.Equal(t, plan, c.last)
				require.Equal(t, stepPlanned, c.step, "an earlier owner's plan is not written again")
			}
			require.Equal(t, c.records[len(c.records)-1].Offset, c.last)
			kept -= len(c.records)
			want = c.last + 1
			p.finish()
		}
		require.Len(t, p.buffer, kept, "records that were neither taken nor kept")
	})
}

func TestResume(t *testing.T) {
	for _, c := range []struct {
		name             string
		next, plan       int64
		mark, start, end int64
		wantNext         int64
		wantPlan         int64
		wantErr          string
	}{
		{name: "first start", next: none, plan: none, end: 9, wantNext: 0, wantPlan: none},
		{name: "first start after retention", next: none, plan: none, start: 4, end: 9, wantNext: 4, wantPlan: none},
		{name: "expired group", next: none, plan: none, mark: 7, start: 4, end: 9, wantNext: 7, wantPlan: none},
		{
			name: "expired group, retention before the mark", next: none, plan: none, mark: 3, start: 4, end: 9,
			wantErr: "retention removed offsets 3 to 3",
		},
		{name: "normal", next: 5, plan: none, mark: 5, end: 9, wantNext: 5, wantPlan: none},
		{name: "planned", next: 5, plan: 7, mark: 5, end: 9, wantNext: 5, wantPlan: 7},
		{name: "planned and marked", next: 5, plan: 7, mark: 8, end: 9, wantNext: 5, wantPlan: 7},
		{name: "first chunk planned after retention", next: 4, plan: 7, mark: 0, start: 4, end: 9, wantNext: 4, wantPlan: 7},
		{name: "emptied ClickHouse", next: 5, plan: 7, mark: 0, end: 9, wantNext: 0, wantPlan: none},
		{name: "restored ClickHouse", next: 5, plan: none, mark: 3, end: 9, wantNext: 3, wantPlan: none},
		{name: "emptied ClickHouse, short log", next: 5, plan: none, mark: 0, start: 2, end: 9, wantNext: 2, wantPlan: none},
		{name: "offset set back by hand", next: 1, plan: none, mark: 8, end: 9, wantNext: 1, wantPlan: none},
		{name: "retention after the mark", next: 3, plan: 5, mark: 6, start: 4, end: 9, wantNext: 6, wantPlan: none},
		{
			name: "retention before the mark", next: 3, plan: none, mark: 3, start: 4, end: 9,
			wantErr: "retention removed offsets 3 to 3",
		},
		{name: "another Kafka", next: none, plan: none, mark: 10, end: 9, wantErr: "up to offset 10, but Kafka's ends at 9"},
		{
			name: "Kafka lost the plan", next: 5, plan: 9, mark: 5, end: 9,
			wantErr: "the planned range of x partition 0 goes up to offset 9",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := partition{topicPartition: topicPartition{topic: "x"}, next: c.next, plan: c.plan}
			err := p.resume(c.mark, c.start, c.end)
			if c.wantErr != "" {
				require.ErrorContains(t, err, c.wantErr)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.wantNext, p.next)
			require.Equal(t, c.wantPlan, p.plan)
			fresh := max(c.next, c.mark, c.plan+1)
			if c.next == none {
				fresh = c.end
			}
			require.Equal(t, fresh, p.freshFrom)
		})
	}
}
