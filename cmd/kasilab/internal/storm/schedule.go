package storm

import (
	"context"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/cmd/internal/demo"
	"github.com/kasi-collections/kasi/cmd/internal/feed"
	"github.com/kasi-collections/kasi/cmd/internal/wait"
)

// share is the part of all kills that is due when a phase begins.
func share(p demo.Phase, d civil.Date) float64 {
	switch p {
	case demo.PhaseImport:
		return 0.04
	case demo.PhaseExecute:
		return 0.07
	case demo.PhaseHistory:
		return 0.1
	case demo.PhaseMorning, demo.PhaseAdvance:
		days := float64(firstDay.AddMonths(1).AddDays(2).DaysSince(firstDay) + 1)
		return 0.1 + 0.87*float64(d.DaysSince(firstDay)+1)/days
	case demo.PhaseSettle, demo.PhaseReport:
		return 0.97
	case demo.PhaseExport:
		return 1
	}
	return 0
}

// phase hears from the month where it is, and makes it wait where the killer is behind.
func (k *killer) phase(ctx context.Context, p demo.Phase, d civil.Date) error {
	k.once.Do(func() { k.begin(ctx) })
	k.mu.Lock()
	k.allowed = max(k.allowed, int(share(p, d)*float64(k.o.Kills)+0.5))
	k.day, k.now = d, p
	k.mu.Unlock()
	if p != demo.PhaseMorning {
		return nil
	}
	k.show()
	return waitFor(ctx, "the killer", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.allowed-k.kills <= ahead
	})
}

// begin starts to kill, and to show how far that is.
func (k *killer) begin(ctx context.Context) {
	k.bar = feed.NewProgress(k.o.Out, k.o.Terminal, "storm", int64(k.o.Kills)).EachStep()
	k.work.Go(func() { k.run(ctx) })
	if !k.o.Terminal {
		return // a line a day
	}
	k.work.Go(func() {
		for wait.For(ctx, time.Second) == nil {
			select {
			case <-k.done:
				return
			default:
				k.show()
			}
		}
	})
}

// most is how long a kill may be put off in the present phase.
func (k *killer) most() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch k.now {
	case demo.PhaseExecute, demo.PhaseReport, demo.PhaseSettle, demo.PhaseExport:
		return shortMoment
	default:
		return moment
	}
}
