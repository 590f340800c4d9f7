package explain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kasi-collections/kasi/processors/price"
	"github.com/kasi-collections/kasi/processors/strategy"
	"github.com/kasi-collections/kasi/schemas"
)

// Check prices the situation that a decision carries again. The error says where the decision says something else than
// its price: a chance, a value, or what was decided. A decision that carries none passes.
func Check(ev *schemas.DecisionEvent) error {
	if ev.Situation == "" {
		return nil
	}
	s, err := situation(ev)
	if err != nil {
		return err
	}
	v, in := price.Of(s), &ev.Inputs
	isPart := ev.AmountCents > 0 && ev.AmountCents != s.Amount
	chance, value := priced(&v, ev.Action, ev.TrackingUntil != "")
	switch {
	case in.LowestCents == nil || *in.LowestCents != s.Lowest:
		return fmt.Errorf("lowest_cents is not the situation's %d", s.Lowest)
	case in.ValueCents == nil && !isPart && !v.Proved:
		return fmt.Errorf("value_cents is missing; its price is %d", value)
	case in.ValueCents != nil && *in.ValueCents != value:
		return fmt.Errorf("value_cents is %d; its price is %d", *in.ValueCents, value)
	case in.ChancePer10000 == nil || !isPart && *in.ChancePer10000 != chance:
		return fmt.Errorf("chance_per_10000 is not %d", chance)
	case ev.Action == schemas.DecideDebit && !isPart && !v.Best():
		return fmt.Errorf("a debit of %d is worth less than waiting, %d", value, v.Wait)
	case ev.Action != schemas.DecideDebit && v.Best() && in.Veto == "":
		return fmt.Errorf("a debit is worth more than waiting, %d, and no veto says why there is none", v.Wait)
	}
	for _, a := range ev.Alternatives {
		chance, value := priced(&v, a.Action, a.TrackingUntil != "")
		if a.ValueCents == nil && v.Proved && a.Action == schemas.DecideWait {
			continue // waiting proves no more
		}
		if a.ValueCents == nil || *a.ValueCents != value || a.ChancePer10000 != nil && *a.ChancePer10000 != chance {
			return fmt.Errorf("the alternative %s %s has another price: %d, with a chance of %d", a.Action, a.Reason, value,
				chance)
		}
	}
	return nil
}

// Ours tells whether a decision was priced with the table that this build has learned.
func Ours(ev *schemas.DecisionEvent) bool {
	return ev.Inputs.TableHash == strategy.Kasi(false).Table.Hash
}

// priced is the chance and the value of an action. That of waiting is the chance of the best debit.
func priced(v *price.Verdict, action schemas.DecisionAction, tracked bool) (chance int64, value schemas.Cents) {
	switch {
	case action != schemas.DecideDebit:
		return int64(v.Chance), v.Wait
	case tracked:
		return int64(v.Chance), v.Track
	}
	return int64(v.Today), v.Debit
}

// situation is what a decision was priced from.
func situation(ev *schemas.DecisionEvent) (*price.Situation, error) {
	s := &price.Situation{}
	dec := json.NewDecoder(strings.NewReader(ev.Situation))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("explain: the situation of decision %s was priced by another build: %w", ev.EventID, err)
	}
	return s, nil
}

// change is something of a situation that may be changed: its name, what its value is, and how it is set.
type change struct {
	name, about string
	set         func(s *price.Situation, value string) error
}

var changes = []change{
	{"balance", "the balance of the account, in rands", func(s *price.Situation, value string) (err error) {
		s.Highest, err = schemas.ParseRands(value)
		s.Lowest, s.Known = s.Highest, true
		return err
	}},
	{"at-least", "what the account holds at least, in rands", func(s *price.Situation, value string) (err error) {
		s.Lowest, err = schemas.ParseRands(value)
		if s.Known {
			s.Highest = max(s.Highest, s.Lowest)
		}
		return err
	}},
	{"due", "the amount to debit, in rands", func(s *price.Situation, value string) (err error) {
		s.Amount, err = schemas.ParseRands(value)
		return err
	}},
	{"failure-cost", "what a failed debit costs, in rands", func(s *price.Situation, value string) (err error) {
		s.FailureCost, err = schemas.ParseRands(value)
		return err
	}},
	{"tracking", "yes or no: the bank may track the debit", yesNo(func(s *price.Situation) *bool { return &s.Tracks })},
	{"last-day", "yes or no: the month's last banking day", yesNo(func(s *price.Situation) *bool { return &s.Last })},
}

func yesNo(field func(s *price.Situation) *bool) func(s *price.Situation, value string) error {
	return func(s *price.Situation, value string) error {
		yes := value == "yes"
		if !yes && value != "no" {
			return fmt.Errorf("is neither yes nor no")
		}
		*field(s) = yes
		return nil
	}
}

// Changes are the names of what may be changed, with what each means.
func Changes() (names, about []string) {
	for _, c := range changes {
		names, about = append(names, c.name), append(about, c.about)
	}
	return names, about
}

// Again is a situation that was changed and priced again.
type Again struct {
	Changes   []string        `json:"changes"`
	Situation price.Situation `json:"situation"`
	Verdict   price.Verdict   `json:"verdict"`
	Words     []Line          `json:"words"`
}

// WhatIf prices the situation of a decision again, with changes such as "balance=500". The guards that come after the
// price, such as a policy on hold, are not asked again.
func WhatIf(ev *schemas.DecisionEvent, with []string) (*Again, error) {
	if ev.Situation == "" {
		return nil, fmt.Errorf("this decision was not priced (%s): nothing that could be changed decided it", ev.Reason)
	}
	s, err := situation(ev)
	if err != nil {
		return nil, err
	}
	was := price.Of(s)
	for _, text := range with {
		name, value, ok := strings.Cut(text, "=")
		i := slices.IndexFunc(changes, func(c change) bool { return c.name == name })
		if !ok || i < 0 {
			names, _ := Changes()
			return nil, fmt.Errorf("what-if: %q is not name=value with one of %s", text, strings.Join(names, ", "))
		}
		if err := changes[i].set(s, value); err != nil {
			return nil, fmt.Errorf("what-if: %s: %q %w", name, value, err)
		}
	}
	now := price.Of(s)
	return &Again{Changes: with, Situation: *s, Verdict: now, Words: beside(s, &was, &now, with)}, nil
}

// beside puts a price beside the one before.
func beside(s *price.Situation, was, now *price.Verdict, with []string) []Line {
	text := fmt.Sprintf("A debit of %s is paid on the day with a chance of %s (was %s), and worth %s (was %s).",
		rands(s.Amount), percent(int64(now.Today)), percent(int64(was.Today)), rands(now.Debit), rands(was.Debit))
	lines := []Line{{"what if", strings.Join(with, ", ") + ": " + text}}
	if s.Tracks {
		lines = append(lines, Line{"what if", fmt.Sprintf("If the bank tracks it, the chance is %s (was %s) and the value "+
			"%s (was %s).", percent(int64(now.Chance)), percent(int64(was.Chance)), rands(now.Track), rands(was.Track))})
	}
	verdict := map[bool]string{true: "a debit is worth more than waiting", false: "waiting is worth more than a debit"}
	end := "as it was"
	if now.Best() != was.Best() {
		end = "it was the other way round"
	}
	waiting := "Waiting proves no more"
	if !now.Proved {
		waiting = fmt.Sprintf("Waiting is worth %s", rands(now.Wait))
	}
	return append(lines, Line{"what if", fmt.Sprintf("%s: %s, %s.", waiting, verdict[now.Best()], end)})
}
