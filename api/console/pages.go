package console

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"cloud.google.com/go/civil"
	"github.com/go-chi/chi/v5"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

// together asks several questions at once and returns the first error.
func together(ctx context.Context, asks ...func(ctx context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, ask := range asks {
		g.Go(func() error { return ask(ctx) })
	}
	return g.Wait()
}

// into asks a question into a place.
func into[T any](to *T, ask func(ctx context.Context) (T, error)) func(ctx context.Context) error {
	return func(ctx context.Context) (err error) {
		*to, err = ask(ctx)
		return err
	}
}

// periodOf is the period of a page: the one asked for, else the calendar's month, else the latest with collections.
func periodOf(r *http.Request, v *visit) (p schemas.Period, all []schemas.Period, today civil.Date, err error) {
	err = together(r.Context(), into(&all, v.db.Periods), func(ctx context.Context) (err error) {
		today, _, err = v.db.BusinessDate(ctx)
		return err
	})
	if err != nil {
		return "", nil, today, err
	}
	if text := r.URL.Query().Get("period_month"); text != "" {
		if p, err = schemas.ParsePeriod(text); err != nil {
			return "", nil, today, missing("There is no month " + strconv.Quote(text) + "; months are written 2025-11.")
		}
		return p, all, today, nil
	}
	p = schemas.PeriodOf(today)
	if len(all) > 0 && all[0] < p {
		p = all[0] // the latest with collections: early in a month nothing is executed yet
	}
	return p, all, today, nil
}

type monthBody struct {
	Period                          schemas.Period
	Periods                         []schemas.Period
	Today                           civil.Date
	Statuses                        []read.MonthStatus
	Reasons                         []read.MonthReason
	Attention                       read.Attention
	Collections, Untried            uint64
	Due, Collected, InFlight        schemas.Cents
	Paid, Failed, Disputed, Answers uint64
	Chart                           chart
	Days                            []read.MonthDay
	CollectedBefore                 schemas.Cents // of the month before, up to the same day of the month
}

func (c *console) month(r *http.Request, v *visit) (b monthBody, err error) {
	if b.Period, b.Periods, b.Today, err = periodOf(r, v); err != nil {
		return b, err
	}
	last := schemas.PeriodOf(b.Period.First().AddDays(-1))
	var days []read.MonthDay
	err = together(r.Context(),
		into(&b.Statuses, func(ctx context.Context) ([]read.MonthStatus, error) { return v.db.MonthStatuses(ctx, b.Period) }),
		into(&b.Reasons, func(ctx context.Context) ([]read.MonthReason, error) { return v.db.MonthReasons(ctx, b.Period) }),
		into(&days, func(ctx context.Context) ([]read.MonthDay, error) { return v.db.MonthDays(ctx, b.Period, last) }),
		into(&b.Attention, v.db.Attention),
	)
	for _, s := range b.Statuses {
		b.Collections, b.Untried = b.Collections+s.Collections, b.Untried+s.Untried
		b.Due, b.Collected, b.InFlight = b.Due+s.DueCents, b.Collected+s.CollectedCents, b.InFlight+s.InFlightCents
	}
	b.byDay(days)
	return b, err
}

// byDay takes the days of the month and of the one before. A day after the month's end counts as its last.
func (b *monthBody) byDay(days []read.MonthDay) {
	var now, before [32]schemas.Cents
	until := 31
	if schemas.PeriodOf(b.Today) == b.Period {
		until = b.Today.Day
	}
	for _, d := range days {
		date, err := civil.ParseDate(d.Date)
		if err != nil {
			continue // ClickHouse writes dates
		}
		day := date.Day
		if schemas.PeriodOf(date) > d.Period {
			day = 31
		}
		if d.Period != b.Period {
			before[day] += d.MovedCents
			if day <= until {
				b.CollectedBefore += d.MovedCents
			}
			continue
		}
		now[day] += d.MovedCents
		b.Paid, b.Failed, b.Disputed = b.Paid+d.Paid, b.Failed+d.Failed, b.Disputed+d.Disputed
		b.Days = append(b.Days, d)
	}
	b.Answers = b.Paid + b.Failed + b.Disputed
	b.Chart = daily(now, before, "Collected each day of "+string(b.Period)+", beside the month before")
}

type engineBody struct {
	Today   civil.Date
	Streams []read.StreamCount
	Paydays []read.Payday
	Most    uint64
}

func (c *console) engine(r *http.Request, v *visit) (b engineBody, err error) {
	if b.Today, _, err = v.db.BusinessDate(r.Context()); err != nil {
		return b, err
	}
	err = together(r.Context(), into(&b.Streams, v.db.Streams),
		into(&b.Paydays, func(ctx context.Context) ([]read.Payday, error) { return v.db.Paydays(ctx, b.Today.String()) }))
	for _, p := range b.Paydays {
		b.Most = max(b.Most, p.Streams)
	}
	return b, err
}

type healthBody struct {
	CanWrite  bool
	Today     civil.Date
	Degraded  []string
	Attention read.Attention
	Refused   []Refused
	Behind    []Behind
	Kafka     bool // whether Kafka said what was refused and what waits
	Items     []read.OpenItem
}

func (c *console) health(r *http.Request, v *visit) (b healthBody, err error) {
	b.CanWrite = v.CanWrite
	if c.Degraded != nil {
		b.Degraded = c.Degraded()
	}
	b.Kafka = c.askKafka(r.Context(), &b)
	err = together(r.Context(), into(&b.Attention, v.db.Attention),
		func(ctx context.Context) (err error) { b.Today, _, err = v.db.BusinessDate(ctx); return err },
		into(&b.Items, func(ctx context.Context) ([]read.OpenItem, error) {
			return v.db.OpenItems(ctx, read.Page{Status: "OPEN", After: []string{""}, Limit: 100})
		}))
	return b, err
}

// kafkaPatience bounds what the page waits for Kafka: it is looked at most when something is wrong.
const kafkaPatience = 2 * time.Second

// askKafka fills in what Kafka knows, and tells whether it answered.
func (c *console) askKafka(ctx context.Context, b *healthBody) bool {
	if c.DeadLetters == nil || c.Behind == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaPatience)
	defer cancel()
	err := together(ctx, into(&b.Refused, c.DeadLetters), into(&b.Behind, c.Behind))
	if err != nil {
		c.Log.Warn("console: Kafka does not say what waits", "err", err)
	}
	return err == nil
}

type searchBody struct{ Found []read.Found }

func (c *console) search(r *http.Request, v *visit) (b searchBody, err error) {
	q := r.URL.Query().Get("q")
	if q == "" || len(q) > schemas.MaxName {
		return b, nil
	}
	b.Found, err = v.db.Search(r.Context(), q)
	return b, err
}

type settlementsBody struct{ Rows []read.Settlement }

func (c *console) settlements(r *http.Request, v *visit) (b settlementsBody, err error) {
	b.Rows, err = v.db.Settlements(r.Context(), read.Page{After: []string{"", ""}, Limit: 1000})
	return b, err
}

type settlementBody struct {
	read.Settlement
	CanSettle bool
	History   []read.SettlementChange
	Lines     []read.SettlementLine
	LinesSum  schemas.Cents
	More      bool // there are more lines than are shown
}

const linesShown = 200

func (c *console) settlement(r *http.Request, v *visit) (b settlementBody, err error) {
	id := chi.URLParam(r, "id")
	ok := isID(id)
	if ok {
		b.Settlement, ok, err = v.db.Settlement(r.Context(), id)
	}
	if err == nil && !ok {
		err = missing("There is no settlement with this id.")
	}
	if err != nil {
		return b, err
	}
	b.CanSettle = v.CanSettle
	if b.History, err = v.db.SettlementHistory(r.Context(), id); err != nil {
		return b, err
	}
	err = v.db.EachSettlementLine(r.Context(), id, func(l read.SettlementLine) error {
		b.LinesSum += l.AmountCents
		if b.More = len(b.Lines) == linesShown; !b.More {
			b.Lines = append(b.Lines, l)
		}
		return nil
	})
	return b, err
}
