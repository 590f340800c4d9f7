package demo

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/processors/feeds"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
)

// standin is a naive Kasi, good enough to play a month against: it debits what is outstanding every Monday. Its bugs
// are planted by the tests.
type standin struct {
	t       *testing.T
	cal     *rules.Calendar
	brokers []string
	cl      *kgo.Client
	txs     *tail
	results *tail

	mu       sync.Mutex
	policies []*standinPolicy
	debits   map[string]*standinPolicy
	seen     map[string]bool
	asked    int // times that marks were asked for

	// planted bugs
	debitTwice, loseDeadLetter bool
	wrongReport                schemas.Cents
}

type standinPolicy struct {
	schemas.DebitInstruction
	due, collected, inFlight schemas.Cents
	stopped                  bool
}

func newStandin(t *testing.T) *standin {
	topics := make([]string, len(schemas.Topics))
	for i, topic := range schemas.Topics {
		topics[i] = topic.Name
	}
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, topics...))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	s := &standin{
		t: t, cal: rules.Default().Calendar, brokers: c.ListenAddrs(),
		debits: map[string]*standinPolicy{}, seen: map[string]bool{},
	}
	s.cl, err = kgo.NewClient(kgo.SeedBrokers(s.brokers...))
	require.NoError(t, err)
	t.Cleanup(s.cl.Close)
	for topic, at := range map[string]**tail{schemas.TopicFeedTransactions: &s.txs, schemas.TopicRailResults: &s.results} {
		*at, err = newTail(t.Context(), records.Source{Brokers: s.brokers}, topic, false)
		require.NoError(t, err)
		t.Cleanup((*at).cl.Close)
	}
	return s
}

func (s *standin) options(t *testing.T, out io.Writer) Options {
	url := serve(t, s.ServeHTTP)
	return Options{Policies: 60, Seed: 5, Dir: t.TempDir(), Product: Product{
		BaseURL: url, APIKey: "k", Brokers: s.brokers, ClickHouseURL: url + "/clickhouse", Advancer: s, Out: out,
	}}
}

func (s *standin) put(topic, key string, v any) {
	b, err := json.Marshal(v)
	require.NoError(s.t, err)
	require.NoError(s.t, s.cl.ProduceSync(context.Background(), &kgo.Record{
		Topic: topic, Key: []byte(key),
		Value: b,
	}).FirstErr())
}

func (s *standin) deadLetter(class string) {
	if s.loseDeadLetter {
		return
	}
	h := kgo.RecordHeader{Key: "__connect.errors.class.name", Value: []byte(class)}
	require.NoError(s.t, s.cl.ProduceSync(context.Background(), &kgo.Record{
		Topic:   schemas.TopicDeadLetters,
		Headers: []kgo.RecordHeader{h},
	}).FirstErr())
}

// Advance takes over what lies on the feeds and, on a Monday, debits everything that is outstanding.
func (s *standin) Advance(ctx context.Context, to civil.Date) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(ctx)
	s.put(schemas.TopicCalendar, "tick", schemas.Tick{Date: to.String(), Cutoff: 1})
	if to.Weekday() != 1 || schemas.PeriodOf(to) != "2025-11" {
		return nil
	}
	for _, p := range s.policies {
		if p.AmountCents = p.due - p.collected - p.inFlight; p.stopped || p.AmountCents == 0 {
			continue
		}
		p.Attempt++
		p.ActionDate, p.BusinessDate = to.String(), to.String()
		p.DebitID = schemas.DebitID("demo", p.CustomerID, p.PolicyNumber, p.Attempt)
		p.inFlight = p.AmountCents
		s.debits[p.DebitID] = p
		s.put(schemas.TopicDebits, p.CustomerID, p.DebitInstruction)
		if s.debitTwice {
			s.put(schemas.TopicDebits, p.CustomerID, p.DebitInstruction)
		}
	}
	return nil
}

func (s *standin) take(ctx context.Context) {
	records, err := s.txs.read(ctx)
	require.NoError(s.t, err)
	for _, r := range records {
		tx, err := feeds.Transaction(r.Value)
		if err != nil {
			s.deadLetter("BAD_RECORD")
		} else if tx.Direction == schemas.Credit {
			s.put(schemas.TopicDeposits, tx.CustomerID, schemas.DepositEvent{TransactionID: tx.TransactionID})
		}
	}
	records, err = s.results.read(ctx)
	require.NoError(s.t, err)
	for _, r := range records {
		res, err := feeds.Result(r.Value)
		require.NoError(s.t, err)
		p := s.debits[res.DebitID]
		if p == nil {
			s.deadLetter("UNKNOWN_DEBIT")
			continue
		}
		if s.seen[res.ResultID] {
			continue
		}
		s.seen[res.ResultID] = true
		switch {
		case res.Status == schemas.ResultPaid:
			p.collected += *res.AmountCents
			p.inFlight = 0
		case p.inFlight > 0:
			p.inFlight = 0
		default: // it came back
			p.collected -= *res.AmountCents
			p.stopped = true
		}
	}
}

func (s *standin) collected() (sum schemas.Cents) {
	for _, p := range s.policies {
		sum += p.collected
	}
	return sum
}

// ServeHTTP answers for the REST API and, under /clickhouse, for ClickHouse.
func (s *standin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	statement := func() string {
		return fmt.Sprintf(`{"id":"s1","settlement_number":"SETTLE-2025-11-001","total_collections":%s,"status":"paid"}`,
			s.collected())
	}
	switch path := r.Method + " " + r.URL.Path; {
	case path == "POST /clickhouse":
		b, err := io.ReadAll(r.Body)
		require.NoError(s.t, err)
		switch {
		case strings.Contains(string(b), "debits_log"):
			write(s.t, w, "\t1\n")
		case strings.Contains(string(b), "sink_marks"):
			s.marks(w)
		default:
			write(s.t, w, fmt.Sprintf("\t%d\n", s.collected()))
		}
	case path == "POST /v1/policies/import":
		write(s.t, w, fmt.Sprintf(`{"imported":%d,"failed":0,"errors":[]}`, s.load(r)))
	case path == "POST /v1/collections/execute":
		write(s.t, w, fmt.Sprintf(`{"execution_id":"e1","policies_queued":%d}`, len(s.policies)))
	case path == "GET /v1/policies":
		write(s.t, w, `{"data":[{"id":"`+r.URL.Query().Get("policy_number")+`"}]}`)
	case strings.HasPrefix(path, "PATCH /v1/policies/"):
		b, err := io.ReadAll(r.Body)
		require.NoError(s.t, err)
		for _, p := range s.policies {
			p.stopped = p.stopped || p.PolicyNumber == strings.TrimPrefix(r.URL.Path, "/v1/policies/") &&
				strings.Contains(string(b), "cancelled")
		}
	case path == "GET /v1/reports/collections":
		s.report(w)
	case path == "POST /v1/settlements", path == "GET /v1/settlements/s1":
		write(s.t, w, statement())
	case path == "GET /v1/settlements/s1/export":
		write(s.t, w, "settlement_number,amount\n")
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// marks says that everything has arrived; the first time it is asked, that one partition lags.
func (s *standin) marks(w io.Writer) {
	s.asked++
	for topic := range schemas.SunkTopics {
		ends, err := offsets(context.Background(), topic, kadm.NewClient(s.cl).ListCommittedOffsets)
		require.NoError(s.t, err)
		for partition, end := range ends {
			if s.asked == 1 && topic == schemas.TopicCalendar {
				end--
			}
			write(s.t, w, fmt.Sprintf("%s/%d\t%d\n", topic, partition, end))
		}
	}
}

func (s *standin) load(r *http.Request) int {
	f, _, err := r.FormFile("file")
	require.NoError(s.t, err)
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(s.t, err)
	for _, row := range rows[1:] {
		due, err := schemas.ParseRands(row[4])
		require.NoError(s.t, err)
		s.policies = append(s.policies, &standinPolicy{due: due, DebitInstruction: schemas.DebitInstruction{
			TenantID: "demo", CustomerID: row[0], PolicyNumber: row[2], PeriodMonth: "2025-11", Currency: "ZAR",
			Rail: schemas.Rail(row[5]),
		}})
	}
	return len(rows) - 1
}

func (s *standin) report(w io.Writer) {
	rows := []client.ReportRow{}
	for _, p := range s.policies {
		row := client.ReportRow{
			CustomerID: p.CustomerID, PolicyNumber: p.PolicyNumber,
			CollectionAmountDue: schemas.Rands(p.due), CollectionAmountCollected: schemas.Rands(p.collected),
			CollectionStatus: schemas.PaidPartial, NumberOfAttempts: p.Attempt,
		}
		switch p.collected {
		case p.due:
			row.CollectionStatus = schemas.PaidFull
		case 0:
			row.CollectionStatus = schemas.Unpaid
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		rows[0].CollectionAmountCollected += schemas.Rands(s.wrongReport)
	}
	var b bytes.Buffer
	require.NoError(s.t, json.NewEncoder(&b).Encode(map[string]any{"period_month": "2025-11", "results": rows}))
	write(s.t, w, b.String())
}
