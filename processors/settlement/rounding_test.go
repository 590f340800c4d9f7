package settlement_test

import (
	"math/big"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
)

// Whatever a statement totals, up to a billion rands of either sign, each figure is what exact fractions give when they
// are rounded to the cent, half away from zero, and nothing is left over. `make rounding` asks of 1,000,000 amounts.
func TestFiguresAreExactFractionsRounded(t *testing.T) {
	r, m := rules.Default(), on(t, "2025-12-02")
	percent := func(amount schemas.Cents, num, den int64) schemas.Cents {
		x := new(big.Rat).Mul(big.NewRat(int64(amount), 1), big.NewRat(num, den))
		n, err := strconv.ParseInt(x.FloatString(0), 10, 64) // rounds half away from zero
		require.NoError(t, err)
		return schemas.Cents(n)
	}
	rapid.Check(t, func(t *rapid.T) {
		total := schemas.Cents(rapid.Int64Range(-100_000_000_000, 100_000_000_000).Draw(t, "total"))
		ev, _, err := settlement.Settle(r, &settlement.Tenant{}, settle("acme", "2025-11", 1), sums(total, 0, 1), m, true)
		if err != nil {
			t.Fatal(err)
		}
		distribution, collections := percent(total, 25, 100), percent(total, 35, 1000)
		vat := percent(distribution+collections, 15, 100)
		want := [5]schemas.Cents{
			distribution, collections, distribution + collections, vat, total - distribution - collections - vat,
		}
		got := [5]schemas.Cents{
			ev.DistributionFeeCents, ev.CollectionsFeeCents, ev.TotalFeesCents, ev.VATCents, ev.NetCents,
		}
		if got != want {
			t.Fatalf("%s gives %v; expected %v", total, got, want)
		}
	})
}
