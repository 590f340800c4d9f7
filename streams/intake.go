package streams

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/feeds"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/stage"
)

func openFeeds(context.Context, stage.Config, Needs) stage.Open {
	return func(int32, int32) (stage.Task, stage.Memory) { return feedTask{}, nil }
}

// feedTask is the feed half of intake: without state, it validates what comes from outside and passes it on to the
// customer's timeline under our own key and partitioner, the value byte for byte.
type feedTask struct{}

// Take implements stage.Task.
func (feedTask) Take(b *stage.Batch, rec *kgo.Record) error {
	kind, key, hash, err := route(rec)
	if err != nil {
		return refuse(b, rec, err)
	}
	b.Route(schemas.TopicTimeline, kind, hash, key, rec.Value, rec.Timestamp, letters.OriginHeader(rec))
	return nil
}

// route validates an outside record and says where on the timeline it belongs.
func route(rec *kgo.Record) (kind schemas.Kind, key string, hash uint32, err error) {
	if letters.TooLarge(rec) {
		return "", "", 0, schemas.Refuse(schemas.RejectTooLarge,
			fmt.Sprintf("the record has more than %d bytes", letters.LargestValue))
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
	return "", "", 0, stage.Fatal(fmt.Errorf("intake read topic %s, which it has no decoder for", rec.Topic))
}
