package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The six use cases of CONTRACT 6, each as an outsider meets it.

func TestUseCase1ImportAndExecute(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	var csv strings.Builder
	csv.WriteString("customer_id,external_customer_ref,policy_number,product_code,collection_amount\n")
	for i := 1; i <= 1000; i++ {
		fmt.Fprintf(&csv, "CUST%04d,EXT%04d,POL%04d,FUNERAL_01,%d.50\n", i, i, i, 100+i%300)
	}
	code, body := p.importCSV(csv.String())
	require.Equal(t, 200, code, body)
	require.True(t, strings.HasPrefix(body, `{"imported":1000,"failed":0,"errors":[],`), body)
	p.execute("2025-11", 1000)
	p.advance("2025-11-01")
	rows := p.report("2025-11")
	require.Len(t, rows, 1000, "one collection a policy")
	require.Contains(t, rows, "2025-11,CUST0001,EXT0001,POL0001,FUNERAL_01,101.50,0.00,101.50,UNPAID,,,0,")
	p.execute("2025-11", 0)
	code, body = p.importCSV(csv.String())
	require.Equal(t, 200, code, body)
	require.True(t, strings.HasPrefix(body, `{"imported":1000,"failed":0,"errors":[],`), body)
	p.advance("2025-11-02")
	require.Len(t, p.report("2025-11"), 1000, "the same calls again add nothing")
	require.Len(t, p.read("kasi.policies.v1"), 1000, "the same file again changes no policy")
}

func TestUseCase2RetryAfterSalary(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policy("POL001", "150.00")
	p.execute("2025-11", 1)
	p.advance("2025-11-04")
	require.Empty(t, p.debits(), "nothing before the fifth")
	p.advance("2025-11-05")
	debits := p.debits()
	require.Len(t, debits, 1)
	require.Equal(t, debit{
		DebitID: debits[0].DebitID, PolicyNumber: "POL001", CustomerID: "CPOL001", AmountCents: 15000,
		ActionDate: "2025-11-05", Attempt: 1, PeriodMonth: "2025-11", Currency: "ZAR", Rail: "DEBICHECK",
	}, debits[0])
	require.LessOrEqual(t, len(debits[0].DebitID), 35)
	p.answer(debits[0], "UNPAID", "02")
	p.advance("2025-11-24")
	require.Len(t, p.debits(), 1, "no hammering while no money has come")
	require.Equal(t, []string{"2025-11,CPOL001,EXT-POL001,POL001,FUNERAL_01,150.00,0.00,150.00,UNPAID,2025-11-05," +
		"2025-11-05,1,INSUFFICIENT_FUNDS"}, p.report("2025-11"))
	p.credit("CPOL001", "2025-11-25", 850000, "SALARY NOVEMBER")
	p.advance("2025-11-25")
	require.Len(t, p.debits(), 1)
	p.advance("2025-11-26")
	debits = p.debits()
	require.Len(t, debits, 2)
	require.Equal(t, "2025-11-26", debits[1].ActionDate)
	p.answer(debits[1], "PAID", "")
	p.answer(debits[1], "PAID", "") // once more: applied once
	p.advance("2025-12-01")
	require.Equal(t, []string{"2025-11,CPOL001,EXT-POL001,POL001,FUNERAL_01,150.00,150.00,0.00,PAID_FULL," +
		"2025-11-05,2025-11-26,2,"}, p.report("2025-11"))
	require.Len(t, p.debits(), 2)
}

func TestUseCase3IrregularIncome(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policy("POL003", "300.00")
	p.execute("2025-11", 1)
	for i, d := range []struct {
		date  string
		cents int
	}{{"2025-11-05", 8000}, {"2025-11-12", 7000}, {"2025-11-18", 9000}, {"2025-11-25", 6000}} {
		p.credit("CPOL003", d.date, d.cents, "piece job")
		p.advance(d.date)
		debits := p.debits()
		require.Len(t, debits, i+1, d.date)
		require.Equal(t, d.date, debits[i].ActionDate)
		require.Equal(t, d.cents, debits[i].AmountCents)
		p.answer(debits[i], "PAID", "")
	}
	p.advance("2025-12-01")
	require.Equal(t, []string{"2025-11,CPOL003,EXT-POL003,POL003,FUNERAL_01,300.00,300.00,0.00,PAID_FULL," +
		"2025-11-05,2025-11-25,4,"}, p.report("2025-11"))
	code, body := p.call("GET", "/v1/reports/collections?period_month=2025-11&format=json", "", "")
	require.Equal(t, 200, code)
	require.Contains(t, strings.ReplaceAll(body, " ", ""),
		`"collection_amount_due":300.00,"collection_amount_collected":300.00,"shortfall":0.00`)
}

func TestUseCase4MonthEnd(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policy("POL001", "42500.00") // the documented example: R 42,500.00 collected
	p.policy("POL002", "200.00")   // never paid
	p.execute("2025-11", 2)
	p.advance("2025-11-05")
	for _, d := range p.debits() {
		if d.PolicyNumber == "POL001" {
			p.answer(d, "PAID", "")
		} else {
			p.answer(d, "UNPAID", "02")
		}
	}
	p.advance("2025-12-01")
	require.Equal(t, []string{
		"2025-11,CPOL001,EXT-POL001,POL001,FUNERAL_01,42500.00,42500.00,0.00,PAID_FULL,2025-11-05,2025-11-05,1,",
		"2025-11,CPOL002,EXT-POL002,POL002,FUNERAL_01,200.00,0.00,200.00,UNPAID,2025-11-05,2025-11-05,1,INSUFFICIENT_FUNDS",
	}, p.report("2025-11"))
	p.advance("2025-12-02")
	code, body := p.call("POST", "/v1/settlements", "application/json", `{"period_month":"2025-11"}`)
	require.Contains(t, []int{200, 201}, code, body)
	for _, figure := range []string{
		`"settlement_number":"SETTLE-2025-11-001"`, `"total_collections":42500.00`, `"distribution_fee":10625.00`,
		`"collections_fee":1487.50`,
		`"total_fees":12112.50`, `"vat":1816.88`, `"net_amount":28570.62`, `"payment_date":"2025-12-03"`,
		`"status":"pending"`,
	} {
		require.Contains(t, strings.ReplaceAll(body, " ", ""), figure)
	}
	var made struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(body), &made))
	_, again := p.call("POST", "/v1/settlements", "application/json", `{"period_month":"2025-11"}`)
	require.Contains(t, again, made.ID, "the same call again returns the same statement")
	p.advance("2025-12-03")
	code, body = p.call("GET", "/v1/settlements/"+made.ID, "", "")
	require.Equal(t, 200, code)
	require.Contains(t, strings.ReplaceAll(body, " ", ""), `"payment_reference":"EFT-20251203-001"`)
	require.Contains(t, strings.ReplaceAll(body, " ", ""), `"status":"paid"`)
	code, body = p.call("GET", "/v1/settlements/"+made.ID+"/export", "", "")
	require.Equal(t, 200, code)
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(body, "\r\n", "\n")), "\n")
	require.Len(t, lines, 2, "a header and one line")
	require.True(t, strings.HasSuffix(lines[1], ",42500.00"), lines[1])
	code, _ = p.callAs(otherKey, "GET", "/v1/settlements/"+made.ID, "", "")
	require.Equal(t, 404, code, "another tenant's settlement")
}

func TestUseCase5PremiumChange(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policy("POL005", "150.00")
	p.execute("2025-11", 1)
	_, body := p.call("GET", "/v1/policies?policy_number=POL005", "", "")
	var list struct{ Data []struct{ ID string } }
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	require.Len(t, list.Data, 1)
	code, body := p.call("PATCH", "/v1/policies/"+list.Data[0].ID, "application/json", `{"collection_amount":200.00}`)
	require.Equal(t, 200, code, body)
	require.Contains(t, strings.ReplaceAll(body, " ", ""), `"collection_amount":200.00`)
	p.advance("2025-11-05")
	p.answer(p.debits()[0], "PAID", "")
	p.advance("2025-12-01")
	p.execute("2025-12", 1)
	p.advance("2025-12-01")
	require.Equal(t, []string{"2025-11,CPOL005,EXT-POL005,POL005,FUNERAL_01,150.00,150.00,0.00,PAID_FULL," +
		"2025-11-05,2025-11-05,1,"}, p.report("2025-11"))
	require.Equal(t, []string{"2025-12,CPOL005,EXT-POL005,POL005,FUNERAL_01,200.00,0.00,200.00,UNPAID,,,0,"},
		p.report("2025-12"))
}

func TestUseCase6CancelledMidMonth(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policy("POL006", "150.00")
	p.execute("2025-11", 1)
	p.advance("2025-11-05")
	p.answer(p.debits()[0], "UNPAID", "02")
	p.advance("2025-11-10")
	_, body := p.call("GET", "/v1/policies?policy_number=POL006", "", "")
	var list struct{ Data []struct{ ID string } }
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	require.Len(t, list.Data, 1)
	code, body := p.call("PATCH", "/v1/policies/"+list.Data[0].ID, "application/json", `{"status":"cancelled"}`)
	require.Equal(t, 200, code, body)
	p.credit("CPOL006", "2025-11-25", 850000, "SALARY NOVEMBER")
	p.advance("2025-12-01")
	require.Len(t, p.debits(), 1, "no debit after the cancellation")
	require.Equal(t, []string{"2025-11,CPOL006,EXT-POL006,POL006,FUNERAL_01,150.00,0.00,150.00,CANCELLED," +
		"2025-11-05,2025-11-05,1,INSUFFICIENT_FUNDS"}, p.report("2025-11"))
}
