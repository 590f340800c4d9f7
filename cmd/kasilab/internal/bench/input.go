package bench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// world is the customers of a benchmark: each with one policy, its collection of November 2025 open, and transactions
// through that month in the order of time.
type world struct {
	customers, partitions int
}

var monthBegins = time.Date(2025, 11, 1, 0, 0, 0, 0, schemas.Johannesburg)

func (w world) customer(i int) string { return fmt.Sprintf("CUST%07d", i) }

// record is one record of the timeline.
func (w world) record(kind schemas.Kind, i int, value any, at time.Time) *kgo.Record {
	key := schemas.CustomerKey("acme", w.customer(i))
	return &kgo.Record{
		Topic: schemas.TopicTimeline, Partition: schemas.PartitionOf(schemas.RoutingHash(key), int32(w.partitions)),
		Key: []byte(key), Value: encode(value), Timestamp: at,
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(kind)}},
	}
}

func encode(value any) []byte {
	b, err := json.Marshal(value)
	if err != nil {
		panic(err) // the types are ours
	}
	return b
}

// tick is on every partition.
func (w world) tick(yield func(*kgo.Record) bool, date string, cutoff int, at time.Time) bool {
	for p := range int32(w.partitions) {
		if !yield(&kgo.Record{
			Topic: schemas.TopicTimeline, Partition: p, Key: []byte("tick"),
			Value: encode(schemas.Tick{Date: date, Cutoff: cutoff}), Timestamp: at,
			Headers: []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindTick)}},
		}) {
			return false
		}
	}
	return true
}

// setup gives every customer a policy and an execution.
func (w world) setup(yield func(*kgo.Record) bool) bool {
	at := monthBegins.Add(-12 * time.Hour)
	if !w.tick(yield, "2025-10-31", 0, at) {
		return false
	}
	for i := range w.customers {
		policy := schemas.PolicyCommand{
			RequestID: "bench", Row: i + 1, Action: schemas.PolicyImport, TenantID: "acme", CustomerID: w.customer(i),
			PolicyNumber: fmt.Sprintf("POL%07d", i),
			Terms: &schemas.PolicyTerms{
				ProductCode: "FUNERAL_01", PremiumCents: 15_000, Status: schemas.PolicyActive,
				Rail: schemas.RailDebiCheck,
			},
		}
		execute := schemas.ExecuteCommand{
			RequestID: "bench-x", ExecutionID: "bench-x", Row: i + 1, TenantID: "acme", CustomerID: w.customer(i),
			PolicyNumber: policy.PolicyNumber, PeriodMonth: "2025-11",
		}
		if !yield(w.record(schemas.KindPolicy, i, policy, at)) || !yield(w.record(schemas.KindExecute, i, execute, at)) {
			return false
		}
	}
	return true
}

// setupRecords is how many records setup writes.
func (w world) setupRecords() int { return 2*w.customers + w.partitions }

// spending and earning are what bank statements say. One transaction in seventeen is money that came in.
var (
	spending = [][2]string{
		{"CARD PURCHASE SHOPRITE SOWETO", "GROCERIES"},
		{"ATM WITHDRAWAL MARABASTAD", "CASH"},
		{"PREPAID AIRTIME VODACOM", "AIRTIME"},
		{"TAXI FARE BREE STREET", "TRANSPORT"},
		{"PREPAID ELECTRICITY CITY POWER", "UTILITIES"},
		{"PNP LIQUOR MAPONYA MALL", "GROCERIES"},
		{"DEBIT ORDER MTN CONTRACT", "TELECOMS"},
		{"SEND MONEY CAPITEC", "TRANSFER"},
	}
	earning = []string{"SALARY ACME MINING", "PIECE JOB", "SASSA GRANT", "WAGES BUILDERS BK"}
)

// month writes n transactions over 30 days, with a tick before each day and one for its cut-off. It begins with setup.
func (w world) month(n int) func(yield func(*kgo.Record) bool) {
	return func(yield func(*kgo.Record) bool) {
		if !w.setup(yield) {
			return
		}
		random := rand.New(rand.NewPCG(4, 2))
		every := 30 * 24 * time.Hour / time.Duration(n)
		for i := range n {
			at := monthBegins.Add(time.Duration(i) * every)
			if day := at.Format(time.DateOnly); i == 0 || at.Add(-every).Format(time.DateOnly) != day {
				if i > 0 && !w.tick(yield, at.AddDate(0, 0, -1).Format(time.DateOnly), 1, at) || !w.tick(yield, day, 0, at) {
					return
				}
			}
			who := random.IntN(w.customers)
			if !yield(w.record(schemas.KindTransaction, who, w.transaction(random, i, who, at), at)) {
				return
			}
		}
	}
}

func (w world) transaction(random *rand.Rand, i, who int, at time.Time) schemas.Transaction {
	spent := spending[random.IntN(len(spending))]
	tx := schemas.Transaction{
		TransactionID: fmt.Sprintf("tx-%016x", random.Uint64()), TenantID: "acme", CustomerID: w.customer(who), BookedAt: at,
		AmountCents: schemas.Cents(1000 + random.IntN(90_000)),
		Direction:   schemas.Debit, AccountID: fmt.Sprintf("62%08d", who), Currency: "ZAR", Description: spent[0],
		Category: spent[1],
	}
	if i%17 == 0 {
		tx.Direction, tx.Description, tx.Category = schemas.Credit, earning[who%len(earning)], "INCOME"
	}
	return tx
}

// ticksIn is how many tick records month writes beside setup's.
func (w world) ticksIn() int { return (30 + 29) * w.partitions }
