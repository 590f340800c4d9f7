package console

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

// monthsShown is how many months of a customer's story are on a page.
const monthsShown = 3

// moment is one thing in a customer's story.
type moment struct {
	Date  string
	Kind  string // money, expected, decision, debit, answer
	Tone  string
	Title string
	Text  string
	Link  string
	order int // within a day: money comes before it is decided on
}

// storyDay is what happened to a customer on a day.
type storyDay struct {
	Date    string
	Moments []moment
}

type customerBody struct {
	ID       string
	Policies []read.Policy
	Streams  []read.Deposit // the latest deposit of each stream
	From, To string
	Earlier  string // period that the page before this one ends with
	Days     []storyDay
	Only     string
}

// customer tells a customer's story over some months, the latest first.
func (c *console) customer(r *http.Request, v *visit) (b customerBody, err error) {
	q := r.URL.Query()
	b.ID, b.Only = q.Get("id"), q.Get("only")
	if b.ID == "" || len(b.ID) > schemas.MaxName {
		return b, missing("There is no such customer.")
	}
	last, _, _, err := periodOf(r, v)
	if err != nil {
		return b, err
	}
	b.Policies, err = v.db.Policies(r.Context(), read.Page{CustomerID: b.ID, After: []string{""}, Limit: 1000})
	if err == nil && len(b.Policies) == 0 {
		err = missing("No policy names this customer.")
	}
	if err != nil {
		return b, err
	}
	first := last.First().AddMonths(1 - monthsShown)
	b.From, b.To = first.String(), last.Last().String()
	b.Earlier = string(schemas.PeriodOf(first.AddDays(-1)))
	var periods, numbers []string
	for p := schemas.PeriodOf(first); p <= last; p = p.Next() {
		periods = append(periods, string(p))
	}
	for _, p := range b.Policies {
		numbers = append(numbers, p.Number)
	}
	var deposits []read.Deposit
	var facts []read.Fact
	var turns []read.Turn
	err = together(r.Context(),
		into(&deposits, func(ctx context.Context) ([]read.Deposit, error) { return v.db.Deposits(ctx, b.ID, b.From, b.To) }),
		into(&facts, func(ctx context.Context) ([]read.Fact, error) { return v.db.Facts(ctx, b.ID, periods, numbers) }),
		into(&turns, func(ctx context.Context) ([]read.Turn, error) { return v.db.Turns(ctx, b.ID, periods, numbers) }),
	)
	b.tell(deposits, facts, turns)
	return b, err
}

// tell puts everything in the order of days.
func (b *customerBody) tell(deposits []read.Deposit, facts []read.Fact, turns []read.Turn) {
	var all []moment
	streams := map[string]bool{}
	for _, d := range deposits {
		all = append(all, moneyMoment(d))
		if !streams[d.StreamID] && d.TakenBack == "" {
			streams[d.StreamID] = true
			b.Streams = append(b.Streams, d)
			if d.NextExpectedDate != "" {
				all = append(all, moment{
					Date: d.NextExpectedDate, Kind: "expected", Tone: "calm", Title: plain(d.Kind) + " expected",
					Text: "by its pattern so far", order: 0,
				})
			}
		}
	}
	for _, f := range slices.Backward(facts) { // within a day, the first comes first
		all = append(all, factMoment(f))
	}
	for _, t := range slices.Backward(turns) {
		title := plain(t.Action)
		if t.AmountCents > 0 {
			title += " " + rands(t.AmountCents)
		}
		all = append(all, moment{
			Date: t.BusinessDate, Kind: "decision", Tone: tone(t.Action), Title: t.PolicyNumber + ": " + title,
			Text: t.Explanation, Link: "/collections/" + t.CollectionID + "?date=" + t.BusinessDate, order: 2,
		})
	}
	all = slices.DeleteFunc(all, func(m moment) bool {
		return b.Only == "failed" && m.Tone != "bad" || b.Only == "money" && m.Kind == "decision"
	})
	slices.SortStableFunc(all, func(x, y moment) int {
		if d := strings.Compare(y.Date, x.Date); d != 0 {
			return d
		}
		return x.order - y.order
	})
	for _, m := range all {
		if n := len(b.Days); n == 0 || b.Days[n-1].Date != m.Date {
			b.Days = append(b.Days, storyDay{Date: m.Date})
		}
		last := &b.Days[len(b.Days)-1]
		last.Moments = append(last.Moments, m)
	}
}

func moneyMoment(d read.Deposit) moment {
	m := moment{
		Date: d.Date, Kind: "money", Tone: "good", Title: rands(d.AmountCents) + " came in", Text: plain(d.Kind), order: 1,
	}
	if d.Frequency != "" {
		m.Text += ", " + plain(d.Frequency)
	}
	if d.TakenBack != "" {
		m.Tone, m.Text = "bad", "taken back: "+plain(d.TakenBack)
	}
	return m
}

// factMoment is a change of a collection. An answer of the bank stands on the bank's date.
func factMoment(f read.Fact) moment {
	m := moment{
		Date: f.BusinessDate, Kind: "answer", Tone: tone(f.Kind), Title: f.PolicyNumber + ": " + plain(f.Kind),
		Link: "/collections/" + f.CollectionID, order: 3,
	}
	if _, err := civil.ParseDate(f.EffectiveDate); err == nil {
		m.Date = f.EffectiveDate
	}
	switch f.Kind {
	case schemas.ChangeCreated:
		m.Kind, m.Text, m.order = "collection", rands(f.DueCents)+" is due for "+string(f.Period), 0
	case schemas.ChangeInstructed:
		m.Kind, m.Text = "debit", rands(f.AmountCents)+" sent to the bank"
	default:
		m.Text = rands(f.AmountCents)
		if f.Code != "" {
			m.Text += ", code " + f.Code + " (" + f.Scheme + ")"
		}
		if f.MovedCents != 0 {
			m.Text += "; collected so far " + rands(f.CollectedCents) + " of " + rands(f.DueCents)
		}
	}
	return m
}
