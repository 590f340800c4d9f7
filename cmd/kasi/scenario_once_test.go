package main

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keyed sends a call under an Idempotency-Key and returns status, body and whether it is the first answer again.
func (p *product) keyed(key, path, body string) (int, string, bool) {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://"+p.http+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error(), false
	}
	req.Header = http.Header{"X-Api-Key": {testKey}, "Content-Type": {"application/json"}, "Idempotency-Key": {key}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error(), false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error(), false
	}
	return resp.StatusCode, string(b), resp.Header.Get("Idempotency-Replayed") == "true"
}

// TestScenarioOneCallAHundredTimes: a hundred equal calls at once have one effect and one answer, and after a kill -9
// in the middle the same call gets its answer.
func TestScenarioOneCallAHundredTimes(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	const body = `{"customer_id":"C1","external_customer_ref":"E","policy_number":"POL001","product_code":"F",` +
		`"collection_amount":99.00}`
	var mu sync.Mutex
	firsts, answers := 0, map[string]int{}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			code, text, again := p.keyed("k1", "/v1/policies", body)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case code == 201:
				answers[text]++
				if !again {
					firsts++
				}
			case code != 409 || !strings.Contains(text, "still running"):
				t.Errorf("%d %s", code, text)
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, firsts)
	require.Len(t, answers, 1)
	require.Equal(t, "1", p.sql("SELECT count() FROM outcomes_log WHERE tenant_id = 'demo'"))

	answered := make(chan struct{})
	const executed = `{"period_month":"2025-11"}`
	go func() {
		defer close(answered)
		p.keyed("k2", "/v1/collections/execute", executed)
	}()
	p.crash("2025-11-01")
	<-answered
	var code int
	var text string
	require.Eventually(t, func() bool {
		code, text, _ = p.keyed("k2", "/v1/collections/execute", executed)
		return code == 202
	}, 30*time.Second, 100*time.Millisecond, text)
	_, same, again := p.keyed("k2", "/v1/collections/execute", executed)
	require.True(t, again)
	require.Equal(t, text, same)
	require.Equal(t, "1", p.sql("SELECT count() FROM collections WHERE tenant_id = 'demo'"))
	code, text, again = p.keyed("k1", "/v1/policies", body)
	require.Equal(t, 201, code, text)
	require.True(t, again)
}
