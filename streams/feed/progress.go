package feed

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// lineEvery bounds how often a progress that is not on a terminal prints a line; the first and the last line are always
// printed.
const lineEvery = 2 * time.Second

// Progress shows how far a long run has got: a bar on a terminal, now and then a plain line elsewhere.
type Progress struct {
	out         io.Writer
	title       string
	total       int64
	start, last time.Time
	every       time.Duration

	pool *mpb.Progress // nil where there is no bar
	bar  *mpb.Bar
	text atomic.Value // string
}

// NewProgress starts a progress of total units on out. A bar needs the terminal itself, as an *os.File: anything
// wrapped around it gets plain lines.
func NewProgress(out io.Writer, terminal bool, title string, total int64) *Progress {
	p := &Progress{out: out, total: total, title: title, start: time.Now(), every: lineEvery}
	if _, file := out.(*os.File); !terminal || !file {
		return p
	}
	p.text.Store("")
	p.pool = mpb.New(mpb.WithOutput(out), mpb.WithWidth(32))
	p.bar = p.pool.AddBar(total,
		mpb.PrependDecorators(decor.Name(title+" "), decor.Percentage(decor.WC{W: 5})),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + p.text.Load().(string) })))
	return p
}

// EachStep makes a progress that is not on a terminal print a line at every Step, for runs of few and telling steps.
func (p *Progress) EachStep() *Progress {
	p.every = 0
	return p
}

// Step tells how many units are done and what to say about it.
func (p *Progress) Step(done int64, text string) {
	if p.bar != nil {
		p.text.Store(text)
		p.bar.SetCurrent(done)
		return
	}
	if time.Since(p.last) >= p.every || done >= p.total {
		p.last = time.Now()
		percent := int64(100)
		if p.total > 0 {
			percent = done * 100 / p.total
		}
		_, _ = fmt.Fprintf(p.out, "%s %3d%%  %s\n", p.title, percent, text) // a line that cannot be shown stops nothing
	}
}

// Done ends the display; a run that failed half-way leaves its bar where it was.
func (p *Progress) Done() {
	if p.pool == nil {
		return
	}
	if !p.bar.Completed() {
		p.bar.Abort(false)
	}
	p.pool.Wait()
}

// Elapsed is the time since the start.
func (p *Progress) Elapsed() time.Duration { return time.Since(p.start) }
