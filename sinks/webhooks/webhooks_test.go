package webhooks

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

// What a webhook asked for comes signed, within a second, under one id, as the documents say.
func TestDelivers(t *testing.T) {
	w := newWorld(t)
	stop := w.start(w.config())
	r := newReceiver(t, nil)
	w.change(1, schemas.ChangePaid) // before there is a webhook: nobody is told
	hook, secret := w.webhook(r.URL, schemas.WebhookPaid, schemas.WebhookFailed)
	began := time.Now()
	w.change(1, schemas.ChangeUnpaid)
	all := r.gets(1)
	require.Less(t, time.Since(began), 4*time.Second, "within a second where the machine is calm")
	verified(t, secret, all[0])
	require.Equal(t, schemas.WebhookDeliveryID(hook.ID, schemas.FactID("collection", "1", "2"), schemas.WebhookFailed),
		all[0].id)
	require.JSONEq(t, `{"type":"collection.failed","timestamp":"2025-11-05T07:00:00Z","data":{
		"id":"`+schemas.FactID("1")+`","period_month":"2025-11","customer_id":"C1","external_customer_ref":"",
		"policy_number":"POL1","product_code":"","collection_amount_due":150.00,"collection_amount_collected":150.00,
		"shortfall":0.00,"collection_status":"PAID_FULL","first_attempt_date":null,"last_attempt_date":null,
		"number_of_attempts":1,"last_failure_reason":null,"in_flight":0.00,"version":2,"result":{"kind":"DEBIT_UNPAID",
		"debit_id":"D1","amount":150.00,"reason_code":null,"reason_scheme":null,"effective_date":null}}}`, all[0].body)
	require.Contains(t, all[0].body, "150.00", "rands have two decimals")
	w.allDelivered(hook.ID, 1)
	stop()

	// After a stop nothing is told twice, and nothing is left out.
	w.change(1, schemas.ChangePaid)
	w.start(w.config())
	require.Len(t, r.gets(2), 2)
}

// Other tenants, other types and what was deleted are not told.
func TestTellsNobodyElse(t *testing.T) {
	w := newWorld(t)
	w.start(w.config())
	r, others := newReceiver(t, nil), newReceiver(t, nil)
	ctx := context.Background()
	_, _, err := w.registry.Make(ctx, schemas.Webhook{TenantID: "other", URL: others.URL, Events: schemas.WebhookTypes})
	require.NoError(t, err)
	gone, _ := w.webhook(others.URL, schemas.WebhookTypes...)
	gone.Deleted = true
	_, err = w.registry.Put(ctx, gone)
	require.NoError(t, err)
	_, _ = w.webhook(others.URL, schemas.WebhookFailed)
	_, _ = w.webhook(r.URL, schemas.WebhookTypes...)
	w.change(1, schemas.ChangeCreated)
	w.change(1, schemas.ChangePaid)
	require.Equal(t, schemas.WebhookPaid, r.gets(1)[0].Type)
	require.Empty(t, others.tried())
}

// A secret that was rotated away signs for a day more.
func TestRotate(t *testing.T) {
	w := newWorld(t)
	w.start(w.config())
	r := newReceiver(t, nil)
	hook, old := w.webhook(r.URL, schemas.WebhookPaid)
	_, secret, err := w.registry.Rotate(context.Background(), hook)
	require.NoError(t, err)
	require.NotEqual(t, old, secret)
	w.change(1, schemas.ChangePaid)
	g := r.gets(1)[0]
	verified(t, secret, g)
	verified(t, old, g)
	for _, d := range w.changes(hook.ID) {
		require.NotContains(t, text(d), "whsec_")
	}
	late := *w.registry.webhook(hook.ID)
	signature, err := w.registry.seal.sign(&late, "id", time.Now().Add(25*time.Hour), "{}")
	require.NoError(t, err)
	require.NotContains(t, signature, " ", "only the new one signs")
}

// What fails is tried again after growing pauses; the object's next event waits for it, others do not.
func TestRetriesInOrder(t *testing.T) {
	w := newWorld(t)
	w.start(w.config())
	var tries atomic.Int64
	r := newReceiver(t, func(out http.ResponseWriter, _ *http.Request, g got) {
		if g.Data.ID == schemas.FactID("1") && g.Data.Version == 1 && tries.Add(1) <= 4 {
			out.WriteHeader(http.StatusUnprocessableEntity)
		}
	})
	hook, _ := w.webhook(r.URL, schemas.WebhookPaid)
	w.change(1, schemas.ChangePaid)
	w.change(1, schemas.ChangePaid)
	w.change(2, schemas.ChangePaid)
	all := r.gets(3)
	inOrder(t, all)
	require.Equal(t, schemas.FactID("2"), all[0].Data.ID)
	w.allDelivered(hook.ID, 3)
	var first []got
	for _, g := range r.tried() {
		if g.id == all[1].id {
			first = append(first, g)
		}
	}
	require.Len(t, first, 5)
	for i, least := range []time.Duration{20, 50, 100, 100} {
		require.GreaterOrEqual(t, first[i+1].at.Sub(first[i].at), least*time.Millisecond, i)
	}
	d := w.standing(hook.ID)[all[1].id]
	require.Equal(t, 5, d.Attempts)
	require.Equal(t, 200, d.StatusCode)
	require.Empty(t, d.Error)
}

// A webhook that does not answer, and one that hangs, hold up nobody: not another one of the same tenant, on the same
// partition either.
func TestDeadAndSlowDelayNobody(t *testing.T) {
	w := newWorld(t)
	w.start(w.config())
	hang := make(chan struct{})
	slow := newReceiver(t, func(_ http.ResponseWriter, req *http.Request, _ got) {
		select {
		case <-hang:
		case <-req.Context().Done():
		}
	})
	defer close(hang)
	dead := newReceiver(t, nil)
	dead.Close()
	r := newReceiver(t, nil)
	for range 4 { // more than partitions
		_, _ = w.webhook(dead.URL, schemas.WebhookPaid)
		_, _ = w.webhook(slow.URL, schemas.WebhookPaid)
	}
	_, _ = w.webhook(r.URL, schemas.WebhookPaid)
	for i := range 100 {
		w.change(i, schemas.ChangePaid)
	}
	began := time.Now()
	w.change(1, schemas.ChangePaid)
	r.gets(101)
	require.Less(t, time.Since(began), 5*time.Second)
}

// A webhook that fails as a whole is asked one question at a time. Once it answers, all that waits follows at once.
func TestFailsAsAWhole(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.Pauses = []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, time.Minute}
	w.start(cfg)
	var up atomic.Bool
	r := newReceiver(t, func(out http.ResponseWriter, _ *http.Request, _ got) {
		if !up.Load() {
			out.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	_, _ = w.webhook(r.URL, schemas.WebhookPaid)
	for i := range 200 {
		w.change(i, schemas.ChangePaid)
	}
	require.Eventually(t, func() bool { return len(r.tried()) > parallel }, 10*time.Second, time.Millisecond)
	require.Less(t, len(r.tried()), 40, "not each of them is tried")
	up.Store(true)
	began := time.Now()
	r.gets(200)
	require.Less(t, time.Since(began), 10*time.Second)
}

// What was not taken for as long as may be is listed as failed, and can be asked for again under its id.
func TestFailsForGoodAndIsRedelivered(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.Patience = 300 * time.Millisecond
	w.start(cfg)
	var up atomic.Bool
	r := newReceiver(t, func(out http.ResponseWriter, _ *http.Request, _ got) {
		if !up.Load() {
			out.WriteHeader(http.StatusBadRequest)
		}
	})
	hook, _ := w.webhook(r.URL, schemas.WebhookPaid)
	w.change(1, schemas.ChangePaid)
	var d schemas.WebhookDelivery
	require.Eventually(t, func() bool {
		for _, d = range w.standing(hook.ID) {
			return d.Status == schemas.DeliveryFailed
		}
		return false
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, "answered 400", d.Error)
	require.GreaterOrEqual(t, d.At.Sub(d.Since), cfg.Patience, "until the very end")
	up.Store(true)
	_, err := w.registry.Redeliver(context.Background(), d)
	require.NoError(t, err)
	require.Equal(t, d.DeliveryID, r.gets(1)[0].id)
	w.allDelivered(hook.ID, 1)
}

// What waits survives a stop, behind what was delivered after it, and is not sent before its pause is over.
func TestWhatWaitsSurvives(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.Pauses = []time.Duration{3 * time.Second}
	stop := w.start(cfg)
	var up atomic.Bool
	r := newReceiver(t, func(out http.ResponseWriter, _ *http.Request, g got) {
		if g.Data.ID == schemas.FactID("1") && !up.Load() {
			out.WriteHeader(http.StatusBadRequest)
		}
	})
	hook, _ := w.webhook(r.URL, schemas.WebhookPaid)
	w.change(1, schemas.ChangePaid)
	w.change(1, schemas.ChangePaid)
	for i := 2; i < 20; i++ {
		w.change(i, schemas.ChangePaid)
	}
	r.gets(18)
	require.Eventually(t, func() bool {
		d := w.standing(hook.ID)[schemas.WebhookDeliveryID(hook.ID, schemas.FactID("collection", "1", "1"),
			schemas.WebhookPaid)]
		return d.Status == schemas.DeliveryRetrying
	}, 10*time.Second, 10*time.Millisecond)
	stop()
	up.Store(true)
	before := len(r.tried())
	w.start(cfg)
	all := r.gets(20)
	inOrder(t, all)
	require.Len(t, r.tried(), before+2, "what was delivered is not sent again")
	var first []got
	for _, g := range r.tried() {
		if g.Data.Version == 1 && g.Data.ID == schemas.FactID("1") {
			first = append(first, g)
		}
	}
	require.GreaterOrEqual(t, first[1].at.Sub(first[0].at), 2*time.Second, "its pause was not over")
}

// A changed address is tried at once.
func TestChangedAddress(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.Pauses = []time.Duration{time.Hour}
	w.start(cfg)
	dead, r := newReceiver(t, nil), newReceiver(t, nil)
	dead.Close()
	hook, _ := w.webhook(dead.URL, schemas.WebhookPaid)
	w.change(1, schemas.ChangePaid)
	require.Eventually(t, func() bool {
		for _, d := range w.standing(hook.ID) {
			return d.Status == schemas.DeliveryRetrying
		}
		return false
	}, 10*time.Second, 10*time.Millisecond)
	hook.URL = r.URL
	_, err := w.registry.Put(context.Background(), hook)
	require.NoError(t, err)
	r.gets(1)
}

// An execution is told of once, when all its partitions are done, with all their counts.
func TestExecutionCompleted(t *testing.T) {
	w := newWorld(t)
	w.start(w.config())
	r := newReceiver(t, nil)
	_, _ = w.webhook(r.URL, schemas.WebhookExecuted)
	for part := range partitions {
		for piece := range 2 {
			w.write(schemas.TopicExecutions, int32(part), &schemas.ExecutionEvent{
				Meta: meta("x", strconv.Itoa(part), strconv.Itoa(piece)), ExecutionID: "x1", TenantID: "acme",
				PeriodMonth: "2025-11", Part: part, Parts: partitions, Piece: int64(piece) + 1, PoliciesQueued: 9,
				ExecutionCounts: schemas.ExecutionCounts{CollectionsCreated: int64(piece) * 3}, Done: piece == 1,
			})
		}
	}
	w.write(schemas.TopicExecutions, 0, &schemas.ExecutionEvent{
		Meta: meta("y"), ExecutionID: "x2", TenantID: "acme", PeriodMonth: "2025-11", Parts: 1, Named: true, Done: true,
	})
	all := r.gets(2)
	require.Len(t, all, 2)
	require.Contains(t, all[0].body+all[1].body, `"execution_id":"x1","period_month":"2025-11","status":"completed",`+
		`"policies_queued":9,"collections_created":9,"unchanged":0,"refused":0`)
}

// An import is told of when it is done, once.
func TestImportCompleted(t *testing.T) {
	w := newWorld(t)
	w.start(w.config())
	r := newReceiver(t, nil)
	_, _ = w.webhook(r.URL, schemas.WebhookImported)
	entry := schemas.ImportEntry{
		ImportID: "i1", TenantID: "acme", No: 1, Kind: schemas.ImportAccepted, Mode: "merge",
		AskedAt: time.Date(2025, 11, 1, 7, 0, 0, 0, time.UTC),
	}
	w.write(schemas.TopicImports, 0, &schemas.ImportEvent{Meta: meta("i", "1"), ImportEntry: entry})
	entry.No, entry.Kind = 2, schemas.ImportCompleted
	entry.Rows, entry.Imported, entry.Failed, entry.Created = 3, 2, 1, 2
	for n := range 2 {
		w.write(schemas.TopicImports, 0, &schemas.ImportEvent{Meta: meta("i", "2", strconv.Itoa(n)), ImportEntry: entry})
	}
	require.JSONEq(t, `{"type":"import.completed","timestamp":"2025-11-01T07:00:00Z","data":{"import_id":"i1",
		"mode":"merge","dry_run":false,"rows":3,"imported":2,"failed":1,"created":2,"updated":0,"unchanged":0,"cancelled":0,
		"warnings":0}}`, r.gets(1)[0].body)
}

// What a settlement goes through is told by what happened to it.
func TestSettlements(t *testing.T) {
	w := newWorld(t)
	w.start(w.config())
	r := newReceiver(t, nil)
	_, _ = w.webhook(r.URL, schemas.WebhookTypes...)
	for i, change := range []schemas.SettlementChange{
		schemas.SettlementCreated, schemas.SettlementInstructed, schemas.SettlementInDispute, schemas.SettlementResolved,
		schemas.SettlementPaidOut,
	} {
		w.write(schemas.TopicSettlements, 0, &schemas.SettlementEvent{
			Meta: meta("s", strconv.Itoa(i)), SettlementID: "s1", TenantID: "acme", Version: int64(i) + 1, Change: change,
			NetCents: 2_857_062, PayableCents: 2_857_062, Status: schemas.SettlementPending,
		})
	}
	var types []schemas.WebhookType
	for _, g := range r.gets(3) {
		types = append(types, g.Type)
		require.Contains(t, g.body, `"payable_amount":28570.62`)
	}
	require.Equal(t, []schemas.WebhookType{
		schemas.WebhookSettled, schemas.WebhookSettlementDisputed, schemas.WebhookSettlementPaid,
	}, types)
}

// What was decided of a collection comes behind what it was decided from, though the two lie on different topics.
func TestStoppedComesBehindWhatStoppedIt(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t, nil)
	_, _ = w.webhook(r.URL, schemas.WebhookTypes...)
	for i := range 30 {
		w.write(schemas.TopicDecisions, int32(i%partitions), &schemas.DecisionEvent{
			Meta: meta("stop", strconv.Itoa(i)), TenantID: "acme", CollectionID: schemas.FactID(strconv.Itoa(i)),
			Action: schemas.DecideStop, Reason: "POLICY_ON_HOLD",
		})
		w.change(i, schemas.ChangeUnpaid)
	}
	w.start(w.config())
	last := map[string]schemas.WebhookType{}
	for _, g := range r.gets(60) {
		if g.Type == schemas.WebhookStopped {
			require.Equal(t, schemas.WebhookFailed, last[g.Data.ID])
		}
		last[g.Data.ID] = g.Type
	}
}

// Two processes share the webhooks. When one leaves the other takes over.
func TestTwoShare(t *testing.T) {
	w := newWorld(t)
	first, second := w.config(), w.config()
	second.Instance = "2"
	stop := w.start(first)
	w.start(second)
	r := newReceiver(t, nil)
	for range 6 {
		_, _ = w.webhook(r.URL, schemas.WebhookPaid)
	}
	for i := range 50 {
		w.change(i, schemas.ChangePaid)
	}
	r.gets(300)
	stop()
	for i := range 50 {
		w.change(i, schemas.ChangePaid)
	}
	inOrderOf(t, r.gets(600))
}

// inOrderOf is inOrder where several webhooks have one receiver: a delivery's id stands for its webhook and version.
func inOrderOf(t *testing.T, all []got) {
	t.Helper()
	first := map[string]bool{}
	for _, g := range all {
		first[g.id] = true
	}
	require.Len(t, first, 600)
}
