package stage

import (
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A record that concerns every key of a partition may cause more than one transaction can hold. It is worked on in
// slices, each a transaction. Slices cut transactions, never outputs: no other record of the partition comes between
// two slices, so the outputs are the bytes that one transaction would have written.
//
// After a slice the record stays the partition's next one. Facts.Next stands at it, Facts.Slice says which key was the
// last, and the slot keeps it with what was polled behind it (the rest). The group commits the record's own offset, not
// the one that kgo has come to. So nobody who waits for the group takes the record for done, and a new owner reads it
// again and goes on behind the last key.
//
// What kgo believes differs from that: to kgo, a committed slice has committed everything that was polled.
//   - A later transaction aborts: kgo goes back to the end of what was polled before it. The rest is still in memory,
//     as it was at the last commit.
//   - The transaction that polled the records aborts: kgo goes back before them, and the slot has no rest of them yet.
//   - The partition is lost: slot and rest are dropped with it. The group's coordinator refuses an offset of a member
//     that has lost the generation, so the last slice aborts too.
//   - A slice is reported as aborted though the broker has committed it: the offset is the same before and after. So
//     the number of the slice stands beside it, and confirmAbort compares both.

// Slice is how far a record has been worked on that takes more than one transaction. It is never changed in place.
type Slice struct {
	// N counts the transactions that have worked on the record.
	N int64 `json:"n"`
	// After is the last key that is done.
	After string `json:"after"`
}

// sliceBound is what one partition may put into one transaction; 0 is no bound. Both are looked at between two keys and
// between two records: what one key causes is never cut.
type sliceBound struct{ keys, bytes int }

// Each calls do for one key after the other of those that the record concerns, in ascending order. Where the batch is
// full it stops, and the record is taken again in the next transaction: then Each must be given the same keys, and goes
// on behind the last one.
func (b *Batch) Each(keys []string, do func(key string) error) error {
	done := b.Facts.Slice
	if done != nil {
		i, found := slices.BinarySearch(keys, done.After)
		if found {
			i++
		}
		keys = keys[i:]
	} else {
		done = &Slice{}
	}
	for i, key := range keys {
		if i > 0 && (i == b.bound.keys || b.full()) {
			b.Facts.Slice, b.Unfinished = &Slice{N: done.N + 1, After: keys[i-1]}, true
			return nil
		}
		if err := do(key); err != nil {
			return err
		}
	}
	return nil
}

// full tells whether the batch holds as many bytes as one transaction should.
func (b *Batch) full() bool {
	for ; b.weighed < len(b.out); b.weighed++ {
		b.bytes += len(b.out[b.weighed].Value)
	}
	return b.bound.bytes > 0 && b.bytes >= b.bound.bytes
}

// mark is what the group's commit says beside the offset of a record that is not done: the number of its slice.
func (s *Slice) mark() string {
	if s == nil {
		return ""
	}
	return markPrefix + strconv.FormatInt(s.N, 10)
}

const markPrefix = "slice "

// markOf is the mark in what a commit says beside its offset: kgo puts the member's id there.
func markOf(metadata string) string {
	if !strings.HasPrefix(metadata, markPrefix) {
		return ""
	}
	return metadata
}

// rest are the records that the job has not done.
func (j *job) rest() []*kgo.Record { return j.records[j.done:] }

// next is where the partition goes on after the job.
func (j *job) next() kgo.EpochOffset {
	if rest := j.rest(); len(rest) > 0 {
		return kgo.EpochOffset{Epoch: rest[0].LeaderEpoch, Offset: rest[0].Offset}
	}
	last := j.records[len(j.records)-1]
	return kgo.EpochOffset{Epoch: last.LeaderEpoch, Offset: last.Offset + 1}
}

// commitNext makes a commit say where each job's partition goes on. Kgo puts the end of what was polled there, and
// nothing for a partition of which it has polled nothing since.
func commitNext(jobs []*job) func(*kmsg.TxnOffsetCommitRequest) error {
	return func(req *kmsg.TxnOffsetCommitRequest) error {
		for _, j := range jobs {
			p, next := offsetOf(req, j.at.Topic, j.at.Partition), j.next()
			p.Offset, p.LeaderEpoch = next.Offset, next.Epoch
			if mark := j.batch.Facts.Slice.mark(); mark != "" {
				p.Metadata = &mark
			}
		}
		return nil
	}
}

// offsetOf is the place of a partition in a commit, made where it is missing.
func offsetOf(req *kmsg.TxnOffsetCommitRequest, topic string, partition int32,
) *kmsg.TxnOffsetCommitRequestTopicPartition {
	t := slices.IndexFunc(req.Topics, func(t kmsg.TxnOffsetCommitRequestTopic) bool { return t.Topic == topic })
	if t < 0 {
		t = len(req.Topics)
		added := kmsg.NewTxnOffsetCommitRequestTopic()
		added.Topic = topic
		req.Topics = append(req.Topics, added)
	}
	parts := &req.Topics[t].Partitions
	i := slices.IndexFunc(*parts, func(p kmsg.TxnOffsetCommitRequestTopicPartition) bool {
		return p.Partition == partition
	})
	if i < 0 {
		i = len(*parts)
		added := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		added.Partition, added.Metadata = partition, &req.MemberID
		*parts = append(*parts, added)
	}
	return &(*parts)[i]
}
