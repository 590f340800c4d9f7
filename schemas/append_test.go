package schemas_test

import (
	"testing"
	"time"

	"github.com/segmentio/encoding/json"

	"github.com/kasi-collections/kasi/schemas"
)

// BenchmarkAppend sets the appenders beside the library's. One operation is one event.
func BenchmarkAppend(b *testing.B) {
	at := time.Date(2025, 11, 5, 13, 0, 0, 123e6, time.UTC)
	meta := schemas.Meta{EventID: schemas.FactID("x"), Seq: 17, BusinessDate: "2025-11-05", At: at}
	balance := schemas.Cents(99_900)
	benchAppend(b, "transaction", &schemas.TransactionEvent{Meta: meta, Transaction: schemas.Transaction{
		TransactionID: "TX-0-1", TenantID: "acme", CustomerID: "CUST-0-1", BookedAt: at, AmountCents: 850_000,
		Direction: schemas.Credit, AccountID: "ACC", BalanceAfterCents: &balance, Description: "SALARY NOV",
	}, BookedDate: "2025-11-05"})
	benchAppend(b, "decision", &schemas.DecisionEvent{
		Meta: meta, TenantID: "acme", CustomerID: "CUST-0-1", PolicyNumber: "POL-0-1", CollectionID: schemas.FactID("c"),
		PeriodMonth: "2025-11", Action: schemas.DecideWait, Reason: "AWAIT_INCOME", Explanation: "Income is expected.",
		Alternatives: []schemas.Alternative{{Action: schemas.DecideDebit, Reason: "FUNDS_SEEN"}},
		Inputs:       schemas.DecisionInputs{DueCents: 15_000, BalanceCents: &balance, Rail: schemas.RailEFT},
	})
	benchAppend(b, "collection", &schemas.CollectionEvent{
		Meta: meta, CollectionID: schemas.FactID("c"), TenantID: "acme", CustomerID: "CUST-0-1",
		PolicyID: schemas.FactID("p"), PolicyNumber: "POL-0-1", PeriodMonth: "2025-11", Version: 4, DueCents: 20_000,
		Status: schemas.PaidPartial, Change: schemas.Change{Kind: schemas.ChangePaid, MovedCents: 15_000},
	})
}

func benchAppend[T interface {
	AppendJSON(b []byte) ([]byte, error)
}](b *testing.B, name string, event T) {
	for how, do := range map[string]func(b []byte) ([]byte, error){
		"written":   event.AppendJSON,
		"segmentio": func(b []byte) ([]byte, error) { return json.Append(b, event, json.EscapeHTML|json.SortMapKeys) },
	} {
		b.Run(name+"/"+how, func(b *testing.B) {
			b.ReportAllocs()
			var to []byte
			for b.Loop() {
				var err error
				if to, err = do(to[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
