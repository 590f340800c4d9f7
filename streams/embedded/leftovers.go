package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// closeLeftovers aborts the transactions and removes the group members that the broker kept from before its restart.
// Their processes are gone with it; left alone, an open transaction would hold back every reader until its time-out and
// a dead member the next assignment until its session ends, 45 seconds each. An outside client that did live on joins
// again and repeats its transaction by itself.
func closeLeftovers(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	return errors.Join(abortTransactions(ctx, cl, adm), removeMembers(ctx, cl, adm))
}

// abortTransactions takes over each transactional id that has something open, which aborts it.
func abortTransactions(ctx context.Context, cl *kgo.Client, adm *kadm.Client) error {
	open, err := adm.ListTransactions(ctx, nil, []string{"Ongoing"})
	if err != nil {
		return fmt.Errorf("listing transactions: %w", err)
	}
	for _, id := range open.TransactionalIDs() {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &id, 60_000
		for {
			resp, err := req.RequestWith(ctx, cl)
			if err == nil {
				err = kerr.ErrorForCode(resp.ErrorCode)
			}
			if err == nil {
				break
			}
			if !kerr.IsRetriable(err) || ctx.Err() != nil {
				return fmt.Errorf("aborting the transaction of %q: %w", id, err)
			}
		}
	}
	return nil
}

// removeMembers does what the members' clients would have done on a clean end: leave.
func removeMembers(ctx context.Context, cl *kgo.Client, adm *kadm.Client) error {
	groups, err := adm.DescribeGroups(ctx)
	if err != nil {
		return fmt.Errorf("describing groups: %w", err)
	}
	for _, g := range groups {
		if g.Err != nil || len(g.Members) == 0 {
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
			return fmt.Errorf("removing the members of group %q: %w", g.Group, err)
		}
	}
	return nil
}
