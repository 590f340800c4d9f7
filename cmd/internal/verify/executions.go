package verify

import (
	"cmp"
	"slices"
)

// executionsWhole checks that each execution has come to its end on every partition, piece by piece and never less than
// before, and that the collections that it counts are there.
func (b *books) executionsWhole(c *Check) {
	made := map[string]map[string]bool{} // collections, by execution
	for _, e := range b.collections {
		if made[e.ExecutionID] == nil {
			made[e.ExecutionID] = map[string]bool{}
		}
		made[e.ExecutionID][e.Collection] = true
	}
	all := map[string][]*event{}
	for _, e := range b.executions {
		all[e.ExecutionID] = append(all[e.ExecutionID], e)
	}
	for id, pieces := range all {
		c.Counted++
		fresh := slices.ContainsFunc(pieces, func(e *event) bool { return e.fresh })
		slices.SortFunc(pieces, func(x, y *event) int {
			return cmp.Or(cmp.Compare(x.Part, y.Part), cmp.Compare(x.Piece, y.Piece))
		})
		latest := map[int]*event{}
		for _, e := range pieces {
			was := latest[e.Part]
			if was == nil {
				was = &event{}
			}
			c.must(e.Piece == was.Piece+1 && !was.Done, "execution %s: on partition %d piece %d follows piece %d (done: %t)", id,
				e.Part, e.Piece, was.Piece, was.Done)
			c.must(e.Created >= was.Created && e.Unchanged >= was.Unchanged && e.Refused >= was.Refused,
				"execution %s: on partition %d piece %d counts less than the one before", id, e.Part, e.Piece)
			latest[e.Part] = e
		}
		if pieces[0].Named {
			continue // it counts nothing: a command a policy
		}
		ended, created := 0, int64(0)
		for _, e := range latest {
			created += e.Created
			if e.Done {
				ended++
			}
		}
		if ended != pieces[0].Parts {
			c.missing(fresh, "execution %s has ended on %d of %d partitions", id, ended, pieces[0].Parts)
		}
		if there := int64(len(made[id])); there != created {
			c.missing(fresh, "execution %s counts %d collections, and there are %d", id, created, there)
		}
	}
}
