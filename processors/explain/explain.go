// Package explain says in plain words what a decision was made from: what was known, the chance and the value of what
// was possible, what was decided and why. The API and the command line take their words from here. Nothing here
// decides.
package explain

import (
	"fmt"
	"strings"

	"github.com/kasi-collections/kasi/processors/strategy"
	"github.com/kasi-collections/kasi/schemas"
)

// Line is one thing that is said of a decision.
type Line struct {
	// About is a word: decision, why, due, known, income, chance, value, instead, veto, table or answer.
	About string `json:"about"`
	Text  string `json:"text"`
}

// Words are what there is to say of a decision, in the order in which one asks. The same event has the same words.
func Words(ev *schemas.DecisionEvent) []Line {
	in := &ev.Inputs
	lines := []Line{
		{"decision", decided(ev)},
		{"why", fmt.Sprintf("%s (%s)", ev.Explanation, ev.Reason)},
		{"due", due(in)},
		{"known", known(in)},
	}
	add := func(about, text string) {
		if text != "" {
			lines = append(lines, Line{about, text})
		}
	}
	add("income", income(in))
	if in.ChancePer10000 != nil {
		add("chance", chance(in))
	}
	if in.ValueCents != nil {
		add("value", fmt.Sprintf("By month end this is worth %s: what it is to collect, less what its failures are to cost.",
			rands(*in.ValueCents)))
	}
	for _, a := range ev.Alternatives {
		add("instead", alternative(a))
	}
	if in.Veto != "" {
		add("veto", veto(in.Veto))
	}
	if in.TableHash != "" {
		add("table", "The chance comes from the learned table "+in.TableHash+".")
	}
	return lines
}

// Answer says how a debit stands by what the bank answered on a day (YYYY-MM-DD), with which code, if any. The status
// is pending, paid, unpaid, rejected or disputed.
func Answer(status, on, scheme, code string) Line {
	text := map[string]string{
		"paid": "The bank paid the debit", "unpaid": "The bank did not pay the debit",
		"rejected": "The bank rejected the debit", "disputed": "The customer disputed the debit",
	}[status]
	if text == "" {
		return Line{"answer", "The bank has not answered the debit yet."}
	}
	if code != "" {
		text += ", code " + code + " (" + scheme + ")"
	}
	return Line{"answer", text + ", on " + on + "."}
}

// decided is what was decided.
func decided(ev *schemas.DecisionEvent) string {
	switch {
	case ev.Action == schemas.DecideDebit:
		return fmt.Sprintf("Debit %s.", presented(ev.AmountCents, ev.TrackingUntil))
	case ev.Action == schemas.DecideStop:
		return "Stop: no further debit."
	case ev.NextDate != "":
		return "Wait until " + ev.NextDate + "."
	}
	return "Wait. No day is known on which that changes."
}

// presented is a debit and until when the bank presents it.
func presented(cents schemas.Cents, until string) string {
	if until == "" {
		return rands(cents)
	}
	return rands(cents) + ", which the bank presents each banking day until " + until
}

func due(in *schemas.DecisionInputs) string {
	text := fmt.Sprintf("%s is due, %s is collected, %s is with the bank.", rands(in.DueCents), rands(in.CollectedCents),
		rands(in.InFlightCents))
	switch in.Attempts {
	case 0:
		text += " No debit was sent before"
	case 1:
		text += " One debit was sent before"
	default:
		text += fmt.Sprintf(" %d debits were sent before", in.Attempts)
	}
	if in.LastReason != "" {
		text += "; the last failure was " + in.LastReason
	}
	return text + ". The rail is " + string(in.Rail) + "."
}

// known is what was known of the money.
func known(in *schemas.DecisionInputs) string {
	var text []string
	switch {
	case in.LowestCents != nil && in.HighestCents != nil && *in.LowestCents == *in.HighestCents:
		text = append(text, "The account holds "+rands(*in.LowestCents)+".")
	case in.LowestCents != nil && in.HighestCents != nil:
		text = append(text, "The account holds at least "+rands(*in.LowestCents)+" and at most "+rands(*in.HighestCents)+".")
	case in.LowestCents != nil:
		text = append(text, "The account holds at least "+rands(*in.LowestCents)+"; nothing says how much at most.")
	}
	if in.BalanceCents != nil {
		text = append(text, "The latest balance told is "+rands(*in.BalanceCents)+".")
	}
	if in.BudgetCents > 0 {
		text = append(text, rands(in.BudgetCents)+" came in that no debit has used.")
	} else {
		text = append(text, "No money is known to have come in that no debit has used.")
	}
	return strings.Join(text, " ")
}

func income(in *schemas.DecisionInputs) string {
	var text []string
	if in.LastDepositDate != "" {
		text = append(text, "The latest deposit came on "+in.LastDepositDate+".")
	}
	expected := ""
	if in.NextExpectedDate != "" {
		expected = "The next income is expected on " + in.NextExpectedDate
	} else if in.WindowFrom != "" {
		expected = "The next income is expected"
	}
	switch {
	case expected == "":
		text = append(text, "No income is expected on a known day.")
	case in.WindowFrom != "" && in.WindowTo != "":
		comma := ", "
		if in.NextExpectedDate == "" {
			comma = " "
		}
		text = append(text, expected+comma+"within "+in.WindowFrom+" to "+in.WindowTo+".")
	default:
		text = append(text, expected+".")
	}
	return strings.Join(text, " ")
}

func chance(in *schemas.DecisionInputs) string {
	text := "The debit is paid with a chance of " + percent(*in.ChancePer10000)
	switch {
	case in.Cell != "" && in.CellCount > 0:
		text += fmt.Sprintf(", as %d cases like this one show (%s)", in.CellCount, in.Cell)
	case in.Cell != "":
		text += " (" + in.Cell + ")"
	}
	return text + "."
}

// alternative is something that was not chosen.
func alternative(a schemas.Alternative) string {
	text := strings.ToLower(string(a.Action))
	text = strings.ToUpper(text[:1]) + text[1:]
	if a.AmountCents > 0 {
		text += " " + presented(a.AmountCents, a.TrackingUntil)
	}
	if a.ChancePer10000 != nil {
		text += ", paid with a chance of " + percent(*a.ChancePer10000)
	}
	if a.ValueCents != nil {
		text += ", worth " + rands(*a.ValueCents)
	}
	return text + " (" + a.Reason + ")."
}

func veto(reason string) string {
	text := "What was worth most was forbidden: " + reason + "."
	if m := strategy.Meaning(reason); m.Sentence != reason {
		text += " " + m.Sentence
	}
	return text
}

func rands(c schemas.Cents) string { return "R " + c.String() }

// percent is 1/10,000 in percent with one decimal. What is not certain never reads 0 or 100.
func percent(p int64) string {
	tenths := (p + 5) / 10
	if p > 0 && p < 10_000 {
		tenths = min(max(tenths, 1), 999)
	}
	return fmt.Sprintf("%d.%d %%", tenths/10, tenths%10)
}
