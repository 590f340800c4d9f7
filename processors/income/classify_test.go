package income

import (
	"os"
	"strings"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

func params() *rules.Params {
	return rules.Default().Params(civil.Date{Year: 2025, Month: 11, Day: 1})
}

func credit(description, counterparty, category string) *schemas.Transaction {
	return &schemas.Transaction{
		Direction: schemas.Credit, AmountCents: 100000, Description: description, Counterparty: counterparty,
		Category: category,
	}
}

// TestStatements classifies what statements print, one line each (testdata/statements.txt).
func TestStatements(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/statements.txt")
	require.NoError(t, err)
	p, cases := params(), 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		cases++
		want, says, _ := strings.Cut(line, " ")
		fields := append(strings.Split(says, "|"), "", "")
		kind, _, isIncome := Classify(credit(fields[0], fields[1], fields[2]), p)
		got := string(kind)
		if !isIncome {
			got = "-"
		}
		if got != want {
			t.Errorf("%q is %s, not %s", strings.TrimSpace(says), want, got)
		}
	}
	require.Greater(t, cases, 250)
}

func TestStreamsAreTold(t *testing.T) {
	t.Parallel()
	p := params()
	of := func(description, counterparty string) uint32 {
		_, key, isIncome := Classify(credit(description, counterparty, ""), p)
		require.True(t, isIncome)
		return key
	}
	require.Equal(t, of("Acme Salary Nov 2025 ref 881", ""), of("ACME SALARY DEC 2025 REF 912", ""),
		"months and numbers do not make another stream")
	require.NotEqual(t, of("Acme Salary Nov 2025 ref 881", ""), of("Beta Salary Nov", ""))
	require.NotEqual(t, of("salary", "ACME"), of("pension", "ACME"))
	require.Equal(t, "SALARY-0000002a", StreamID(schemas.Salary, 42))
}

func TestWhatIsNoCreditOrACrumbIsNoIncome(t *testing.T) {
	t.Parallel()
	p := params()
	for _, tx := range []*schemas.Transaction{
		{Direction: schemas.Debit, AmountCents: 100000, Description: "SALARY"},
		{Direction: schemas.Credit, AmountCents: p.MinDebitCents - 1, Description: "SALARY"},
	} {
		_, _, isIncome := Classify(tx, p)
		require.False(t, isIncome)
	}
}

func TestReverses(t *testing.T) {
	t.Parallel()
	p := params()
	for text, want := range map[string]bool{
		"ACME SALARY REVERSED": true, "REVERSAL123": true, "RTD 0012": true, "loon omgekeer": true,
		"reversing camera": false, "RETURNS DEPOT": false, "": false,
	} {
		tx := &schemas.Transaction{Direction: schemas.Debit, AmountCents: 100, Description: text}
		require.Equal(t, want, Reverses(tx, p), text)
		tx.Direction = schemas.Credit
		require.False(t, Reverses(tx, p), text)
	}
}

func TestAnyTextIsRead(t *testing.T) {
	t.Parallel()
	p := params()
	for _, text := range []string{
		"", " ", strings.Repeat("S ", 200), strings.Repeat("9", 300), strings.Repeat("SALARY", 60), "\xff\xfe", "ŠALARY",
		strings.Repeat("A", 126) + " SALARY", "1 2 3 NOV", "|", "GRANT |",
	} {
		_, _, isIncome := Classify(credit(text, text, text), p)
		require.True(t, isIncome, "%q", text)
	}
}

func BenchmarkClassify(b *testing.B) {
	p := params()
	tx := credit("MAGTAPE CREDIT ACME MANUFACTURING PTY LTD SAL 11/25", "ACME MANUFACTURING", "INCOME")
	b.ReportAllocs()
	for b.Loop() {
		Classify(tx, p)
	}
}
