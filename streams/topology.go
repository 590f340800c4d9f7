// Package streams is the Kafka runtime: it moves records between topics exactly once and keeps the state that package
// processors decides on. Read this file first; DESIGN.md in this folder says what is guaranteed.
package streams

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/tenants"
)

// Topology is everything that runs between topics: read a row as "stage, what it reads, what decides, what it writes,
// what it remembers".
//
// Every partitioned topic of ours has the same number of partitions. A keyed output goes to the partition of its key's
// routing hash; every other output goes to the partition that its input came from, so that one partition of a stage
// never waits for another. Each stage takes in records, and writes outputs, dead letters, changelog and consumed
// offsets, in one transaction (DESIGN.md).
var Topology = []Stage{
	{Row: stage.Row{
		Name: "intake", Role: "intake", Group: schemas.GroupIntake,
		Inputs: []string{
			schemas.TopicFeedTransactions, schemas.TopicFeedIncomes, schemas.TopicRailResults, schemas.TopicPayoutResults,
		},
		Processor: "feeds: validate, make an event of ours of each entry",
		Outputs: []stage.Output{
			{Topic: schemas.TopicTimeline, Key: "customer; debit_id of a result", Routed: true},
			{Topic: schemas.TopicSettlementCommands, Key: "payout_id of a result", Routed: true},
			{Topic: schemas.TopicDeadLetters, Key: "as it came"},
		},
		DeadLetters: schemas.TopicDeadLetters, CountOf: schemas.TopicTimeline,
	}, open: openFeeds},
	{Row: stage.Row{
		Name: "owners", Role: "intake", Group: schemas.GroupPolicies,
		Inputs:    []string{schemas.TopicPolicyCommands},
		Processor: "ownerTask: which customer a policy number belongs to; numbers the audit",
		Outputs: []stage.Output{
			{Topic: schemas.TopicTimeline, Key: "customer", Routed: true},
			{Topic: schemas.TopicOutcomes, Key: "tenant, policy number", Dense: true},
			{Topic: schemas.TopicImports, Key: "import", Dense: true},
			{Topic: schemas.TopicAudit, Key: "tenant", Dense: true},
			{Topic: schemas.TopicDeadLetters, Key: "as it came"},
		},
		State: schemas.TopicStateIntake, StateKey: "tenant, policy number",
		DeadLetters: schemas.TopicDeadLetters, CountOf: schemas.TopicTimeline,
	}, open: openOwners},
	{Row: stage.Row{
		Name: "collect", Role: "collect", Group: schemas.GroupCollect,
		Inputs:    []string{schemas.TopicTimeline},
		Processor: "processors.Engine: deposits, decisions, debits, outcomes",
		Outputs: []stage.Output{
			{Topic: schemas.TopicTransactions, Key: "customer", Dense: true},
			{Topic: schemas.TopicDeposits, Key: "customer", Dense: true},
			{Topic: schemas.TopicDecisions, Key: "customer", Dense: true},
			{Topic: schemas.TopicDebits, Key: "customer", Dense: true},
			{Topic: schemas.TopicPolicies, Key: "customer", Dense: true},
			{Topic: schemas.TopicCollections, Key: "customer", Dense: true},
			{Topic: schemas.TopicOpenItems, Key: "customer", Dense: true},
			{Topic: schemas.TopicOutcomes, Key: "customer", Dense: true},
			{Topic: schemas.TopicExecutions, Key: "execution", Dense: true},
			{Topic: schemas.TopicTimeline, Key: "execution: what is left of its work"},
			{Topic: schemas.TopicPolicyCommands, Key: "tenant, policy number: the answer to a move", Routed: true},
			{Topic: schemas.TopicDeadLetters, Key: "as it came"},
		},
		State: schemas.TopicStateCollect, StateKey: "customer",
		DeadLetters: schemas.TopicDeadLetters, CountOf: schemas.TopicTimeline,
	}, open: openCollect},
	{Row: stage.Row{
		Name: "settle", Role: "settle", Group: schemas.GroupSettle,
		Inputs:    []string{schemas.TopicSettlementCommands},
		Processor: "settlement: statements over Ledger sums, payouts",
		Outputs: []stage.Output{
			{Topic: schemas.TopicSettlements, Key: "tenant", Dense: true},
			{Topic: schemas.TopicPayouts, Key: "tenant", Dense: true},
			{Topic: schemas.TopicOutcomes, Key: "tenant", Dense: true},
			{Topic: schemas.TopicDeadLetters, Key: "as it came"},
		},
		State: schemas.TopicStateSettle, StateKey: "tenant",
		DeadLetters: schemas.TopicDeadLetters, CountOf: schemas.TopicTimeline,
	}, open: openSettle},
}

// Stage is one row of the topology.
type Stage struct {
	stage.Row
	// open binds the code that decides. Its tasks end with ctx where they wait for something.
	open func(ctx context.Context, cfg stage.Config, n Needs) (stage.Task, stage.Memory)
}

// Needs is what stages need beside Kafka. What no stage of a role needs may be nil.
type Needs struct {
	Engine *processors.Engine // collect
	Rules  *rules.Rules       // settle
	Ledger Ledger             // settle
	// Payouts says when settle counts a statement as paid; empty means settlement.Assumed.
	Payouts settlement.Payouts

	tenants tenantList // intake; Run follows them
}

// Run runs the stages of a role until ctx ends. ready, where not nil, is called each time all of them serve. It returns
// nil when ctx ended, and an error only where trying again cannot help.
func Run(ctx context.Context, cfg stage.Config, role string, n Needs, ready func()) error {
	rows := stagesOf(role)
	if len(rows) == 0 {
		return fmt.Errorf("no stage of the topology has role %q", role)
	}
	var mu sync.Mutex
	serving := map[string]bool{}
	g, ctx := errgroup.WithContext(ctx)
	n.tenants = tenants.Follow(ctx, cfg)
	for _, s := range rows {
		g.Go(func() error {
			open := func() (stage.Task, stage.Memory) { return s.open(ctx, cfg, n) }
			return stage.Run(ctx, cfg, s.Row, open, func() {
				mu.Lock()
				serving[s.Name] = true
				all := len(serving) == len(rows)
				mu.Unlock()
				if all && ready != nil {
					ready()
				}
			})
		})
	}
	return g.Wait()
}

// StagesOf are the names under which a role is heard of: those of its stages, or its own where it runs none.
func StagesOf(role string) []string {
	var names []string
	for _, s := range stagesOf(role) {
		names = append(names, s.Name)
	}
	if len(names) == 0 {
		names = []string{role}
	}
	return names
}

func stagesOf(role string) []Stage {
	return slices.DeleteFunc(slices.Clone(Topology), func(s Stage) bool { return s.Role != role })
}

// GroupsOf are the consumer groups of a role: those of its stages, or of a sink.
func GroupsOf(role string) []progress.Group {
	switch role {
	case "sink":
		return []progress.Group{{ID: schemas.GroupSink, Role: role, Topics: slices.Sorted(maps.Keys(schemas.SunkTopics))}}
	case "webhooks":
		return []progress.Group{{ID: schemas.GroupWebhooks, Role: role, Topics: schemas.WebhookSources()}}
	}
	var groups []progress.Group
	for _, s := range stagesOf(role) {
		groups = append(groups, progress.Group{ID: s.Group, Role: role, Topics: s.Inputs})
	}
	return groups
}

// TakenOver waits until intake and collect have taken over all that lies before them now, and what that makes each pass
// to the other: a policy that moves goes through both of them twice, and nothing goes through them more often. stall is
// how long it waits while nothing moves; 0 means progress.DefaultStall.
func TakenOver(ctx context.Context, g *progress.Tracker, stall time.Duration) error {
	for _, role := range []string{"intake", "collect", "intake", "collect"} {
		if err := g.CatchUp(ctx, stall, GroupsOf(role)...); err != nil {
			return err
		}
	}
	return nil
}

// TopicsOf are the topics that roles read, changelogs included, in order.
func TopicsOf(roles ...string) []string {
	var topics []string
	for _, role := range roles {
		for _, g := range GroupsOf(role) {
			topics = append(topics, g.Topics...)
		}
		for _, s := range stagesOf(role) {
			if s.State != "" {
				topics = append(topics, s.State)
			}
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// Inputs are the topics that stages read.
func Inputs() []string {
	var topics []string
	for _, s := range Topology {
		topics = append(topics, s.Inputs...)
	}
	return topics
}
