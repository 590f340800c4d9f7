package verify

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each line: the action date, the last day of tracking where there is one, the bank's answers (status and effective
// date, "*" marks one that may have been taken in or not), and how the debit may stand. The order of the answers makes
// no difference.
func TestStandings(t *testing.T) {
	for _, line := range []string{
		"2025-11-05: = pending",
		"2025-11-05: PAID 2025-11-05 = paid",
		"2025-11-05: PAID 2025-11-04 = pending", // before the action date
		"2025-11-05: UNPAID 2025-11-05 PAID 2025-11-06 = unpaid",
		"2025-11-05: REJECTED 2025-11-05 = rejected",
		"2025-11-05: PAID 2025-11-05 PAID 2025-11-05 = paid",
		"2025-11-05: PAID 2025-11-05 UNPAID 2026-01-05 = unpaid",     // however late
		"2025-11-05: PAID 2025-11-05 UNPAID 2025-11-05 = unpaid",     // of one date
		"2025-11-05: PAID 2025-11-05 REJECTED 2025-11-05 = rejected", // of one date
		"2025-11-05: UNPAID 2025-11-05 REJECTED 2025-11-05 = unpaid rejected",
		"2025-11-05: PAID 2025-11-05 DISPUTED 2025-12-15 = disputed",            // the fortieth day
		"2025-11-05: PAID 2025-11-05 DISPUTED 2025-12-16 = paid",                // too late
		"2025-11-05/2025-11-14: PAID 2025-11-12 DISPUTED 2025-12-24 = disputed", // the fortieth day after the last one
		"2025-11-05/2025-11-14: PAID 2025-11-12 DISPUTED 2025-12-25 = paid",
		"2026-04-13: PAID 2026-04-13 DISPUTED 2026-06-12 = disputed", // sixty from then on
		"2026-04-13: PAID 2026-04-13 DISPUTED 2026-06-13 = paid",     // too late
		"2025-11-05: PAID 2025-11-05 UNPAID 2025-11-06 DISPUTED 2025-11-07 = disputed",
		"2025-11-05: PAID 2025-11-05 *DISPUTED 2025-11-06 = paid disputed",
		"2025-11-05: UNPAID 2025-11-05 *PAID 2025-11-05 = unpaid",
		"2025-11-05: *PAID 2025-11-05 = pending paid",
		"2025-11-05: *PAID 2025-11-05 *UNPAID 2025-11-05 = pending paid unpaid",
	} {
		head, want, _ := strings.Cut(line, "= ")
		action, text, _ := strings.Cut(head, ":")
		action, until, _ := strings.Cut(action, "/")
		var rs []*result
		words := strings.Fields(text)
		for i := 0; i < len(words); i += 2 {
			rs = append(rs, &result{
				Status: strings.TrimPrefix(words[i], "*"), Effective: words[i+1], maybe: words[i][0] == '*',
			})
		}
		for range 2 {
			var have []string
			for _, s := range standings(&event{ActionDate: action, TrackingUntil: until, Amount: 100}, rs, false) {
				have = append(have, string(s))
			}
			require.ElementsMatch(t, strings.Fields(want), have, line)
			slices.Reverse(rs)
		}
	}
	other := cents(99)
	require.Equal(t, []standing{isPending}, standings(&event{ActionDate: "2025-11-05", Amount: 100},
		[]*result{{Status: "PAID", Effective: "2025-11-05", Amount: &other}}, false), "another amount is refused")
	require.Equal(t, []standing{isUnpaid, isRejected, isDisputed}, standings(&event{ActionDate: "2025-11-05", Amount: 100},
		[]*result{{Status: "UNPAID", Effective: "2025-11-05"}}, true), "the answer that is left counts, whatever is gone")
}

func TestPercent(t *testing.T) {
	require.EqualValues(t, 1062500, percent(4250000, documented.Distribution))
	require.EqualValues(t, 148750, percent(4250000, documented.Collections))
	require.EqualValues(t, 181688, percent(1211250, vatPercent("2025-11-31")), "1816.875 is half a cent: away from zero")
	require.EqualValues(t, -181688, percent(-1211250, big.NewRat(15, 1)))
	require.EqualValues(t, 0, percent(1, big.NewRat(35, 10)))
	require.Equal(t, big.NewRat(14, 1), vatPercent("2018-03-31"))
	require.Equal(t, big.NewRat(10, 1), vatPercent("1993-03-31"))
}

func TestReadLedger(t *testing.T) {
	for text, want := range map[string]string{
		"": "the first line must be", "id,status\n": "the first line must be",
		"debit_id,status,amount_cents\na,PAID,1.50\n": "line 2: amount_cents",
		"debit_id,status,amount_cents\na,LOST,1\n":    `line 2: status "LOST"`,
		"debit_id,status,amount_cents\na,PAID\n":      "ledger: ",
	} {
		_, err := ReadLedger(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}
}
