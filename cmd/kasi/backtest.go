package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/civil"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/frontier"
	"github.com/kasi-collections/kasi/processors/arena/backtest"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
)

// backtestFlags are the flags of `kasi backtest`.
type backtestFlags struct {
	file, format, world, balances, train, from, to string
	premiums                                       []int
	strategies                                     []string
	households, months, skipLast                   int
	seed                                           uint64
	asJSON, kinds, details                         bool
	plot                                           string
}

func backtestCmd() *cobra.Command {
	var f backtestFlags
	cmd := leaf(&cobra.Command{
		Use:   "backtest",
		Short: "Set ways to collect premiums beside each other on the same accounts",
		Long: `backtest lets each strategy collect a monthly premium from each account of a file of bank
transactions, or from simulated South African households. It shows what share of the money it
collects by month end, how often a debit fails, and what an oracle that knows every balance to come
would have collected.

Real accounts hold more money than people need, so two worlds take that buffer away. month lowers the
balances of each calendar month by that month's lowest. sweep lets money that is never needed again
leave as it comes. In the world people households spend what they have.`,
		Example: `  kasi backtest --seed 7
  kasi backtest --transactions transactions.csv.gz
  kasi backtest --transactions transactions.csv.gz --world sweep --balances true --premium 3,5,10
  kasi backtest --transactions transactions.csv.gz --train odd --strategies standard,oracle --json
  kasi backtest --households 5000 --plot frontier.svg`,
	}, func(c call) error { return runBacktest(c, &f) }, "rules")
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.file, "transactions", "", "file of bank transactions, plain or gzipped")
	flags.StringVar(&f.format, "format", feed.FormatCzech1999, "format of the file: "+feed.FormatCzech1999)
	flags.IntVar(&f.households, "households", 2000, "simulated households, where no file is given")
	flags.IntVar(&f.months, "months", 18, "months that simulated households live, up to December 2025")
	flags.StringVar(&f.world, "world", "",
		"how much of the money a debit may find: month, sweep or people; month where a file is given, else people")
	flags.IntSliceVar(&f.premiums, "premium", []int{5},
		"premium in percent of the median monthly income; may be a list")
	flags.StringVar(&f.balances, "balances", "none",
		"balances in the feed: none, true or late (the feed comes a day late)")
	flags.StringSliceVar(&f.strategies, "strategies", nil, "strategies to compare; all if empty")
	flags.Uint64Var(&f.seed, "seed", 1, "decides everything left to chance: the same seed gives the same result")
	flags.StringVar(&f.train, "train", "none",
		"half of the accounts that something was fitted on; the other is judged: none, odd or even")
	flags.StringVar(&f.from, "from", "", "first month that is judged, YYYY-MM")
	flags.StringVar(&f.to, "to", "", "last month that is judged, YYYY-MM")
	flags.IntVar(&f.skipLast, "skip-last", 0,
		"so many months at the end of each account are not judged: what comes after them is not known")
	flags.BoolVar(&f.kinds, "kinds", false, "a line for each kind of income too; JSON always has them")
	flags.BoolVar(&f.details, "details", false,
		"fees, ended mandates, days to the debit and foretold paydays too; in JSON an array of its own")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	flags.StringVar(&f.plot, "plot", "", "draw money against failures into this file, .svg or .png")
	complete := func(flag string, values ...string) {
		// The only mistake is a flag that does not exist, which the help's test would show.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	complete("world", names(backtest.Worlds())...)
	complete("balances", names(backtest.AllBalances())...)
	complete("train", names(backtest.Halves())...)
	var strategies []string
	for _, x := range backtest.Contenders() {
		strategies = append(strategies, x.Name+"\t"+x.About)
	}
	complete("strategies", strategies...)
	cmd.AddCommand(fitCmd())
	return cmd
}

func names[T ~string](all []T) (texts []string) {
	for _, x := range all {
		texts = append(texts, string(x))
	}
	return texts
}

// oneOf checks the value of a flag.
func oneOf[T ~string](name, value string, allowed []T) (T, error) {
	if i := slices.Index(allowed, T(value)); i >= 0 {
		return allowed[i], nil
	}
	return "", fmt.Errorf("--%s: %q is none of %v", name, value, allowed)
}

// options are the flags as the backtest reads them; all mistakes are reported at once.
func (f *backtestFlags) options() (o backtest.Options, err error) {
	wrong := func(is error) { err = errors.Join(err, is) }
	if f.world == "" {
		if f.world = string(backtest.People); f.file != "" {
			f.world = string(backtest.Month)
		}
	}
	var is [5]error
	o.Seed, o.SkipLast = f.seed, f.skipLast
	o.World, is[0] = oneOf("world", f.world, backtest.Worlds())
	o.Balances, is[1] = oneOf("balances", f.balances, backtest.AllBalances())
	o.Train, is[2] = oneOf("train", f.train, backtest.Halves())
	o.From, is[3] = monthOf("from", f.from)
	o.To, is[4] = monthOf("to", f.to)
	wrong(errors.Join(is[:]...))
	for _, p := range f.premiums {
		if p < 1 || p > 100 {
			wrong(fmt.Errorf("--premium: %d is no percentage of 1 to 100", p))
		} else if !slices.Contains(o.Premiums, p) {
			o.Premiums = append(o.Premiums, p)
		}
	}
	if len(f.premiums) == 0 {
		wrong(errors.New("--premium names no percentage"))
	}
	o.Contenders = backtest.Contenders()
	if len(f.strategies) > 0 {
		var unknown error
		o.Contenders, unknown = backtest.Named(f.strategies)
		wrong(unknown)
	}
	if f.skipLast < 0 {
		wrong(errors.New("--skip-last is a number of months, 0 or more"))
	}
	if f.households < 1 || f.months < 1 || f.months > 600 {
		wrong(errors.New("--households and --months are at least 1, --months at most 600"))
	}
	if f.plot != "" {
		wrong(frontier.CheckName(f.plot))
	}
	return o, err
}

// monthOf checks a flag that is a month, or empty.
func monthOf(name, text string) (schemas.Period, error) {
	if text == "" {
		return "", nil
	}
	p, err := schemas.ParsePeriod(text)
	if err != nil {
		return "", fmt.Errorf("--%s: %w", name, err)
	}
	return p, nil
}

func runBacktest(c call, f *backtestFlags) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	law, err := app.Rules(c.cfg)
	if err != nil {
		return err
	}
	law = law.WithoutArrears()
	if o.World == backtest.People && f.file != "" {
		f.file = ""
		fmt.Fprintln(c.ErrOrStderr(), "--world people is simulated households: the file of --transactions is not read")
	}
	accounts, err := f.accounts(o.World, law)
	if err != nil {
		return err
	}
	res, err := f.run(c, law, accounts, o)
	if err != nil {
		return err
	}
	if f.plot != "" {
		if err := drawBacktest(f.plot, res.Rows); err != nil {
			return err
		}
	}
	if f.asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(backtestJSON(res.Rows, f.details))
	}
	f.print(c.OutOrStdout(), res)
	return nil
}

// run runs the backtest with a progress on standard error.
func (f *backtestFlags) run(c call, law *rules.Rules, accounts []*backtest.Account, o backtest.Options,
) (*backtest.Result, error) {
	terminal := isTerminal(c.ErrOrStderr())
	var mu sync.Mutex
	var bar *feed.Progress
	o.Progress = func(done, of int64) {
		mu.Lock()
		defer mu.Unlock()
		if bar == nil {
			bar = feed.NewProgress(c.ErrOrStderr(), terminal, "backtest", of)
		}
		bar.Step(done, fmt.Sprintf("%d of %d lives", done, of))
	}
	res, err := backtest.Run(c.Context(), law, accounts, o)
	if bar != nil {
		bar.Done()
	}
	return res, err
}

// accounts are those of the file, or else simulated households.
func (f *backtestFlags) accounts(w backtest.World, law *rules.Rules) ([]*backtest.Account, error) {
	if f.file == "" {
		households := backtest.Households(f.seed, f.households, f.start(), f.months, law)
		if w == backtest.People {
			return households, nil
		}
		return backtest.Told(households, law), nil
	}
	rows, err := feed.ReadFile(f.file, f.format, "backtest")
	if err != nil {
		return nil, err
	}
	txs := make([]schemas.Transaction, len(rows))
	for i := range rows {
		txs[i] = rows[i].Transaction
	}
	return backtest.Accounts(txs, law, true), nil
}

// start is the day on which simulated households begin, so that they end with the year 2025.
func (f *backtestFlags) start() civil.Date {
	return civil.Date{Year: 2026, Month: time.January, Day: 1}.AddMonths(-f.months)
}
