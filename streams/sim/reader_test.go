package sim

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
)

// place is one partition of one topic.
type place struct {
	topic     string
	partition int32
}

type topic struct {
	name string
	id   [16]byte
}

// reader reads topics read_committed, on demand and never twice, and keeps all it read. One look is one request, so it
// sees whole transactions.
type reader struct {
	cluster *kfake.Cluster
	cl      *kgo.Client
	topics  []topic
	next    map[place]int64
	places  []place
	log     map[place][]*kgo.Record
}

func newReader(r *rig, topics ...string) (*reader, error) {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(r.cfg.Brokers...)}, r.cfg.KgoOpts...)...)
	if err != nil {
		return nil, err
	}
	rd := &reader{cluster: r.cluster, cl: cl, next: map[place]int64{}, log: map[place][]*kgo.Record{}}
	slices.Sort(topics)
	for _, name := range topics {
		rd.topics = append(rd.topics, topic{name, r.cluster.TopicInfo(name).TopicID})
		for p := range r.cluster.PartitionInfos(name) {
			rd.places = append(rd.places, place{name, int32(p)})
		}
	}
	return rd, nil
}

// allTopics are those that a run can be judged by: everything but the changelogs.
func allTopics() []string {
	var names []string
	for _, t := range schemas.Topics {
		if !t.Compacted {
			names = append(names, t.Name)
		}
	}
	return names
}

// poll reads everything that is committed now.
func (r *reader) poll(ctx context.Context) error {
	for {
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes, req.IsolationLevel = 64<<20, 1
		for _, topic := range r.topics {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = topic.name, topic.id
			for i, info := range r.cluster.PartitionInfos(topic.name) {
				if next := r.next[place{topic.name, int32(i)}]; info.LastStableOffset > next {
					p := kmsg.NewFetchRequestTopicPartition()
					p.Partition, p.FetchOffset, p.PartitionMaxBytes = int32(i), next, 16<<20
					t.Partitions = append(t.Partitions, p)
				}
			}
			if len(t.Partitions) > 0 {
				req.Topics = append(req.Topics, t)
			}
		}
		if len(req.Topics) == 0 {
			return nil
		}
		if err := r.fetch(ctx, req); err != nil {
			return err
		}
	}
}

func (r *reader) fetch(ctx context.Context, req *kmsg.FetchRequest) error {
	res, err := r.cl.Broker(0).RetriableRequest(ctx, req)
	if err != nil {
		return err
	}
	resp := res.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	for i := range resp.Topics {
		at := slices.IndexFunc(r.topics, func(t topic) bool { return t.id == resp.Topics[i].TopicID })
		topic := r.topics[at].name
		for j := range resp.Topics[i].Partitions {
			at := place{topic, resp.Topics[i].Partitions[j].Partition}
			opts := kgo.ProcessFetchPartitionOpts{
				IsolationLevel: kgo.ReadCommitted(), Offset: r.next[at], Topic: topic,
				Partition: at.partition,
			}
			fp, next := kgo.ProcessFetchPartition(opts, &resp.Topics[i].Partitions[j], kgo.DefaultDecompressor(), nil)
			if fp.Err != nil {
				return fmt.Errorf("reading %v at %d: %w", at, r.next[at], fp.Err)
			}
			r.log[at] = append(r.log[at], fp.Records...)
			r.next[at] = next
		}
	}
	return nil
}

// quiet tells that no transaction is open and that each stage has taken in everything that lies before it. The groups
// are asked first: what a stage wrote with the offsets seen here then counts among the ends.
func (r *reader) quiet(groups map[string][]string) bool {
	for group, topics := range groups {
		info := r.cluster.GroupInfo(group)
		for _, at := range r.places {
			if records := r.log[at]; slices.Contains(topics, at.topic) && len(records) > 0 {
				if info == nil || info.Commits[at.topic][at.partition].Offset <= records[len(records)-1].Offset {
					return false
				}
			}
		}
	}
	for _, topic := range r.topics {
		for p, i := range r.cluster.PartitionInfos(topic.name) {
			if i.LastStableOffset < i.HighWatermark || r.next[place{topic.name, int32(p)}] < i.HighWatermark {
				return false
			}
		}
	}
	return true
}

// stageInputs are the groups of the stages and what they read.
func stageInputs() map[string][]string {
	return map[string][]string{
		schemas.GroupIntake:   {schemas.TopicFeedTransactions, schemas.TopicFeedIncomes, schemas.TopicRailResults},
		schemas.GroupPolicies: {schemas.TopicPolicyCommands},
		schemas.GroupCollect:  {schemas.TopicTimeline},
		schemas.GroupSettle:   {schemas.TopicSettlementCommands},
	}
}
