// Package chance is what was learned of accounts before the stream began: how often money was there, by what was known.
// A table is counts, fitted offline (kasi backtest fit), dated, hashed and embedded. Nothing is ever fitted inside the
// stream. What an account's own past says comes on top (Own).
package chance

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// One is certainty: chances are numbers of 10,000.
const One = 10_000

// Cell is one kind of situation that was counted.
type Cell struct {
	Count int // situations of the kind
	// Tracked are those in which a tracked debit would have been paid, or in which the money came; Today those in which
	// a debit of the same day would have been paid.
	Tracked, Today int
}

// The tables. Held: a debit that counts on no money seen is paid, though none comes while it is tracked. Soon and
// Later: what the account holds is proved to be enough within the tracked days, and before the period ends. Proof: a
// debit of no more than is proved is paid; what leaves an account without a booking makes some fail.
const (
	Held = iota
	Soon
	Later
	Proof
	tables
)

// priors are the chances of cells that nothing was counted in, and for how many situations they stand in each.
var priors = [tables]int{Held: 3_000, Soon: 4_000, Later: 5_000, Proof: 9_000}

const priorWeight = 4

// Facts are what tells situations apart.
type Facts struct {
	Failed bool // a debit of this month failed for want of money
	Left   int  // days after today in which the period still runs
	Since  int  // days since the latest deposit that is worth counting on; Never where there is none
	Spends bool // the account has been seen to spend twice the amount, this month or the last
	Over   bool // money has risen by the amount since the lowest level of the month before
	Broken bool // the latest debit that was proved failed all the same
	Steady bool // the customer lives on a pension or a grant
	Months int  // full months of the account that are known
}

// Never stands for a deposit of longer ago than anybody counts.
const Never = 1 << 30

var (
	leftUpTo  = []int{2, 6, 10, 20}
	sinceUpTo = []int{1, 4, 9, 16, 30, 45}
)

// Name is the cell of a table that facts fall in.
func (f *Facts) Name(table int) string {
	var b strings.Builder
	b.WriteString([...]string{"held", "soon", "later", "proof"}[table])
	flag := func(name string, on bool) {
		if on {
			b.WriteByte(' ')
			b.WriteString(name)
		}
	}
	switch table {
	case Held:
		flag("failed", f.Failed)
		bin(&b, "left", leftUpTo, f.Left)
		flag("spends", f.Spends)
		flag("over", f.Over && !f.Failed)
		flag("known", f.Months > 0)
	case Soon, Later:
		bin(&b, "left", leftUpTo, f.Left)
		bin(&b, "since", sinceUpTo, f.Since)
		flag("known", f.Months > 0)
	case Proof:
		flag("failed", f.Failed)
		flag("spends", f.Spends)
		b.WriteString(" months" + strconv.Itoa(min(f.Months, 2)))
		flag("broken", f.Broken)
		flag("steady", f.Broken && !f.Spends && f.Steady)
	}
	return b.String()
}

// bin writes a number's bin: left10 is from the bin before up to 10, left99 all above the last.
func bin(b *strings.Builder, name string, upTo []int, n int) {
	b.WriteByte(' ')
	b.WriteString(name)
	i, _ := slices.BinarySearch(upTo, n)
	if i == len(upTo) {
		b.WriteString("99")
		return
	}
	b.WriteString(strconv.Itoa(upTo[i]))
}

// Table is what was learned.
type Table struct {
	Hash  string // of its text; 16 hexadecimal digits
	cells map[string]Cell
	fast  [tables][1 << 10]int32 // chances by code, so that no name is made for them; -1: not yet looked up
	today [2][1 << 10]int32
}

//go:embed data/accounts.csv
var accounts []byte

// Default is the embedded table. It panics when the embedded data are broken, which a test rules out.
func Default() *Table {
	t, err := Read(accounts)
	if err != nil {
		panic("processors: embedded data: " + err.Error())
	}
	return t
}

// Read reads a table: a line "cell,count,tracked,today" for each cell, and comments after #.
func Read(text []byte) (*Table, error) {
	t := &Table{Hash: fmt.Sprintf("%016x", xxhash.Sum64(text)), cells: map[string]Cell{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		f := strings.Split(line, ",")
		var c Cell
		for i, to := range []*int{&c.Count, &c.Tracked, &c.Today} {
			if len(f) != 4 {
				return nil, fmt.Errorf("chance: line %d: expected cell,count,tracked,today", n)
			}
			var err error
			if *to, err = strconv.Atoi(f[i+1]); err != nil || *to < 0 || *to > c.Count {
				return nil, fmt.Errorf("chance: line %d: %q is no count of the cell's", n, f[i+1])
			}
		}
		if _, twice := t.cells[f[0]]; twice {
			return nil, fmt.Errorf("chance: line %d: cell %q stands twice", n, f[0])
		}
		t.cells[f[0]] = c
	}
	t.compile()
	return t, lines.Err()
}

// Of makes a table of cells, without a text.
func Of(cells map[string]Cell) *Table {
	t := &Table{cells: cells}
	t.compile()
	return t
}

// Write is the text of cells, without a header.
func Write(cells map[string]Cell) []byte {
	names := make([]string, 0, len(cells))
	for name := range cells {
		names = append(names, name)
	}
	slices.Sort(names)
	var b bytes.Buffer
	for _, name := range names {
		c := cells[name]
		fmt.Fprintf(&b, "%s,%d,%d,%d\n", name, c.Count, c.Tracked, c.Today)
	}
	return b.Bytes()
}

// Cell is the cell that facts fall in.
func (t *Table) Cell(table int, f *Facts) Cell { return t.cells[f.Name(table)] }

// code numbers the cells of a table.
func (f *Facts) code(table int) int {
	bit := func(n int, on bool) int {
		if on {
			return 1 << n
		}
		return 0
	}
	left, _ := slices.BinarySearch(leftUpTo, f.Left)
	since, _ := slices.BinarySearch(sinceUpTo, f.Since)
	switch table {
	case Held:
		return left | bit(3, f.Failed) | bit(4, f.Spends) | bit(5, f.Over) | bit(6, f.Months > 0)
	case Proof:
		return min(f.Months, 2) | bit(2, f.Failed) | bit(3, f.Spends) | bit(4, f.Broken) | bit(5, f.Steady)
	}
	return left | since<<3 | bit(6, f.Months > 0)
}

// compile works all chances out.
func (t *Table) compile() {
	for table := range tables {
		for code := range 1 << 7 {
			f := factsOf(table, code)
			c := t.cells[f.Name(table)]
			t.fast[table][code] = int32((c.Tracked*One + priorWeight*priors[table]) / (c.Count + priorWeight))
			if i := dayOf(table); i >= 0 {
				t.today[i][code] = int32((c.Today*One + priorWeight*priors[table]/2) / (c.Count + priorWeight))
			}
		}
	}
}

func dayOf(table int) int {
	switch table {
	case Held:
		return 0
	case Proof:
		return 1
	}
	return -1
}

// factsOf are facts of a code.
func factsOf(table, code int) Facts {
	at := func(upTo []int, i int) int {
		if i < len(upTo) {
			return upTo[i]
		}
		return Never
	}
	on := func(n int) bool { return code&(1<<n) != 0 }
	switch table {
	case Held:
		f := Facts{Left: at(leftUpTo, code&7), Failed: on(3), Spends: on(4), Over: on(5)}
		if on(6) {
			f.Months = 1
		}
		return f
	case Proof:
		return Facts{Months: code & 3, Failed: on(2), Spends: on(3), Broken: on(4), Steady: on(5)}
	}
	f := Facts{Left: at(leftUpTo, code&7), Since: at(sinceUpTo, code>>3&7)}
	if on(6) {
		f.Months = 1
	}
	return f
}

// Chance is the population's chance of facts, of One; of Held and Proof that of a tracked debit.
func (t *Table) Chance(table int, f *Facts) int { return int(t.fast[table][f.code(table)]) }

// Today is the population's chance, of One, that a debit of one day is paid: of Held and Proof.
func (t *Table) Today(table int, f *Facts) int { return int(t.today[dayOf(table)][f.code(table)]) }

// OwnWeight is for how many of a customer's own months the population counts, in tenths.
const OwnWeight = 25

// Own is the chance, of One, of what happened in so many of a customer's own months, shrunk to the population's: who is
// known for long is known by their own past.
func Own(happened, months, population int) int {
	return (happened*10*One + OwnWeight*population) / (months*10 + OwnWeight)
}
