package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// CONTRACT 4.10: a policy goes to another customer before its first debit. Whoever has it is debited, lists show it
// under that one alone, and the books and states are right.
func TestScenarioAPolicyMoves(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	const many = 8
	var rows []string
	for i := range many {
		rows = append(rows, fmt.Sprintf("A%d,E,M%d,F,150.00", i, i))
	}
	p.policies("", append(rows, "A,E,STAYS,F,150.00", "A,E,RACE,F,150.00")...)
	p.execute("2025-11", many+2)
	p.execute("2025-12", many+2)
	p.advance("2025-11-03")
	for i := range many {
		p.patch(fmt.Sprintf("M%d", i), fmt.Sprintf(`{"customer_id":"B%d","collection_amount":200.00}`, i))
	}
	p.advance("2025-11-04") // there is a decision of each customer now
	under := func(path, customer string) (numbers []string) {
		code, body := p.call("GET", "/v1/"+path+"?customer_id="+customer, "", "")
		require.Equal(t, 200, code, body)
		var list struct {
			Data []struct {
				PolicyNumber string `json:"policy_number"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(body), &list))
		for _, row := range list.Data {
			numbers = append(numbers, row.PolicyNumber)
		}
		return numbers
	}
	for i := range many {
		number := fmt.Sprintf("M%d", i)
		for path, want := range map[string][]string{"policies": {number}, "collections": {number, number}} {
			require.Equal(t, want, under(path, fmt.Sprintf("B%d", i)), path)
			require.Empty(t, under(path, fmt.Sprintf("A%d", i)), path)
		}
	}
	row := p.row("2025-11", "M0")
	require.Contains(t, row, "2025-11,B0,E,M0,F,150.00,0.00,150.00,UNPAID", "the running month keeps its amount")
	require.Contains(t, p.row("2025-12", "M0"), "2025-12,B0,E,M0,F,200.00,0.00,200.00,UNPAID")

	// Of calls at the same time each is carried out or refused, and the policy is whose the last answer says.
	path := "/v1/policies/" + p.lookup("RACE").ID
	var all sync.WaitGroup
	codes := make([]int, 6)
	for i := range codes {
		all.Go(func() {
			codes[i], _ = p.call("PATCH", path, "application/json", fmt.Sprintf(`{"customer_id":"R%d"}`, i))
		})
	}
	all.Wait()
	for _, code := range codes {
		require.Contains(t, []int{200, 409}, code)
	}
	require.Contains(t, codes, 200)
	code, body := p.call("PATCH", "/v1/policies/018f8b1e-0000-5000-8000-000000000000", "application/json",
		`{"customer_id":"B0"}`)
	require.Equal(t, 404, code, body)

	p.advance("2025-11-05")
	whose := map[string]string{}
	for _, d := range p.debits() {
		require.Empty(t, whose[d.PolicyNumber], d.PolicyNumber)
		whose[d.PolicyNumber] = d.CustomerID
	}
	require.Len(t, whose, many+2)
	for i := range many {
		require.Equal(t, fmt.Sprintf("B%d", i), whose[fmt.Sprintf("M%d", i)])
	}
	require.Equal(t, []string{"RACE"}, under("policies", whose["RACE"]))

	code, body = p.call("PATCH", "/v1/policies/"+p.lookup("STAYS").ID, "application/json", `{"customer_id":"B0"}`)
	require.Equal(t, 409, code, body)
	require.Contains(t, body, "new policy number")
	for _, d := range p.debits() {
		p.answer(d, "PAID", "")
	}
	p.advance("2025-11-06")
	require.Equal(t, "150.00,150.00,0.00,PAID_FULL,2025-11-05,2025-11-05,1,", p.ends("2025-11", "M0"))

	standing := "SELECT policy_number, customer_id, action FROM standing_decisions " +
		"WHERE period_month = '2025-11' AND policy_number LIKE 'M%' ORDER BY policy_number"
	var want []string
	for i := range many {
		want = append(want, fmt.Sprintf("M%d\tB%d\tDEBIT", i, i))
	}
	require.Equal(t, want, strings.Split(p.sql(standing), "\n"))
	require.Equal(t, "ok", p.sound())
	out, err := p.command(t.Context(), "verify", "--kafka-brokers", p.kafka, "--clickhouse-http", p.clickhouse,
		"--clickhouse-database", cmp.Or(p.database, "kasi"), "--grace", "0s").CombinedOutput()
	require.NoError(t, err, string(out))
}
