package streams

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
)

// Judge judges transactions that were left undecided on our topics. It uses the client, which stays the caller's.
func Judge(cl *kgo.Client) progress.Judge {
	j := progress.Judge{
		Tracker: progress.New(cl), Prefix: stage.ClientPrefix, Origin: originOf, Group: schemas.GroupIntake,
		Refusals: schemas.TopicDeadLetters,
	}
	for _, s := range Topology {
		for _, o := range s.Outputs {
			j.Topics = append(j.Topics, o.Topic)
		}
		if s.State != "" {
			j.Topics = append(j.Topics, s.State)
		}
	}
	slices.Sort(j.Topics)
	j.Topics = slices.Compact(j.Topics)
	return j
}

// originOf is the outsider's record of which intake has made one. What other stages write has changelogs beside it,
// which show how a transaction ended.
func originOf(r *kgo.Record) (at progress.Place, offset int64, ok bool) {
	o, ok := letters.OriginOf(r)
	ok = ok && slices.Contains(feedInputs, o.Topic)
	return progress.Place{Topic: o.Topic, Partition: o.Partition}, o.Offset, ok
}

// feedInputs are what intake makes the timeline of.
var feedInputs = Topology[0].Inputs
