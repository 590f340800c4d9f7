package progress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Outcome is how a transaction ended.
type Outcome string

// OffsetsTopic is where brokers keep the groups' offsets. A transaction that is undecided there keeps a stage from
// beginning.
const OffsetsTopic = "__consumer_offsets"

// The outcomes. A running one is for its producer to end, or for its coordinator once it has timed out. One that is
// torn was committed on one partition and aborted on another.
const (
	Unproved  Outcome = ""
	Running   Outcome = "running"
	Committed Outcome = "committed"
	Aborted   Outcome = "aborted"
	Torn      Outcome = "torn"
)

// Verdict is how a transaction ended, and why we know; where nothing proves it, why not.
type Verdict struct {
	Outcome Outcome
	Why     string
}

// Proved tells whether the transaction may be ended by what is known of it.
func (v Verdict) Proved() bool { return v.Outcome == Committed || v.Outcome == Aborted }

func unproved(format string, args ...any) Verdict { return Verdict{Why: fmt.Sprintf(format, args...)} }

// Judge proves how an undecided transaction ended, where what is written elsewhere proves it. It never guesses.
//
// From transaction.version 2 on a producer's epoch stands for one transaction, and the coordinator bumps it by one when
// it decides. So each of these is proof:
//   - The coordinator knows the producer at the next epoch, and that transaction as committed or aborted.
//   - Another partition holds records of the same producer and epoch, and behind them the coordinator's marker.
//   - The records were made of others, whose group tells: what it has not taken in was made of nothing that counts;
//     what it has taken in was made into records of one transaction, and no other one holds them.
type Judge struct {
	*Tracker
	// Prefix begins the transactional ids of the producers whose epochs are known to stand for one transaction.
	Prefix string
	// Topics are those that only these producers write.
	Topics []string
	// Origin is the record that another was made of, Group the group that took that one in, in the same transaction, and
	// Refusals the topic of what was refused. Origin may be nil.
	Origin   func(*kgo.Record) (at Place, offset int64, ok bool)
	Group    string
	Refusals string
}

// Judge judges one transaction. An error says that something could not be asked.
func (j Judge) Judge(ctx context.Context, u Undecided) (Verdict, error) {
	if !slices.Contains(j.Topics, u.Topic) && u.Topic != OffsetsTopic {
		return unproved("others write %s: only its producer's owner knows", u.Topic), nil
	}
	if v, err := j.version(ctx); err != nil || v < 2 {
		return unproved("the brokers' transaction.version is %d: an epoch stands for many transactions", v), err
	}
	for _, look := range []func(context.Context, Undecided) (Verdict, error){j.coordinator, j.siblings, j.origins} {
		v, err := look(ctx, u)
		if err != nil || v.Outcome != Unproved {
			return v, err
		}
	}
	return unproved("its coordinator has gone on, no other partition shows how it ended, and its records do not say " +
		"what they were made of"), nil
}

// version is the level of the brokers' feature transaction.version.
func (j Judge) version(ctx context.Context) (int16, error) {
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, j.cl)
	if err != nil {
		return 0, fmt.Errorf("features of the brokers: %w", err)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" {
			return f.MaxVersionLevel, nil
		}
	}
	return 0, kerr.ErrorForCode(resp.ErrorCode)
}

func (j Judge) coordinator(ctx context.Context, u Undecided) (Verdict, error) {
	listed, err := j.Admin.ListTransactions(ctx, []int64{u.Producer}, nil)
	if err != nil {
		return Verdict{}, fmt.Errorf("transactional id of producer %d: %w", u.Producer, err)
	}
	if len(listed) == 0 {
		return Verdict{}, nil
	}
	described, err := j.Admin.DescribeTransactions(ctx, listed.TransactionalIDs()...)
	if err != nil {
		return Verdict{}, fmt.Errorf("transaction of producer %d: %w", u.Producer, err)
	}
	for _, t := range described.Sorted() {
		next := t.ProducerEpoch == u.Epoch+1
		switch {
		case t.Err != nil:
			return Verdict{}, fmt.Errorf("transaction %s: %w", t.TxnID, t.Err)
		case t.ProducerID != u.Producer:
		case !strings.HasPrefix(t.TxnID, j.Prefix):
			return Verdict{Running, fmt.Sprintf("its transactional id %s is not Kasi's", t.TxnID)}, nil
		case t.ProducerEpoch == u.Epoch && t.State == "Ongoing":
			return Verdict{Running, fmt.Sprintf("its coordinator, broker %d, has it open as %s and ends it after %d ms",
				t.Coordinator, t.TxnID, t.TimeoutMillis)}, nil
		case next && (t.State == "PrepareCommit" || t.State == "CompleteCommit"):
			return Verdict{Committed, coordinatorKnows(t)}, nil
		case next && (t.State == "PrepareAbort" || t.State == "CompleteAbort"):
			return Verdict{Aborted, coordinatorKnows(t)}, nil
		}
	}
	return Verdict{}, nil
}

func coordinatorKnows(t kadm.DescribedTransaction) string {
	return fmt.Sprintf("its coordinator, broker %d, knows it as %s of %s", t.Coordinator, t.State, t.TxnID)
}

// siblings looks for the same transaction on other partitions. Where two of them differ, a broker has torn it, and
// nobody can say how it ended.
func (j Judge) siblings(ctx context.Context, u Undecided) (found Verdict, err error) {
	set := kadm.TopicsSet{}
	for _, topic := range j.Topics {
		set.Add(topic)
	}
	described, err := j.Admin.DescribeProducers(ctx, set)
	if err != nil {
		return Verdict{}, fmt.Errorf("partitions of producer %d: %w", u.Producer, err)
	}
	starts, err1 := j.Starts(ctx, j.Topics...)
	ends, err2 := j.Ends(ctx, false, j.Topics...)
	if err := errors.Join(err1, err2); err != nil {
		return Verdict{}, err
	}
	for _, p := range described.SortedPartitions() {
		at := Place{p.Topic, p.Partition}
		if _, wrote := p.ActiveProducers[u.Producer]; !wrote || at == u.Place {
			continue
		}
		outcome, offset, err := j.marker(ctx, at, starts[at], ends[at], u)
		switch {
		case err != nil:
			return Verdict{}, err
		case outcome == Unproved:
		case found.Outcome != Unproved && found.Outcome != outcome:
			return Verdict{Torn, fmt.Sprintf("%s, but %s partition %d says %s", found.Why, at.Topic,
				at.Partition, outcome)}, nil
		default:
			found = Verdict{outcome, fmt.Sprintf("%s partition %d has its marker at offset %d: %s", at.Topic, at.Partition,
				offset, outcome)}
		}
	}
	return found, nil
}

// A partition is looked through backwards, in stretches that grow, until an earlier transaction of the producer shows.
const (
	firstStretch = 1 << 14
	lastStretch  = 1 << 22
	judgeBytes   = 4 << 20
)

// marker is how the transaction ended on a partition, and where that stands.
func (j Judge) marker(ctx context.Context, at Place, start, end int64, u Undecided) (
	how Outcome, offset int64, err error,
) {
	for back := int64(firstStretch); back <= lastStretch; back *= 4 {
		from := max(start, end-back)
		open, passed := false, false
		_, err := j.scan(ctx, at, from, end, judgeBytes, kgo.ReadUncommitted(), func(r *kgo.Record) error {
			switch {
			case r.ProducerID != u.Producer:
			case r.Attrs.IsControl():
				if open && r.ProducerEpoch == u.Epoch+1 && how == Unproved {
					how, offset = outcomeOf(r), r.Offset
				}
				open = false
			case r.ProducerEpoch == u.Epoch:
				open, passed = true, true
			default: // of another transaction: what ends it says nothing of ours
				open, passed = false, passed || r.ProducerEpoch < u.Epoch
			}
			return nil
		})
		if err != nil || passed || from == start {
			return how, offset, err
		}
	}
	return Unproved, 0, nil
}

// outcomeOf is what a marker says.
func outcomeOf(marker *kgo.Record) Outcome {
	var key kmsg.ControlRecordKey
	switch {
	case key.ReadFrom(marker.Key) != nil:
	case key.Type == kmsg.ControlRecordKeyTypeCommit:
		return Committed
	case key.Type == kmsg.ControlRecordKeyTypeAbort:
		return Aborted
	}
	return Unproved
}

// EndProved ends a transaction where it is proved how it ended. Else it says what is known, and what to do. Of the
// groups' offsets it says nothing where the transaction is not known to be of ours.
func (j Judge) EndProved(ctx context.Context, u Undecided, log *slog.Logger) string {
	v, err := j.Judge(ctx, u)
	if err == nil && v.Proved() {
		if err = j.End(ctx, u, v.Outcome); err == nil {
			log.Warn("a transaction that was left undecided is ended as it was decided", "topic", u.Topic, "partition",
				u.Partition, "offset", u.Offset, "producer", u.Producer, "epoch", u.Epoch, "as", v.Outcome, "why", v.Why)
			return ""
		}
	}
	switch {
	case u.Topic == OffsetsTopic && (err != nil || !v.Proved()):
		return ""
	case err != nil:
		return fmt.Sprintf("%s; it is tried again: %v", u, err)
	}
	return fmt.Sprintf("%s; %s", u, u.WayOut(v))
}

// End writes the marker that the transaction lacks. The brokers refuse it where its producer has gone on there.
func (g *Tracker) End(ctx context.Context, u Undecided, as Outcome) error {
	m := kadm.TxnMarkers{
		ProducerID: u.Producer, ProducerEpoch: u.Epoch, Commit: as == Committed, CoordinatorEpoch: max(u.Coordinator, 0),
	}
	m.Topics.Add(u.Topic, u.Partition)
	resp, err := g.Admin.WriteTxnMarkers(ctx, m)
	if err == nil {
		resp.EachPartition(func(p kadm.TxnMarkersPartitionResponse) { err = errors.Join(err, p.Err) })
	}
	if err != nil {
		return fmt.Errorf("the marker of producer %d on %s partition %d: %w", u.Producer, u.Topic, u.Partition, err)
	}
	return nil
}
