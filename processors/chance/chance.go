// Package chance is what was learned of accounts before the stream began: how often money was there, by what was known.
// A table is counts and points, fitted offline (kasi backtest fit), dated, hashed and embedded. Nothing is ever fitted
// inside the stream. What an account's own past says is part of what is known.
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

// FailedCell is the cell of the situations after a failure of the month, in which nothing proved the amount.
const FailedCell = "failed"

// Cell is one kind of situation: one in which bookings proved that the amount was there, or FailedCell.
type Cell struct {
	Count int // situations of the kind
	// Tracked are those in which a tracked debit would have been paid; Today those in which a debit of the same day would
	// have been.
	Tracked, Today int
}

// prior is the chance of a proof's cell that nothing was counted in, failedPrior that of FailedCell; priorWeight is for
// how many situations they stand in each.
const (
	prior       = 9_000
	failedPrior = 1_000
	priorWeight = 4
)

// Facts are what tells situations apart.
type Facts struct {
	Failed bool // a debit of this month failed for want of money
	Left   int  // days after today in which the period still runs
	Since  int  // days since the latest deposit that is worth counting on; Never where there is none
	Next   int  // days until the next income is expected; Never where none is
	Spends bool // the account has been seen to spend twice the amount, this month or the last
	Over   bool // money has risen by the amount since the lowest level of the month before
	Broken bool // the latest debit that was proved failed all the same
	Steady bool // the customer lives on a pension or a grant
	Months int  // full months of the account that are known

	// In how many of these months, from the same day on: the amount was held though no money came in the tracked days, and
	// the same in the last tracked days of the month; what came proved it in the tracked days, and before the month ended.
	Held, HeldLast, Soon, Later int
}

// Never stands for a deposit of longer ago than anybody counts, and for one that is not expected.
const Never = 1 << 30

// proofBits is how many bits the code of a proof's cell has.
const proofBits = 6

// Proof is the name of the cell that proved facts fall in.
func (f *Facts) Proof() string {
	var b strings.Builder
	b.WriteString("proof")
	flag := func(name string, on bool) {
		if on {
			b.WriteByte(' ')
			b.WriteString(name)
		}
	}
	flag("failed", f.Failed)
	flag("spends", f.Spends)
	b.WriteString(" months" + strconv.Itoa(min(f.Months, 2)))
	flag("broken", f.Broken)
	flag("steady", f.Broken && !f.Spends && f.Steady)
	return b.String()
}

// code numbers the cells of proofs.
func (f *Facts) code() int {
	return min(f.Months, 2) | is(f.Failed)<<2 | is(f.Spends)<<3 | is(f.Broken)<<4 | is(f.Steady)<<5
}

// Table is what was learned.
type Table struct {
	Hash   string // of its text; 16 hexadecimal digits
	cells  map[string]Cell
	base   Points
	points [len(card)][]Points
	counts [len(card)][]int
	proofs [1 << proofBits][2]int32 // chances by code, so that no name is made for them
	failed [2]int32
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

// baseName is the line of the scorecard that every situation has.
const baseName = "base"

// Read reads a table. A line "proof ...,count,tracked,today" is a cell, a line "bin,count,paid,today,later,last" the
// points of a bin; comments come after #.
func Read(text []byte) (*Table, error) {
	cells, scores := map[string]Cell{}, map[string]Scored{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		f := strings.Split(line, ",")
		numbers := make([]int, 0, outcomes+1)
		for _, text := range f[1:] {
			number, err := strconv.Atoi(text)
			if err != nil {
				return nil, fmt.Errorf("chance: line %d: %q is no number", n, text)
			}
			numbers = append(numbers, number)
		}
		_, cell := cells[f[0]]
		_, bin := scores[f[0]]
		switch {
		case cell || bin:
			return nil, fmt.Errorf("chance: line %d: %q stands twice", n, f[0])
		case len(numbers) == 3 && 0 <= slices.Min(numbers) && slices.Max(numbers) == numbers[0]:
			cells[f[0]] = Cell{numbers[0], numbers[1], numbers[2]}
		case len(numbers) == outcomes+1:
			scores[f[0]] = Scored{numbers[0], Points(numbers[1:])}
		default:
			return nil, fmt.Errorf("chance: line %d: expected cell,count,tracked,today or bin,count,paid,today,later,last", n)
		}
	}
	t, err := Of(cells, scores)
	if err != nil {
		return nil, err
	}
	t.Hash = fmt.Sprintf("%016x", xxhash.Sum64(text))
	return t, lines.Err()
}

// Of makes a table of cells and of the scorecard's lines by their names, without a text. What is missing has no points.
func Of(cells map[string]Cell, scores map[string]Scored) (*Table, error) {
	t := &Table{cells: cells, base: scores[baseName].Points}
	known := map[string]bool{baseName: true}
	for i, asked := range card {
		t.points[i], t.counts[i] = make([]Points, asked.bins()), make([]int, asked.bins())
		for bin := range t.points[i] {
			name := asked.name(bin)
			s := scores[name]
			t.points[i][bin], t.counts[i][bin], known[name] = s.Points, s.Count, true
		}
	}
	for name := range scores {
		if !known[name] {
			return nil, fmt.Errorf("chance: the scorecard has no bin %q", name)
		}
	}
	for code := range t.proofs {
		f := Facts{Months: code & 3, Failed: code&4 != 0, Spends: code&8 != 0, Broken: code&16 != 0, Steady: code&32 != 0}
		t.proofs[code] = cells[f.Proof()].chances(prior)
	}
	t.failed = cells[FailedCell].chances(failedPrior)
	return t, nil
}

// chances are those of a cell: it begins with a prior chance of tracked debits, and with half of that for those of a
// day.
func (c Cell) chances(prior int) [2]int32 {
	return [2]int32{
		int32((c.Tracked*One + priorWeight*prior) / (c.Count + priorWeight)),
		int32((c.Today*One + priorWeight*prior/2) / (c.Count + priorWeight)),
	}
}

// Write is the text of a table's cells and scorecard, without a header.
func Write(cells map[string]Cell, scores map[string]Scored) []byte {
	var lines []string
	for name, c := range cells {
		lines = append(lines, fmt.Sprintf("%s,%d,%d,%d\n", name, c.Count, c.Tracked, c.Today))
	}
	for name, s := range scores {
		lines = append(lines, fmt.Sprintf("%s,%d,%d,%d,%d,%d\n", name, s.Count, s.Points[Paid], s.Points[Today],
			s.Points[Later], s.Points[Last]))
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

// Proof are the chances, of One, that a debit of what bookings prove is paid: one that the bank tracks, and one of
// today.
func (t *Table) Proof(f *Facts) (tracked, today int) {
	p := t.proofs[f.code()]
	return int(p[0]), int(p[1])
}

// Cell names what a chance rests on, and from how many situations it was learned: the cell of a proof, or else what
// the account did in its own months.
func (t *Table) Cell(f *Facts, proved bool) (name string, count int) {
	switch {
	case proved:
		return f.Proof(), t.cells[f.Proof()].Count
	case f.Failed:
		return FailedCell, t.cells[FailedCell].Count
	}
	bin := f.Case()[0]
	return card[0].name(int(bin)), t.counts[0][bin]
}

// OwnWeight is for how many of a customer's own months the population counts, in tenths.
const OwnWeight = 25

// Own is the chance, of One, of what happened in so many of a customer's own months, shrunk to the population's: who is
// known for long is known by their own past.
func Own(happened, months, population int) int {
	return (happened*10*One + OwnWeight*population) / (months*10 + OwnWeight)
}
