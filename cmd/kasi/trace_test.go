package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api/client"
)

// A deposit is followed to the payout, from whichever id on its path one begins, and the customer's story has it all.
func TestTraceFromDepositToPayout(t *testing.T) {
	p := start(t, "2025-11-01")
	p.policy("POL001", "300.00")
	p.execute("2025-11", 1)
	p.credit("CPOL001", "2025-11-05", 8000, "cash")
	p.advance("2025-11-05")
	debits := p.debits()
	require.Len(t, debits, 1)
	p.answer(debits[0], "PAID", "")
	p.advance("2025-12-02")
	code, body := p.call("POST", "/v1/settlements", "application/json", `{"period_month":"2025-11"}`)
	require.Equal(t, http.StatusCreated, code, body)
	var st client.SettlementCreated
	require.NoError(t, json.Unmarshal([]byte(body), &st))

	trace := func(id string) (kinds []string, out client.Trace) {
		code, body := p.call("GET", "/v1/trace/"+id, "", "")
		require.Equal(t, http.StatusOK, code, body)
		require.NoError(t, json.Unmarshal([]byte(body), &out))
		for _, s := range out.Steps {
			if kinds = append(kinds, s.Kind); s.Topic != nil {
				require.NotNil(t, s.Partition)
				require.NotNil(t, s.Offset)
				require.NotNil(t, s.Table)
			}
		}
		return kinds, out
	}
	path := []string{
		"transaction", "deposit", "decision", "debit", "collection", "collection", "settlement", "settlement_line", "payout",
	}
	const tx = "CPOL001-2025-11-05-cash"
	kinds, from := trace(tx)
	require.Equal(t, path, kinds)
	require.Equal(t, "transaction", from.Kind)
	require.Equal(t, debits[0].DebitID, from.Steps[3].ID)
	kinds, _ = trace(debits[0].DebitID)
	require.Equal(t, path, kinds)
	collection := *from.Steps[3].CollectionID
	kinds, from = trace(collection)
	require.Subset(t, kinds, path)
	require.Equal(t, "collection", from.Kind)
	kinds, _ = trace(st.ID)
	require.Equal(t, []string{"settlement", "settlement_line", "payout"}, slices.Compact(kinds))
	p.advance("2025-12-03")
	kinds, from = trace(st.ID)
	require.Contains(t, kinds, "payout")
	payout := from.Steps[slices.Index(kinds, "payout")]
	require.Equal(t, "kasi.payouts.v1", *payout.Topic)
	require.Equal(t, "INSTRUCTED", payout.Status)
	code, _ = p.call("GET", "/v1/trace/nothing", "", "")
	require.Equal(t, http.StatusNotFound, code)
	code, _ = p.callAs(otherKey, "GET", "/v1/trace/"+debits[0].DebitID, "", "")
	require.Equal(t, http.StatusNotFound, code, "another tenant's")

	out, err := p.command(t.Context(), "trace", tx, "--api", "http://"+p.http, "--api-key", testKey).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "transaction "+tx)
	require.Contains(t, string(out), "kasi.debits.v1")
	out, err = p.command(t.Context(), "trace", tx, "--json", "--api", "http://"+p.http, "--api-key", testKey).Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &client.Trace{}))
	out, err = p.command(t.Context(), "trace", "nothing", "--api", "http://"+p.http, "--api-key", testKey).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "Nothing has this id")

	code, body = p.call("GET", "/v1/customers/CPOL001", "", "")
	require.Equal(t, http.StatusOK, code, body)
	var story client.Customer
	require.NoError(t, json.Unmarshal([]byte(body), &story))
	require.Len(t, story.Policies, 1)
	require.Len(t, story.IncomeStreams, 1)
	require.Equal(t, collection, story.Collections[0].ID)
	require.Equal(t, tx, story.Deposits[0].TransactionID)
	require.NotNil(t, story.NextStep)
	code, _ = p.callAs(otherKey, "GET", "/v1/customers/CPOL001", "", "")
	require.Equal(t, http.StatusNotFound, code, "another tenant's")
}
