package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// prefix begins the name of every topic and group of ours.
const prefix = "kasi."

// pause is the time between two looks at a Kafka.
const pause = 50 * time.Millisecond

// look returns the topics of ours and the replication that suits the cluster.
func look(ctx context.Context, brokers []string) (topics []string, replication int16, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, 0, err
	}
	defer cl.Close()
	meta, err := kadm.NewClient(cl).Metadata(ctx)
	if err != nil {
		return nil, 0, err
	}
	return ours(meta.Topics.Names()), int16(min(3, len(meta.Brokers))), nil
}

func ours(names []string) []string {
	var out []string
	for _, n := range names {
		if strings.HasPrefix(n, prefix) {
			out = append(out, n)
		}
	}
	return out
}

// wipe removes all that an earlier test left: open transactions first, because they hold offsets back and groups with
// them, then members and groups, then topics. It returns when none is left.
func wipe(ctx context.Context, brokers []string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(pause))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for {
		left, err := wipeOnce(ctx, cl, adm, brokers)
		if err == nil && left == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("left: %s", left), err)
		case <-time.After(pause):
		}
	}
}

// wipeOnce removes what it can and says what was still there.
func wipeOnce(ctx context.Context, cl *kgo.Client, adm *kadm.Client, brokers []string) (left string, err error) {
	open, err := fence(ctx, adm, brokers)
	if err != nil || len(open) > 0 {
		return fmt.Sprintf("transactions %v", open), err
	}
	listed, err := adm.ListGroups(ctx)
	if err != nil {
		return "groups", err
	}
	if groups := ours(listed.Groups()); len(groups) > 0 {
		return fmt.Sprintf("groups %v", groups), dissolve(ctx, cl, adm, groups)
	}
	meta, err := adm.Metadata(ctx)
	if err != nil {
		return "topics", err
	}
	if topics := ours(meta.Topics.Names()); len(topics) > 0 {
		_, err := adm.DeleteTopics(ctx, topics...)
		return fmt.Sprintf("topics %v", topics), err
	}
	return "", nil
}

// fence ends the open transactions that write to topics of ours or have not written yet, by taking their producers'
// place.
func fence(ctx context.Context, adm *kadm.Client, brokers []string) ([]string, error) {
	all, err := adm.ListTransactions(ctx, nil, []string{"Ongoing"})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	described, err := adm.DescribeTransactions(ctx, all.TransactionalIDs()...)
	if err != nil {
		return nil, err
	}
	var open []string
	for id, txn := range described {
		strange := slices.ContainsFunc(txn.Topics.Topics(), func(name string) bool {
			return !strings.HasPrefix(name,
				prefix) && name != "__consumer_offsets"
		})
		if txn.State != "Ongoing" || strange {
			continue
		}
		open = append(open, id)
		if err := takeOver(ctx, brokers, id); err != nil {
			return open, fmt.Errorf("transaction %s: %w", id, err)
		}
	}
	return open, nil
}

// takeOver asks for the producer id of a transactional id, which aborts what is open under it.
func takeOver(ctx context.Context, brokers []string, id string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.TransactionalID(id))
	if err != nil {
		return err
	}
	defer cl.Close()
	_, _, err = cl.ProducerID(ctx)
	return err
}

// dissolve sends away members whose process is dead and deletes the groups.
func dissolve(ctx context.Context, cl *kgo.Client, adm *kadm.Client, groups []string) error {
	described, err := adm.DescribeGroups(ctx, groups...)
	if err != nil {
		return err
	}
	for _, g := range described {
		if len(g.Members) == 0 {
			continue
		}
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Group = g.Group
		for _, m := range g.Members {
			member := kmsg.NewLeaveGroupRequestMember()
			member.MemberID = m.MemberID
			req.Members = append(req.Members, member)
		}
		if _, err := req.RequestWith(ctx, cl); err != nil {
			return err
		}
	}
	deleted, err := adm.DeleteGroups(ctx, groups...)
	if err != nil {
		return err
	}
	for _, d := range deleted {
		if d.Err != nil && !errors.Is(d.Err, kerr.NonEmptyGroup) && !errors.Is(d.Err, kerr.GroupIDNotFound) {
			return fmt.Errorf("group %s: %w", d.Group, d.Err)
		}
	}
	return nil
}
