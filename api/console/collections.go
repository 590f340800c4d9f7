package console

import (
	"context"
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/civil"
	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

const pageSize = 100

// filters are the filters of the list of collections, as its address has them.
type filters struct{ Period, Status, Policy, Customer, Failed, Attempted string }

func readFilters(q url.Values) filters {
	return filters{
		q.Get("period_month"), q.Get("status"), q.Get("policy_number"), q.Get("customer_id"), q.Get("failed"),
		q.Get("attempted"),
	}
}

// page is what is asked of ClickHouse. after is the last row seen.
func (f filters) page(after []string, limit int) read.Page {
	return read.Page{
		Period: f.Period, Status: f.Status, PolicyNumber: f.Policy, CustomerID: f.Customer, Failed: yesOrNo[f.Failed],
		Attempted: yesOrNo[f.Attempted], After: after, Limit: limit,
	}
}

// Values are the filters as a query string.
func (f filters) values() url.Values {
	v := url.Values{}
	for _, p := range [][2]string{
		{"period_month", f.Period},
		{"status", f.Status},
		{"policy_number", f.Policy},
		{"customer_id", f.Customer},
		{"failed", f.Failed},
		{"attempted", f.Attempted},
	} {
		if p[1] != "" {
			v.Set(p[0], p[1])
		}
	}
	return v
}

// check refuses what no collection could have.
func (f filters) check() error {
	if f.Period != "" {
		if _, err := schemas.ParsePeriod(f.Period); err != nil {
			return missing("There is no month " + strconv.Quote(f.Period) + "; months are written 2025-11.")
		}
	}
	if f.Status != "" && !slices.Contains(statuses, schemas.CollectionStatus(f.Status)) {
		return missing("There is no status " + strconv.Quote(f.Status) + ".")
	}
	for _, v := range []string{f.Failed, f.Attempted} {
		if _, ok := yesOrNo[v]; !ok {
			return missing(strconv.Quote(v) + " is neither true nor false.")
		}
	}
	return nil
}

// yesOrNo are the words of the address, which are those of the API, in those of the query.
var yesOrNo = map[string]string{"": "", "true": "yes", "false": "no"}

var statuses = []schemas.CollectionStatus{
	schemas.PaidFull, schemas.PaidPartial, schemas.Unpaid, schemas.CollectionCancelled,
}

type collectionsBody struct {
	filters
	Statuses []schemas.CollectionStatus
	Periods  []schemas.Period
	Rows     []read.Collection
	Standing map[string]read.Standing
	Export   string
	Next     string // address of the next page; empty on the last
}

func (c *console) collections(r *http.Request, v *visit) (b collectionsBody, err error) {
	q := r.URL.Query()
	b.filters, b.Statuses = readFilters(q), statuses
	if err := b.check(); err != nil {
		return b, err
	}
	after := []string{q.Get("after_period"), q.Get("after_policy")}
	err = together(r.Context(), into(&b.Periods, v.db.Periods), func(ctx context.Context) (err error) {
		if b.Rows, err = v.db.Collections(ctx, b.page(after, pageSize+1)); err != nil || len(b.Rows) == 0 {
			return err
		}
		b.Standing, err = v.db.Standing(ctx, b.Rows)
		return err
	})
	values := b.values()
	b.Export = "/collections.csv?" + values.Encode()
	if len(b.Rows) > pageSize {
		b.Rows = b.Rows[:pageSize]
		last := b.Rows[pageSize-1]
		values.Set("after_period", string(last.Period))
		values.Set("after_policy", last.PolicyNumber)
		b.Next = "/collections?" + values.Encode()
	}
	return b, err
}

// download writes a CSV file. rows writes them; once it fails, the connection is broken off, so that nobody takes a
// part for the whole.
func (c *console) download(w http.ResponseWriter, name string, header []string, rows func(out *csv.Writer) error) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	out := csv.NewWriter(w)
	_ = out.Write(header) // a csv.Writer keeps its first error
	err := rows(out)
	if out.Flush(); err != nil {
		c.Log.Error("console", "file", name, "err", err)
		panic(http.ErrAbortHandler)
	}
}

// collectionsCSV writes all that the filters show, page by page, so that it is never in memory whole.
func (c *console) collectionsCSV(w http.ResponseWriter, r *http.Request) {
	v := r.Context().Value(visitKey{}).(*visit)
	f := readFilters(r.URL.Query())
	if err := f.check(); err != nil {
		c.fail(w, v, http.StatusNotFound, err.Error())
		return
	}
	c.download(w, "collections.csv", []string{
		"period_month", "customer_id", "external_customer_ref", "policy_number", "product_code", "collection_amount_due",
		"collection_amount_collected", "shortfall", "collection_status", "first_attempt_date", "last_attempt_date",
		"number_of_attempts", "last_failure_reason",
	}, func(out *csv.Writer) error {
		for after := []string{"", ""}; ; {
			rows, err := v.db.Collections(r.Context(), f.page(after, 10_000))
			if err != nil || len(rows) == 0 {
				return err
			}
			for _, row := range rows {
				err := out.Write([]string{
					string(row.Period), row.CustomerID, row.ExternalCustomerRef, row.PolicyNumber, row.ProductCode,
					row.DueCents.String(), row.CollectedCents.String(), (row.DueCents - row.CollectedCents).String(),
					string(row.Status), day(row.FirstAttempt), day(row.LastAttempt), strconv.Itoa(int(row.Attempts)),
					row.LastFailureReason,
				})
				if err != nil {
					return err
				}
			}
			last := rows[len(rows)-1]
			after = []string{string(last.Period), last.PolicyNumber}
		}
	})
}

// settlementCSV writes the lines of a statement.
func (c *console) settlementCSV(w http.ResponseWriter, r *http.Request) {
	v, id := r.Context().Value(visitKey{}).(*visit), chi.URLParam(r, "id")
	if !isID(id) {
		c.fail(w, v, http.StatusNotFound, "There is no settlement with this id.")
		return
	}
	c.download(w, "settlement-lines.csv", []string{
		"settlement_number", "line_type", "period_month", "customer_id", "external_customer_ref", "policy_number",
		"product_code", "amount",
	}, func(out *csv.Writer) error {
		return v.db.EachSettlementLine(r.Context(), id, func(l read.SettlementLine) error {
			return out.Write([]string{
				l.Number, l.Type, string(l.Period), l.CustomerID, l.ExternalCustomerRef, l.PolicyNumber, l.ProductCode,
				l.AmountCents.String(),
			})
		})
	})
}

// day writes a ClickHouse Date, which the driver gives as midnight UTC.
func day(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

func isID(text string) bool { return uuid.Validate(text) == nil && len(text) == 36 }

// answered is a debit and what came back.
type answered struct {
	read.Attempt
	Answers []read.Answer
}

type collectionBody struct {
	read.Collection
	Date     string // the day that is explained
	Decision *schemas.DecisionEvent
	Words    []Line
	Changes  []Line
	WhatIf   string
	Again    []Line
	AgainErr string
	Debits   []answered
}

// collection shows one collection, and explains the decision that stood on a day.
func (c *console) collection(r *http.Request, v *visit) (b collectionBody, err error) {
	id, q := chi.URLParam(r, "id"), r.URL.Query()
	ok := isID(id)
	if ok {
		b.Collection, ok, err = v.db.Collection(r.Context(), id)
	}
	if err == nil && !ok {
		err = missing("There is no collection with this id.")
	}
	if err != nil {
		return b, err
	}
	b.Date, b.WhatIf, b.Changes = q.Get("date"), strings.TrimSpace(q.Get("what_if")), c.Changes
	day := b.Date
	if day == "" {
		day = "2147-12-31" // after every decision
	} else if _, err := civil.ParseDate(day); err != nil {
		return b, missing("There is no day " + strconv.Quote(day) + "; days are written 2025-11-12.")
	}
	err = together(r.Context(), func(ctx context.Context) error {
		d, ok, err := v.db.DecisionOn(ctx, id, day)
		if err != nil || !ok {
			return err
		}
		b.Decision, err = d.Event()
		return err
	}, func(ctx context.Context) error {
		rows, answers, err := v.db.Answered(ctx, id, read.Page{After: []string{""}, Limit: 1000})
		for _, row := range rows {
			b.Debits = append(b.Debits, answered{row, answers[row.DebitID]})
		}
		return err
	})
	if err == nil && b.Decision != nil {
		b.Words = c.Words(b.Decision)
		if b.WhatIf != "" {
			if b.Again, err = c.WhatIf(b.Decision, strings.Fields(b.WhatIf)); err != nil {
				b.AgainErr, err = err.Error(), nil
			}
		}
	}
	return b, err
}
