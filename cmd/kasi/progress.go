package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"cloud.google.com/go/civil"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/kasi-collections/kasi/schemas"
)

// isTerminal tells whether w is one, so that bars and colours stay out of pipes and files.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// dayBar shows the calendar on its way; it draws nothing where there is no terminal.
type dayBar struct {
	progress *mpb.Progress
	bar      *mpb.Bar
	first    civil.Date
	now      atomic.Value // string: the bar is drawn by a goroutine of its own
}

func newDayBar(w io.Writer) *dayBar {
	if !isTerminal(w) {
		return &dayBar{}
	}
	return &dayBar{progress: mpb.New(mpb.WithOutput(w), mpb.WithWidth(40))}
}

func (b *dayBar) day(t schemas.Tick, to civil.Date) {
	d, err := civil.ParseDate(t.Date)
	if b.progress == nil || err != nil {
		return
	}
	b.now.Store(t.Date)
	if b.bar == nil {
		b.first = d.AddDays(-1)
		b.bar = b.progress.AddBar(int64(to.DaysSince(b.first)),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return fmt.Sprint("calendar ", b.now.Load()) })),
			mpb.AppendDecorators(decor.CountersNoUnit("%d/%d days"), decor.Elapsed(decor.ET_STYLE_GO, decor.WCSyncSpace)))
	}
	b.bar.SetCurrent(int64(d.DaysSince(b.first)))
}

// stop leaves the bar as it stands. It may be called twice.
func (b *dayBar) stop() {
	if b.bar != nil {
		b.bar.Abort(false)
		b.progress.Wait()
		b.bar = nil
	}
}
