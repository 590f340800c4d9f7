package chance

// Counted is what became of the situations of one case, in which no booking proved the amount.
type Counted struct {
	Count int
	// Of them: those with the outcome. Last is of those without Later.
	Of [outcomes]int
}

// Add adds a situation.
func (c *Counted) Add(paid, today, later, last bool) {
	c.Join(&Counted{1, [outcomes]int{Paid: is(paid), Today: is(today), Later: is(later), Last: is(last && !later)}})
}

// Join adds the situations of another.
func (c *Counted) Join(other *Counted) {
	c.Count += other.Count
	for o, n := range other.Of {
		c.Of[o] += n
	}
}

// Learning. Points are drawn to zero as if so many situations said that the bin tells nothing; sweeps over all bins are
// made until little changes.
const (
	shrink = 20
	sweeps = 60
)

// Learn makes a scorecard of what was counted: the points by which a logistic model foretells the outcomes best. It
// computes in integers, so that the same counts give the same points everywhere.
func Learn(cases map[Case]*Counted) map[string]Scored {
	l := newLearner(cases)
	var base Points
	for o := range outcomes {
		base[o] = l.learn(o)
		for i := range card {
			for bin := range l.points[i] {
				l.points[i][bin].Points[o] = l.fitted[i][bin]
			}
		}
	}
	scores := map[string]Scored{baseName: {l.all, base}}
	for i, asked := range card {
		for bin, s := range l.points[i] {
			if s.Count > 0 {
				scores[asked.name(bin)] = s
			}
		}
	}
	return scores
}

// learner fits one outcome after another.
type learner struct {
	all    int
	cases  []seen
	in     [len(card)][][]int // places of the cases of each bin
	points [len(card)][]Scored
	fitted [len(card)][]int // points of the outcome that is learned
}

// seen is a case with the points that it has so far.
type seen struct {
	Counted
	sum int
}

func newLearner(cases map[Case]*Counted) *learner {
	l := &learner{}
	for i, asked := range card {
		n := asked.bins()
		l.in[i], l.points[i], l.fitted[i] = make([][]int, n), make([]Scored, n), make([]int, n)
	}
	for c, n := range cases { // sums do not depend on the order
		for i, bin := range c {
			l.in[i][bin] = append(l.in[i][bin], len(l.cases))
			l.points[i][bin].Count += n.Count
		}
		l.cases = append(l.cases, seen{Counted: *n})
		l.all += n.Count
	}
	return l
}

// learn fits an outcome bin by bin, each by Newton's step, and returns what every situation has.
func (l *learner) learn(o int) (base int) {
	every := make([]int, len(l.cases))
	for i := range every {
		every[i], l.cases[i].sum = i, 0
	}
	for i := range l.fitted {
		clear(l.fitted[i])
	}
	for range sweeps {
		base += l.step(o, every, 0, 0)
		for i := range card {
			for bin, in := range l.in[i] {
				if len(in) > 0 {
					l.fitted[i][bin] += l.step(o, in, l.fitted[i][bin], shrink)
				}
			}
		}
	}
	return base
}

// step moves the points of some cases to where they foretell best, all else being equal, and returns by how much.
func (l *learner) step(o int, in []int, points, shrink int) int {
	wrong, sure := -shrink*points*One/1_000, shrink*One
	for _, i := range in {
		c := &l.cases[i]
		n := c.Count
		if o == Last {
			n -= c.Of[Later]
		}
		p := odds(c.sum)
		wrong += c.Of[o]*One - n*p
		sure += n * p * (One - p) / One
	}
	move := min(max(wrong*1_000/max(sure, 1), -2_000), 2_000)
	for _, i := range in {
		l.cases[i].sum += move
	}
	return move
}
