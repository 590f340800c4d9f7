package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What the scenarios share beyond the harness. They too meet the product only through HTTP, Kafka, ClickHouse's port
// and the command line.

// policies imports rows under the five documented columns and the optional ones that extra names.
func (p *product) policies(extra string, rows ...string) {
	p.t.Helper()
	code, body := p.importCSV("customer_id,external_customer_ref,policy_number,product_code,collection_amount" + extra +
		"\n" + strings.Join(rows, "\n") + "\n")
	require.Equal(p.t, 200, code, body)
	require.True(p.t, strings.HasPrefix(body, fmt.Sprintf(`{"imported":%d,"failed":0,"errors":[],`, len(rows))), body)
}

// found is what GET /policies answers of one policy.
type found struct {
	ID, Status string
	Version    int
	HoldReason *string `json:"hold_reason"`
}

func (p *product) lookup(number string) found {
	p.t.Helper()
	code, body := p.call("GET", "/v1/policies?policy_number="+url.QueryEscape(number), "", "")
	require.Equal(p.t, 200, code, body)
	var list struct{ Data []found }
	require.NoError(p.t, json.Unmarshal([]byte(body), &list))
	require.Len(p.t, list.Data, 1, number)
	return list.Data[0]
}

// patch changes a policy and expects that to be accepted.
func (p *product) patch(number, change string) {
	p.t.Helper()
	code, body := p.call("PATCH", "/v1/policies/"+p.lookup(number).ID, "application/json", change)
	require.Equal(p.t, 200, code, body)
}

// income feeds one record of the incomes feed; cents 0 leaves the amount out.
func (p *product) income(customer, id, kind, date, state string, cents int) {
	p.t.Helper()
	r := map[string]any{
		"income_id": id, "tenant_id": "demo", "customer_id": customer, "kind": kind, "pay_date": date,
		"state": state,
	}
	if cents > 0 {
		r["amount_cents"] = cents
	}
	p.send("kasi.feed.incomes.v1", "", r)
}

// dates lists the debits of a policy as "action date period cents".
func (p *product) dates(policy string) []string {
	p.t.Helper()
	out := []string{}
	for _, d := range p.debits() {
		if d.PolicyNumber == policy {
			out = append(out, fmt.Sprintf("%s %s %d", d.ActionDate, d.PeriodMonth, d.AmountCents))
		}
	}
	slices.Sort(out)
	return out
}

// bank answers debits it has not answered before.
type bank struct {
	p        *product
	answered map[string]bool
	says     func(debit) (status, code string) // status "" leaves the debit without an answer
}

func (p *product) bank(says func(debit) (status, code string)) *bank {
	return &bank{p: p, answered: map[string]bool{}, says: says}
}

// paysAll pays whatever is asked.
func paysAll(debit) (status, code string) { return "PAID", "" }

// until advances to each of the days in turn and answers what each brought.
func (b *bank) until(days ...string) {
	b.p.t.Helper()
	for _, day := range days {
		b.p.advance(day)
		for _, d := range b.p.debits() {
			if b.answered[d.DebitID] {
				continue
			}
			b.answered[d.DebitID] = true
			if status, code := b.says(d); status != "" {
				b.p.answer(d, status, code)
			}
		}
	}
}

// row is the report's line of one policy.
func (p *product) row(period, policy string) string {
	p.t.Helper()
	for _, line := range p.report(period) {
		if strings.Split(line, ",")[3] == policy {
			return line
		}
	}
	require.FailNow(p.t, "no such line", "%s %s", period, policy)
	return ""
}

// ends says how the report's line of a policy ends, from collection_amount_due on.
func (p *product) ends(period, policy string) string {
	p.t.Helper()
	return strings.Join(strings.Split(p.row(period, policy), ",")[5:], ",")
}

// statement is a settlement as the API shows it; amounts as they were written.
type statement struct {
	ID             string      `json:"id"`
	Number         string      `json:"settlement_number"`
	Total          json.Number `json:"total_collections"`
	Distribution   json.Number `json:"distribution_fee"`
	Collections    json.Number `json:"collections_fee"`
	Fees           json.Number `json:"total_fees"`
	VAT            json.Number `json:"vat"`
	Net            json.Number `json:"net_amount"`
	PaymentDate    string      `json:"payment_date"`
	PaymentRef     string      `json:"payment_reference"`
	BroughtForward json.Number `json:"brought_forward"`
	Payable        json.Number `json:"payable_amount"`
	Status         string      `json:"status"`
	PeriodMonth    string      `json:"period_month"`
	lines, export  string
}

// settle asks for a tenant's statement and reads it back with its export.
func (p *product) settle(key, period string) statement {
	p.t.Helper()
	code, body := p.callAs(key, "POST", "/v1/settlements", "application/json", `{"period_month":"`+period+`"}`)
	require.Contains(p.t, []int{200, 201}, code, body)
	var s statement
	require.NoError(p.t, json.Unmarshal([]byte(body), &s))
	return p.statement(key, s.ID)
}

func (p *product) statement(key, id string) statement {
	p.t.Helper()
	code, body := p.callAs(key, "GET", "/v1/settlements/"+id, "", "")
	require.Equal(p.t, 200, code, body)
	var s statement
	require.NoError(p.t, json.Unmarshal([]byte(body), &s))
	code, s.export = p.callAs(key, "GET", "/v1/settlements/"+id+"/export", "", "")
	require.Equal(p.t, 200, code, s.export)
	_, s.lines, _ = strings.Cut(strings.TrimSpace(strings.ReplaceAll(s.export, "\r\n", "\n")), "\n")
	return s
}

// sql asks ClickHouse as an analyst would and returns tab-separated lines.
func (p *product) sql(query string) string {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+p.clickhouse+"/?database="+cmp.Or(p.database, "kasi"),
		strings.NewReader(query))
	require.NoError(p.t, err)
	req.SetBasicAuth("analyst", cmp.Or(p.analyst, "test-analyst"))
	res, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	require.Equal(p.t, 200, res.StatusCode, string(b))
	return strings.TrimSpace(string(b))
}

// deadLetter is a record of kasi.deadletters.v1.
type deadLetter struct {
	key, value, topic, class string
	headers                  map[string]string
}

func (p *product) deadLetters() []deadLetter {
	p.t.Helper()
	var out []deadLetter
	for _, r := range p.read("kasi.deadletters.v1") {
		d := deadLetter{key: string(r.Key), value: string(r.Value), headers: map[string]string{}}
		for _, h := range r.Headers {
			d.headers[h.Key] = string(h.Value)
		}
		d.topic, d.class = d.headers["__connect.errors.topic"], d.headers["__connect.errors.class.name"]
		out = append(out, d)
	}
	return out
}

// raw produces bytes as they are.
func (p *product) raw(topic, key, value string) {
	p.t.Helper()
	require.NoError(p.t, p.client.ProduceSync(context.Background(), &kgo.Record{
		Topic: topic, Key: []byte(key),
		Value: []byte(value),
	}).FirstErr())
}

// calendar runs a calendar command and returns what it printed and its error.
func (p *product) calendar(args ...string) (string, error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := p.command(ctx, append(append([]string{"calendar"}, args...), "--kafka-brokers",
		p.kafka)...).CombinedOutput()
	return string(out), err
}

// crash kills the product as kill -9 does, and starts it again on the same data.
func (p *product) crash(date string) {
	p.t.Helper()
	dir := p.process.Args[slices.Index(p.process.Args, "--data-dir")+1]
	require.NoError(p.t, p.process.Process.Kill())
	_ = p.process.Wait()
	p.client.Close()
	p.process, p.client = nil, nil
	require.NoError(p.t, os.Rename(filepath.Join(dir, "up.log"), filepath.Join(dir, "killed.log")))
	p.up(dir, date)
}
