package sim

import (
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// A policy that goes to another customer: the command goes to the one who has it, that one's answer to whoever knows
// the numbers, and from there to the other one. All of it carries the timestamp of the command.

// moveID names one way of a policy. A command that came again is another way.
func moveID(cmd *schemas.MoveCommand, ms int64) string {
	return fmt.Sprintf("%s %d", cmd.RequestID, ms)
}

// judgeMoving judges what owners did with an answer to a move, and with a call that came again while its policy was
// under way. taken tells that the record was one of them.
func (o *oracle) judgeMoving(rec *kgo.Record, copies []*kgo.Record) (taken bool, err error) {
	if kindOf(rec) == schemas.KindMove {
		cmd, passed := moveOf(rec), 0
		for _, c := range copies {
			if kindOf(c) == schemas.KindMove && moveOf(c).Moved != nil {
				passed++
			}
		}
		if cmd.Refused == (passed == 1) {
			return true, fmt.Errorf("policy commands partition %d offset %d: a move that was refused (%v) came to %d customers",
				rec.Partition, rec.Offset, cmd.Refused, passed)
		}
		o.moving[moveKey(&cmd.PolicyCommand)] = ""
		return true, nil
	}
	var cmd schemas.PolicyCommand
	if kindOf(rec) != schemas.KindPolicy || json.Unmarshal(rec.Value, &cmd) != nil {
		return false, nil
	}
	at := moveKey(&cmd)
	again := o.moving[at] != "" && o.moving[at] == cmd.RequestID
	if again && len(copies)+o.statements.answers[rec.Timestamp.UnixMilli()] > 0 {
		return true, fmt.Errorf("policy commands partition %d offset %d came again while its policy moved, and went on",
			rec.Partition, rec.Offset)
	}
	for _, c := range copies {
		if kindOf(c) == schemas.KindMove && moveOf(c).Moved == nil {
			o.moving[at] = cmd.RequestID
		}
	}
	return again, nil
}

func moveKey(cmd *schemas.PolicyCommand) string {
	return schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber)
}

// judgeMove: who was ever debited keeps the policy; who lets go of it has nothing of it left; and who takes it over has
// its next version and, of what was left, every collection of a period that is not over.
func (o *oracle) judgeMove(s *step, rec *kgo.Record) error {
	cmd := moveOf(rec)
	id := moveKey(&cmd.PolicyCommand)
	was := o.policies[id]
	if s.refused {
		return s.errorf("a move of ours was refused")
	}
	if cmd.Moved == nil {
		return o.judgeRelease(s, &cmd, id)
	}
	if err := s.answered(cmd.RequestID); err != nil {
		return err
	}
	if s.outcomes[0].Code != schemas.OutcomeOK || len(s.policies) != 1 {
		return s.errorf("a policy came, was answered %s and has %d new versions", s.outcomes[0].Code, len(s.policies))
	}
	now := s.policies[0]
	switch {
	case now.Version != was.Version+1 || now.CustomerID != cmd.CustomerID || was.CustomerID == cmd.CustomerID:
		return s.errorf("version %d of customer %s follows version %d of %s", now.Version, now.CustomerID, was.Version,
			was.CustomerID)
	case cmd.SetPremium != nil && now.PremiumCents != *cmd.SetPremium:
		return s.errorf("the premium was to be %d and is %d", *cmd.SetPremium, now.PremiumCents)
	}
	period, left := o.period(s), 0
	for _, k := range o.collections {
		if k.latest.PolicyID == id && k.latest.PeriodMonth >= period && k.latest.Status == schemas.CollectionVoided {
			left++
		}
	}
	if left != len(s.collections) {
		return s.errorf("%d collections came with the policy, and %d were left", len(s.collections), left)
	}
	if left > 0 {
		o.count("move: collections")
	}
	for _, ev := range s.collections {
		want := schemas.ChangeReactivated
		if now.Status != schemas.PolicyActive {
			want = schemas.ChangeCancelled
		}
		if ev.Change.Kind != want || ev.CustomerID != cmd.CustomerID {
			return s.errorf("a collection came as %s of customer %s", ev.Change.Kind, ev.CustomerID)
		}
		if ev.PeriodMonth > period {
			o.collections[ev.CollectionID].created.DueCents = now.PremiumCents
		}
	}
	o.count("move: done")
	return nil
}

// period is the one that runs on the step's partition.
func (o *oracle) period(s *step) schemas.Period {
	date := o.ticks[s.at].Date
	return schemas.Period(date[:min(len(date), len("2025-11"))])
}

func (o *oracle) judgeRelease(s *step, cmd *schemas.MoveCommand, id string) error {
	debited := false
	for _, d := range o.debits {
		debited = debited || schemas.PolicyID(d.TenantID, d.PolicyNumber) == id
	}
	gone := len(s.outcomes) == 0
	switch {
	case gone && debited:
		return s.errorf("policy %s was debited and moved", cmd.PolicyNumber)
	case !gone && len(s.collections) > 0:
		return s.errorf("a move was answered %s and changed collections", s.outcomes[0].Code)
	case !gone:
		o.count("move: refused")
		return s.answered(cmd.RequestID)
	}
	o.released[moveID(cmd, s.ms)] = true
	voided := map[string]bool{}
	for _, ev := range s.collections {
		if ev.Status != schemas.CollectionVoided || ev.Change.Kind != schemas.ChangeVoided {
			return s.errorf("a collection that goes with its policy is %s", ev.Status)
		}
		voided[ev.CollectionID] = true
	}
	for _, k := range o.collections {
		if k.latest.PolicyID == id && k.latest.PeriodMonth >= o.period(s) && !voided[k.latest.CollectionID] {
			return s.errorf("collection %s stays with the customer that its policy left", k.latest.CollectionID)
		}
	}
	return nil
}
