package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cloud.google.com/go/civil"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/processors/explain"
	"github.com/kasi-collections/kasi/schemas"
)

// endOfTime is a date after every decision.
const endOfTime = "2147-12-31"

// question is which decision to explain.
type question struct {
	policy, date, period, collection string
	whatIf                           []string
	asJSON                           bool
}

func explainCmd() *cobra.Command {
	var q question
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Say in plain words why a policy was debited, or not, on a day",
		Long: `explain finds the decision about a policy's collection that stood on a day: the latest one on or
before it. It says what was known, the chance and the value of what was possible, what was decided
and why. The collection is that of the day's month, or of --period. Without --date the latest
decision is explained, of whatever period it is. The command calls the API.

--what-if prices the decision again with something changed, and says what would be worth more. The
guards that come after the price, such as a policy on hold, are not asked again. What may be changed:
` + whatMayChange(),
		Example: `  kasi explain --policy POL001 --date 2025-11-12
  kasi explain --policy POL001
  kasi explain --policy POL001 --date 2025-11-12 --what-if balance=500 --what-if tracking=no
  kasi explain --policy POL001 --period 2025-11 --json`,
	}
	api := caller(cmd)
	flags := cmd.Flags()
	flags.StringVar(&q.policy, "policy", "", "policy number")
	flags.StringVar(&q.date, "date", "", "day that is asked about, YYYY-MM-DD; the latest decision if empty")
	flags.StringVar(&q.period, "period", "", "period of the collection, YYYY-MM; the month of --date if empty")
	flags.StringVar(&q.collection, "collection", "", "id of the collection, in the place of --policy")
	flags.StringArrayVar(&q.whatIf, "what-if", nil, "name=value of something that is changed; may be given several times")
	flags.BoolVar(&q.asJSON, "json", false, "print a JSON object")
	return leaf(cmd, func(c call) error {
		if err := q.check(); err != nil {
			return err
		}
		cl := api()
		of, d, attempts, err := q.answer(c, cl)
		if err != nil {
			return err
		}
		if d.DebitID != nil {
			d.Words = append(d.Words, client.Words(answerTo(*d.DebitID, attempts)))
		}
		again, err := q.again(d)
		if err != nil {
			return err
		}
		return q.show(c.OutOrStdout(), of, d, again)
	}, "log-level")
}

// whatMayChange lists the changes of --what-if.
func whatMayChange() string {
	names, about := explain.Changes()
	var b strings.Builder
	for i, name := range names {
		fmt.Fprintf(&b, "  %-13s %s\n", name, about[i])
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// again prices a decision again with what was changed; nil where nothing was.
func (q *question) again(d client.Decision) (*explain.Again, error) {
	if len(q.whatIf) == 0 {
		return nil, nil
	}
	ev := &schemas.DecisionEvent{Reason: d.Reason, Meta: schemas.Meta{EventID: d.ID}}
	if text := string(d.Situation); text != "null" {
		ev.Situation = text
	}
	return explain.WhatIf(ev, q.whatIf)
}

// check refuses a question that names no collection.
func (q *question) check() error {
	if q.date != "" {
		day, err := civil.ParseDate(q.date)
		if err != nil {
			return fmt.Errorf("--date: %q is not a date such as 2025-11-12", q.date)
		}
		if q.period == "" {
			q.period = string(schemas.PeriodOf(day))
		}
	}
	switch {
	case q.policy == "" && q.collection == "":
		return errors.New("name a policy with --policy, or a collection with --collection")
	case q.policy != "" && q.collection != "":
		return errors.New("--policy and --collection exclude each other")
	}
	return nil
}

// answer finds the collection, the decision and the debits that are asked about.
func (q *question) answer(c call, cl *client.Client) (of client.Collection, d client.Decision,
	attempts []client.Attempt, err error,
) {
	if q.period == "" && q.collection == "" {
		of, d, err = q.latest(c, cl)
		if err == nil {
			attempts, err = attemptsOf(c, cl, of)
		}
		return of, d, attempts, err
	}
	if of, err = q.find(c, cl); err != nil {
		return of, d, nil, err
	}
	both, _ := errgroup.WithContext(c.Context()) // an answer takes as long as the other
	both.Go(func() (err error) { d, err = q.decision(c, cl, of); return err })
	both.Go(func() (err error) { attempts, err = attemptsOf(c, cl, of); return err })
	err = both.Wait()
	return of, d, attempts, err
}

// latestOf is how many of a policy's periods are looked at for the latest decision: the present one, those whose
// arrears may still be collected, and some that lie ahead.
const latestOf = 6

// latest is the latest decision about a policy. Of several on one day it is that of the latest period.
func (q *question) latest(c call, cl *client.Client) (of client.Collection, d client.Decision, err error) {
	limit := 1000
	page, err := answered[client.CollectionList](cl.ListCollections(c.Context(),
		&client.ListCollectionsParams{PolicyNumber: &q.policy, Limit: &limit}))
	if err != nil {
		return of, d, err
	}
	if len(page.Data) == 0 {
		return of, d, fmt.Errorf("policy %s has no collection: was it executed?", q.policy)
	}
	found := false
	for _, k := range slices.Backward(page.Data[max(0, len(page.Data)-latestOf):]) {
		is, err := q.decision(c, cl, k)
		if errors.Is(err, errUndecided) {
			continue
		}
		if err != nil {
			return of, d, err
		}
		if !found || is.Date > d.Date {
			of, d, found = k, is, true
		}
	}
	if !found {
		return of, d, fmt.Errorf("policy %s: %w", q.policy, errUndecided)
	}
	return of, d, nil
}

var errUndecided = errors.New("nothing has been decided yet")

// find is the collection that is asked about.
func (q *question) find(c call, cl *client.Client) (of client.Collection, err error) {
	if q.collection != "" {
		return answered[client.Collection](cl.GetCollection(c.Context(), q.collection))
	}
	page, err := answered[client.CollectionList](cl.ListCollections(c.Context(),
		&client.ListCollectionsParams{PolicyNumber: &q.policy, PeriodMonth: &q.period}))
	if err != nil {
		return of, err
	}
	if len(page.Data) == 0 {
		return of, fmt.Errorf("policy %s has no collection of %s: was the month executed?", q.policy, q.period)
	}
	return page.Data[0], nil
}

// decision is the one that stood.
func (q *question) decision(c call, cl *client.Client, of client.Collection) (d client.Decision, err error) {
	day := q.date
	if day == "" {
		day = endOfTime
	}
	page, err := answered[client.DecisionList](cl.ListDecisions(c.Context(), of.ID,
		&client.ListDecisionsParams{StoodOn: &day}))
	switch {
	case err != nil:
		return d, err
	case len(page.Data) == 0 && q.date != "":
		return d, fmt.Errorf("nothing was decided about policy %s, period %s, until %s", of.PolicyNumber, of.PeriodMonth,
			q.date)
	case len(page.Data) == 0:
		return d, fmt.Errorf("policy %s, period %s: %w", of.PolicyNumber, of.PeriodMonth, errUndecided)
	}
	return page.Data[0], nil
}

// attemptsOf are the debits of a collection: a month has fewer cut-offs than a page has rows.
func attemptsOf(c call, cl *client.Client, of client.Collection) ([]client.Attempt, error) {
	if of.NumberOfAttempts == 0 {
		return nil, nil
	}
	page, err := answered[client.AttemptList](cl.ListAttempts(c.Context(), of.ID, &client.ListAttemptsParams{}))
	return page.Data, err
}

// answerTo says what came back of a debit.
func answerTo(debit string, attempts []client.Attempt) explain.Line {
	for _, a := range attempts {
		if n := len(a.Results); a.DebitID == debit && n > 0 {
			r := a.Results[n-1]
			return explain.Answer(string(r.Status), value(r.EffectiveDate), value(r.ReasonScheme), value(r.ReasonCode))
		}
	}
	return explain.Answer("", "", "", "")
}

// value is what a text is that may be null.
func value(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// show prints the explanation.
func (q *question) show(w io.Writer, of client.Collection, d client.Decision, again *explain.Again) error {
	if q.asJSON {
		return json.NewEncoder(w).Encode(struct {
			Policy     string          `json:"policy_number"`
			Period     schemas.Period  `json:"period_month"`
			Collection string          `json:"collection_id"`
			Date       string          `json:"date,omitempty"`
			Decision   client.Decision `json:"decision"`
			WhatIf     *explain.Again  `json:"what_if,omitempty"`
		}{of.PolicyNumber, of.PeriodMonth, of.ID, q.date, d, again})
	}
	head := fmt.Sprintf("Policy %s, period %s: decided on %s", of.PolicyNumber, of.PeriodMonth, d.Date)
	if q.date != "" && q.date != d.Date {
		head += ", and it stood on " + q.date
	}
	if _, err := fmt.Fprintln(w, head); err != nil {
		return err
	}
	words := d.Words
	if again != nil {
		for _, l := range again.Words {
			words = append(words, client.Words(l))
		}
	}
	return say(w, words)
}

// wordsWidth is how wide the lines of an explanation are.
const wordsWidth = 100

// say prints what is said of a decision, each thing under its word.
func say(w io.Writer, words []client.Words) error {
	var b strings.Builder
	about := ""
	for _, l := range words {
		label := l.About
		if label == about {
			label = "" // of several alternatives the first carries the word
		}
		about = l.About
		for line := range strings.SplitSeq(text.WrapSoft(l.Text, wordsWidth-11), "\n") {
			fmt.Fprintf(&b, "%-10s %s\n", label, strings.TrimRight(line, " "))
			label = ""
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
