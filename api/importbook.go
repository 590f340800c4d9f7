package api

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

// compareBook goes through the tenant's policies once: what differs from the file, and what the file lacks.
func (j *importJob) compareBook(ctx context.Context, o importOptions) (active int64, err error) {
	type alike struct {
		row    *inFile
		number string
	}
	var similar []alike
	next := int(j.Counts.Rows)
	err = j.db.EachPolicy(ctx, func(p read.Policy) error {
		if p.Status == schemas.PolicyActive {
			active++
		}
		number, found := hashOf(p.Number), false
		rows := j.rowsLike(hashOf(folded(p.Number)))
		for i := range rows {
			if e := &rows[i]; e.number == number {
				found, e.stored = true, true
				if err := j.compareStored(e, &p); err != nil {
					return err
				}
			}
		}
		for i := range rows {
			if e := &rows[i]; e.number != number && e.at >= 0 && !e.alike && len(similar) < maxListedErrors {
				similar = append(similar, alike{e, p.Number})
			}
		}
		if found || !o.full || p.Status != schemas.PolicyActive {
			return nil
		}
		j.Counts.LeftOut++
		next++
		cancelled := schemas.PolicyCancelled
		_, err := j.write(&schemas.PolicyCommand{
			RequestID: j.ImportID, KeyID: j.KeyID, Row: next, Action: schemas.PolicyPatch, TenantID: j.TenantID,
			PolicyNumber: p.Number, SetStatus: &cancelled,
		})
		return err
	})
	for _, s := range similar {
		if err == nil && !s.row.stored && !s.row.alike {
			s.row.alike = true
			err = j.warn(int(s.row.line), int(s.row.row), j.numberAt(s.row), "policy_number", warnSimilar,
				fmt.Sprintf("is new, and differs from your policy %q in leading zeros, case or width only", s.number))
		}
	}
	return active, err
}

// compareStored compares a row with the policy that is stored under its number.
func (j *importJob) compareStored(e *inFile, p *read.Policy) error {
	const fivefold = 5
	warn := func(column, code, message string) error {
		return j.warn(int(e.line), int(e.row), p.Number, column, code, message)
	}
	if e.at < 0 {
		return nil
	}
	var all []error
	if e.premium > fivefold*p.PremiumCents || p.PremiumCents > fivefold*e.premium {
		all = append(all, warn("collection_amount", warnPremium, fmt.Sprintf("the premium changes from %s to %s: more than "+
			"fivefold", p.PremiumCents, e.premium)))
	}
	given := j.givenOf(e)
	if !slices.Contains(given, schemas.GivenMaximum) && p.MandateMaxCents > 0 && p.MandateMaxCents < e.premium {
		all = append(all, warn("collection_amount", warnMaximum, belowPremium(p.MandateMaxCents, e.premium)))
	}
	if e.status == "" && p.Status == schemas.PolicyLapsed {
		all = append(all, warn("status", warnNotActive,
			"the policy is lapsed and stays so; the column status with active changes that"))
	}
	if message := refusalOf(e, p); message != "" {
		all = append(all, j.refuse(RowError{
			Line: int(e.line), Row: int(e.row), PolicyNumber: p.Number, Column: "policy_number",
			Code: schemas.OutcomeConflict, Message: message,
		}))
	} else if j.DryRun {
		j.foreseeStored(e, p, given)
	}
	return errors.Join(all...)
}

// refusalOf is why the book as it stands refuses a row; empty where it takes it.
func refusalOf(e *inFile, p *read.Policy) string {
	switch {
	case hashOf(p.CustomerID) != e.customer:
		return "the policy number belongs to another customer"
	case p.Status == schemas.PolicyCancelled && e.status == "":
		return "the policy is cancelled; status active takes that back within 30 days"
	}
	return ""
}

// refuse counts a row that the book refuses. The stage has the last word, and says so where the file goes to it.
func (j *importJob) refuse(e RowError) error {
	j.refusals++
	if j.DryRun {
		j.Counts.Failed++
		return j.fault(schemas.ImportError, e)
	}
	if len(j.refused) < maxListedErrors {
		j.refused = append(j.refused, e)
	}
	return nil
}

// givenOf are the fields that a row gives.
func (j *importJob) givenOf(e *inFile) []string {
	if e.status != "" {
		return j.given
	}
	return slices.DeleteFunc(slices.Clone(j.given), func(f string) bool { return f == schemas.GivenStatus })
}

// foreseeStored counts what would become of a row whose policy is stored.
func (j *importJob) foreseeStored(e *inFile, p *read.Policy, given []string) {
	if terms := p.Terms(); hashOf(termsText(&terms, given)) == e.terms {
		j.Counts.Unchanged++
		return
	}
	j.Counts.Updated++
	if e.status == schemas.PolicyCancelled && p.Status != schemas.PolicyCancelled {
		j.Counts.Cancelled++
	}
}

// foresee counts what would become of all rows.
func (j *importJob) foresee() {
	last := uint64(0)
	for i := range j.index {
		e := &j.index[i]
		switch {
		case e.at < 0 || e.stored:
		case e.number == last:
			j.Counts.Updated++
		default:
			j.Counts.Created++
		}
		last = e.number
	}
	c := &j.Counts
	c.Imported, c.Cancelled = c.Created+c.Updated+c.Unchanged, c.Cancelled+c.LeftOut
}

// mayCancel refuses a file that would cancel more of the book than its sender can have meant.
func (j *importJob) mayCancel(o importOptions, active int64) error {
	left := j.Counts.LeftOut
	switch {
	case left == 0:
		return nil
	case o.maxCancel != nil && left <= *o.maxCancel:
		return nil
	case o.maxCancel == nil && left*100 <= active*bookShare:
		return nil
	}
	allowed := fmt.Sprintf("%d %% of the book, or max_cancel", bookShare)
	if o.maxCancel != nil {
		allowed = fmt.Sprintf("max_cancel=%d", *o.maxCancel)
	}
	return conflict(
		"The file lacks %d of your %d active policies; cancelling them is more than %s allows, and nothing was "+
			"taken over. If it is meant, send max_cancel=%d",
		left,
		active,
		allowed,
		left,
	).
		at("max_cancel", fmt.Sprintf("at least %d", left), allowed)
}
