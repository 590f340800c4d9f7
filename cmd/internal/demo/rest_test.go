package demo

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/schemas"
)

func serve(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func write(t *testing.T, w io.Writer, s string) {
	_, err := io.WriteString(w, s)
	require.NoError(t, err)
}

func TestTheInsurerUploadsPoliciesAndNamesTheFirstError(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "secret", r.Header.Get("X-API-Key"))
		f, _, err := r.FormFile("file")
		require.NoError(t, err)
		b, err := io.ReadAll(f)
		require.NoError(t, err)
		if string(b) == "good" {
			write(t, w, `{"imported":2,"failed":0,"errors":[]}`)
			return
		}
		write(t, w, `{"imported":1,"failed":1,"errors":[{"row":2,"column":"collection_amount","code":"BAD",`+
			`"message":"is negative"}]}`)
	})
	i := newInsurer(url+"/", "secret", 0)
	reply, err := i.importPolicies(t.Context(), []byte("good"))
	require.NoError(t, err)
	require.Equal(t, 2, reply.Imported)
	_, err = i.importPolicies(t.Context(), []byte("bad"))
	require.ErrorContains(t, err, "1 of 2 policies were not imported")
	require.ErrorContains(t, err, "is negative")
}

func TestTheInsurerWaitsOutTheRateLimit(t *testing.T) {
	calls := 0
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		write(t, w, `{"execution_id":"e1","status":"processing","policies_queued":3}`)
	})
	reply, err := newInsurer(url, "k", 0).execute(t.Context(), "2025-11")
	require.NoError(t, err)
	require.Equal(t, client.ExecutionAccepted{ExecutionID: "e1", Status: "processing", PoliciesQueued: 3}, reply)
	require.Equal(t, 2, calls)
}

func TestTheInsurerReadsMoneyWithoutFloats(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "2025-11", r.URL.Query().Get("period_month"))
		write(t, w, `{"period_month":"2025-11","results":[
			{"policy_number":"P1","customer_id":"C1","collection_amount_due":0.29,
			"collection_amount_collected":7036874417.66,"collection_status":"PAID_PARTIAL","number_of_attempts":3}]}`)
	})
	rows, err := newInsurer(url, "k", 0).report(t.Context(), "2025-11")
	require.NoError(t, err)
	require.Equal(t, []client.ReportRow{{
		CustomerID: "C1", PolicyNumber: "P1", CollectionAmountDue: 29, CollectionAmountCollected: 703_687_441_766,
		CollectionStatus: schemas.PaidPartial, NumberOfAttempts: 3,
	}}, rows)
}

func TestTheInsurerPatchesThePolicyThatHasTheNumber(t *testing.T) {
	var patched string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			write(t, w, `{"data":[{"id":"id-of-`+r.URL.Query().Get("policy_number")+`"}],"next_cursor":null}`)
			return
		}
		b, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		patched = r.URL.Path + string(b)
	})
	amount := schemas.Rands(20_000)
	require.NoError(t, newInsurer(url, "k", 0).patch(t.Context(), "POL1", client.PolicyPatch{CollectionAmount: &amount}))
	require.Equal(t, `/v1/policies/id-of-POL1{"collection_amount":200.00}`, patched)
}

func TestAnAnswerThatIsAnErrorKeepsItsBody(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		write(t, w, `{"error":{"message":"partition 3 is 20 records behind"}}`)
	})
	_, err := content(newInsurer(url, "k", 0).CreateSettlement(t.Context(), nil,
		client.SettlementInput{PeriodMonth: "2025-11"}))
	require.ErrorContains(t, err, "POST /v1/settlements: HTTP 503")
	require.ErrorContains(t, err, "20 records behind")
}

func TestTheAnalystAsksWithParameters(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "analyst", r.Header.Get("X-ClickHouse-User"))
		require.Equal(t, "pw", r.Header.Get("X-ClickHouse-Key"))
		require.Equal(t, "demo", r.URL.Query().Get("param_tenant"))
		if r.URL.Query().Get("param_period") == "" {
			w.WriteHeader(http.StatusInternalServerError)
			write(t, w, "Code: 60. DB::Exception")
			return
		}
		write(t, w, "\t4250000\n")
	})
	p := Product{ClickHouseURL: url, AnalystPassword: "pw", Tenant: "demo"}
	cents, err := p.collected(t.Context(), "2025-11")
	require.NoError(t, err)
	require.Equal(t, schemas.Cents(4_250_000), cents)
	_, err = p.collected(t.Context(), "")
	require.ErrorContains(t, err, "Code: 60")
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
	s, err := answer[client.Settlement](newInsurer(url, "k", time.Minute).CreateSettlement(t.Context(), nil,
		client.SettlementInput{PeriodMonth: "2025-11"}))
	require.NoError(t, err)
	require.Equal(t, "S1", s.ID)
	require.Equal(t, 3, calls)
}
