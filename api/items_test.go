package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
)

func TestOpenItems(t *testing.T) {
	e := newEnv(t)
	list := func(a *answer) (out api.OpenItemList) { a.json(&out); return out }
	require.Equal(t, `{"data":[],"next_cursor":null}`+"\n", string(e.get("/v1/open-items").is(http.StatusOK).body))
	e.pipe.item("D1", schemas.ItemOpen, 1, "")
	e.pipe.item("D2", schemas.ItemOpen, 1, "")
	id := schemas.OpenItemID("D1")
	open := `{"id":"` + id + `","kind":"AMOUNT_MISMATCH","state":"OPEN","period_month":"2025-11",` +
		`"customer_id":"C-POL001","policy_number":"POL001","collection_id":"` + schemas.FactID("collection") +
		`","debit_id":"D1","amount":150.00,"amount_said":100.00,"action_date":"2025-11-05","since":"2025-11-06",` +
		`"result_id":"R1","note":null,"version":1,"updated_at":"2025-11-06T07:00:01Z"}`
	require.Equal(t, open+"\n", string(e.get("/v1/open-items/"+id).is(http.StatusOK).body))
	page := e.get("/v1/open-items?state=open&limit=1&policy_number=POL001&period_month=2025-11").is(http.StatusOK)
	require.NotContains(t, string(page.body), `"next_cursor":null`)
	next := e.get("/v1/open-items?limit=1&cursor=" + *list(page).NextCursor).is(http.StatusOK)
	require.Contains(t, string(next.body), `"next_cursor":null`)
	require.NotEqual(t, list(page).Data, list(next).Data)

	closed := e.post("/v1/open-items/"+id+"/close", `{"note":"the bank was asked"}`).is(http.StatusOK)
	require.Contains(t, string(closed.body), `"state":"CLOSED"`)
	require.Contains(t, string(closed.body), `"note":"the bank was asked"`)
	again := e.post("/v1/open-items/"+id+"/close", "").is(http.StatusOK)
	require.Equal(t, string(closed.body), string(again.body), "closed already")
	require.NotContains(t, string(e.get("/v1/open-items?state=OPEN").is(http.StatusOK).body), id)
	require.Contains(t, string(e.get("/v1/open-items?state=CLOSED").is(http.StatusOK).body), id)
	e.get("/v1/open-items?state=gone").is(http.StatusBadRequest)
	e.post("/v1/open-items/"+id+"/close", `{"notes":"x"}`).is(http.StatusBadRequest)
	e.post("/v1/open-items/"+schemas.OpenItemID("D3")+"/close", "").is(http.StatusNotFound)
}
