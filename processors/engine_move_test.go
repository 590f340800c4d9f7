package processors_test

import (
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// movers are the customers of one tenant among whom policies move.
type movers struct {
	t      *testing.T
	engine *processors.Engine
	of     map[string]*book.Customer
	now    schemas.Moment
	ids    map[string]bool // of events
}

func newMovers(t *testing.T, date string) *movers {
	m := &movers{
		t: t, engine: processors.NewEngine(rules.Default()), ids: map[string]bool{},
		of: map[string]*book.Customer{"A": {}, "B": {}},
	}
	m.on(date, 0)
	return m
}

func (m *movers) on(date string, cutoff int) {
	d, err := civil.ParseDate(date)
	require.NoError(m.t, err)
	m.now = schemas.Moment{Date: d, Cutoff: cutoff, At: m.now.At}
}

// does brings a record to a customer. The state is read back from its rows, as after a restart.
func (m *movers) does(customer string, rec processors.Record) *book.Outputs {
	m.t.Helper()
	m.now.At = m.now.At.Add(time.Second)
	var out book.Outputs
	require.NoError(m.t, m.engine.Apply(m.of[customer], rec, m.now, &out))
	fresh := &book.Customer{}
	for name, value := range rowsOf(m.t, m.of[customer]) {
		require.NoError(m.t, book.LoadRow(fresh, name, []byte(value)))
	}
	m.of[customer] = fresh
	for _, ev := range out.Collections {
		require.False(m.t, m.ids[ev.EventID])
		m.ids[ev.EventID] = true
	}
	for _, ev := range out.Policies {
		require.False(m.t, m.ids[ev.EventID])
		m.ids[ev.EventID] = true
	}
	for _, ev := range out.Decisions {
		require.False(m.t, m.ids[ev.EventID])
		m.ids[ev.EventID] = true
	}
	return &out
}

func (m *movers) tick(date string) (debits []schemas.DebitInstruction) {
	m.on(date, 1)
	for _, who := range []string{"A", "B"} {
		debits = append(debits, m.does(who, schemas.Tick{Date: date, Cutoff: 1}).Debits...)
	}
	return debits
}

// begin makes POL1 of A, executed for November and, ahead, for December.
func (m *movers) begin() {
	m.does("A", &schemas.PolicyCommand{
		RequestID: "r1", Action: schemas.PolicyCreate, TenantID: "T", CustomerID: "A", PolicyNumber: "POL1",
		Terms: &schemas.PolicyTerms{PremiumCents: 15000, Status: schemas.PolicyActive},
	})
	m.execute("A", "2025-11", "e11")
	m.execute("A", "2025-12", "e12")
}

func (m *movers) execute(customer string, period schemas.Period, id string) string {
	return m.does(customer, &schemas.ExecuteCommand{
		RequestID: "e", ExecutionID: id, TenantID: "T", CustomerID: customer, PolicyNumber: "POL1", PeriodMonth: period,
	}).Outcomes[0].Code
}

func move(from, to string) schemas.MoveCommand {
	return schemas.MoveCommand{From: from, PolicyCommand: schemas.PolicyCommand{
		RequestID: "m", Row: 1, Action: schemas.PolicyPatch, TenantID: "T", CustomerID: to, PolicyNumber: "POL1", KeyID: "k1",
	}}
}

// moves brings both halves of a move to their customers.
func (m *movers) moves(cmd schemas.MoveCommand) (let, took *book.Outputs) {
	m.t.Helper()
	let = m.does(cmd.From, &cmd)
	require.Len(m.t, let.Moves, 1)
	require.Empty(m.t, let.Outcomes, "who takes it over answers")
	return let, m.does(cmd.CustomerID, &let.Moves[0])
}

// TestAPolicyMoves: policy and collections go to the other customer, with the next versions and the other fields of the
// PATCH, and come back the same way. Whoever has it is debited.
func TestAPolicyMoves(t *testing.T) {
	t.Parallel()
	m := newMovers(t, "2025-11-02")
	m.begin()
	m.tick("2025-11-02")
	cmd := move("A", "B")
	cmd.SetPremium = new(schemas.Cents(20000))
	let, took := m.moves(cmd)
	require.Empty(t, let.Policies)
	require.Len(t, let.Collections, 2)
	for _, ev := range let.Collections {
		require.Equal(t, schemas.CollectionVoided, ev.Status)
		require.Equal(t, "A", ev.CustomerID)
	}
	require.Empty(t, m.of["A"].Policies)
	require.Empty(t, m.of["A"].Collections)

	require.Len(t, took.Outcomes, 1)
	require.Equal(t, schemas.OutcomeOK, took.Outcomes[0].Code)
	require.EqualValues(t, 2, took.Outcomes[0].Version)
	require.Len(t, took.Policies, 1)
	p := took.Policies[0]
	require.Equal(t, "B", p.CustomerID)
	require.Equal(t, schemas.PolicyPatch, p.Action)
	require.Equal(t, "k1", p.KeyID)
	require.Equal(t, int64(2), p.Version)
	require.Len(t, took.Collections, 2)
	for i, due := range []schemas.Cents{15000, 20000} { // November keeps the amount that it began with
		ev := took.Collections[i]
		require.Equal(t, schemas.ChangeReactivated, ev.Change.Kind)
		require.Equal(t, due, ev.DueCents)
		require.Equal(t, let.Collections[i].CollectionID, ev.CollectionID)
		require.Equal(t, let.Collections[i].ExecutionID, ev.ExecutionID)
		require.Equal(t, let.Collections[i].Version+1, ev.Version)
	}
	require.Equal(t, schemas.OutcomeUnchanged, m.execute("B", "2025-11", "again"))
	require.Equal(t, schemas.OutcomeNotFound, m.execute("A", "2025-11", "again"))

	m.tick("2025-11-03")
	_, took = m.moves(move("B", "A"))
	require.EqualValues(t, 3, took.Policies[0].Version)
	m.moves(move("A", "B"))
	debits := m.tick("2025-11-05")
	require.Len(t, debits, 1)
	require.Equal(t, "B", debits[0].CustomerID)
	require.EqualValues(t, 15000, debits[0].AmountCents)
}

// TestADebitedPolicyStays: with its customer, for good, and the answer says what to do.
func TestADebitedPolicyStays(t *testing.T) {
	t.Parallel()
	m := newMovers(t, "2025-11-02")
	m.begin()
	debits := m.tick("2025-11-05")
	require.Len(t, debits, 1)
	stays := func() {
		t.Helper()
		before := rowsOf(t, m.of["A"])
		cmd := move("A", "B")
		out := m.does("A", &cmd)
		require.Len(t, out.Outcomes, 1)
		require.Equal(t, schemas.OutcomeConflict, out.Outcomes[0].Code)
		require.Contains(t, out.Outcomes[0].Message, "new policy number")
		require.Len(t, out.Moves, 1)
		require.True(t, out.Moves[0].Refused)
		require.Nil(t, out.Moves[0].Moved)
		require.Empty(t, out.Collections)
		require.Equal(t, before, rowsOf(t, m.of["A"]))
	}
	stays()
	m.on("2025-11-06", 0)
	m.does("A", &schemas.Result{
		ResultID: "r", DebitID: debits[0].DebitID, Status: schemas.ResultUnpaid, EffectiveDate: "2025-11-05",
		ReasonScheme: "ZA", ReasonCode: "02",
	})
	stays()
	for d := (civil.Date{Year: 2025, Month: 12, Day: 30}); m.of["A"].Past.Find("POL1") == nil; d = d.AddDays(30) {
		require.Less(t, d.Year, 2030)
		m.tick(d.String())
	}
	m.of["A"].Collections = nil
	stays()
}

// TestAMoveIsRefused: for the reasons for which any PATCH is.
func TestAMoveIsRefused(t *testing.T) {
	t.Parallel()
	m := newMovers(t, "2025-11-02")
	m.begin()
	refused := func(code string, change func(*schemas.MoveCommand)) {
		t.Helper()
		cmd := move("A", "B")
		change(&cmd)
		out := m.does("A", &cmd)
		require.Equal(t, code, out.Outcomes[0].Code)
		require.True(t, out.Moves[0].Refused)
	}
	refused(schemas.OutcomePrecondition, func(c *schemas.MoveCommand) { c.IfVersion = 7 })
	refused(schemas.OutcomeNotFound, func(c *schemas.MoveCommand) { c.PolicyNumber = "POL2" })
	refused(schemas.OutcomeConflict, func(c *schemas.MoveCommand) { c.SetPremium = new(schemas.Cents) })
	cancel := &schemas.PolicyCommand{
		RequestID: "c", Action: schemas.PolicyPatch, TenantID: "T", CustomerID: "A", PolicyNumber: "POL1",
		SetStatus: new(schemas.PolicyCancelled),
	}
	m.does("A", cancel)
	refused(schemas.OutcomeConflict, func(*schemas.MoveCommand) {})
	cmd := move("A", "B")
	cmd.SetStatus, cmd.IfVersion = new(schemas.PolicyActive), 2
	_, took := m.moves(cmd)
	require.Equal(t, schemas.PolicyActive, took.Policies[0].Status)
	require.Len(t, m.tick("2025-11-05"), 1)
}

// TestWhatMovesWithAPolicy: a lapsed policy's collections stay cancelled, those that were taken back stay so and may be
// made again, and a period that is over meanwhile is not collected again.
func TestWhatMovesWithAPolicy(t *testing.T) {
	t.Parallel()
	m := newMovers(t, "2025-11-02")
	m.begin()
	m.does("A", &schemas.ExecutionCommand{TenantID: "T", ExecutionID: "void", Voids: "e12"})
	cmd := move("A", "B")
	cmd.SetStatus = new(schemas.PolicyLapsed)
	_, took := m.moves(cmd)
	require.Len(t, took.Collections, 1)
	require.Equal(t, schemas.CollectionCancelled, took.Collections[0].Status)
	require.EqualValues(t, 3, took.Collections[0].Version)
	m.does("B", &schemas.PolicyCommand{
		RequestID: "c", Action: schemas.PolicyPatch, TenantID: "T", CustomerID: "B", PolicyNumber: "POL1",
		SetStatus: new(schemas.PolicyActive),
	})
	require.Equal(t, schemas.OutcomeOK, m.execute("B", "2025-12", "e12b"))

	cmd = move("B", "A")
	let := m.does("B", &cmd)
	m.on("2025-12-01", 0)
	took = m.does("A", &let.Moves[0])
	require.Len(t, took.Collections, 1)
	require.Equal(t, schemas.Period("2025-12"), took.Collections[0].PeriodMonth)
	require.EqualValues(t, 5, took.Collections[0].Version)
	require.ErrorContains(t, m.engine.Apply(m.of["A"], &let.Moves[0], m.now, &book.Outputs{}), "who has it")
	debits := m.tick("2025-12-05")
	require.Len(t, debits, 1)
	require.Equal(t, "A", debits[0].CustomerID)
}
