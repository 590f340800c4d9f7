package verify

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// LedgerLine is one debit in the bank's own book.
type LedgerLine struct {
	DebitID string
	// Status is PAID, UNPAID, REJECTED, RETURNED (paid first, then unpaid), DISPUTED or PENDING.
	Status string
	Cents  cents
}

var ledgerStandings = map[string]standing{
	"PAID": isPaid, "UNPAID": isUnpaid, "RETURNED": isUnpaid, "REJECTED": isRejected, "DISPUTED": isDisputed,
	"PENDING": isPending,
}

// ReadLedger reads a CSV with the header debit_id,status,amount_cents. The error names the line.
func ReadLedger(r io.Reader) ([]LedgerLine, error) {
	lines := []LedgerLine{}
	err := readCSV(r, "ledger", "debit_id,status,amount_cents", func(n int, row []string) error {
		amount, err := strconv.ParseInt(row[2], 10, 64)
		if err != nil {
			return fmt.Errorf("ledger line %d: amount_cents %q is not a whole number", n, row[2])
		}
		if _, ok := ledgerStandings[strings.ToUpper(row[1])]; !ok {
			return fmt.Errorf("ledger line %d: status %q is none of PAID, UNPAID, REJECTED, RETURNED, DISPUTED, PENDING", n,
				row[1])
		}
		lines = append(lines, LedgerLine{strings.ToLower(row[0]), strings.ToUpper(row[1]), cents(amount)})
		return nil
	})
	return lines, err
}

// readCSV calls take for each row below the header, with its line. The error says what is read, and names the line.
func readCSV(r io.Reader, what, header string, take func(line int, row []string) error) error {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	head, err := in.Read()
	if err != nil || strings.Join(head, ",") != header {
		return fmt.Errorf("%s: the first line must be %s: %w", what, header, err)
	}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		line, _ := in.FieldPos(0)
		if err := take(line, row); err != nil {
			return err
		}
	}
}

// ledger compares debit by debit, and the money at the end.
func (b *books) ledger(c *Check, lines []LedgerLine) {
	told, at, seen := last(b.debits, debitID), b.stands(), map[string]bool{}
	var bank, ours cents
	paidOn := map[string]cents{} // by collection, as the bank says
	for _, l := range lines {
		c.Counted++
		d, want := told[l.DebitID], ledgerStandings[l.Status]
		switch {
		case seen[l.DebitID]:
			c.differ("debit %s is in the bank's ledger twice", l.DebitID)
		case d == nil:
			c.differ("debit %s of %s is in the bank's ledger and was never instructed", l.DebitID, l.Cents)
		case d.Amount != l.Cents:
			c.differ("debit %s: %s in the bank's ledger, instructed %s", l.DebitID, l.Cents, d.Amount)
		case at[l.DebitID] != want:
			c.differ("debit %s of %s is %s in the bank's ledger, %s here", l.DebitID, l.Cents, want, at[l.DebitID])
		}
		seen[l.DebitID] = true
		if want == isPaid {
			bank += l.Cents
			if d != nil {
				paidOn[d.Collection] += l.Cents
			}
		}
	}
	for _, d := range b.debits {
		if at[d.DebitID] == isPaid {
			ours += d.Amount
		}
		if !seen[d.DebitID] {
			c.missing(d.fresh, "debit %s of %s was instructed and is not in the bank's ledger", d.DebitID, d.Amount)
		}
	}
	for id, e := range last(b.collections, collectionID) { // what the bank took is what ours say was collected
		if e.Collected != paidOn[id] && !e.fresh {
			c.differ("collection %s: %s collected, the bank's ledger holds %s: difference %s", id, e.Collected, paidOn[id],
				e.Collected-paidOn[id])
		}
	}
	c.must(bank == ours, "the bank's ledger holds %s, ours %s: difference %s", bank, ours, ours-bank)
}

// TransactionKey stands for a transaction: a hash of tenant, customer and id.
type TransactionKey uint64

// sliceRows is how many transactions are asked for at once: an analyst may read a million rows a query.
var sliceRows = 400_000

// ReadFed reads a CSV of transactions that Kafka acknowledged to the feeds. The error names the line.
func ReadFed(r io.Reader) (map[TransactionKey]bool, error) {
	out := map[TransactionKey]bool{}
	return out, readCSV(r, "fed", "tenant_id,customer_id,transaction_id", func(_ int, row []string) error {
		out[TransactionKey(hash(row...))] = true
		return nil
	})
}

// acknowledged looks for each transaction in ClickHouse, among the rows as they are stored.
func (b *books) acknowledged(ctx context.Context, c *Check, o Options) error {
	refused := b.deadFed
	for _, f := range b.fed {
		if b.refused(f) {
			refused[f.key] = true
		}
	}
	found := make(map[TransactionKey]int64, len(o.Fed))
	slices := len(o.Fed)/sliceRows + 1
	for slice := range slices {
		sql := fmt.Sprintf(`SELECT '', reinterpretAsInt64(
xxHash64(concat(tenant_id, '\0', customer_id, '\0', transaction_id)) AS id), count()
FROM transactions_log WHERE id %% %d = %d GROUP BY id`, slices, slice)
		if err := o.ClickHouse.each(ctx, sql, func(r row) { found[TransactionKey(r.n[0])] = r.n[1] }); err != nil {
			return err
		}
	}
	for key := range o.Fed {
		c.Counted++
		switch n := found[key]; {
		case n == 1, n == 0 && refused[uint64(key)]:
		case n == 0:
			c.differ("a transaction (hash %x) was acknowledged to its feed and has no row", uint64(key))
		default:
			c.differ("a transaction (hash %x) has %d rows", uint64(key), n)
		}
	}
	return nil
}
