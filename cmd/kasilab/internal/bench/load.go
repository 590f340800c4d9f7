package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/retry"
)

const (
	loadPolicies = 10_000
	importRows   = 1_000
	// loadCallers is how many callers wait for an answer at the same time; updaters more, because an update waits for
	// Kafka and ClickHouse most of its time.
	loadCallers, loadUpdaters = 8, 32
	// loadWarm is how long callers call before their calls count.
	loadWarm = 2 * time.Second
)

// apiLoad is one kind of call.
type apiLoad struct {
	name    string
	callers int
	url     func(n int) (method, path string)
	body    func(n int) (kind, body string) // nil where there is none
	bare    bool                            // at the handler without a product
	took    []time.Duration                 // in all rounds
}

// benchLoad calls the API of the product on the embedded engines as fast as it answers, beside a bare chi handler that
// answers one policy from memory. The callers share the machine with it.
func benchLoad(ctx context.Context, _ *kafka, o *options, t *table) (err error) {
	e, err := startEmbedded(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	collection, err := e.month(ctx)
	if err != nil {
		return err
	}
	bare := freeAddr()
	chi, err := spawn(ctx, "chi", bare)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chi.stop()) }()
	if err := answers(ctx, "http://"+bare); err != nil {
		return err
	}
	all := loads(collection)
	var turns []*turn
	for i := range all {
		l := &all[i]
		at, by := e.http, e.child
		if l.bare {
			at, by = bare, chi
		}
		turns = append(turns, &turn{name: l.name, do: func(int) (run, error) {
			return l.fire(ctx, "http://"+at+"/v1", time.Duration(o.seconds)*time.Second/4, by)
		}})
	}
	if err := takeTurns(o.rounds, func() error { return nil }, turns...); err != nil {
		return err
	}
	t.section("HTTP API, embedded engines", "callers", "requests/s", "p50", "p99", "processor ms a request")
	for i, turn := range turns {
		slices.Sort(all[i].took)
		f := of(turn.runs, run.rate)
		t.row(turn.name, fmt.Sprint(all[i].callers), fmt.Sprintf("%.0f (%.0f-%.0f)", median(f), f[0], f[len(f)-1]),
			quantile(all[i].took, 50), quantile(all[i].took, 99),
			fmt.Sprintf("%.2f", median(of(turn.runs, func(r run) float64 { return r.perMillion(r.server) / 1000 }))))
	}
	t.note("HTTP API: %d policies with a collection each. All calls with a key, without limits; an update is answered "+
		"once it can be read back. The callers run on the same processors.", loadPolicies)
	return nil
}

// answers waits until somebody listens.
func answers(ctx context.Context, at string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			return resp.Body.Close()
		}
		if err := retry.Pause(ctx, 10*look); err != nil {
			return err
		}
	}
}

// month makes policies and executes them, and returns the id of a collection.
func (e *embedded) month(ctx context.Context) (collection string, err error) {
	if err := e.importFile(ctx, loadPolicies); err != nil {
		return "", err
	}
	id, err := e.execute(ctx, loadPolicies)
	if err == nil {
		err = e.executed(ctx, id)
	}
	if err == nil {
		err = e.advance(ctx, "2025-11-05")
	}
	return schemas.CollectionID(loadPolicy(0), "2025-11"), err
}

// loadPolicy is the id of a policy that the file holds.
func loadPolicy(n int) string {
	return schemas.PolicyID("acme", fmt.Sprintf("POL%07d", n%loadPolicies))
}

func loads(collection string) []apiLoad {
	var made atomic.Int64
	get := func(path func(n int) string) func(int) (string, string) {
		return func(n int) (string, string) { return http.MethodGet, path(n) }
	}
	one := get(func(n int) string { return "/policies/" + loadPolicy(n) })
	return []apiLoad{
		{name: "a bare chi handler, one policy", callers: loadCallers, url: one, bare: true},
		{name: "GET /policies/{id}", callers: loadCallers, url: one},
		{name: "GET /collections/{id}", callers: loadCallers, url: get(func(int) string {
			return "/collections/" + collection
		})},
		{name: "GET /collections, a page of 100", callers: loadCallers, url: get(func(int) string {
			return "/collections?period_month=2025-11&limit=100"
		})},
		{name: "PATCH /policies/{id}", callers: loadUpdaters, url: func(n int) (string, string) {
			return http.MethodPatch, "/policies/" + loadPolicy(n)
		}, body: func(n int) (string, string) {
			return "application/json", fmt.Sprintf(`{"collection_amount":%d.%02d}`, 100+n%900, n/900%100)
		}},
		{name: "POST /policies", callers: loadUpdaters, url: func(int) (string, string) {
			return http.MethodPost, "/policies"
		}, body: func(int) (string, string) {
			number := made.Add(1)
			return "application/json", fmt.Sprintf(`{"customer_id":"NEW%d","external_customer_ref":"E","policy_number":`+
				`"NEW%d","product_code":"F","collection_amount":150.00}`, number, number)
		}},
		{name: "POST /policies/import, 1,000 rows", callers: 1, url: func(int) (string, string) {
			return http.MethodPost, "/policies/import"
		}, body: func(n int) (string, string) {
			var b bytes.Buffer
			b.WriteString("--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\n\r\n" +
				"customer_id,external_customer_ref,policy_number,product_code,collection_amount\n")
			for i := range importRows {
				fmt.Fprintf(&b, "CUST%07d,EXT%07d,POL%07d,FUNERAL_01,%d.%02d\n", i, i, i, 300+n%600, n/600%100)
			}
			b.WriteString("\r\n--edge--\r\n")
			return "multipart/form-data; boundary=edge", b.String()
		}},
	}
}

// fire calls for so long, and measures what is answered behind the warm-up.
func (l *apiLoad) fire(ctx context.Context, at string, length time.Duration, by *child) (r run, err error) {
	cl := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.callers}}
	defer cl.CloseIdleConnections()
	var mu sync.Mutex
	var n atomic.Int64
	var used time.Duration
	counted := time.Now().Add(loadWarm)
	end := counted.Add(length)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := retry.Pause(ctx, loadWarm)
		used = by.usage()
		return err
	})
	for range l.callers {
		g.Go(func() error {
			for began := time.Now(); began.Before(end); began = time.Now() {
				if err := l.call(ctx, cl, at, int(n.Add(1))); err != nil {
					return err
				}
				if began.After(counted) {
					mu.Lock()
					l.took = append(l.took, time.Since(began))
					r.records++
					mu.Unlock()
				}
			}
			return nil
		})
	}
	err = g.Wait()
	r.took, r.server = time.Since(counted), by.usage()-used
	return r, err
}

func (l *apiLoad) call(ctx context.Context, cl *http.Client, at string, n int) error {
	method, path := l.url(n)
	var body io.Reader
	kind, text := "", ""
	if l.body != nil {
		kind, text = l.body(n)
		body = bytes.NewReader([]byte(text))
	}
	req, err := http.NewRequestWithContext(ctx, method, at+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("X-API-Key", "bench")
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := cl.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	return err
}

// runChi answers every policy with the same bytes: what a router and net/http cost.
func runChi(ctx context.Context, addr string) error {
	answer := []byte(`{"id":"` + loadPolicy(0) + `","policy_number":"POL0000000","customer_id":"CUST0000000",` +
		`"external_customer_ref":"EXT0000000","product_code":"FUNERAL_01","collection_amount":100.00,"status":"active",` +
		`"rail":"DEBICHECK","version":1}` + "\n")
	r := chi.NewRouter()
	r.Get("/v1/policies/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-API-Key") != "bench" || chi.URLParam(r, "id") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
	srv := &http.Server{Addr: addr, Handler: r, ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
