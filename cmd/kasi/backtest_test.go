package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/arena/backtest"
)

// runKasi runs a command line and returns what it printed.
func runKasi(t *testing.T, args ...string) (out, progress string, err error) {
	var stdout, stderr bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	err = cmd.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// bankFile is a file of two accounts: paid on the 6th and the 20th, all spent four days later.
func bankFile(t *testing.T) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	fmt.Fprintln(z, "account_id,date,type,operation,amount,balance,k_symbol,bank,account")
	for m := range 8 {
		month := civil.Date{Year: 1993, Month: 1, Day: 1}.AddMonths(m).String()[:7]
		for _, line := range []string{
			"1,%s-06,credit,transfer_in,1000.00,1000.00,pension,AB,1", "1,%s-10,debit,cash_withdrawal,1000.00,0.00,,,",
			"2,%s-20,credit,cash_deposit,1000.00,1000.00,,,", "2,%s-24,debit,cash_withdrawal,1000.00,0.00,,,",
		} {
			fmt.Fprintf(z, line+"\n", month)
		}
	}
	require.NoError(t, z.Close())
	file := filepath.Join(t.TempDir(), "bank.csv.gz")
	require.NoError(t, os.WriteFile(file, b.Bytes(), 0o600))
	return file
}

func TestBacktestPrintsTheContractsJSON(t *testing.T) {
	out, progress, err := runKasi(t, "backtest", "--transactions", bankFile(t), "--world", "sweep", "--premium", "5,10",
		"--strategies", "oracle,day-15,standard", "--json")
	require.NoError(t, err)
	require.Contains(t, progress, "100%")
	strict := json.NewDecoder(strings.NewReader(out))
	strict.DisallowUnknownFields()
	var got struct {
		Rows []struct {
			Strategy       string      `json:"strategy"`
			World          string      `json:"world"`
			PremiumPercent int         `json:"premium_percent"`
			Balances       string      `json:"balances"`
			Segment        string      `json:"segment"`
			Kind           string      `json:"kind"`
			AccountMonths  int         `json:"account_months"`
			DueCents       int64       `json:"due_cents"`
			ShareOfDue     json.Number `json:"share_of_due"`
			ShareOfOracle  json.Number `json:"share_of_oracle"`
			Failed         json.Number `json:"failed_per_100"`
			Presentments   json.Number `json:"presentments_per_success"`
			Low            json.Number `json:"low"`
			High           json.Number `json:"high"`
		} `json:"rows"`
	}
	require.NoError(t, strict.Decode(&got), out)
	seen := map[string]int{}
	for _, r := range got.Rows {
		seen[fmt.Sprintf("%s %d %s %s", r.Strategy, r.PremiumPercent, r.Segment, r.Kind)]++
		if r.Strategy == "oracle" {
			require.Equal(t, json.Number("100.00"), r.ShareOfOracle)
			require.Equal(t, json.Number("0.00"), r.Failed)
		}
	}
	for _, strategy := range []string{"day-15", "standard", "oracle"} {
		for _, of := range []string{"5 all ALL", "5 all CASH", "5 all PENSION", "10 mature ALL"} {
			require.Equal(t, 1, seen[strategy+" "+of], "%s %s in %v", strategy, of, seen)
		}
	}
}

func TestBacktestPrintsATableAndAPicture(t *testing.T) {
	dir := t.TempDir()
	some := []string{"backtest", "--households", "20", "--months", "4", "--details"}
	table := append(some, "--kinds", "--strategies", "day-25,oracle")
	out, _, err := runKasi(t, append(table, "--plot", filepath.Join(dir, "frontier.svg"))...)
	require.NoError(t, err)
	for _, text := range []string{"world people, balances none, premium 5 %", "day-25", "salary", "mandates ended"} {
		require.Contains(t, out, text)
	}
	require.FileExists(t, filepath.Join(dir, "frontier.svg"))
	again, _, err := runKasi(t, table...)
	require.NoError(t, err)
	require.Equal(t, out, again, "the same seed, the same bytes")
	out, _, err = runKasi(t, append(some, "--json", "--strategies", "oracle")...)
	require.NoError(t, err)
	require.Contains(t, out, `"details":[{"strategy":"oracle","premium_percent":5,"segment":"all","kind":"ALL",`+
		`"fees_cents":0,`)
}

func TestBacktestSaysAllThatIsWrong(t *testing.T) {
	_, _, err := runKasi(t, "backtest", "--world", "moon", "--balances", "some", "--train", "third", "--premium", "0",
		"--strategies", "luck", "--plot", "a.gif", "--from", "1993")
	for _, text := range []string{
		`--world: "moon" is none of [month sweep people]`, `--balances: "some"`, `--train: "third"`, "--premium: 0", `"luck"`,
		`"a.gif"`, `--from: "1993"`,
	} {
		require.ErrorContains(t, err, text)
	}
	_, told, err := runKasi(t, "backtest", "--transactions", bankFile(t), "--world", "people", "--households", "2",
		"--months", "2", "--strategies", "oracle")
	require.NoError(t, err)
	require.Contains(t, told, "--world people is simulated households")
	_, _, err = runKasi(t, "backtest", "--transactions", filepath.Join(t.TempDir(), "none.csv"))
	require.ErrorContains(t, err, "none.csv")
	_, _, err = runKasi(t, "backtest", "--transactions", bankFile(t), "--from", "2000-01", "--strategies", "oracle")
	require.ErrorContains(t, err, "no account has a full month among those that are judged")
	_, _, err = runKasi(t, "backtest", "--households", "0")
	require.ErrorContains(t, err, "--households")
}

func TestBacktestCompletesItsValues(t *testing.T) {
	out, _, err := runKasi(t, "__complete", "backtest", "--strategies", "")
	require.NoError(t, err)
	for _, c := range backtest.Contenders() {
		require.Contains(t, out, c.Name+"\t"+c.About)
	}
}
