package progress

import "context"

// OnlyMarkers is for tests.
func (g *Tracker) OnlyMarkers(ctx context.Context, at Place, from, end int64) (bool, error) {
	return g.onlyMarkers(ctx, at, from, end)
}
