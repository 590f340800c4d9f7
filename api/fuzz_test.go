package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

// anyURL takes every address of a webhook.
type (
	hooks  = Webhooks
	anyURL struct{ hooks }
)

func (anyURL) CheckURL(string) error { return nil }

// readers are those of the JSON bodies of the API: each reads one, and wants what it accepts to be what the pipeline
// can take.
var readers = map[string]func(t *testing.T, w http.ResponseWriter, r *http.Request) error{
	"PolicyInput": func(t *testing.T, w http.ResponseWriter, r *http.Request) error {
		in := readInput(w, r, fieldNames()...)
		cmd := readPolicy(in)
		if in.err == nil {
			require.Nil(t, checkText(cmd.CustomerID))
			require.Nil(t, checkText(cmd.PolicyNumber))
			requireTerms(t, &cmd)
			require.Equal(t, schemas.PolicyActive, cmd.Terms.Status)
			require.Positive(t, cmd.Terms.PremiumCents)
		}
		return in.err
	},
	"PolicyPatch": func(t *testing.T, w http.ResponseWriter, r *http.Request) error {
		cmd, err := readPatch(w, r)
		if err == nil {
			requireTerms(t, &cmd)
			require.True(t, len(cmd.Given) > 0 || cmd.CustomerID != "")
		}
		return err
	},
	"ExecuteInput": func(t *testing.T, w http.ResponseWriter, r *http.Request) error {
		in := readInput(w, r, "period_month", "policy_ids")
		period, _ := check(in, "period_month", true, aPeriod)
		numbers := in.texts("policy_ids")
		if in.err == nil {
			_, err := schemas.ParsePeriod(string(period))
			require.NoError(t, err)
			require.True(t, numbers == nil || len(numbers) > 0)
			for _, n := range numbers {
				require.Nil(t, checkText(n))
			}
		}
		return in.err
	},
	"SettlementInput": func(_ *testing.T, w http.ResponseWriter, r *http.Request) error {
		in := readInput(w, r, "period_month", "preview")
		_, _ = check(in, "period_month", true, aPeriod)
		_, _ = check(in, "preview", false, aBool)
		return in.err
	},
	"SettlementDispute": func(t *testing.T, w http.ResponseWriter, r *http.Request) error {
		in := readInput(w, r, "reason")
		if note, ok := check(in, "reason", true, aNote); ok {
			require.Nil(t, checkNote(note))
		}
		return in.err
	},
	"WebhookInput": func(t *testing.T, w http.ResponseWriter, r *http.Request) error { return readHook(t, w, r, true) },
	"WebhookPatch": func(t *testing.T, w http.ResponseWriter, r *http.Request) error { return readHook(t, w, r, false) },
}

func readHook(t *testing.T, w http.ResponseWriter, r *http.Request, required bool) error {
	s := &server{Config: Config{Webhooks: anyURL{}}}
	var hook schemas.Webhook
	err := s.readWebhook(w, r, required, &hook)
	if err == nil {
		require.True(t, !required || hook.URL != "" && len(hook.Events) > 0)
		for _, event := range hook.Events {
			require.Contains(t, schemas.WebhookTypes, event)
		}
	}
	return err
}

// requireTerms wants terms as the pipeline takes them.
func requireTerms(t *testing.T, cmd *command) {
	t.Helper()
	terms := cmd.Terms
	for _, text := range []string{
		terms.ExternalCustomerRef, terms.ProductCode, terms.MandateReference, terms.Bank, terms.AccountToken,
	} {
		require.True(t, text == "" || checkText(text) == nil, "%q", text)
	}
	require.True(t, terms.PremiumCents >= 0 && terms.PremiumCents <= schemas.MaxCents)
	require.True(t, terms.MandateMaxCents >= 0 && terms.MandateMaxCents <= schemas.MaxCents)
	require.True(t, terms.CollectionDay >= 0 && terms.CollectionDay <= 31)
}

// FuzzBodies: whatever a JSON body holds, each call that reads one refuses it as the caller's fault, or reads what the
// pipeline can take. A body that is written down in another way is the same call.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `null`, `{"period_month":"2025-11","policy_ids":["POL001"]}`,
		`{"period_month":"2025-11","preview":true}`,
		`{"customer_id":"C","external_customer_ref":"E","policy_number":"P","product_code":"F","collection_amount":150.00}`,
		`{"collection_amount":200.0,"status":"LAPSED","rail":null,"collection_day":31,"mandate_fixed":true}`,
		`{"url":"https://example.com","events":["collection.paid"]}`, `{"reason":"x\ud800"}`, `{"reason":"a","reason":"b"}`,
		`{"collection_amount":1e400}`, `{"customer_id":"\u0000"}`, "{\"reason\":\"\xff\"}", `{"policy_ids":[[[[[]]]]]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		written := canonical(body)
		require.Equal(t, string(written), string(canonical(written)))
		for name, read := range readers {
			r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			err := read(t, httptest.NewRecorder(), r)
			if err != nil {
				requireRefusal(t, err)
			} else {
				require.True(t, json.Valid(body), name)
			}
			r = httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", bytes.NewReader(written))
			r.Header.Set("Content-Type", "application/json")
			again := read(t, httptest.NewRecorder(), r)
			require.Equal(t, err == nil, again == nil, "%s: %s is %s", name, body, written)
		}
	})
}

// FuzzParameters: whatever a query string holds, it is refused as the caller's fault, or is read as values in their
// bounds.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{
		"", "limit=1&cursor=WyJBIl0", "limit=1001", "cursor=%00", "period_month=2025-11&status=paid_full&failed=TRUE",
		"updated_since=2025-11-05T08:00:00Z", "updated_since=9999-99-99", "stood_on=2025-11-12", "a=1;b=2", "%zz",
		"limit=1&limit=2", "since=0001-01-01T00:00:00Z", "policy_number=%F0%9F%98%80&customer_id=e%CC%81",
		"events=collection.paid",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{URL: &url.URL{Path: "/v1/collections", RawQuery: query}}
		if err := checkQuery(r, ListCollectionsParams{}); err != nil {
			requireRefusal(t, err)
		}
		values, _ := url.ParseQuery(query)
		in := &input{}
		text := func(name string) *string {
			if !values.Has(name) {
				return nil
			}
			v := values.Get(name)
			return &v
		}
		p := readPage(in, nil, text("cursor"), 2)
		period := filter(in, "period_month", text("period_month"), aPeriod)
		number := filter(in, "policy_number", text("policy_number"), aText)
		status := filter(in, "status", text("status"), aCollectionStatus)
		failed := yesOrNo(in, "failed", text("failed"))
		day := filter(in, "stood_on", text("stood_on"), aDate)
		at := since(in, text("updated_since"))
		if in.err == nil && values.Has("since") {
			anInstant(in, "since", values.Get("since"))
		}
		if in.err != nil {
			requireRefusal(t, in.err)
			return
		}
		require.Len(t, p.After, 2)
		require.True(t, number == "" || checkText(number) == nil)
		require.Contains(t, []string{"", "yes", "no"}, failed)
		require.True(t, status == "" || slices.Contains([]string{"PAID_FULL", "PAID_PARTIAL", "UNPAID", "CANCELLED"}, status))
		require.True(t, utf8.ValidString(period+day))
		require.True(t, at.IsZero() || at.Year() >= 0 && at.Before(time.Date(10000, 1, 2, 0, 0, 0, 0, time.UTC)))
	})
}
