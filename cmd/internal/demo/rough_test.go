package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

func TestSmallTransactionsKeepTheAccountsRight(t *testing.T) {
	w := newWorld("demo", 3, 60, november, rules.Default().Calendar)
	txs := w.small(november, 500)
	require.Len(t, txs, 500)
	ids, income := map[string]bool{}, 0
	for _, tx := range txs {
		require.False(t, ids[tx.TransactionID], tx.TransactionID)
		ids[tx.TransactionID] = true
		require.GreaterOrEqual(t, *tx.BalanceAfterCents, schemas.Cents(0), tx.TransactionID)
		if tx.Direction == schemas.Credit {
			income++
		}
	}
	require.Positive(t, income)
	require.Less(t, income, 500)
	for _, p := range w.people {
		p.noFeed = true
	}
	require.Empty(t, w.small(november, 5), "nobody's bank reports")
}

// Every answer leaves the bank at least once and by the last day, some of them later than given, some again.
func TestLateMailLosesNothing(t *testing.T) {
	last := november.AddDays(29)
	l := newLateMail(1, last)
	first, sent := map[string]string{}, map[string]int{}
	given, late := 0, 0
	for d := november; !d.After(last.AddDays(2)); d = d.AddDays(1) {
		var rs []schemas.Result
		for range 20 {
			id := fmt.Sprint(given)
			rs, first[id] = append(rs, schemas.Result{ResultID: id}), d.String()
			given++
		}
		for _, r := range l.send(d, rs) {
			if sent[r.ResultID]++; first[r.ResultID] != d.String() {
				late++
			}
		}
	}
	require.Len(t, sent, given)
	require.Empty(t, l.later)
	again := 0
	for _, n := range sent {
		again += n - 1
	}
	require.Positive(t, late)
	require.Positive(t, again)
}

// With patience a call is repeated that found nobody and one that was answered with 503; without, each is an error at
// once (TestAnAnswerThatIsAnErrorKeepsItsBody).
func TestThePatientInsurerCallsAgain(t *testing.T) {
	calls := 0
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch calls++; calls {
		case 1:
			conn, _, err := w.(http.Hijacker).Hijack()
			require.NoError(t, err)
			require.NoError(t, conn.(*net.TCPConn).SetLinger(0))
			require.NoError(t, conn.Close())
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			write(t, w, `{"id":"S1"}`)
		}
	})
	s, err := newInsurer(url, "k", time.Minute).settle(t.Context(), "2025-11")
	require.NoError(t, err)
	require.Equal(t, "S1", s.ID)
	require.Equal(t, 3, calls)
}

// A rough month ends in the same agreement as a quiet one, feeds as much as was asked for, and says where it is.
func TestARoughMonth(t *testing.T) {
	o := newStandin(t).options(t, io.Discard)
	delivered, phases := 0, map[Phase]int{}
	o.Rough = Rough{
		Records: 5_000, LateMail: true, Delivered: func(txs []schemas.Transaction) { delivered += len(txs) },
		Phase: func(_ context.Context, p Phase, _ civil.Date) error { phases[p]++; return nil },
	}
	r, err := Month(t.Context(), o)
	require.NoError(t, err)
	require.GreaterOrEqual(t, delivered, 5_000)
	require.NotEmpty(t, r.Ledger)
	require.Equal(t, map[Phase]int{
		PhaseImport: 1, PhaseExecute: 1, PhaseHistory: 1, PhaseMorning: 33, PhaseAdvance: 33, PhaseBank: 33, PhaseReport: 1,
		PhaseSettle: 1, PhaseExport: 1,
	}, phases)
}
