package stage

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
)

// A mistake of the code that decides (a panic, an error that is neither a refusal nor fatal) costs the record at which
// it shows, or one key of a record that concerns many, and nobody else.
//
// The transaction aborts and all that it changed is dropped, since nobody knows how far the code had come. Then its
// records are taken again. Where the same one fails again, it becomes a dead letter, as if it had been refused: the
// state is what it was before it. Later records of the same customer are taken in. Nothing is remembered beside the
// stream: whoever takes the record in again, after a restart or in a replay, fails at it again and refuses it again.
// With a mended program the dead letter is replayed.

// fault is where code failed: a record, or one key of it.
type fault struct {
	offset int64
	key    string
}

// bugError is a mistake of the code that decides.
type bugError struct {
	fault
	err error
}

func (e *bugError) Error() string { return e.err.Error() }
func (e *bugError) Unwrap() error { return e.err }

// failures is how often a record must fail before it is set aside: what fails once may have been the machine's mistake.
const failures = 2

// refusal is what a dead letter says of a bug. What the bug was stands in the log: it may hold what nobody should read.
func refusal(stage string) *schemas.Reject {
	return &schemas.Reject{
		Class:   letters.ClassBug,
		Message: "a mistake of the program: the log of " + stage + " says which; replay it with a mended version",
	}
}

// caught makes a bugError of a panic or an error of do, where that is one.
func caught(at fault, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &bugError{at, fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	err = do()
	switch {
	case err == nil, IsFatal(err), errors.As(err, new(*schemas.Reject)), errors.As(err, new(*bugError)),
		errors.Is(err, context.Canceled):
		return err
	}
	return &bugError{at, err}
}

// Guard runs what the code does for one key of a record that concerns many. Where it has failed before, that key gets a
// dead letter of the record instead, under its own key.
func (b *Batch) Guard(rec *kgo.Record, key string, do func() error) error {
	at := fault{rec.Offset, key}
	if b.faults[at] >= failures {
		dead := *rec
		dead.Key = []byte(key)
		b.reject(&dead, refusal(b.Row.Name))
		return nil
	}
	return caught(at, do)
}

// ForAll runs what the code does with a record that concerns many. A mistake outside of what Guard guards stops the
// stage: such a record must not be left out for all.
func ForAll(do func() error) error {
	err := caught(fault{}, do)
	if bug := (*bugError)(nil); errors.As(err, &bug) && bug.fault == (fault{}) {
		return Fatal(bug.err)
	}
	return err
}

// most is how many records, or keys of them, may fail on a partition before the stage stops: then the mistake is no one
// customer's.
const most = 100

// note counts a bug after its transaction has aborted, and returns what is no bug or one too many.
func (r *session) note(jobs []*job, err error) error {
	bug := (*bugError)(nil)
	if !errors.As(err, &bug) {
		return err // nil too
	}
	for _, j := range jobs {
		if j.failed != bug {
			continue
		}
		if j.slot.faults == nil {
			j.slot.faults = map[fault]int{}
		}
		if j.slot.faults[bug.fault]++; len(j.slot.faults) > most {
			return Fatal(fmt.Errorf("the program failed on more than %d records: %w", most, err))
		}
		r.log.Error("a mistake of the program", "topic", j.at.Topic, "partition", j.at.Partition, "offset", bug.offset,
			"time", j.slot.faults[bug.fault], "err", bug.err)
		if j.slot.faults[bug.fault] == failures {
			r.cfg.Trouble(r.row.Name, TroubleBug, j.at.String(), fmt.Sprintf("%s failed on records of %s partition %d, the "+
				"last at offset %d; they are dead letters (kasi dlq list --class %s) and the rest goes on; report it, and "+
				"replay them with a mended version", r.row.Name, j.at.Topic, j.at.Partition, bug.offset, letters.ClassBug))
		}
	}
	return nil
}
