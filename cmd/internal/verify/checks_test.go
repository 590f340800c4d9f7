package verify

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// Each difference is found by its own condition, also where a neighbour would see the tampering of a whole product too.
func TestEachDifferenceAlone(t *testing.T) {
	paidFull := func(version int64, kind, result string, moved cents) *event {
		e := &event{
			Tenant: "t", Collection: "k", Period: "2025-11", Version: version, Seq: version, Due: 100, Collected: 100,
			Status: "PAID_FULL", Change: change{Kind: kind, DebitID: "d", ResultID: result, Moved: moved, Amount: 100},
		}
		if kind == instructed {
			e.Collected, e.Status, e.InFlight = 0, "UNPAID", 100
		}
		return e
	}
	statement := func(number string, sequence int, from, to int64) *event {
		s := &event{Tenant: "t", Period: "2025-11", Version: 1, BusinessDate: "2025-12-02"}
		s.SettlementID, s.Number, s.Sequence = number, number, sequence
		s.PaymentStatus, s.PaymentDate = "carried_forward", "2025-12-03"
		s.Coverage = []struct {
			Period   string `json:"period_month"`
			From, To []int64
		}{{"2025-11", []int64{from}, []int64{to}}}
		return s
	}
	settled := func() *event {
		s := statement("S1", 1, 0, 9)
		s.Total, s.DistributionFee, s.CollectionsFee, s.TotalFees, s.VAT, s.Net = 100, 25, 4, 29, 4, 67
		s.Payable, s.PaymentStatus, s.Reference, s.Change = 67, "pending", "EFT", change{Kind: "CREATED"}
		return s
	}
	version := func(s *event, version int64, state, day string) *event {
		next := *s
		next.Version, next.PaymentStatus, next.BusinessDate = version, word(state), day
		if state == "paid" {
			next.PaidDate, next.PayoutState, next.PayoutID, next.Payouts = day, "PAID", "p", 1
			next.Change.Kind = "PAID"
		}
		return &next
	}
	history := []*event{paidFull(1, instructed, "", 0), paidFull(2, paid, "r", 100)}
	bank := map[string][]*result{"d": {{ResultID: "r", DebitID: "d", Status: "PAID", Effective: "2025-11-05"}}}
	debits := []*event{{DebitID: "d", Collection: "k", Amount: 100, ActionDate: "2025-11-05"}}
	due := *history[0]
	due.Version, due.Due, due.Change = 3, 200, change{Kind: "CANCELLED"}
	cent := settled()
	cent.Net++
	cent.Payable++
	payout := func(change func(*event)) []*event {
		p := &event{Tenant: "t", Amount: 67}
		p.PayoutID, p.SettlementID, p.Reference = "p", "S1", "EFT"
		change(p)
		return []*event{p}
	}
	whole := func(*event) {}
	paidStatement := []*event{settled(), version(settled(), 2, "paid", "2025-12-03")}
	ordered := version(settled(), 2, "pending", "2025-12-03")
	ordered.Change.Kind, ordered.PayoutID, ordered.PayoutState, ordered.Payouts = "PAYOUT_INSTRUCTED", "p",
		"INSTRUCTED", 1
	inDispute := version(settled(), 2, "disputed", "2025-12-02")
	owing := statement("S1", 1, 0, 9)
	owing.Net, owing.Payable = -40, -40
	referenced := version(owing, 1, "carried_forward", "2025-12-02")
	referenced.Reference = "EFT"
	forgets := settled()
	forgets.Version, forgets.SettlementID, forgets.Number = 1, "S2", "S2"
	twice := statement("S2", 2, 9, 9)
	twice.BroughtForward, twice.Payable = -40, -39
	tracked := func(rail, until string) []*event {
		return []*event{{DebitID: "d", Amount: 100, ActionDate: "2025-11-05", TrackingUntil: until, Rail: rail}}
	}
	missed := []*event{{DebitID: "d", Kind: noAnswer, Since: "2025-11-14"}}
	days := map[string][]*result{"d": {
		{ResultID: "1", Status: "UNPAID", Effective: "2025-11-06"},
		{ResultID: "2", Status: "UNPAID", Effective: "2025-11-14"},
	}}
	piece := func(part int, no, created int64, done bool) *event {
		e := &event{}
		e.ExecutionID, e.Part, e.Parts, e.Piece, e.Created, e.Done = "x", part, 2, no, created, done
		return e
	}
	executed := &event{Collection: "k"}
	executed.ExecutionID = "x"
	for what, c := range map[string]struct {
		books books
		check func(*books, *Check)
		finds string
	}{
		"a result applied twice": {
			books{debits: debits, results: bank, collections: append(history, paidFull(3, "CANCELLED", "r", 0))},
			(*books).resultsApplied, "applies result r a second time",
		},
		"tracked on EFT": {
			books{debits: tracked("EFT", "2025-11-06")}, (*books).tracked, "on EFT, which allows 0 days",
		},
		"tracked for too long": {
			books{debits: tracked("RM", "2025-11-17")}, (*books).tracked, "on RM, which allows 10 days",
		},
		"tracked until a weekend": {
			books{debits: tracked("RM", "2025-11-15")}, (*books).tracked, "no banking day of that month",
		},
		"missed while it tracks": {
			books{debits: tracked("RM", "2025-11-14"), items: missed}, (*books).tracked, "presents it until 2025-11-14",
		},
		"two answers of a tracked debit": {
			books{debits: tracked("RM", "2025-11-14"), results: days}, (*books).tracked, "it has one result",
		},
		"an execution without its last piece": {
			books{
				executions:  []*event{piece(0, 1, 1, true), piece(1, 1, 0, false)},
				collections: []*event{executed},
			},
			(*books).executionsWhole, "has ended on 1 of 2 partitions",
		},
		"a piece of an execution is missing": {
			books{
				executions:  []*event{piece(0, 1, 0, false), piece(0, 3, 1, true), piece(1, 1, 0, true)},
				collections: []*event{executed},
			},
			(*books).executionsWhole, "on partition 0 piece 3 follows piece 1",
		},
		"an execution counts less than before": {
			books{
				executions:  []*event{piece(0, 1, 2, false), piece(0, 2, 1, true), piece(1, 1, 0, true)},
				collections: []*event{executed},
			},
			(*books).executionsWhole, "on partition 0 piece 2 counts less",
		},
		"an execution whose collections are not there": {
			books{executions: []*event{piece(0, 1, 1, true), piece(1, 1, 0, true)}},
			(*books).executionsWhole, "counts 1 collections, and there are 0",
		},
		"due changed": {
			books{collections: []*event{history[0], &due}}, (*books).withinDue, "due changed from R 1.00 to R 2.00",
		},
		"a movement in two statements": {
			books{
				collections: history,
				settlements: []*event{statement("S1", 1, 0, 9), statement("S2", 2, 0, 9)},
			},
			(*books).settledOnce, "is in 2 statements",
		},
		"an overlap of coverages": {
			books{settlements: []*event{statement("S1", 1, 0, 9), statement("S2", 2, 8, 12)}},
			(*books).settledOnce, "from number 8; the one before ended at 9",
		},
		"a gap in coverage": {
			books{settlements: []*event{statement("S1", 1, 0, 9), statement("S2", 2, 10, 12)}},
			(*books).settledOnce, "from number 10; the one before ended at 9",
		},
		"a statement that begins late": {
			books{settlements: []*event{statement("S1", 1, 1, 9)}}, (*books).settledOnce, "from number 1",
		},
		"a statement's net": {books{collections: history, settlements: []*event{cent}}, (*books).statements, "net R 0.68"},
		"a statement paid that owes": {
			books{settlements: []*event{version(statement("S1", 1, 0, 9), 1, "pending", "2025-12-02")}},
			(*books).statements, `version 1 is "pending"; payable R 0.00, paid on "", it is "carried_forward"`,
		},
		"what is owed is forgotten": {
			books{settlements: []*event{owing, forgets}}, (*books).carriedForward, "S2 of t brings R 0.00 forward",
		},
		"a payable that is no sum": {
			books{settlements: []*event{owing, twice}}, (*books).carriedForward, "payable R -0.39 is not net",
		},
		"a carried statement with a reference": {
			books{settlements: []*event{referenced}}, (*books).carriedForward, `R -0.40 under the reference "EFT"`,
		},
		"a payout given twice": {
			books{settlements: paidStatement, payouts: append(payout(whole), payout(whole)...)},
			(*books).paidOnce, "payout p is instructed twice",
		},
		"a payout of another amount": {
			books{settlements: paidStatement, payouts: payout(func(p *event) { p.Amount = 68 })},
			(*books).paidOnce, "payout p of R 0.68",
		},
		"a payout under another reference": {
			books{settlements: paidStatement, payouts: payout(func(p *event) { p.Reference = "EFT-2" })},
			(*books).paidOnce, "reference EFT-2",
		},
		"a payout of no statement": {
			books{payouts: payout(whole)}, (*books).paidOnce, "payout p is of no statement",
		},
		"paid without a payout": {
			books{settlements: paidStatement}, (*books).paidOnce, "has 0 payouts; it says 1",
		},
		"paid while it is disputed": {
			books{settlements: []*event{settled(), inDispute, ordered}, payouts: payout(whole)},
			(*books).paidOnce, "is paid while it is disputed",
		},
		"paid without the bank's word": {
			books{settlements: []*event{settled(), ordered, paidStatement[1]}, payouts: payout(whole)},
			(*books).paidOnce, "rests on a PAID of payout p that the bank never sent",
		},
		"a statement unpaid again": {
			books{collections: history, settlements: []*event{
				settled(), version(settled(), 2, "paid", "2025-12-03"), version(settled(), 3, "pending", "2025-12-04"),
			}},
			(*books).statements, `is "pending" after "paid"`,
		},
		"a statement paid too early": {
			books{collections: history, settlements: []*event{settled(), version(settled(), 2, "paid", "2025-12-02")}},
			(*books).statements, "is paid on 2025-12-02, before its payment date 2025-12-03",
		},
		"cents of a table": {
			books{tallies: map[tallyKey]*tally{{topic: schemas.TopicSettlements}: {rows: 1, maxSeq: 1, sum: 5, digest: 7}}},
			func(b *books, c *Check) {
				b.compareRun(c, tallyKey{topic: schemas.TopicSettlements}, tally{rows: 1, maxSeq: 1, sum: 6, digest: 7}, 1, 1)
			}, "difference R 0.01",
		},
	} {
		found := &Check{}
		c.check(&c.books, found)
		require.Contains(t, strings.Join(found.Examples, "\n"), c.finds, what)
	}
	right := &Check{}
	b := books{
		debits: debits, results: bank, collections: history, settlements: paidStatement, payouts: payout(whole),
	}
	for _, check := range []func(*books, *Check){
		(*books).resultsApplied, (*books).withinDue, (*books).settledOnce, (*books).statements, (*books).tracked,
		(*books).carriedForward, (*books).paidOnce,
	} {
		check(&b, right)
	}
	require.Empty(t, right.Examples)
}

// A decision that was priced is priced again as it is read; one that was not priced, or by another build, is not
// judged.
func TestDecisionsArePricedAgain(t *testing.T) {
	var asked []string
	b := books{o: Options{Again: func(decision []byte) (bool, error) {
		asked = append(asked, string(decision))
		if strings.Contains(string(decision), "wrong") {
			return true, errors.New("value_cents is 1; its price is 2")
		}
		return !strings.Contains(string(decision), "old"), nil
	}}}
	for _, text := range []string{
		`{"reason":"A"}`, `{"situation":"right"}`, `{"situation":"wrong"}`, `{"situation":"old"}`,
	} {
		b.priceAgain(&kgo.Record{Value: []byte(text)}, &event{EventID: "e", Policy: "P"})
	}
	c := &Check{}
	b.pricedAgain(c)
	require.Len(t, asked, 3)
	require.Equal(t, []int64{3, 1, 1}, []int64{c.Counted, c.Unchecked, c.Differences})
	require.Equal(t, []string{"decision e about policy P: value_cents is 1; its price is 2"}, c.Examples)
}
