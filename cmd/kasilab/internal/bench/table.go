package bench

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// table is what a run prints.
type table struct {
	head, rows []string
	notes      []string
}

// machine notes where and with what sizes the run took place.
func (t *table) machine(o *options) {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // only to be shown
	t.head = append(t.head,
		fmt.Sprintf("%s, %d processors (%s), Linux %s, %s; broker, ClickHouse and clients share them.",
			time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), model, strings.TrimSpace(string(kernel)),
			runtime.Version()),
		fmt.Sprintf("Apache Kafka 4.3.0, one broker, 1 GiB heap, no fsync; %d partitions, %d customers, transactions of "+
			"%d records; %d runs each, in turn: median (min-max).", o.partitions, o.customers, o.transaction, o.rounds))
}

func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, "| "+strings.Join(cells, " | ")+" |") }

// section begins a part of the table.
func (t *table) section(cells ...string) {
	t.rows = append(t.rows, "")
	t.row(cells...)
	t.row(slices.Repeat([]string{"---"}, len(cells))...)
}

func (t *table) print(w io.Writer) {
	for _, lines := range [][]string{t.head, t.rows, {""}, t.notes} {
		for _, l := range lines {
			fmt.Fprintln(w, l)
		}
	}
}

// run is one measured run of a contender.
type run struct {
	records        int
	took           time.Duration
	client, server time.Duration // processor time
}

func (r run) rate() float64 { return float64(r.records) / r.took.Seconds() }

// perMillion is processor seconds per million records.
func (r run) perMillion(d time.Duration) float64 { return d.Seconds() / float64(r.records) * 1e6 }

func (r run) String() string {
	return fmt.Sprintf("%s records/s, %.2f + %.2f processor s a million (client + server)", thousands(r.rate()),
		r.perMillion(r.client), r.perMillion(r.server))
}

// turn is one of those that take turns.
type turn struct {
	name string
	do   func(round int) (run, error)
	runs []run
}

// takeTurns lets each run as often as the others, one after the other, so that a machine that changes changes for all.
func takeTurns(rounds int, before func() error, turns ...*turn) error {
	for round := 1; round <= rounds; round++ {
		for _, t := range turns {
			if err := before(); err != nil {
				return err
			}
			r, err := t.do(round)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			say("%d %-14s %s", round, t.name, r)
			t.runs = append(t.runs, r)
		}
	}
	return nil
}

// of takes one figure of each run.
func of(runs []run, f func(run) float64) []float64 {
	var out []float64
	for _, r := range runs {
		out = append(out, f(r))
	}
	slices.Sort(out)
	return out
}

func median(sorted []float64) float64 { return sorted[len(sorted)/2] }

// rates is median (min-max) of the runs' records a second.
func rates(runs []run) string {
	f := of(runs, run.rate)
	return fmt.Sprintf("%s (%s-%s)", thousands(median(f)), thousands(f[0]), thousands(f[len(f)-1]))
}

// costs is the processor time of client and server, medians.
func costs(runs []run) string {
	return fmt.Sprintf("%.2f + %.2f", median(of(runs, func(r run) float64 { return r.perMillion(r.client) })),
		median(of(runs, func(r run) float64 { return r.perMillion(r.server) })))
}

// ratio is the median rate of one beside another's.
func ratio(a, b []run) string {
	return fmt.Sprintf("%.2f", median(of(a, run.rate))/median(of(b, run.rate)))
}

func thousands(f float64) string { return fmt.Sprintf("%.1f k", f/1000) }

// quantile is of sorted durations, in milliseconds.
func quantile(sorted []time.Duration, percent int) string {
	if len(sorted) == 0 {
		return "none"
	}
	return fmt.Sprintf("%.0f ms", float64(sorted[min(len(sorted)-1, len(sorted)*percent/100)].Microseconds())/1000)
}
