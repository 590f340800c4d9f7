package streams

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/processors/feeds"
	"github.com/kasi-collections/kasi/schemas"
)

// RunIntake runs both halves of intake until ctx ends: the outside feeds and the policy commands. ready is called each
// time both serve. It returns nil when ctx ended, and an error only where trying again cannot help.
func RunIntake(ctx context.Context, cfg Config, ready func()) error {
	var mu sync.Mutex
	serving := map[string]bool{}
	half := func(name string) func() {
		return func() {
			mu.Lock()
			serving[name] = true
			both := len(serving) == 2
			mu.Unlock()
			if both && ready != nil {
				ready()
			}
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return run(ctx, cfg, row("intake"), func(int32, int32) (task, memory) { return feedTask{}, nil }, half("intake"))
	})
	g.Go(func() error {
		return run(ctx, cfg, row("policies"), newOwnerTask, half("policies"))
	})
	return g.Wait()
}

// feedTask is the feed half: without state, it validates what comes from outside and passes it on to the customer's
// timeline under our own key and partitioner, the value byte for byte.
type feedTask struct{}

// take implements task.
func (feedTask) take(b *batch, rec *kgo.Record) error {
	kind, key, hash, err := route(rec)
	if err != nil {
		return refuse(b, rec, err)
	}
	b.timeline(kind, hash, key, rec.Value, rec.Timestamp, originOf(rec).header())
	return nil
}

// route validates an outside record and says where on the timeline it belongs.
func route(rec *kgo.Record) (kind schemas.Kind, key string, hash uint32, err error) {
	if size(rec) > largestValue {
		return "", "", 0, schemas.Refuse(schemas.RejectTooLarge,
			fmt.Sprintf("the record has more than %d bytes", largestValue))
	}
	switch rec.Topic {
	case schemas.TopicFeedTransactions:
		tx, err := feeds.Transaction(rec.Value)
		key := schemas.CustomerKey(tx.TenantID, tx.CustomerID)
		return schemas.KindTransaction, key, schemas.RoutingHash(key), err
	case schemas.TopicFeedIncomes:
		in, err := feeds.Income(rec.Value)
		key := schemas.CustomerKey(in.TenantID, in.CustomerID)
		return schemas.KindIncome, key, schemas.RoutingHash(key), err
	case schemas.TopicRailResults:
		res, err := feeds.Result(rec.Value)
		if err != nil {
			return "", "", 0, err
		}
		hash, err := schemas.DebitRoute(res.DebitID)
		if err != nil {
			return "", "", 0, schemas.Refuse(schemas.RejectUnknownDebit, err.Error())
		}
		return schemas.KindResult, res.DebitID, hash, nil
	}
	return "", "", 0, bug(fmt.Errorf("intake read topic %s, which it has no decoder for", rec.Topic))
}

// refuse turns a *Reject into a dead letter and hands every other error back as a bug of the processor.
func refuse(b *batch, rec *kgo.Record, err error) error {
	var why *schemas.Reject
	if errors.As(err, &why) {
		b.reject(rec, why)
		return nil
	}
	return bug(fmt.Errorf("%s stopped at %s partition %d offset %d: %w", b.stage.Name, rec.Topic, rec.Partition,
		rec.Offset, err))
}
