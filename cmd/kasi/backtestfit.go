package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/processors/arena/backtest"
	"github.com/kasi-collections/kasi/processors/chance"
	"github.com/kasi-collections/kasi/streams/feed"
)

// fitCmd is `kasi backtest fit`.
func fitCmd() *cobra.Command {
	f, out, train := backtestFlags{}, "", ""
	cmd := leaf(&cobra.Command{
		Use:   "fit",
		Short: "Count what became of the engine's situations: the table of chances",
		Long: `fit lets the engine collect from one half of the accounts of a file, in the worlds month and sweep and
without balances, and counts how often the money was there, by what was known. The table that it writes
is what the engine reads: it belongs into processors/chance/data. The other half is for judging:
kasi backtest --train with the same half.`,
		Example: `  kasi backtest fit --transactions transactions.csv.gz --train odd --premium 3,5,10 --out accounts.csv`,
	}, func(c call) error { return runFit(c, &f, out, backtest.Half(train)) }, "rules")
	flags := cmd.Flags()
	flags.StringVar(&f.file, "transactions", "", "file of bank transactions, plain or gzipped")
	flags.StringVar(&f.format, "format", feed.FormatCzech1999, "format of the file: "+feed.FormatCzech1999)
	flags.IntSliceVar(&f.premiums, "premium", []int{3, 5, 10}, "premiums in percent of the median monthly income")
	flags.StringVar(&train, "train", "odd", "half of the accounts to fit on: odd or even")
	flags.StringVar(&out, "out", "", "file to write; standard output if empty")
	if err := cmd.MarkFlagRequired("transactions"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}

func runFit(c call, f *backtestFlags, out string, train backtest.Half) error {
	law, err := app.Rules(c.cfg)
	if err != nil {
		return err
	}
	law = law.WithoutArrears()
	accounts, err := f.accounts(backtest.Month, law)
	if err != nil {
		return err
	}
	learned, err := backtest.Fit(c.Context(), law, accounts, train, f.premiums)
	if err != nil {
		return err
	}
	// Whoever reads the table must see what it was counted from.
	text := fmt.Appendf(nil, `# What became of situations: cell,count,tracked,today, and points of bins:
# bin,count,paid,today,later,last. Package chance says what they are.
# Made by kasi backtest fit from %s, the %s half of its accounts, premiums of %v %%
# of the median monthly income, in the worlds month and sweep together.
`, filepath.Base(f.file), train, f.premiums)
	text = append(text, chance.Write(learned.Cells, learned.Scores)...)
	if out == "" {
		_, err = c.OutOrStdout().Write(text)
		return err
	}
	if err := os.WriteFile(out, text, 0o644); err != nil {
		return fmt.Errorf("fit: write the table: %w", err)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%d cells and %d bins in %s\n", len(learned.Cells), len(learned.Scores), out)
	return err
}
