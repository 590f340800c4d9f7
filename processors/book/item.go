package book

import (
	"strconv"

	"github.com/kasi-collections/kasi/schemas"
)

// Item is what people must see about a debit: something that nothing settles by itself. A debit has one item at most.
// Of one that the bank's answer closed only the version stays; one that a person closed stays whole, so that the same
// thing does not open it again.
type Item struct {
	Version int64                 `json:"v"`
	Kind    schemas.OpenItemKind  `json:"k,omitempty"`
	State   schemas.OpenItemState `json:"s,omitempty"`
	Since   schemas.Day           `json:"d,omitempty"`
	Said    schemas.Cents         `json:"c,omitempty"` // the other amount that the bank named
}

// openItem opens the debit's item, or says what it is about now, unless that is known.
func (b *Book) openItem(k *Collection, d *Debit, kind schemas.OpenItemKind, said schemas.Cents, resultID string) {
	now := Item{Kind: kind, State: schemas.ItemOpen, Version: 1, Since: b.today, Said: said}
	if was := d.Item; was != nil {
		if was.Kind == kind && was.Said == said {
			return
		}
		now.Version = was.Version + 1
		if was.State == schemas.ItemOpen {
			now.Since = was.Since
		}
	}
	d.Item = &now
	b.itemChanged(k, d, schemas.OpenItemEvent{ResultID: resultID})
}

// itemChanged emits the debit's item as it is, with what the change says beside.
func (b *Book) itemChanged(k *Collection, d *Debit, ev schemas.OpenItemEvent) {
	id := schemas.OpenItemID(d.ID)
	ev.Meta = b.moment.Meta("open-item-version", id, strconv.FormatInt(d.Item.Version, 10))
	ev.ItemID, ev.TenantID, ev.CustomerID, ev.PolicyNumber = id, b.Tenant, b.ID, k.Number
	ev.CollectionID, ev.PeriodMonth = schemas.CollectionID(schemas.PolicyID(b.Tenant, k.Number), k.Period), k.Period
	ev.DebitID, ev.AmountCents, ev.ActionDate = d.ID, d.Cents, d.Action.Text()
	ev.Kind, ev.State, ev.Version, ev.Since = d.Item.Kind, d.Item.State, d.Item.Version, d.Item.Since.Text()
	ev.SaidCents = d.Item.Said
	b.out.OpenItems = append(b.out.OpenItems, ev)
}

// closeItem closes the debit's item, if it is open.
func (b *Book) closeItem(k *Collection, d *Debit, state schemas.OpenItemState, ev schemas.OpenItemEvent) bool {
	if d.Item == nil || d.Item.State != schemas.ItemOpen {
		return false
	}
	now := *d.Item
	now.State, now.Version = state, now.Version+1
	d.Item = &now
	b.itemChanged(k, d, ev)
	if state == schemas.ItemAnswered {
		d.Item = &Item{Version: now.Version}
	}
	return true
}

// reviewItem lets the debit's item follow an answer that was taken in: it settles what was open, or says PAID of a day
// after the one on which the bank said no.
func (b *Book) reviewItem(k *Collection, d *Debit, res *schemas.Result) {
	if d.saysNo() && d.PaidOn > d.BackOn {
		b.openItem(k, d, schemas.OpenPaid, 0, res.ResultID)
	} else {
		b.closeItem(k, d, schemas.ItemAnswered, schemas.OpenItemEvent{ResultID: res.ResultID})
	}
}

// OpenOverdue opens items for debits that the bank should have answered long ago. Called at cut-offs.
func (b *Book) OpenOverdue() {
	for i := range b.Collections {
		k := &b.Collections[i]
		for j := range k.Debits {
			if d := &k.Debits[j]; d.State == DebitInFlight && d.Item == nil && b.overdue(d) <= b.today {
				b.openItem(k, d, schemas.OpenNoAnswer, 0, "")
			}
		}
	}
}

// overdue is the day on which a debit without an answer becomes an open item. A bank that tracks has no answer to give
// before the end of the tracking.
func (b *Book) overdue(d *Debit) schemas.Day { return d.Last() + schemas.Day(b.Params.AnswerDays) }

// CloseItem carries out a person's word that an open item needs no more looking at, and answers with an outcome: OK,
// UNCHANGED or NOT_FOUND. The debit stays as it is: a debit in flight is settled by the bank's answer alone.
func (b *Book) CloseItem(cmd *schemas.CloseItemCommand) error {
	if err := b.claim(cmd.TenantID, cmd.CustomerID); err != nil {
		return err
	}
	answer := schemas.OutcomeEvent{
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: 1, Code: schemas.OutcomeOK,
		ObjectID: schemas.OpenItemID(cmd.DebitID),
	}
	k, d, err := b.find(cmd.DebitID)
	if err == nil && d != nil && d.Item != nil {
		k, d, err = b.recall(k, d.ID)
	}
	switch {
	case err != nil:
		return err
	case d == nil || d.Item == nil:
		answer.Code, answer.Message = schemas.OutcomeNotFound, "the debit has no open item"
	case !b.closeItem(k, d, schemas.ItemClosed, schemas.OpenItemEvent{Note: cmd.Note, RequestID: cmd.RequestID}):
		answer.Code = schemas.OutcomeUnchanged
	}
	b.outcome(answer)
	return nil
}
