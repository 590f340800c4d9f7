package demo

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

var november = civil.Date{Year: 2025, Month: time.November, Day: 1}

func TestMonthPlaysTheWholeMonthAndTheBooksAgree(t *testing.T) {
	s := newStandin(t)
	var out bytes.Buffer
	o := s.options(t, &out)
	r, err := Month(t.Context(), o)
	require.NoError(t, err, out.String())
	require.Positive(t, r.Bank)
	require.Equal(t, r.Bank, s.collected())
	require.Len(t, r.Report, 60)
	require.Equal(t, map[string]int{"UNKNOWN_DEBIT": 1, "BAD_RECORD": 2}, r.DeadLetters)
	require.Equal(t, 4, s.asked,
		"the report waited for the mark that was missing; then the payment and the verdict waited")
	require.Positive(t, r.Latency.Debit.Samples)
	require.Positive(t, r.Latency.Row.Samples)
	require.LessOrEqual(t, r.Latency.Debit.P50, r.Latency.Debit.P99)
	for _, name := range []string{"policies.csv", "report.csv", "settlement.csv"} {
		b, err := os.ReadFile(filepath.Join(o.Dir, name))
		require.NoError(t, err)
		require.NotEmpty(t, b)
	}
	require.Equal(t, 33, strings.Count(out.String(), "\ndays "), "a line a day where there is no terminal")
	require.Contains(t, out.String(), "60 policies")
	require.Len(t, r.Rivals, 4)
	require.Equal(t, r.Bank, r.Rivals[0].Collected)
	require.GreaterOrEqual(t, r.Rivals[3].Collected, r.Rivals[2].Collected, "nobody collects more than who knows all")
	require.Zero(t, r.Rivals[3].Failed)
	require.Contains(t, out.String(), "cut-off tick")

	_, err = Month(t.Context(), o)
	require.ErrorContains(t, err, "the month is played on an empty data directory")
}

// The verdict is worth nothing if a product that errs gets through.
func TestMonthFailsWhereTheProductErrs(t *testing.T) {
	for want, plant := range map[string]func(*standin){
		"twice and refused the second": func(s *standin) { s.debitTwice = true },
		"difference R 0.01":            func(s *standin) { s.wrongReport = 1 },
		"0 dead letters; expected":     func(s *standin) { s.loseDeadLetter = true },
	} {
		t.Run(want, func(t *testing.T) {
			s := newStandin(t)
			plant(s)
			_, err := Month(t.Context(), s.options(t, &bytes.Buffer{}))
			require.ErrorContains(t, err, want)
		})
	}
}

func TestTheSameSeedPlaysTheSameMonth(t *testing.T) {
	var kinds [2][]KindLine
	for i := range kinds {
		r, err := Month(t.Context(), newStandin(t).options(t, &bytes.Buffer{}))
		require.NoError(t, err)
		kinds[i] = r.Kinds
	}
	require.Equal(t, kinds[0], kinds[1])
}

// A rough month ends in the same agreement as a quiet one, feeds as much as was asked for, and says where it is.
func TestARoughMonth(t *testing.T) {
	o := newStandin(t).options(t, io.Discard)
	delivered, phases := 0, map[Phase]int{}
	o.Rough = Rough{
		Records: 5_000, LateAnswers: true, Delivered: func(txs []schemas.Transaction) { delivered += len(txs) },
		Phase: func(_ context.Context, p Phase, _ civil.Date) error { phases[p]++; return nil },
	}
	r, err := Month(t.Context(), o)
	require.NoError(t, err)
	require.GreaterOrEqual(t, delivered, 5_000)
	require.NotEmpty(t, r.Debits)
	require.Equal(t, map[Phase]int{
		PhaseImport: 1, PhaseExecute: 1, PhaseHistory: 1, PhaseMorning: 33, PhaseAdvance: 33, PhaseBank: 33, PhaseReport: 1,
		PhaseSettle: 1, PhaseExport: 1,
	}, phases)
}

func TestAMonthHasItsBrokenRecords(t *testing.T) {
	broken := 0
	for i := range 30 {
		if topic, _, _ := brokenRecord("C1", "demo", november.AddDays(i)); topic != "" {
			broken++
		}
	}
	require.Equal(t, brokenRecords, broken)
}
