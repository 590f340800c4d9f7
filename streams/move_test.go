package streams

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/progress"
)

// moveTo is a PATCH that gives POL1 to another customer.
func moveTo(customer, request string) schemas.PolicyCommand {
	return schemas.PolicyCommand{
		RequestID: request, Row: 1, Action: schemas.PolicyPatch, TenantID: "acme", CustomerID: customer,
		PolicyNumber: "POL1",
	}
}

// answerTo is what a customer answers to a move; moved is empty where it keeps the policy.
func answerTo(t *testing.T, from string, cmd schemas.PolicyCommand, moved string) *kgo.Record {
	t.Helper()
	move := schemas.MoveCommand{PolicyCommand: cmd, From: from, Refused: moved == ""}
	if moved != "" {
		move.Moved = json.RawMessage(moved)
	}
	value, err := json.Marshal(move)
	require.NoError(t, err)
	rec := command(t, 1, cmd)
	rec.Value, rec.Headers[0].Value = value, []byte(schemas.KindMove)
	return rec
}

// TestAMoveAmongOwners: while a policy moves, its number takes no other command, over a restart too; the other customer
// has it once the first one has let go, and only by the answer that is waited for.
func TestAMoveAmongOwners(t *testing.T) {
	t.Parallel()
	st := row("owners")
	tk, mem := ownerTasks()
	again := func() {
		t.Helper()
		restored, rmem := ownerTasks()
		require.NoError(t, mem.Snapshot(func(key string, value []byte) { require.NoError(t, rmem.Load(key, value)) }))
		rmem.Loaded()
		tk, mem = restored, rmem
	}
	takes := func(records ...*kgo.Record) []*kgo.Record { return takeAll(t, st, tk, mem, 1, records...) }
	moves := func(r *kgo.Record, whom string) {
		t.Helper()
		require.Equal(t, schemas.TopicTimeline, r.Topic)
		require.Equal(t, schemas.KindMove, kindOf(r))
		require.Equal(t, schemas.CustomerKey("acme", whom), string(r.Key))
	}
	m1, m2 := moveTo("C2", "m1"), moveTo("C2", "m2")
	out := takes(command(t, 1, claim("C1", 1)), command(t, 1, m1))
	require.Len(t, out, 2)
	moves(out[1], "C1")
	again()
	require.Empty(t, takes(command(t, 1, m1)), "one answer is on its way to both")
	for i, cmd := range []schemas.PolicyCommand{m2, moveTo("", "p"), claim("C1", 1), claim("C2", 1)} {
		out := takes(command(t, 1, cmd))
		require.Len(t, out, 1)
		requireOutcome(t, out[0], 1, schemas.OutcomeConflict, int64(i+1))
		require.Contains(t, string(out[0].Value), "try again")
	}
	require.Empty(t, takes(answerTo(t, "C1", m2, `{}`), answerTo(t, "C9", m1, `{}`)), "nobody waits for these")
	require.Empty(t, takes(answerTo(t, "C1", m1, "")), "C1 keeps it")
	again()
	out = takes(command(t, 1, moveTo("", "p")), command(t, 1, moveTo("C1", "p")), command(t, 1, m2))
	require.Len(t, out, 3)
	for _, r := range out[:2] { // the customer's own is no move
		require.Equal(t, schemas.KindPolicy, kindOf(r))
		require.Equal(t, schemas.CustomerKey("acme", "C1"), string(r.Key))
	}
	moves(out[2], "C1")
	out = takes(answerTo(t, "C1", m2, `{"p":{}}`), answerTo(t, "C1", m2, `{"p":{}}`))
	require.Len(t, out, 1, "an answer counts once")
	moves(out[0], "C2")
	again()
	out = takes(command(t, 1, moveTo("", "p")), command(t, 1, m2), command(t, 1, claim("C2", 1)),
		command(t, 1, claim("C1", 2)))
	require.Len(t, out, 4)
	for _, r := range out[:3] {
		require.Equal(t, schemas.CustomerKey("acme", "C2"), string(r.Key))
		require.Equal(t, schemas.KindPolicy, kindOf(r))
	}
	require.Equal(t, schemas.TopicOutcomes, out[3].Topic)

	both, neither := answerTo(t, "C1", m2, `{}`), answerTo(t, "C1", m2, "")
	both.Value = []byte(`{"refused":true,` + string(both.Value[1:]))
	neither.Value = []byte(`{}`)
	require.Equal(t, []string{letters.ClassBadCommand, letters.ClassBadCommand}, classes(takes(both, neither)))
	nobody := moveTo("C1", "")
	require.Equal(t, []string{letters.ClassBadCommand}, classes(takes(command(t, 1, nobody))))
}

// TestPoliciesMove moves policies over real stages: what waits for TakenOver finds each done, and the debits go to the
// other customers.
func TestPoliciesMove(t *testing.T) {
	t.Parallel()
	const partitions, many = 3, 40
	h := newHarness(t, partitions)
	h.startIntake()
	h.start(runCollect(h.cfg))
	cl, err := kgo.NewClient(h.cfg.Client()...)
	require.NoError(t, err)
	defer cl.Close()
	taken := func() { t.Helper(); require.NoError(t, TakenOver(h.ctx(), progress.New(cl), patience)) }
	from := func(i int) string { return fmt.Sprintf("A%02d", i) }
	to := func(i int) string { return fmt.Sprintf("B%02d", i) }
	number := func(i int) string { return fmt.Sprintf("POL%02d", i) }
	m := newMonth(t, partitions)
	m.tick("2025-11-02", 1)
	h.produce(m.records...)
	for i := range many {
		cmd := claim(from(i), 1)
		cmd.PolicyNumber = number(i)
		h.produce(command(t, partitions, cmd))
	}
	taken()
	m.records = nil
	for i := range many {
		m.of(schemas.KindExecute, from(i), schemas.ExecuteCommand{
			RequestID: "e", Row: 1, TenantID: "acme", CustomerID: from(i), PolicyNumber: number(i), PeriodMonth: "2025-11",
		})
	}
	h.produce(m.records...)
	taken()
	for i := range many {
		cmd := moveTo(to(i), "m")
		cmd.PolicyNumber = number(i)
		h.produce(command(t, partitions, cmd))
	}
	taken()
	done := 0
	for _, ev := range eventsOf[schemas.OutcomeEvent](t, flat(h.read(schemas.TopicOutcomes))) {
		require.Equal(t, schemas.OutcomeOK, ev.Code)
		if ev.RequestID == "m" {
			require.EqualValues(t, 2, ev.Version)
			done++
		}
	}
	require.Equal(t, many, done)
	m.records = nil
	m.tick("2025-11-05", 1)
	h.produce(m.records...)
	taken()
	debits := eventsOf[schemas.DebitInstruction](t, flat(h.read(schemas.TopicDebits)))
	require.Len(t, debits, many)
	for _, d := range debits {
		require.Equal(t, "B"+d.PolicyNumber[3:], d.CustomerID)
	}
	for i := range many {
		cmd := moveTo(from(i), "back")
		cmd.PolicyNumber = number(i)
		h.produce(command(t, partitions, cmd))
	}
	taken()
	refused := 0
	for _, ev := range eventsOf[schemas.OutcomeEvent](t, flat(h.read(schemas.TopicOutcomes))) {
		if ev.RequestID == "back" {
			require.Equal(t, schemas.OutcomeConflict, ev.Code)
			require.Contains(t, ev.Message, "debited")
			refused++
		}
	}
	require.Equal(t, many, refused)
	require.Empty(t, flat(h.read(schemas.TopicDeadLetters)))
}
