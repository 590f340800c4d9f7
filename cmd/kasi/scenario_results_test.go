package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// CONTRACT 4.3 and 4.7: what the bank answers, in every form and order.

func TestScenarioReasonCodes(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	cases := []struct {
		policy, status, scheme, code string
		again, hold                  bool
		reason                       string // where the contract names it
	}{
		{"ZA02", "UNPAID", "ZA", "02", true, false, "INSUFFICIENT_FUNDS"},
		{"ISOAM04", "UNPAID", "ISO", "AM04", true, false, "INSUFFICIENT_FUNDS"},
		{"BARE02", "UNPAID", "", "02", true, false, "INSUFFICIENT_FUNDS"},
		{"NOCODE", "UNPAID", "", "", true, false, ""},
		{"ZA04", "UNPAID", "ZA", "04", false, true, ""},
		{"ZA12", "UNPAID", "ZA", "12", false, true, ""},
		{"ISOAC04", "REJECTED", "ISO", "AC04", false, true, ""},
		{"ISOMD01", "REJECTED", "ISO", "MD01", false, true, ""},
		{"ZA18", "UNPAID", "ZA", "18", false, true, ""},
		{"ISOMD07", "UNPAID", "ISO", "MD07", false, true, ""},
		{"UNKNOWN", "UNPAID", "ZA", "77", false, false, ""},
		{"REFUSED", "REJECTED", "", "", false, true, ""},
	}
	rows := []string{}
	for _, c := range cases {
		rows = append(rows, "C"+c.policy+",E,"+c.policy+",F,150.00,")
	}
	p.policies(",mandate_reference", rows...)
	p.execute("2025-11", len(cases))
	p.advance("2025-11-05")
	debits := map[string]debit{}
	for _, d := range p.debits() {
		debits[d.PolicyNumber] = d
	}
	require.Len(t, debits, len(cases))
	for _, c := range cases {
		r := map[string]any{
			"result_id": "r-" + c.policy, "debit_id": debits[c.policy].DebitID, "status": c.status,
			"effective_date": "2025-11-05",
		}
		if c.code != "" {
			r["reason_code"] = c.code
		}
		if c.scheme != "" {
			r["reason_scheme"] = c.scheme
		}
		p.send("kasi.rail.results.v1", "any", r)
		p.credit("C"+c.policy, "2025-11-25", 850000, "SALARY")
	}
	bank := p.bank(func(d debit) (string, string) {
		if d.Attempt == 1 {
			return "", ""
		}
		return "PAID", ""
	})
	bank.until("2025-11-07")
	for _, c := range cases {
		require.Contains(t, p.ends("2025-11", c.policy), "150.00,0.00,150.00,UNPAID,2025-11-05,2025-11-05,1,"+c.reason,
			c.policy)
		require.False(t, strings.HasSuffix(p.ends("2025-11", c.policy), ","), "%s: a failure has a reason", c.policy)
		require.Equal(t, c.hold, p.lookup(c.policy).HoldReason != nil, c.policy)
	}
	bank.until("2025-11-26")
	p.policies(",mandate_reference", "CZA12,E,ZA12,F,150.00,NEW1") // the account was mended: a new mandate
	bank.until("2025-11-28", "2025-12-01")
	for _, c := range cases {
		switch {
		case c.policy == "ZA12":
			require.Equal(t, []string{"2025-11-05 2025-11 15000", "2025-11-27 2025-11 15000"}, p.dates("ZA12"),
				"with the mandate renewed")
		case c.again:
			require.Equal(t, []string{"2025-11-05 2025-11 15000", "2025-11-26 2025-11 15000"}, p.dates(c.policy))
			require.Equal(t, "150.00,150.00,0.00,PAID_FULL,2025-11-05,2025-11-26,2,", p.ends("2025-11", c.policy))
		default:
			require.Len(t, p.dates(c.policy), 1, "%s is not tried again", c.policy)
		}
	}
	require.Empty(t, p.deadLetters())
}

func TestScenarioResultsInEveryOrder(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	names := []string{"TWICE", "CONTRA", "LATE", "NEVER", "BACK", "BACKFIRST", "AMOUNT", "SAMEDAY", "SAMEFIRST"}
	rows := []string{}
	for _, n := range names {
		rows = append(rows, "C"+n+",E,"+n+",F,150.00")
	}
	p.policies("", rows...)
	p.execute("2025-11", len(names))
	p.advance("2025-11-05")
	d := map[string]debit{}
	for _, x := range p.debits() {
		d[x.PolicyNumber] = x
		p.credit("C"+x.PolicyNumber, "2025-11-20", 850000, "SALARY")
	}
	seen := 0
	result := func(id, policy, status, date, code string, more ...string) string {
		v := `{"result_id":"` + id + `","debit_id":"` + d[policy].DebitID + `","status":"` + status + `","effective_date":"` +
			date + `"`
		if code != "" {
			v += `,"reason_code":"` + code + `"`
		}
		v += strings.Join(more, "") + "}"
		p.raw("kasi.rail.results.v1", "k"+id, v)
		return v
	}
	dead := func(class, value string) {
		t.Helper()
		p.advance("2025-11-07")
		letters := p.deadLetters()
		require.Len(t, letters, seen+1, class)
		got := letters[seen]
		seen++
		require.Equal(t, value, got.value, "the bytes are untouched")
		require.Equal(t, class, got.class)
		for _, h := range []string{
			"__connect.errors.topic", "__connect.errors.partition", "__connect.errors.offset",
			"__connect.errors.exception.message",
		} {
			require.NotEmpty(t, got.headers[h], h)
		}
	}
	p.advance("2025-11-07")
	result("1", "TWICE", "PAID", "2025-11-05", "")
	result("1", "TWICE", "PAID", "2025-11-05", "")
	result("2", "TWICE", "PAID", "2025-11-05", "", `,"amount_cents":15000,"more":{"unknown":1}`)
	result("3", "CONTRA", "UNPAID", "2025-11-06", "02")
	result("4", "BACK", "PAID", "2025-11-05", "")
	result("5", "BACK", "UNPAID", "2025-11-07", "02")
	result("6", "BACKFIRST", "UNPAID", "2025-11-07", "02")
	result("7", "BACKFIRST", "PAID", "2025-11-05", "")
	result("5a", "SAMEDAY", "PAID", "2025-11-05", "")
	result("5b", "SAMEDAY", "UNPAID", "2025-11-05", "02")
	result("5c", "SAMEFIRST", "REJECTED", "2025-11-05", "02")
	result("5d", "SAMEFIRST", "PAID", "2025-11-05", "")
	result("7a", "CONTRA", "PAID", "2025-11-06", "")
	p.advance("2025-11-07")
	require.Empty(t, p.deadLetters())
	dead("CONTRADICTS_FINAL", result("8", "CONTRA", "PAID", "2025-11-07", ""))
	dead("BAD_DATE", result("8a", "AMOUNT", "PAID", "2025-11-04", ""))
	dead("BAD_DATE", result("8b", "AMOUNT", "PAID", "1900-01-01", ""))
	dead("BAD_DATE", result("8c", "AMOUNT", "PAID", "2025-11-08", ""))
	dead("DUPLICATE_ID", result("1", "TWICE", "UNPAID", "2025-11-05", "02"))
	dead("AMOUNT_MISMATCH", result("9", "AMOUNT", "PAID", "2025-11-05", "", `, "amount_cents" : 14999`))
	result("10", "AMOUNT", "PAID", "2025-11-05", "", `,"amount_cents":15000`)
	unknown := `{"result_id":"u","debit_id":"` + strings.Repeat("0", 32) +
		`","status":"PAID","effective_date":"2025-11-05"}`
	p.raw("kasi.rail.results.v1", "", unknown)
	dead("UNKNOWN_DEBIT", unknown)
	foreign := `{"result_id":"u","debit_id":"SOMEBODY-ELSES-17","status":"PAID","effective_date":"2025-11-05"}`
	p.raw("kasi.rail.results.v1", "", foreign)
	dead("UNKNOWN_DEBIT", foreign)
	dead("CONTRADICTS_FINAL", result("11", "TWICE", "PAID", "2025-11-06", ""))
	p.advance("2025-11-18")
	result("12", "LATE", "UNPAID", "2025-11-06", "02") // two weeks after the debit
	bank := p.bank(func(x debit) (string, string) {
		if x.Attempt == 1 {
			return "", ""
		}
		return "PAID", ""
	})
	bank.until("2025-11-21", "2025-12-01")
	one, two := "150.00,150.00,0.00,PAID_FULL,2025-11-05,2025-11-05,1,",
		"150.00,150.00,0.00,PAID_FULL,2025-11-05,2025-11-21,2,"
	for policy, ends := range map[string]string{
		"TWICE": one, "AMOUNT": one, "CONTRA": two, "LATE": two, "BACK": two, "BACKFIRST": two,
		"SAMEDAY": two, "SAMEFIRST": two,
		"NEVER": "150.00,0.00,150.00,UNPAID,2025-11-05,2025-11-05,1,",
	} {
		require.Equal(t, ends, p.ends("2025-11", policy), policy)
	}
	require.Len(t, p.dates("NEVER"), 1, "an unknown result is never retried")
	require.Len(t, p.deadLetters(), seen)
}

// CONTRACT 4.13: the bank pays 100.00 of 150.00. Nothing is guessed, and nothing hides: list, command and table show it
// until the bank's right answer or a person closes it.
func TestScenarioOpenItems(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policies("", "C1,E,PART,F,150.00", "C2,E,CLOSED,F,150.00")
	p.execute("2025-11", 2)
	p.advance("2025-11-05")
	part := func(d debit) {
		p.send("kasi.rail.results.v1", "", map[string]any{
			"result_id": "part" + d.DebitID, "debit_id": d.DebitID, "status": "PAID", "effective_date": "2025-11-05",
			"amount_cents": 10000,
		})
	}
	byPolicy := map[string]debit{}
	for _, d := range p.debits() {
		byPolicy[d.PolicyNumber] = d
		part(d)
	}
	p.advance("2025-11-06")
	require.Len(t, p.deadLetters(), 2, "it stays a refused answer")
	require.Equal(t, "150.00,0.00,150.00,UNPAID,2025-11-05,2025-11-05,1,", p.ends("2025-11", "PART"))
	require.Equal(t, "2",
		p.sql("SELECT count() FROM open_items WHERE state = 'OPEN' AND said_cents = 10000 AND amount = 150"))
	openItems := func(args ...string) string {
		args = append([]string{"open-items"}, append(args, "--api", "http://"+p.http, "--api-key", testKey)...)
		out, err := p.command(t.Context(), args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	listed := openItems("list")
	require.Contains(t, listed, "OPEN\tAMOUNT_MISMATCH\t2025-11-05\tPART\t")
	require.Contains(t, listed, "\t150.00\t100.00\n")
	p.answer(byPolicy["PART"], "PAID", "")
	id := p.sql("SELECT item_id FROM open_items WHERE policy_number = 'CLOSED'")
	require.Equal(t, id+" CLOSED\n", openItems("close", id, "--note", "the bank was asked"))
	p.advance("2025-11-07")
	require.Empty(t, openItems("list"))
	require.Contains(t, openItems("list", "--all", "--json"), `"state":"ANSWERED"`)
	require.Equal(t, "150.00,150.00,0.00,PAID_FULL,2025-11-05,2025-11-05,1,", p.ends("2025-11", "PART"))
	require.Equal(t, "the bank was asked", p.sql("SELECT note FROM open_items WHERE state = 'CLOSED'"))
}
