//go:build chromium

package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api/docs"
)

// chromium is where make test-console unpacks the browser and axe.
const chromium = "../../deploy/chromium/"

// browse opens a tab of a real Chromium. The tests of this file need one: make test-console.
func browse(t *testing.T) context.Context {
	t.Helper()
	dir, err := filepath.Abs(chromium)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, chromedp.ExecPath(dir+"/bin/chromium"), chromedp.NoSandbox,
		chromedp.Flag("headless", "shell"), chromedp.Flag("no-zygote", true),
		chromedp.Flag("in-process-gpu", true), chromedp.Flag("use-gl", "angle"), chromedp.Flag("use-angle", "swiftshader"),
		chromedp.Flag("enable-unsafe-swiftshader", true), chromedp.Flag("ignore-gpu-blocklist", true),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Env("LD_LIBRARY_PATH="+dir+"/bin/lib", "FONTCONFIG_PATH="+dir+"/bin", "HOME="+t.TempDir()))
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	return ctx
}

func run[T any](ctx context.Context, t *testing.T, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	require.NoError(t, err)
	return v
}

// axe is what is wrong with the page for people who use a keyboard or a screen reader.
func axe(ctx context.Context, t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(chromium + "node_modules/axe-core/axe.min.js")
	require.NoError(t, err)
	run(ctx, t, chromedp.Evaluate[chromedp.Void](string(source)))
	found := run(ctx, t, chromedp.Evaluate[[]byte](`axe.run().then(r => r.violations.map(v => v.id + ": " +
		v.nodes.map(n => n.html).join(" ")))`, chromedp.EvalAwaitPromise))
	var all []string
	require.NoError(t, json.Unmarshal(found, &all))
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprint(all)
}

// logIn types a key, as people do.
func (s *site) logIn(ctx context.Context, key string) {
	run(ctx, s.t, chromedp.Navigate(s.url+"/"))
	run(ctx, s.t, chromedp.SendKeys(chromedp.CSS("#key"), key+"\r"))
	run(ctx, s.t, chromedp.WaitVisible(chromedp.CSS("nav")))
}

func (s *site) text(ctx context.Context) string {
	return run(ctx, s.t, chromedp.Evaluate[string]("document.querySelector('main').innerText"))
}

// many stores so many collections more of acme, of this month and of the one before: some are paid on the days on which
// people are paid, some are not paid, and some wait.
func (s *site) many(n int) {
	require.NoError(s.t, s.db.Exec(s.t.Context(), `INSERT INTO collections_log (tenant_id, period_month, collection_id,
		version, customer_id, policy_number, product_code, due_cents, collected_cents, collection_status,
		number_of_attempts, last_failure_reason, moved_cents, change_kind, change_amount_cents, reason_code, reason_scheme,
		effective_date, business_date, src_partition, seq)
		SELECT 'acme', if(now, '2025-11', '2025-10'), reinterpretAsUUID(sipHash128(k, now)), 2, concat('CUST', toString(k)),
			concat('POL', toString(10000 + k)), 'FUNERAL_01', due, if(kind = 'DEBIT_PAID', due, 0),
			if(kind = 'DEBIT_PAID', 'PAID_FULL', 'UNPAID'), kind != 'CREATED', if(kind = 'DEBIT_UNPAID',
			'INSUFFICIENT_FUNDS', ''), if(kind = 'DEBIT_PAID', due, 0), kind, if(kind = 'CREATED', 0, due),
			if(kind = 'DEBIT_UNPAID', '02', ''), if(kind = 'DEBIT_UNPAID', 'ZA', ''),
			if(kind = 'CREATED', NULL, toDate(if(now, '2025-11-01', '2025-10-01')) + day), '2025-11-01', 0, 100 + number
		FROM
		(
			SELECT number, intDiv(number, 2) AS k, number % 2 = 0 AS now, sipHash64(k, now) AS h,
				15000 + h % 20 * 1000 AS due, [24, 24, 25, 25, 2, 2, 3, 6, 13, 20, 27][1 + h % 11] AS day,
				multiIf(h % 23 = 0, 'DEBIT_UNPAID', h % 29 = 0, 'CREATED', 'DEBIT_PAID') AS kind
			FROM numbers(2 * ?)
		)`, n))
	s.states()
}

// TestPagesInABrowser looks at each page as people do: dark and light, on a desk and on a phone, with a keyboard. Axe
// finds nothing, and nothing is wider than the screen. With KASI_TEST_PICTURES set it keeps pictures there.
func TestPagesInABrowser(t *testing.T) {
	s := newSite(t)
	s.many(1000)
	ctx := browse(t)
	run(ctx, t, chromedp.Navigate(s.url+"/login"))
	require.Empty(t, axe(ctx, t), "login")
	s.logIn(ctx, "key-a")
	pages := map[string]string{
		"month": "/", "collections": "/collections", "filtered": "/collections?status=PAID_FULL&failed=false&attempted=true",
		"why": "/collections/" + collectionOne + "?what_if=balance%3D500", "customer": "/customer?id=C1",
		"settlements": "/settlements", "settlement": "/settlements/" + statementOne, "engine": "/engine",
		"health": "/health", "search": "/search?q=P1", "error": "/nowhere",
	}
	for _, look := range []struct {
		scheme string
		width  int64
	}{{"light", 1280}, {"dark", 390}} {
		run(ctx, t, chromedp.EmulateViewport(look.width, 844))
		run(ctx, t, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			scheme := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: look.scheme}
			_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia,
				emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{scheme}})
			return err
		}))
		for name, path := range pages {
			run(ctx, t, chromedp.Navigate(s.url+path))
			require.Empty(t, axe(ctx, t), "%s, %s", name, look.scheme)
			require.True(t, run(ctx, t, chromedp.Evaluate[bool](
				"document.documentElement.scrollWidth <= innerWidth")), "%s is wider than %d", name, look.width)
			if dir := os.Getenv("KASI_TEST_PICTURES"); dir != "" {
				png := run(ctx, t, chromedp.FullScreenshot(100))
				require.NoError(t, os.WriteFile(filepath.Join(dir, name+"-"+look.scheme+".png"), png, 0o644))
			}
		}
	}
}

// TestClerksDay does what a clerk does: log in, filter, read on, look why, log out.
func TestClerksDay(t *testing.T) {
	s := newSite(t)
	s.many(1000)
	ctx := browse(t)
	s.logIn(ctx, "key-a")
	require.Contains(t, s.text(ctx), "The month 2025-11")
	run(ctx, t, chromedp.Click(chromedp.CSS(`nav a[href="/collections"]`)))
	run(ctx, t, chromedp.WaitVisible(chromedp.CSS(`a[rel=next]`)))
	run(ctx, t, chromedp.Click(chromedp.CSS(`a[rel=next]`)))
	run(ctx, t, chromedp.WaitVisible(chromedp.CSS(`tbody tr`)))
	require.Contains(t, run(ctx, t, chromedp.Evaluate[string]("location.search")), "after_policy", "the list goes on")
	run(ctx, t, chromedp.SendKeys(chromedp.CSS("input[name=policy_number]"), "P1\r"))
	run(ctx, t, chromedp.WaitVisible(chromedp.CSS(`a[href="/collections/`+collectionOne+`"]`)))
	run(ctx, t, chromedp.Click(chromedp.CSS(`a[href="/collections/`+collectionOne+`"]`)))
	run(ctx, t, chromedp.WaitVisible(chromedp.CSS(`input[name=what_if]`)))
	require.Contains(t, s.text(ctx), "Money comes on the 25th.")
	run(ctx, t, chromedp.SendKeys(chromedp.CSS("input[name=what_if]"), "balance=500\r"))
	run(ctx, t, chromedp.WaitVisible(chromedp.CSS(`h3`)))
	require.Contains(t, s.text(ctx), "then it is debited")
	run(ctx, t, chromedp.Click(chromedp.CSS(`.who button`)))
	run(ctx, t, chromedp.WaitVisible(chromedp.CSS(`#key`)))
	run(ctx, t, chromedp.Navigate(s.url+"/collections"))
	require.Contains(t, s.text(ctx), "API key")
}

// TestAnotherTenantAndALostEngine: another tenant's address is not found, and without ClickHouse a page says so.
func TestAnotherTenantAndALostEngine(t *testing.T) {
	s := newSite(t)
	ctx := browse(t)
	s.logIn(ctx, "key-a")
	run(ctx, t, chromedp.Navigate(s.url+"/collections/"+theirs))
	require.Contains(t, s.text(ctx), "There is no collection with this id.")
	require.NoError(t, s.db.Close())
	run(ctx, t, chromedp.Navigate(s.url+"/"))
	require.Contains(t, s.text(ctx), "ClickHouse does not answer")
}

// The key is no page's business: neither a script's nor an address's.
func TestTheSessionIsHidden(t *testing.T) {
	s := newSite(t)
	ctx := browse(t)
	s.logIn(ctx, "key-a")
	require.Empty(t, run(ctx, t, chromedp.Evaluate[string]("document.cookie")))
	require.Equal(t, "/", run(ctx, t, chromedp.Evaluate[string]("location.pathname + location.search")))
}

// TestReferenceIsTriedWithAClick opens /docs, tries a call as a reader does, and has axe look at it.
func TestReferenceIsTriedWithAClick(t *testing.T) {
	spec, err := os.ReadFile("../openapi.yaml")
	require.NoError(t, err)
	reference, err := docs.New(spec)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("/docs", reference)
	mux.Handle("/docs/", reference)
	mux.Handle("/", newSite(t).handler)
	mux.HandleFunc("/v1/policies/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"path":%q,"key":%q}`, r.URL.Path, r.Header.Get("X-API-Key"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	ctx := browse(t)
	run(ctx, t, chromedp.Navigate(server.URL+"/docs#getPolicy"))
	run(ctx, t, chromedp.SendKeys(chromedp.CSS("#key"), "key-a"))
	run(ctx, t, chromedp.SendKeys(chromedp.CSS("#getPolicy input[name=id]"), "a/b\r"))
	run(ctx, t, chromedp.WaitVisible(chromedp.CSS("#getPolicy .answer")))
	answer := `document.querySelector("#getPolicy .answer").textContent`
	require.Eventually(t, func() bool {
		return strings.Contains(run(ctx, t, chromedp.Evaluate[string](answer)), `"key": "key-a"`)
	}, 10*time.Second, 50*time.Millisecond)
	require.Contains(t, run(ctx, t, chromedp.Evaluate[string](answer)), "/v1/policies/a%2Fb\n200")
	require.Empty(t, axe(ctx, t))
}
