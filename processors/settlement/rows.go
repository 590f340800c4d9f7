package settlement

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/segmentio/encoding/json"

	"github.com/kasi-collections/kasi/schemas"
)

// layout is that of a tenant's rows. Layout 3 knew neither payables nor disputes. Before it, a tenant was one JSON
// object under the tenant's key.
const layout = 4

// The rows of a tenant's state: "" is the payment references, p and a period how far that is settled, s with period and
// sequence a statement that may still change. So a settlement writes what it moves on, however many periods there were.
const (
	rowPeriod    = 'p'
	rowStatement = 's'
)

// references is the row "".
type references struct {
	Layout     int            `json:"layout"`
	References map[string]int `json:"references,omitempty"`
	// CarriedCents is brought forward by the next statement.
	CarriedCents schemas.Cents `json:"carried_cents,omitempty"`
}

// Changed calls row with the name of each row in which two states of a tenant may differ, and of all rows where before
// is nil or of another layout.
func Changed(before, after *Tenant, row func(name string)) {
	row("")
	if before == nil || before.oneRow {
		before = &Tenant{}
	}
	for p := range union(before.Periods, after.Periods) {
		if !reflect.DeepEqual(before.Periods[p], after.Periods[p]) {
			row(string(rowPeriod) + string(p))
		}
	}
	was, now := statements(before), statements(after)
	for name := range union(was, now) {
		if !reflect.DeepEqual(was[name], now[name]) {
			row(name)
		}
	}
}

// union is the keys of two maps.
func union[K cmp.Ordered, V any](a, b map[K]V) map[K]struct{} {
	keys := map[K]struct{}{}
	for k := range a {
		keys[k] = struct{}{}
	}
	for k := range b {
		keys[k] = struct{}{}
	}
	return keys
}

// statements are those that may still change, by the names of their rows.
func statements(t *Tenant) map[string]*schemas.SettlementEvent {
	l := map[string]*schemas.SettlementEvent{}
	for i := range t.Open {
		ev := &t.Open[i]
		l[string(rowStatement)+string(ev.PeriodMonth)+"."+strconv.Itoa(ev.Sequence)] = ev
	}
	return l
}

// AppendRow appends the value of a row, and nothing where the tenant has no such row.
func AppendRow(to []byte, t *Tenant, name string) ([]byte, error) {
	var row any
	switch {
	case name == "":
		row = references{layout, t.References, t.CarriedCents}
	case t.oneRow:
		return to, nil // it lies in one record
	case name[0] == rowPeriod:
		settled, ok := t.Periods[schemas.Period(name[1:])]
		if !ok {
			return to, nil
		}
		row = settled
	default:
		ev := statements(t)[name]
		if ev == nil {
			return to, nil
		}
		row = ev
	}
	return json.Append(to, row, json.EscapeHTML|json.SortMapKeys)
}

// LoadRow puts a row that AppendRow wrote in its place, or takes it away where the value is nil. It reads the layout
// before, too.
func LoadRow(t *Tenant, name string, value []byte) error {
	switch {
	case name == "":
		return t.loadOne(value)
	case name[0] == rowPeriod && value != nil:
		var settled SettledPeriod
		if err := json.Unmarshal(value, &settled); err != nil {
			return fmt.Errorf("settlement: read the period %s: %w", name[1:], err)
		}
		if t.Periods == nil {
			t.Periods = map[schemas.Period]SettledPeriod{}
		}
		t.Periods[schemas.Period(name[1:])] = settled
		return nil
	case name[0] == rowStatement:
		return t.loadStatement(name[1:], value)
	}
	return fmt.Errorf("settlement: no row of a tenant is called %q", name)
}

// loadOne reads the references, or a whole state of the layout before. That stays one row until it is edited (Clone):
// then all its rows differ from what lies in the changelog, and the references take the place of the old record.
func (t *Tenant) loadOne(value []byte) error {
	var row struct {
		references
		Periods map[schemas.Period]SettledPeriod `json:"periods"`
		Pending []schemas.SettlementEvent        `json:"pending"`
	}
	if err := json.Unmarshal(value, &row); err != nil {
		return fmt.Errorf("settlement: read the state of a tenant: %w", err)
	}
	switch {
	case row.Layout == 0:
		*t = Tenant{Periods: row.Periods, References: row.References, oneRow: true}
		for i := range row.Pending {
			upgrade(&row.Pending[i])
			at, _ := t.place(&row.Pending[i])
			t.Open = slices.Insert(t.Open, at, row.Pending[i])
		}
		return nil
	case row.Layout != layout && row.Layout != layout-1:
		return fmt.Errorf("settlement: the state of a tenant has layout %d; this program reads up to %d", row.Layout, layout)
	case t.oneRow:
		*t = Tenant{} // the rows that follow say all
	}
	t.References, t.CarriedCents = row.References, row.CarriedCents
	return nil
}

func (t *Tenant) loadStatement(name string, value []byte) error {
	period, sequence, _ := strings.Cut(name, ".")
	n, err := strconv.Atoi(sequence)
	if err != nil {
		return fmt.Errorf("settlement: a statement's row is called %q: %w", name, err)
	}
	ev := schemas.SettlementEvent{PeriodMonth: schemas.Period(period), Sequence: n}
	i, found := t.place(&ev)
	if found {
		t.Open = slices.Delete(t.Open, i, i+1)
	}
	if value == nil {
		return nil
	}
	if err := json.Unmarshal(value, &ev); err != nil {
		return fmt.Errorf("settlement: read the statement %s: %w", name, err)
	}
	upgrade(&ev)
	t.Open = slices.Insert(t.Open, i, ev)
	return nil
}

// upgrade fills in what the layout before did not know: its statements are paid their net. One of zero or less, which
// that build called paid on its date, is not brought forward.
func upgrade(ev *schemas.SettlementEvent) {
	if ev.Change == "" {
		ev.Change, ev.PayableCents = schemas.SettlementCreated, ev.NetCents
		ev.Status = standing(ev)
	}
}
