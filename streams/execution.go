package streams

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/stage"
)

// maxPiece bounds the policies that one piece of an execution is about. One customer's are never cut.
const maxPiece = 10_000

// execution works on some of the customers that an execution is about, says how far it has come, and leaves the rest to
// a record that it writes behind all that is on the partition by now. All of that is in one transaction, so an
// execution is neither lost nor carried out twice, whatever becomes of who asked for it or of this process.
//
// A piece is cut by its command alone, never by the transaction, and its place among the other records is on the
// timeline. So a replay of a copied timeline gives the same bytes: the copied pieces are taken in, and those that the
// replay writes come behind them and have been taken in by then.
func (t *collectTask) execution(b *stage.Batch, rec *kgo.Record) error {
	cmd, err := readOwn(rec.Value, "command", checkExecution)
	if err != nil {
		return err
	}
	if cmd.Number > 0 {
		if cmd.Number <= b.Facts.Taken {
			return nil
		}
		b.Facts.Taken = cmd.Number
	}
	m, err := t.momentOf(b.Facts.Tick, rec.Timestamp)
	if err != nil {
		return err
	}
	done := true
	if !cmd.Named {
		if done, err = t.executePiece(b, rec, &cmd, m); err != nil {
			return err
		}
	}
	cmd.Piece++
	ev := schemas.ExecutionEvent{
		Meta:        m.Meta("execution", cmd.ExecutionID, strconv.Itoa(int(rec.Partition)), strconv.FormatInt(cmd.Piece, 10)),
		ExecutionID: cmd.ExecutionID, TenantID: cmd.TenantID, PeriodMonth: cmd.PeriodMonth, RequestID: cmd.RequestID,
		Part: int(rec.Partition), Parts: cmd.Parts, Piece: cmd.Piece, PoliciesQueued: cmd.PoliciesQueued, Named: cmd.Named,
		Voids: cmd.Voids, ExecutionCounts: cmd.ExecutionCounts, Done: done,
	}
	if err := b.Event(schemas.TopicExecutions, cmd.ExecutionID, &ev, rec.Timestamp); err != nil || done {
		return err
	}
	b.Facts.Left++
	cmd.Number = b.Facts.Left
	value, err := json.Marshal(&cmd)
	if err != nil {
		return stage.Fatal(err)
	}
	b.Emit(rec.Topic, cmd.ExecutionID, value, rec.Timestamp).Headers = executionHeaders
	return nil
}

var executionHeaders = []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindExecution)}}

// executePiece carries the command out for the next customers of its tenant, and counts in it how far it has come. done
// tells that no customer is left.
func (t *collectTask) executePiece(b *stage.Batch, rec *kgo.Record, cmd *schemas.ExecutionCommand, m schemas.Moment,
) (done bool, err error) {
	keys := t.customersAfter(cmd.TenantID, cmd.After, cmd.Size+1)
	for left := cmd.Size; len(keys) > 0; keys = keys[1:] {
		if left <= 0 {
			return false, nil
		}
		customer := t.Edit(keys[0])
		t.out.Reset()
		if err := b.Guard(rec, keys[0], func() error {
			if err := t.engineOf(b, keys[0], m).Apply(customer, cmd, m, &t.out); err != nil {
				return fmt.Errorf("execution %s: %w", cmd.ExecutionID, err)
			}
			return t.emit(b, keys[0], rec.Timestamp)
		}); err != nil {
			return false, err
		}
		cmd.Add(t.out.Execution)
		cmd.After = keys[0]
		left -= max(1, len(customer.Policies))
	}
	return true, nil
}

// customersAfter are the keys of the next customers of a tenant as the open batch sees them: at most n, in their order,
// behind the key after.
func (t *collectTask) customersAfter(tenant, after string, n int) (keys []string) {
	all := schemas.CustomerKey(tenant, "")
	after = max(after, all)
	for key := range t.Touched() {
		if key > after && strings.HasPrefix(key, all) && !t.known.Contains(key) {
			keys = append(keys, key)
		}
	}
	n += len(keys)
	t.known.Ascend(after, func(key string) bool {
		if key > after && strings.HasPrefix(key, all) {
			keys = append(keys, key)
		}
		return strings.HasPrefix(key, all) && len(keys) < n
	})
	slices.Sort(keys)
	return keys
}

func checkExecution(cmd schemas.ExecutionCommand) error {
	switch {
	case cmd.TenantID == "" || cmd.ExecutionID == "":
		return badCommand("tenant_id and execution_id are required")
	case cmd.Parts < 1 || cmd.PoliciesQueued < 0 || !cmd.Named && (cmd.Size < 1 || cmd.Size > maxPiece):
		return badCommand(fmt.Sprintf("parts is at least 1, policies_queued not negative, and size from 1 to %d", maxPiece))
	}
	if _, err := schemas.ParsePeriod(string(cmd.PeriodMonth)); err != nil {
		return badCommand("period_month " + err.Error())
	}
	return nil
}
