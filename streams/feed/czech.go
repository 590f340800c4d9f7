package feed

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

// FormatCzech1999 names the CSV of the PKDD'99 "Financial Data Set" (Berka, Sochorova): one line a transaction of a
// Czech current account, in date order.
//
// Its amounts are Czech crowns. They are taken over as rand and cents one to one (CZK 900.00 becomes R 900.00): the
// shape of real people's money is what is measured here, not its value.
const FormatCzech1999 = "czech-1999"

// czechHeader is the first line that a czech-1999 file must have.
const czechHeader = "account_id,date,type,operation,amount,balance,k_symbol,bank,account"

// openingHour is when the first transaction of a day is booked, in Johannesburg; each further one of the account is a
// second later, which keeps their order.
const openingHour = 8

// Row is one line of the file.
type Row struct {
	// Line counts from 1, the header, as editors do.
	Line int
	Date civil.Date
	// Symbol is the file's k_symbol: pension, household, insurance, loan_payment, interest, statement_fee,
	// penalty_interest or nothing.
	Symbol string
	schemas.Transaction
}

// ReadFile reads a czech-1999 file, plain or (by its name's .gz) compressed, as transactions of the tenant's customers.
// An error names file, line, column and value.
func ReadFile(path, format, tenant string) ([]Row, error) {
	if format != "" && format != FormatCzech1999 {
		return nil, fmt.Errorf("feed: format %q is not known; use %s", format, FormatCzech1999)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("feed: open the transactions: %w", err)
	}
	defer func() { _ = f.Close() }() // only read from
	var in io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("feed: %s is not a gzip file: %w", path, err)
		}
		in = z
	}
	return Read(in, path, tenant)
}

// Read reads czech-1999 rows from r; name stands for the file in errors. Rows must be in date order.
func Read(r io.Reader, name, tenant string) ([]Row, error) {
	in, columns := csv.NewReader(r), strings.Split(czechHeader, ",")
	in.FieldsPerRecord = len(columns)
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("feed: %s: read the header: %w", name, err)
	}
	for i, want := range columns {
		if header[i] != want {
			return nil, fmt.Errorf("feed: %s line 1: column %d is %q; expected %s", name, i+1, header[i], czechHeader)
		}
	}
	var rows []Row
	ofDay := map[string]int{} // rows of each account on the day being read
	for {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) && len(rows) > 0 {
			return rows, nil
		}
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("feed: %s holds no transactions", name)
		}
		if err != nil {
			return nil, fmt.Errorf("feed: %s: %w", name, err)
		}
		line, _ := in.FieldPos(0)
		row, err := parse(rec, line, tenant)
		if err != nil {
			return nil, fmt.Errorf("feed: %s line %d %w", name, line, err)
		}
		if n := len(rows); n > 0 && row.Date != rows[n-1].Date {
			if row.Date.Before(rows[n-1].Date) {
				return nil, fmt.Errorf("feed: %s line %d column date: %q is before the line above; sort the file by date", name,
					line, rec[1])
			}
			clear(ofDay)
		}
		row.BookedAt = row.BookedAt.Add(time.Duration(ofDay[row.AccountID]) * time.Second)
		ofDay[row.AccountID]++
		rows = append(rows, row)
	}
}

// parse turns one line into a transaction. The checks stand in the order of the columns.
func parse(rec []string, line int, tenant string) (Row, error) {
	account := rec[0]
	if n, err := strconv.ParseUint(account, 10, 32); err != nil || n == 0 {
		return Row{}, fmt.Errorf("column account_id: %q is not an account number", account)
	}
	date, err := civil.ParseDate(rec[1])
	if err != nil {
		return Row{}, fmt.Errorf("column date: %q is not a date; expected YYYY-MM-DD", rec[1])
	}
	direction := schemas.Direction(strings.ToUpper(rec[2]))
	if rec[2] != "credit" && rec[2] != "debit" {
		return Row{}, fmt.Errorf("column type: %q is neither credit nor debit", rec[2])
	}
	amount, err := schemas.ParseRands(rec[4])
	if err != nil {
		return Row{}, fmt.Errorf("column amount: %q %w", rec[4], err)
	}
	if amount == 0 {
		return Row{}, fmt.Errorf("column amount: %q moves nothing; expected more than 0.00", rec[4])
	}
	balance, err := parseSigned(rec[5])
	if err != nil {
		return Row{}, fmt.Errorf("column balance: %q %w", rec[5], err)
	}
	tx := schemas.Transaction{
		TransactionID: schemas.FactID(FormatCzech1999, strconv.Itoa(line), account, rec[1], rec[4]), TenantID: tenant,
		CustomerID: "CZ" + account, AccountID: account,
		BookedAt:    time.Date(date.Year, date.Month, date.Day, openingHour, 0, 0, 0, schemas.Johannesburg),
		AmountCents: amount, Direction: direction, BalanceAfterCents: &balance, Currency: "ZAR",
		Description: describe(rec[3], rec[6], direction), Category: strings.ToUpper(rec[6]),
	}
	if rec[7] != "" || rec[8] != "" {
		tx.Counterparty = rec[7] + "/" + rec[8]
	}
	return Row{Line: line, Date: date, Symbol: rec[6], Transaction: tx}, nil
}

// parseSigned reads an amount that may be below zero, as overdrawn balances are.
func parseSigned(s string) (schemas.Cents, error) {
	rest, negative := strings.CutPrefix(s, "-")
	c, err := schemas.ParseRands(rest)
	if negative {
		c = -c
	}
	return c, err
}

// describe is the text a bank statement would carry: "TRANSFER IN PENSION", "CASH WITHDRAWAL", "CREDIT INTEREST".
func describe(operation, symbol string, d schemas.Direction) string {
	if operation == "" {
		operation = string(d)
	}
	return strings.ToUpper(strings.TrimSpace(strings.ReplaceAll(operation+" "+symbol, "_", " ")))
}
