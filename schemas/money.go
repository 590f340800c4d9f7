package schemas

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// Cents is an amount of money in integer cents of South-African rand. Money is never a float (CONTRACT 3).
type Cents int64

// MaxCents bounds every single amount that enters (R 10 billion), so that sums over millions of rows cannot overflow.
const MaxCents Cents = 1_000_000_000_000

// ParseRands reads a plain decimal number of rands such as "150", "150.5" or "150.00". It refuses more than two
// decimals, a sign, an exponent, separators, and anything above MaxCents; the error says which, without the field's
// name.
func ParseRands(s string) (Cents, error) {
	if s == "" {
		return 0, fmt.Errorf("is empty; expected rands such as 150.00")
	}
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("is negative; expected rands such as 150.00")
	}
	if strings.Trim(s, "0123456789.") != "" || len(s) > 20 {
		return 0, fmt.Errorf("is not a plain decimal number; expected rands such as 150.00")
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return 0, fmt.Errorf("is not a plain decimal number; expected rands such as 150.00")
	}
	if !d.Equal(d.Truncate(2)) || len(s)-strings.IndexByte(s+".", '.')-1 > 2 {
		return 0, fmt.Errorf("has more than two decimals; expected rands and cents such as 150.00")
	}
	c := d.Shift(2)
	if c.GreaterThan(decimal.NewFromInt(int64(MaxCents))) {
		return 0, fmt.Errorf("is above %s", MaxCents)
	}
	return Cents(c.IntPart()), nil
}

// String formats the amount as rands with exactly two decimals: 150.00, -0.05.
func (c Cents) String() string {
	sign, n := "", int64(c)
	if n < 0 {
		sign, n = "-", -n
	}
	return fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)
}

// Decimal is the amount in rands, for fee and VAT arithmetic.
func (c Cents) Decimal() decimal.Decimal { return decimal.New(int64(c), -2) }

// RoundRands rounds an amount of rands to the cent, half away from zero (CONTRACT 5).
func RoundRands(d decimal.Decimal) Cents { return Cents(d.Round(2).Shift(2).IntPart()) }

// Rands is an amount as the HTTP API shows it: a JSON number with exactly two decimals.
type Rands Cents

// MarshalJSON writes 150.00, never 150 or 1.5e2.
func (r Rands) MarshalJSON() ([]byte, error) { return []byte(Cents(r).String()), nil }

// UnmarshalJSON reads a JSON number (not a string) under the rules of ParseRands, but for a sign: answers have negative
// amounts, such as money that went back. What callers send is checked by ParseRands alone.
func (r *Rands) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return fmt.Errorf("is a string; expected a number such as 150.00")
	}
	digits, negative := strings.CutPrefix(string(b), "-")
	c, err := ParseRands(digits)
	if err != nil {
		return fmt.Errorf("%s %w", strconv.Quote(string(b)), err)
	}
	if *r = Rands(c); negative {
		*r = -*r
	}
	return nil
}
