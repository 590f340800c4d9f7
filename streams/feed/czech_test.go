package feed

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

const header = "account_id,date,type,operation,amount,balance,k_symbol,bank,account\n"

// sample is made up; only its columns are those of the real file.
const sample = header +
	"11,1993-01-05,credit,transfer_in,4100.00,4100.00,pension,AB,87654321\n" +
	"12,1993-01-05,credit,cash_deposit,900.50,900.50,,,\n" +
	"11,1993-01-05,debit,cash_withdrawal,4200.10,-100.10,household,,\n" +
	"11,1993-01-06,credit,,0.05,-100.05,interest,,\n"

func TestReadTurnsEachLineIntoATransaction(t *testing.T) {
	rows, err := Read(strings.NewReader(sample), "sample.csv", "real")
	require.NoError(t, err)
	require.Len(t, rows, 4)

	first := rows[0]
	require.Equal(t, 2, first.Line)
	require.Equal(t, civil.Date{Year: 1993, Month: 1, Day: 5}, first.Date)
	balance := schemas.Cents(410_000)
	require.Equal(t, schemas.Transaction{
		TransactionID: first.TransactionID, TenantID: "real", CustomerID: "CZ11", AccountID: "11",
		BookedAt: time.Date(1993, 1, 5, 8, 0, 0, 0, schemas.Johannesburg), AmountCents: 410_000, Direction: schemas.Credit,
		BalanceAfterCents: &balance, Currency: "ZAR", Description: "TRANSFER IN PENSION", Counterparty: "AB/87654321",
		Category: "PENSION",
	}, first.Transaction)

	require.Equal(t, time.Second, rows[2].BookedAt.Sub(first.BookedAt),
		"a second row of the same account and day is booked later")
	require.Equal(t, first.BookedAt, rows[1].BookedAt, "another account has its own order")
	require.Equal(t, schemas.Cents(-10_010), *rows[2].BalanceAfterCents)
	require.Equal(t, schemas.Debit, rows[2].Direction)
	require.Equal(t, "CREDIT INTEREST", rows[3].Description)
	require.Equal(t, 8, rows[3].BookedAt.In(schemas.Johannesburg).Hour(), "a new day starts its own order")
}

func TestReadGivesTheSameIDsEveryTime(t *testing.T) {
	a, err := Read(strings.NewReader(sample), "a.csv", "real")
	require.NoError(t, err)
	b, err := Read(strings.NewReader(sample), "elsewhere.csv", "real")
	require.NoError(t, err)
	require.Equal(t, a, b)
	ids := map[string]bool{}
	for _, r := range a {
		ids[r.TransactionID] = true
	}
	require.Len(t, ids, len(a))
}

func TestReadNamesFileLineColumnAndValue(t *testing.T) {
	for name, c := range map[string]struct{ line, want string }{
		"account": {"x1,1993-01-05,credit,,1.00,1.00,,,", `f.csv line 2 column account_id: "x1" is not an account number`},
		"date":    {"11,5.1.1993,credit,,1.00,1.00,,,", `f.csv line 2 column date: "5.1.1993" is not a date`},
		"type":    {"11,1993-01-05,CREDIT,,1.00,1.00,,,", `f.csv line 2 column type: "CREDIT" is neither credit nor debit`},
		"amount": {
			"11,1993-01-05,credit,,1.005,1.00,,,",
			`f.csv line 2 column amount: "1.005" has more than two decimals`,
		},
		"float":    {"11,1993-01-05,credit,,1e3,1.00,,,", `f.csv line 2 column amount: "1e3" is not a plain decimal number`},
		"negative": {"11,1993-01-05,credit,,-5.00,1.00,,,", `f.csv line 2 column amount: "-5.00" is negative`},
		"nothing":  {"11,1993-01-05,credit,,0.00,1.00,,,", `f.csv line 2 column amount: "0.00" moves nothing`},
		"balance":  {"11,1993-01-05,credit,,1.00,,,,", `f.csv line 2 column balance: "" is empty`},
		"columns":  {"11,1993-01-05,credit", "f.csv: record on line 2: wrong number of fields"},
		"unordered": {
			"11,1993-01-05,credit,,1.00,1.00,,,\n11,1993-01-04,credit,,1.00,1.00,,,",
			`f.csv line 3 column date: "1993-01-04" is before the line above`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(header+c.line+"\n"), "f.csv", "real")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestReadRefusesAnotherHeader(t *testing.T) {
	_, err := Read(strings.NewReader("account_id,day,type,operation,amount,balance,k_symbol,bank,account\n"), "f.csv",
		"real")
	require.ErrorContains(t, err, `column 2 is "day"`)
}

func TestReadFileReadsPlainAndCompressed(t *testing.T) {
	dir := t.TempDir()
	plain, packed, lie := filepath.Join(dir, "a.csv"), filepath.Join(dir, "a.csv.gz"), filepath.Join(dir, "b.csv.gz")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(sample))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(plain, []byte(sample), 0o600))
	require.NoError(t, os.WriteFile(packed, b.Bytes(), 0o600))
	require.NoError(t, os.WriteFile(lie, []byte(sample), 0o600))

	one, err := ReadFile(plain, "", "real")
	require.NoError(t, err)
	two, err := ReadFile(packed, FormatCzech1999, "real")
	require.NoError(t, err)
	require.Equal(t, one, two)
	_, err = ReadFile(lie, FormatCzech1999, "real")
	require.ErrorContains(t, err, "is not a gzip file")
	_, err = ReadFile(plain, "mt940", "real")
	require.ErrorContains(t, err, `format "mt940" is not known; use czech-1999`)
}
