package verify

import (
	"context"
	"fmt"
	"io"
)

// TransactionKey stands for a transaction: a hash of tenant, customer and id.
type TransactionKey uint64

// sliceRows is how many transactions are asked for at once: an analyst may read a million rows a query.
var sliceRows = 400_000

const fedHeader = "tenant_id,customer_id,transaction_id"

// ReadFed reads a CSV of transactions that Kafka acknowledged to the feeds. The error names the line.
func ReadFed(r io.Reader) (map[TransactionKey]bool, error) {
	out := map[TransactionKey]bool{}
	return out, readCSV(r, "fed", fedHeader, func(_ int, row []string) error {
		out[TransactionKey(hash(row...))] = true
		return nil
	})
}

// acknowledged looks for each transaction in ClickHouse, among the rows as they are stored.
func (b *books) acknowledged(ctx context.Context, c *Check, o Options) error {
	refused := b.deadFed
	for _, f := range b.fed {
		if b.deadPlaces[f.place] {
			refused[f.hash] = true
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
